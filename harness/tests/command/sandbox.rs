//! What a parent, a container or a limit does to the command before it starts.
#![expect(unsafe_code)]

use std::fs;
use std::io;
use std::mem;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use libc::{c_int, c_long, c_ulong, sock_filter};

/// Has these system calls fail with `errno` in the command and in all that it starts, as the seccomp filter of a container
/// does.
pub(crate) fn refuse(command: &mut Command, calls: &[c_long], errno: i32) {
    let mut program = vec![load(NUMBER)];
    for call in calls {
        program.extend([unless(u32::try_from(*call).unwrap(), 1), refuse_with(errno)]);
    }
    program.push(allow());
    filter_calls(command, program);
}

/// Gives the command a soft limit on descriptors, and has the kernel refuse with EPERM whatever it does to change it, as it
/// does where `fs.nr_open` is below the hard limit.
pub(crate) fn keep_descriptor_limit(command: &mut Command, soft: u64) {
    limit_descriptors(command, soft);
    let program = vec![
        load(NUMBER),
        unless(u32::try_from(libc::SYS_prlimit64).unwrap(), 6),
        load(ARGUMENTS + 8),
        unless(libc::RLIMIT_NOFILE, 4),
        // The new limit is behind a pointer, which is null where it is only read.
        load(ARGUMENTS + 16),
        unless(0, 3),
        load(ARGUMENTS + 20),
        unless(0, 1),
        allow(),
        refuse_with(libc::EPERM),
    ];
    filter_calls(command, program);
}

/// Where `struct seccomp_data` has the number of the call, and its arguments; little-endian.
const NUMBER: u32 = 0;
const ARGUMENTS: u32 = 16;

fn load(at: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, at)
}

/// Skips so many instructions unless what was loaded is `value`.
fn unless(value: u32, skip: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skip, value)
}

fn allow() -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW)
}

fn refuse_with(errno: i32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap())
}

fn instruction(code: u32, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf, k }
}

fn filter_calls(command: &mut Command, program: Vec<sock_filter>) {
    let install = move || {
        let filter =
            libc::sock_fprog { len: u16::try_from(program.len()).unwrap_or(0), filter: program.as_ptr().cast_mut() };
        // SAFETY: a call with numbers for arguments.
        let alone = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        let mode = c_ulong::from(libc::SECCOMP_MODE_FILTER);
        // SAFETY: the kernel copies the filter, which lives until it has.
        let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) };
        if alone == 0 && installed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: it makes two system calls, and does not allocate.
    unsafe { command.pre_exec(install) };
}

/// Has the command begin with these signals ignored, and with these blocked.
pub(crate) fn leave_signals(command: &mut Command, ignored: &'static [c_int], blocked: &'static [c_int]) {
    let leave = move || {
        for signal in ignored {
            // SAFETY: nothing of this process handles the signal between here and the exec.
            unsafe { libc::signal(*signal, libc::SIG_IGN) };
        }
        // SAFETY: a set of signals is integers, for which zero is a value.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        for signal in blocked {
            // SAFETY: the set lives until the call has returned.
            unsafe { libc::sigaddset(&raw mut set, *signal) };
        }
        // SAFETY: as above; it changes the mask of this thread, the only one.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) };
        Ok(())
    };
    // SAFETY: it does nothing that may not be done between fork and exec.
    unsafe { command.pre_exec(leave) };
}

/// Gives the command that soft limit on descriptors.
pub(crate) fn limit_descriptors(command: &mut Command, soft: u64) {
    let limit = move || {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the kernel writes to `limit`, which lives until it has.
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
        limit.rlim_cur = soft.min(limit.rlim_max);
        // SAFETY: the kernel reads it.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        Ok(())
    };
    // SAFETY: two system calls.
    unsafe { command.pre_exec(limit) };
}

/// The name of a variable that is in the environment of the command and of all that it starts.
pub(crate) const MARK: &str = "HARNESS_TEST_MARK";

/// Processes that run and have that value of [`MARK`] in their environment.
pub(crate) fn marked(value: &str) -> Vec<u32> {
    let entry = format!("{MARK}={value}");
    let has_mark = |process: &u32| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == entry.as_bytes())
    };
    harness::process_tree::numbers("/proc").into_iter().filter(has_mark).collect()
}
