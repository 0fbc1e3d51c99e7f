//! How this crate speaks with the kernel: errors in words, times in its type.

use std::io;
use std::time::Duration;

use rustix::event::Timespec;

/// Puts a failed call in words: `what` failed, with the kernel's reason.
pub(crate) fn failed(what: &str, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// A time-out as the kernel takes it.
pub(crate) fn timespec(timeout: Duration) -> Timespec {
    // No wait is planned for longer than a time-out that a person asked for; 292 years are enough.
    Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
}
