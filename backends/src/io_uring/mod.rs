//! `io_uring`: the kernel makes the calls and reports what became of them.
//!
//! One multishot accept; one multishot receive per connection, into buffers that the kernel picks from a shared ring;
//! sends straight from those buffers where nothing is in the way. One `io_uring_enter` a turn submits everything and
//! waits.
//!
//! What is public here serves whoever else has a completion loop: the load generator.

mod buffer_ring;
mod lent;
mod memory;
mod patience;
mod peer;
mod ring;
#[cfg(any(test, fuzzing))]
pub(crate) mod scripted;
mod server;
mod setup;

use std::io;
use std::time::Duration;

pub use buffer_ring::{Buffer, BufferRing, GROUP, Shape};
pub use patience::until_nothing_is_left;
pub use setup::{Granted, granted};

use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::stats::ServeReport;
use crate::stop::Stop;
use crate::workers;

/// Makes a send that is short count as a failure. Not among rustix's flags for sending.
pub const MSG_WAITALL: u32 = 0x100;
/// How long operations that were cancelled may stay as many as they are, before the kernel is taken not to answer.
pub const SETTLE_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait for one of them at a time.
pub const SETTLE_WAIT: Duration = Duration::from_millis(100);

pub(crate) struct IoUringBackend;

impl Backend for IoUringBackend {
    fn info(&self) -> &'static BackendInfo {
        &BackendInfo {
            name: "io_uring",
            is_main: true,
            summary: "one completion loop: multishot accept and receive, provided buffers, one call per turn",
            use_when: "many requests arrive at once and a system call for each is what costs most",
            avoid_when: "a sandbox or an administrator forbids io_uring, or kernels before 6.1 have to be served",
            model: IoModel::Completion,
            threading: Threading::LoopPerThread,
            waiting: Waiting::Sleeps,
            isolation: Isolation::Full,
        }
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        ring::probe().map_err(|error| Unavailable { reason: error.to_string() })
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<server::Server<'_>>(self.info().threading, &job, stop)
    }
}
