//! The request to stop, as a descriptor that any loop can wait for beside its sockets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A request to stop. Once made it stays made, and every loop that waits for it sees it.
#[derive(Debug)]
pub struct Stop {
    /// Written once and never read, so that it stays readable for all loops at once.
    event: OwnedFd,
}

impl Stop {
    /// A stop that nobody has requested yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Asks every loop to stop. More than one request is the same as one.
    pub fn request(&self) {
        // Can fail only when the counter is full: then it is readable already.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Whether a stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        let mut fds = [PollFd::new(&self.event, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1))
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
    use super::*;

    #[test]
    fn stays_requested() {
        let stop = Stop::new().unwrap();
        assert!(!stop.is_requested());
        stop.request();
        stop.request();
        assert!(stop.is_requested());
        assert!(stop.is_requested());
    }
}
