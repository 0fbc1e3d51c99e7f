//! The last resort: what is said where the harness itself is at fault.

use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::output;

/// Has a panic reported as an error in one line, the first of several; those who ask for a backtrace get it.
pub(crate) fn hook() {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    let with_backtrace = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !REPORTED.swap(true, Ordering::Relaxed) {
            output::say(&format!("error: {}; this is a fault of the harness, please report it", what(panic)));
        }
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|asked| asked != "0") {
            with_backtrace(panic);
        }
    }));
}

fn what(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    // One line, whatever a debug print of it has.
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    panic.location().map_or_else(|| message.clone(), |at| format!("{message} ({}:{})", at.file(), at.line()))
}
