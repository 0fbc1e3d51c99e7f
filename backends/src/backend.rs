//! The seam: what a backend is asked for and what it gives back.
//!
//! A backend owns its whole loop. Nothing here knows about readiness or completion, so neither is bent to fit the
//! other; all that every backend must do alike is written once, beside this file, and called by each of them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::listen::Listeners;
use crate::protocol::ProtocolKind;
use crate::stats::{ServeReport, Stats};
use crate::stop::Stop;

/// One way of doing I/O.
///
/// Crossed once per run and therefore an object; the protocol is dispatched once inside `serve`, so that the loop
/// itself makes no dynamic call.
pub trait Backend: Sync {
    /// The name and what a person should know before choosing it.
    fn info(&self) -> &'static BackendInfo;

    /// Asks the running kernel for everything the backend needs, and gives it back again.
    ///
    /// # Errors
    ///
    /// [`Unavailable`], with the reason, where this machine refuses something that cannot be done without.
    fn probe(&self) -> Result<Receipt, Unavailable>;

    /// Serves until `stop` is requested, then drains for at most [`Limits::drain_timeout`].
    ///
    /// Blocks the calling thread. The connections that were open at the end are closed on return.
    ///
    /// # Errors
    ///
    /// Only what ends the whole server. The failure of one connection closes that connection and is counted.
    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport>;
}

/// What can be said of a backend without running it.
#[derive(Debug)]
pub struct BackendInfo {
    /// The name on the command line and in every record; never reused for another behaviour.
    pub name: &'static str,
    /// Whether it stands for its interface where no backends are named; the others are variants, made to be compared
    /// with one of these.
    pub is_main: bool,
    /// One line: the kernel interface and how it is used.
    pub summary: &'static str,
    /// One line: when to use it.
    pub use_when: &'static str,
    /// One line: when not to.
    pub avoid_when: &'static str,
    /// How the backend learns that it can go on.
    pub model: IoModel,
    /// What `--threads` means to it.
    pub threading: Threading,
    /// What it does while nothing is to be done.
    pub waiting: Waiting,
    /// Whom a peer that does not read its answers holds up.
    pub isolation: Isolation,
}

/// How a backend learns that it can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoModel {
    /// The calls themselves wait.
    Blocking,
    /// The kernel says when a call would not wait.
    Readiness,
    /// The kernel makes the call and says when it is done.
    Completion,
}

impl fmt::Display for IoModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IoModel::Blocking => "blocking",
            IoModel::Readiness => "readiness",
            IoModel::Completion => "completion",
        })
    }
}

/// What the server's threads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threading {
    /// As many event loops as asked for. Each serves what it accepts to its end.
    LoopPerThread,
    /// A thread for every connection; the threads asked for accept.
    ThreadPerConnection,
    /// So many workers for each thread asked for, which itself accepts.
    Pool {
        /// Workers that share one accepting thread's connections.
        workers: usize,
    },
}

/// What a server does while nothing is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It sleeps in the kernel until something is, and uses no CPU.
    Sleeps,
    /// It looks again and again, and keeps its CPUs busy whatever the load is: how busy they are then says nothing.
    Spins,
    /// Its threads sleep, but for each of them one of the kernel looks again and again, and sleeps only when there was
    /// nothing for milliseconds. That is on the server's CPU time and its CPUs, and as little a sign of work.
    KernelSpins,
}

impl Waiting {
    /// Whether CPU time is used whatever the load is, so that how busy the server looks says nothing.
    #[must_use]
    pub fn hides_load(self) -> bool {
        match self {
            Self::Sleeps => false,
            Self::Spins | Self::KernelSpins => true,
        }
    }

    /// Threads of the kernel that run beside each thread of the server.
    #[must_use]
    pub fn kernel_threads(self) -> usize {
        match self {
            Self::Sleeps | Self::Spins => 0,
            Self::KernelSpins => 1,
        }
    }
}

/// Whom a peer that does not read its answers holds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Nobody but itself.
    Full,
    /// It takes one of so many places; when all are taken, everybody waits (head-of-line blocking).
    Places(usize),
}

/// What the server is asked to do.
pub struct ServeJob<'a> {
    /// Where, and how many threads accept there; see [`bind`](crate::bind).
    pub listeners: Listeners,
    /// What to answer.
    pub protocol: ProtocolKind,
    /// What no peer may exceed.
    pub limits: Limits,
    /// Where the loops count; may be read from any thread while they run.
    pub stats: Arc<Stats>,
    /// Called once, when every loop has what it needs from the kernel and is about to accept.
    pub ready: &'a (dyn Fn(&Receipt) + Sync),
}

/// What no peer may exceed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once; one more is accepted and closed at once. None: as many as there are descriptors.
    pub max_connections: Option<usize>,
    /// A connection on which no byte moved for this long is closed, at the latest a quarter later.
    pub idle_timeout: Option<Duration>,
    /// How long connections may take to end by themselves after a stop was requested.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_connections: None, idle_timeout: None, drain_timeout: Duration::from_secs(1) }
    }
}

/// What the kernel granted a backend: proof that a measurement was of what its name says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    entries: Vec<(&'static str, ReceiptValue)>,
}

/// One fact in a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptValue {
    /// A name or a sentence.
    Text(String),
    /// A size or a count, its unit in the name of the entry.
    Number(u64),
    /// Flags or features, each by its kernel name.
    List(Vec<&'static str>),
}

impl Receipt {
    /// A receipt that so far names the running kernel.
    #[must_use]
    pub fn new() -> Self {
        let uname = rustix::system::uname();
        Self::default().text("kernel", uname.release().to_string_lossy())
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.entries.push((name, ReceiptValue::Text(value.into())));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, name: &'static str, value: u64) -> Self {
        self.entries.push((name, ReceiptValue::Number(value)));
        self
    }

    /// Adds a list.
    #[must_use]
    pub fn list(mut self, name: &'static str, value: Vec<&'static str>) -> Self {
        self.entries.push((name, ReceiptValue::List(value)));
        self
    }

    /// The facts, in the order in which they were learnt.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &ReceiptValue)> {
        self.entries.iter().map(|(name, value)| (*name, value))
    }
}

/// Why a backend cannot run on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unavailable {
    /// What was asked for, what the kernel said, and, where it is known, what to change.
    pub reason: String,
}
