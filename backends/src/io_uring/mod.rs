//! `io_uring`: the kernel makes the calls and reports what became of them.
//!
//! At its best: one multishot accept; one multishot receive per connection, into buffers that the kernel picks from a
//! shared ring; sends straight from those buffers where nothing is in the way. One `io_uring_enter` a turn submits
//! everything and waits. `variants.rs` says which of these each backend does.
//!
//! What is public here serves whoever else has a completion loop: the load generator.

mod buffer_ring;
mod entries;
mod lent;
mod locked_memory;
mod memory;
mod patience;
mod peer;
mod ring;
#[cfg(any(test, fuzzing))]
pub(crate) mod scripted;
mod server;
mod setup;
mod variants;

use std::io;
use std::time::Duration;

pub use buffer_ring::{Buffer, BufferRing, GROUP, Shape};
pub use patience::until_nothing_is_left;
pub use setup::{Granted, granted};

use crate::backend::{Backend, BackendInfo, Receipt, ServeJob, Unavailable};
use crate::stats::ServeReport;
use crate::stop::Stop;
use crate::workers;
use variants::{VARIANTS, position};

/// Makes a send that is short count as a failure. Not among rustix's flags for sending.
pub const MSG_WAITALL: u32 = 0x100;
/// How long operations that were cancelled may stay as many as they are, before the kernel is taken not to answer.
pub const SETTLE_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait for one of them at a time.
pub const SETTLE_WAIT: Duration = Duration::from_millis(100);

/// The variant at that [`position`] of the table.
pub(crate) struct IoUringBackend<const POSITION: usize>;

impl<const POSITION: usize> Backend for IoUringBackend<POSITION> {
    fn info(&self) -> &'static BackendInfo {
        &VARIANTS[POSITION].info
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        ring::probe(&VARIANTS[POSITION]).map_err(|error| Unavailable { reason: error.to_string() })
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<server::Server<'_, POSITION>>(self.info().threading, &job, stop)
    }
}

pub(crate) type Oneshot = IoUringBackend<{ position("io_uring-oneshot") }>;
pub(crate) type Accept = IoUringBackend<{ position("io_uring-accept") }>;
pub(crate) type Provided = IoUringBackend<{ position("io_uring-provided") }>;
pub(crate) type Defer = IoUringBackend<{ position("io_uring-defer") }>;
pub(crate) type Main = IoUringBackend<{ position("io_uring") }>;
pub(crate) type Direct = IoUringBackend<{ position("io_uring-direct") }>;
pub(crate) type ZeroCopy = IoUringBackend<{ position("io_uring-zc") }>;
pub(crate) type SqPoll = IoUringBackend<{ position("io_uring-sqpoll") }>;
pub(crate) type Bundle = IoUringBackend<{ position("io_uring-bundle") }>;
