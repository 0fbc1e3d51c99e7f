//! Ctrl-C and its like: the first asks to end in good order, the second ends at once.

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::failure::Failure;

/// The first signal; 0 before there was any.
static FIRST: AtomicU8 = AtomicU8::new(0);

/// What a command that was interrupted, and has something to show all the same, exits with: 128 and the signal, as shells
/// say it of those that died of one. 130 after Ctrl-C.
pub(crate) fn exit_code() -> ExitCode {
    ExitCode::from(128 + FIRST.load(Ordering::Relaxed))
}

/// Calls `ask_to_end` at the first SIGINT, SIGTERM or SIGHUP. The second ends the process as if nobody had listened.
pub(crate) fn on_signal(ask_to_end: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let mut signals = Signals::new(heeded()).context("cannot handle signals").map_err(Failure::Run)?;
    // One thread for all: two signals that come together are still a first and a second.
    thread::spawn(move || {
        let mut signals = signals.forever();
        if let Some(first) = signals.next() {
            FIRST.store(u8::try_from(first).unwrap_or(0), Ordering::Relaxed);
            ask_to_end();
        }
        if let Some(second) = signals.next() {
            // Known signals have a default action, and that of these is to end.
            let _ = emulate_default_handler(second);
        }
    });
    Ok(())
}

/// A flag that the first signal sets.
pub(crate) fn flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    on_signal(move || set.store(true, Ordering::Relaxed))?;
    Ok(flag)
}

/// Those that ask a process to end. `nohup` asks it to outlive its terminal, and is obeyed.
fn heeded() -> Vec<i32> {
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    [SIGINT, SIGTERM].into_iter().chain(hang_up).collect()
}

/// Whether the process was started with that signal ignored. Without /proc that is not known, and it is not.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
