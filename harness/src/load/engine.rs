//! Which interface the generator does I/O with.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use super::clock::Clock;
use super::epoll::Epoll;
use super::error::LoadError;
use super::io_uring::{self, IoUring};
use super::run::{End, Finished};
use super::share::Share;

/// The interface that the generator does I/O with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The cheaper one of those that the kernel grants.
    #[default]
    Auto,
    /// Readiness, and a system call for each receive and each send.
    Epoll,
    /// Completions, and a system call for many of both.
    IoUring,
}

impl Engine {
    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Epoll => "epoll",
            Self::IoUring => "io_uring",
        }
    }

    /// The engine that this comes to here: one that the kernel grants, never [`Engine::Auto`].
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`], where it was asked for by name and is refused.
    pub fn granted(self) -> Result<Self, LoadError> {
        match (self, io_uring_refusal()) {
            (Self::Epoll, _) | (Self::Auto, Some(_)) => Ok(Self::Epoll),
            (Self::Auto | Self::IoUring, None) => Ok(Self::IoUring),
            (Self::IoUring, Some(reason)) => Err(LoadError::Engine { engine: self.name(), reason }),
        }
    }
}

/// Why the kernel does not grant `io_uring`. It is asked once.
fn io_uring_refusal() -> Option<&'static str> {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    REFUSAL.get_or_init(|| io_uring::probe().err().map(|error| error.to_string())).as_deref()
}

/// An engine with its sockets, on the thread that will run it.
pub(super) enum Prepared<'run> {
    Epoll(Epoll),
    IoUring(Box<IoUring<'run>>),
}

impl<'run> Prepared<'run> {
    pub(super) fn new(engine: Engine, sockets: Vec<OwnedFd>, share: &Share<'run>) -> io::Result<Self> {
        match engine {
            Engine::IoUring => IoUring::new(sockets, share).map(Box::new).map(Self::IoUring),
            Engine::Auto | Engine::Epoll => Epoll::new(sockets).map(Self::Epoll),
        }
    }

    /// Carries the load until it is over.
    pub(super) fn run(self, share: Share<'run>, clock: Clock, end: &End<'_>) -> io::Result<Finished<'run>> {
        match self {
            Self::Epoll(epoll) => epoll.run(share, clock, end),
            Self::IoUring(io_uring) => io_uring.run(share, clock, end),
        }
    }
}
