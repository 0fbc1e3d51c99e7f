//! What a process is to do with signals, whatever its parent left it: set once, at the very beginning.
//!
//! A mask and the signals that are ignored go from parent to child, through `exec` too. Most who leave them otherwise do not
//! mean to: a supervisor blocks what it waits for, a runtime ignores `SIGCHLD` or `SIGPIPE`. What is left to a child on purpose
//! is that it ignores what a terminal sends: `nohup` has it ignore `SIGHUP`, and a shell without job control has what it starts
//! with `&` ignore `SIGINT` and `SIGQUIT` (POSIX, 2.11); `trap '' XFSZ` has a limit be an error and not the end. That stays,
//! here and in what is started from here.
#![expect(unsafe_code)]

use std::mem;
use std::ptr;

use libc::{SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU, SIGXFSZ, c_int};

/// What a terminal and the limits of `ulimit` send, and a parent may have had ignored on purpose. `SIGPIPE` is Rust's: it is
/// ignored here and has its default in every program that is started.
const LEFT_IGNORED: [c_int; 9] = [SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU, SIGXFSZ, SIGPIPE];

/// Unblocks all signals, and gives all that are ignored their default, but for what a parent has ignored on purpose. To be
/// called before any thread is started: threads inherit the mask.
pub fn begin() {
    // SAFETY: a set of signals is integers, for which zero is a value; the call overwrites it.
    let mut none: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: `none` lives until the call has returned.
    unsafe { libc::sigemptyset(&raw mut none) };
    // SAFETY: the kernel reads `none`, which lives until it has, and changes nothing but the mask of this thread.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
    let by_default = (1..=libc::SIGRTMAX()).filter(|signal| ![SIGKILL, SIGSTOP].contains(signal));
    for signal in by_default.filter(|signal| !LEFT_IGNORED.contains(signal) && is_ignored(*signal)) {
        // SAFETY: an action is integers and a pointer that may be null, for all of which zero is a value: SIG_DFL.
        let default: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: the kernel reads `default`, which lives until it has; nothing of ours relies on a signal that is ignored.
        unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) };
    }
    heed_file_size_limit();
}

/// Has a file that reaches `ulimit -f` be an error of the call that writes to it, with which what was measured is told, and not
/// the end of the process. A handler is gone after `exec`, so that programs which are started have the default.
fn heed_file_size_limit() {
    extern "C" fn nothing(_: c_int) {}

    if is_ignored(SIGXFSZ) {
        return;
    }
    // SAFETY: as above.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(c_int) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the kernel reads `action`, which lives until it has; the handler does nothing.
    unsafe { libc::sigaction(SIGXFSZ, &raw const action, ptr::null_mut()) };
}

/// Whether this process ignores `signal`. Signals of the C library's own are not ignored.
#[must_use]
pub fn is_ignored(signal: c_int) -> bool {
    // SAFETY: as above.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes to `action`, which lives until it has.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}
