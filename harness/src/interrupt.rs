//! Ctrl-C and its like: the first asks to end in good order, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Failure;

/// The signals that ask a process to end.
pub(crate) const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// A flag that the first of [`SIGNALS`] sets. Any that comes after it ends the process as if nobody had listened.
pub(crate) fn interrupted() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        // In this order: the first signal must not find the flag that it sets itself.
        flag::register_conditional_default(signal, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .context("cannot handle signals")
            .map_err(Failure::run)?;
    }
    Ok(interrupted)
}
