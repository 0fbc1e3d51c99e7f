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

/// Up to here `io_uring` is the cheaper one. With 64 bytes a request took 1 % less CPU time of it than of epoll over 50
/// connections, 5 % less over 500, and the same with 16 requests in flight on each; with 16 KiB it took 4 % more (Linux
/// 6.18, one CPU for each side). No more than that is at stake: 97 % of the time goes into the kernel, and three quarters
/// of it into what TCP does to send, which is the same for both.
const SMALL_PAYLOAD_BYTES: u32 = 4096;

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

    /// The engine that this comes to here for frames of that payload: one that the kernel grants, never
    /// [`Engine::Auto`].
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`], where it was asked for by name and is refused.
    pub fn granted(self, payload_bytes: u32) -> Result<Self, LoadError> {
        match self {
            Self::Epoll => Ok(Self::Epoll),
            Self::Auto if payload_bytes > SMALL_PAYLOAD_BYTES || FALLBACK.get().is_some() => Ok(Self::Epoll),
            Self::Auto | Self::IoUring => match io_uring_refusal() {
                None => Ok(Self::IoUring),
                Some(_) if self == Self::Auto => Ok(Self::Epoll),
                Some(reason) => Err(LoadError::Engine { engine: self.name(), reason }),
            },
        }
    }
}

/// Why the kernel does not grant `io_uring`. It is asked once.
fn io_uring_refusal() -> Option<&'static str> {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    REFUSAL.get_or_init(|| io_uring::probe().err().map(|error| error.to_string())).as_deref()
}

/// Why a ring could not be had when a load was to begin, although the kernel grants `io_uring`: mostly because there is not
/// enough memory that may be locked for one of the server as well. From then on the choice is another, for all loads of
/// this process: trials that are compared are to be loaded alike.
static FALLBACK: OnceLock<String> = OnceLock::new();

/// What a load is carried out with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Never [`Engine::Auto`].
    pub(super) engine: Engine,
    /// Why it is not the one that was preferred.
    pub(super) because: Option<String>,
    /// Whether another may be taken where this one cannot be had.
    pub(super) is_free: bool,
}

impl Choice {
    /// For frames of that payload.
    pub(super) fn of(engine: Engine, payload_bytes: u32) -> Result<Self, LoadError> {
        let granted = engine.granted(payload_bytes)?;
        let was_preferred = engine != Engine::Auto || payload_bytes > SMALL_PAYLOAD_BYTES;
        let because = if was_preferred || granted == Engine::IoUring {
            None
        } else {
            FALLBACK.get().cloned().or_else(|| io_uring_refusal().map(str::to_owned))
        };
        Ok(Self { engine: granted, because, is_free: engine == Engine::Auto })
    }

    /// The ring could not be had, for that reason: readiness it is, for this load and for those that follow.
    pub(super) fn fall_back(&mut self, reason: String) {
        let reason = FALLBACK.get_or_init(|| reason);
        (self.engine, self.because) = (Engine::Epoll, Some(reason.clone()));
    }
}

/// An engine with its sockets, on the thread that will run it.
pub(super) enum Prepared<'run> {
    Epoll(Epoll),
    IoUring(Box<IoUring<'run>>),
}

impl<'run> Prepared<'run> {
    /// With the failure the sockets come back.
    pub(super) fn new(
        engine: Engine,
        sockets: Vec<OwnedFd>,
        share: &Share<'run>,
    ) -> Result<Self, (io::Error, Vec<OwnedFd>)> {
        match engine {
            Engine::IoUring => IoUring::new(sockets, share).map(Box::new).map(Self::IoUring),
            Engine::Auto | Engine::Epoll => Epoll::new(sockets).map(Self::Epoll).map_err(|error| (error, Vec::new())),
        }
    }

    /// Its sockets; the ring is closed, if it has one.
    pub(super) fn into_sockets(self) -> Vec<OwnedFd> {
        match self {
            Self::Epoll(epoll) => epoll.into_sockets(),
            Self::IoUring(io_uring) => io_uring.into_sockets(),
        }
    }

    /// Sleeps until then, as between two requests; it may end early.
    pub(super) fn sleep_until(&mut self, clock: Clock, at_ns: u64) -> io::Result<()> {
        match self {
            Self::Epoll(epoll) => epoll.sleep_until(clock, at_ns),
            Self::IoUring(io_uring) => io_uring.sleep_until(clock, at_ns),
        }
    }

    /// Carries the load until it is over.
    pub(super) fn run(self, share: Share<'run>, clock: Clock, end: &End) -> io::Result<Finished<'run>> {
        match self {
            Self::Epoll(epoll) => epoll.run(share, clock, end),
            Self::IoUring(io_uring) => io_uring.run(share, clock, end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_never_refused_and_a_name_is_never_replaced() {
        for payload_bytes in [0, 64, SMALL_PAYLOAD_BYTES, SMALL_PAYLOAD_BYTES + 1, 1 << 20] {
            assert_eq!(Engine::Epoll.granted(payload_bytes).unwrap(), Engine::Epoll);
            let chosen = Engine::Auto.granted(payload_bytes).unwrap();
            match Engine::IoUring.granted(payload_bytes) {
                Ok(engine) => {
                    assert_eq!(engine, Engine::IoUring);
                    assert_eq!(chosen == Engine::IoUring, payload_bytes <= SMALL_PAYLOAD_BYTES);
                }
                Err(refused) => {
                    assert!(matches!(refused, LoadError::Engine { engine: "io_uring", .. }));
                    assert_eq!(chosen, Engine::Epoll);
                }
            }
        }
    }
}
