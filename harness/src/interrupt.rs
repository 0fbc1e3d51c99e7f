//! Ctrl-C and its like: the first asks to end in good order, the second ends at once.
//!
//! All of it is done by handlers and none by a thread: where threads are not to be had, a signal still ends the command. PID 1
//! of a namespace gets no signal without a handler, and none has a default for it (`pid_namespaces(7)`).
#![expect(unsafe_code)]

use std::io;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use anyhow::Context;
use backends::Stop;
use harness::signals;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::failure::Failure;

const ENDING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Whether the command ends by itself when it is asked to; until it does, the first signal ends the process.
static LISTENS: AtomicBool = AtomicBool::new(false);
/// The first signal; 0 before there was any.
static FIRST: AtomicI32 = AtomicI32::new(0);
/// Whether signals are the command's own affair, the first as the second.
static HANDED_OVER: AtomicBool = AtomicBool::new(false);

/// From here on SIGINT, SIGTERM and SIGHUP end the process, also where it is PID 1, unless the command asks for them with one of
/// the functions below. What a parent has had ignored on purpose stays ignored.
pub(crate) fn begin() -> Result<(), Failure> {
    signals::begin();
    each_signal(|signal| {
        let handle = move || {
            let is_first = FIRST.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            let goes_on = LISTENS.load(Ordering::Relaxed) && is_first;
            if !goes_on && !HANDED_OVER.load(Ordering::Relaxed) {
                end_by(signal);
            }
        };
        // SAFETY: it loads and stores atomics, and ends the process by functions that are made for handlers.
        unsafe { low_level::register(signal, handle) }.map(drop)
    })
}

/// What a command that was interrupted, and has something to show all the same, exits with: 128 and the first signal, as shells
/// report those that died of one. 130 after Ctrl-C.
pub(crate) fn exit_code() -> ExitCode {
    ExitCode::from(u8::try_from(128 + FIRST.load(Ordering::Relaxed)).unwrap_or(u8::MAX))
}

/// Leaves the signals to handlers that the command installs itself.
pub(crate) fn hand_over() {
    HANDED_OVER.store(true, Ordering::Relaxed);
}

/// Requests `stop` at the first signal. The second ends the process as its default would.
pub(crate) fn request(stop: Arc<Stop>) -> Result<(), Failure> {
    // SAFETY: it stores to an atomic and writes to an eventfd; neither is freed meanwhile, since the handler stays.
    unsafe { on_signal(move || stop.request()) }
}

/// A flag that the first signal sets. The second ends the process.
pub(crate) fn flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    // SAFETY: it stores to an atomic that is never freed meanwhile, since the handler stays.
    unsafe { on_signal(move || set.store(true, Ordering::Relaxed)) }?;
    Ok(flag)
}

/// Calls `ask_to_end` at each of these signals.
///
/// # Safety
///
/// `ask_to_end` does what a signal handler may do: see signal-safety(7). It neither allocates nor locks.
unsafe fn on_signal(ask_to_end: impl Fn() + Send + Sync + Clone + 'static) -> Result<(), Failure> {
    each_signal(|signal| {
        // SAFETY: demanded of the caller.
        unsafe { low_level::register(signal, ask_to_end.clone()) }.map(drop)
    })?;
    LISTENS.store(true, Ordering::Relaxed);
    Ok(())
}

fn each_signal(register: impl Fn(i32) -> io::Result<()>) -> Result<(), Failure> {
    let heeded = ENDING.into_iter().filter(|signal| !signals::is_ignored(*signal));
    heeded.into_iter().try_for_each(register).context("cannot handle signals").map_err(Failure::Run)
}

/// Ends the process as the signal would have: its parent sees which it was. PID 1 has no such default, and exits with
/// the code that a shell would show.
fn end_by(signal: i32) {
    if process::id() != 1 {
        // Known signals have a default action, and that of these is to end.
        let _ = low_level::emulate_default_handler(signal);
    }
    low_level::exit(128 + signal);
}
