//! The request to stop: a descriptor that any loop can wait for beside its sockets, and a flag for one that never waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use crate::refusal::refused;

/// A request to stop. Once made it stays made, and every loop that waits for it sees it.
#[derive(Debug)]
pub struct Stop {
    /// Written once and never read, so that it stays readable for all loops at once.
    event: OwnedFd,
    /// The same for who looks at every turn: a load instead of a system call.
    requested: AtomicBool,
}

impl Stop {
    /// A stop that nobody has requested yet.
    pub fn new() -> io::Result<Self> {
        let event =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| refused("eventfd2", error))?;
        Ok(Self { event, requested: AtomicBool::new(false) })
    }

    /// Asks every loop to stop. More than one request is the same as one.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Release);
        // Can fail only when the counter is full: then it is readable already.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Whether a stop was requested. Costs no system call.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }
}

impl AsFd for Stop {
    /// Becomes readable when the stop is requested. Not to be read from.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn stays_requested() {
        let stop = Stop::new().unwrap();
        assert_eq!((stop.is_requested(), is_readable(&stop)), (false, false));
        stop.request();
        stop.request();
        for _ in 0..2 {
            assert_eq!((stop.is_requested(), is_readable(&stop)), (true, true));
        }
    }

    fn is_readable(stop: &Stop) -> bool {
        let mut fds = [PollFd::new(stop, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }
}
