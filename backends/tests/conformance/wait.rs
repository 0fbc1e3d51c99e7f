//! Waiting for what must come, and giving up on what does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that takes milliseconds on an idle machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Returns as soon as `condition` holds.
pub(crate) fn until(what: &str, condition: impl FnMut() -> bool) {
    until_within(DEADLINE, what, condition);
}

/// As [`until`], with a deadline of its own.
pub(crate) fn until_within(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < deadline, "within {deadline:?} it did not come true that {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Ends the loops of other threads, also where a test fails.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
