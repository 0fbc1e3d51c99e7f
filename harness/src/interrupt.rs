//! Ctrl-C and its like: the first asks to end in good order, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::failure::Failure;

/// Calls `ask_to_end` at the first SIGINT or SIGTERM. The second ends the process as if nobody had listened.
pub(crate) fn on_signal(ask_to_end: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot handle signals").map_err(Failure::Run)?;
    // One thread for both: two signals that come together are still a first and a second.
    thread::spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            ask_to_end();
        }
        if let Some(second) = signals.next() {
            // Known signals have a default action, and that of these two is to end.
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
