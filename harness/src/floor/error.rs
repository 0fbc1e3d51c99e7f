//! Why there is no floor.

use std::io;

use backends::refusal::start_refused;

use super::PATIENCE;
use crate::cpus::PinError;

/// Why the floor could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// A thread could not be kept to its CPU.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A call failed that has to work.
    #[error("cannot {what}: {cause}")]
    Kernel {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
    /// One end of a connection is gone. Both are ours, so somebody else has closed it.
    #[error("a connection on loopback was closed while it was measured with: see what resets connections here")]
    Closed,
    /// Bytes came back that were not sent.
    #[error("more came back on a loopback connection than was sent: see what alters traffic on it")]
    Unasked,
    /// Nothing moved.
    #[error("nothing came back on loopback in {} s: see what keeps both CPUs busy, or drops packets", PATIENCE.as_secs())]
    Stuck,
    /// So few echoes came about that their cost is lost in what looking for them takes.
    #[error("the other CPU was too busy to send anything worth measuring: leave both CPUs alone meanwhile")]
    Drowned,
    /// So few echoes came about in the longest window that their cost says nothing.
    #[error("an echo of that payload takes too long to be measured beside trials: see `harness floor --payload`")]
    Slow,
    /// Nothing to measure on.
    #[error("there is no CPU to measure on")]
    NoCpu,
    /// The other end has nowhere to run.
    #[error("it takes two different CPUs, one for each end")]
    NoPair,
    /// No `io_uring`, and why.
    #[error("io_uring: {0}")]
    NoRing(String),
    /// Nothing was measured.
    #[error("no round was taken: ask for one at least")]
    NoRounds,
    /// It was told to stop before there was anything to show.
    #[error("interrupted before the first round ended, so nothing was measured; ask for a shorter --duration")]
    Stopped,
}

impl FloorError {
    /// For `map_err`: why there is no thread.
    pub(super) fn start(cause: io::Error) -> Self {
        Self::Kernel { what: "start a thread", cause: start_refused(cause) }
    }

    /// For `map_err`: the failure of `what`.
    pub(super) fn kernel<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |cause| Self::Kernel { what, cause: cause.into() }
    }
}
