//! The server of one trial: a process, started, looked at, stopped, and never left behind.
//!
//! Every wait in here is bounded.

mod elsewhere;
mod error_line;
mod foreign;
mod guarded;
mod listener;
mod own;
mod port;
mod wait;

pub use listener::listening_processes;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value};

pub(super) use self::listener::listening_on;
use super::process::{CpuReading, Process};
use super::tree::{ThreadsReading, Tree};
use crate::control::{Listening, Report};
use crate::cpus::CpuSet;
use crate::foreign::ForeignServer;
use crate::plan::{Cell, Spread};

/// A server that runs. Dropping it ends it.
#[derive(Debug)]
pub(super) enum Server {
    /// One of our backends.
    Own(own::Server),
    /// Any other program.
    Foreign(foreign::Server),
}

/// A server that accepts connections.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) server: Server,
    pub(super) address: SocketAddr,
    /// What is known about it.
    pub(super) receipt: Map<String, Value>,
}

impl Server {
    /// Starts a backend and waits until it listens.
    ///
    /// # Errors
    ///
    /// A sentence for people, with what the server said last.
    pub(super) fn start(
        executable: &Path,
        backend: &str,
        cell: &Cell,
        spread: Spread,
        cpus: &CpuSet,
    ) -> Result<Started, String> {
        let (server, listening) = own::Server::start(executable, backend, cell, spread, cpus)?;
        let Listening { listening: address, receipt, .. } = listening;
        Ok(Started { server: Self::Own(server), address, receipt })
    }

    /// Starts another program and waits until it listens, or until `cancel` is set.
    ///
    /// # Errors
    ///
    /// A sentence for people, with what the server said last.
    pub(super) fn start_foreign(
        executable: &Path,
        entrant: &ForeignServer,
        cell: &Cell,
        cpus: &CpuSet,
        cancel: &AtomicBool,
    ) -> Result<Started, String> {
        let guards = guarded::Guards { executable, cpus };
        let (server, address) = foreign::Server::start(guards, entrant, cell, cancel)?;
        let receipt = foreign::receipt(guards, entrant, &server);
        Ok(Started { server: Self::Foreign(server), address, receipt })
    }

    /// What can be seen of it from outside.
    pub(super) fn watched(&self) -> Watched {
        match self {
            Self::Own(server) => Watched::Process(Process::new(server.pid())),
            Self::Foreign(server) => Watched::Tree(Tree::new(server.guard())),
        }
    }

    /// What it has done so far by its own account, which only ours keep.
    pub(super) fn report(&mut self) -> io::Result<Report> {
        match self {
            Self::Own(server) => server.report(),
            Self::Foreign(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Ends it and waits until it has ended. `broken`: whether there is a sign that it ended by itself before.
    ///
    /// # Errors
    ///
    /// A sentence for people, where it had ended before or did not end as it should.
    pub(super) fn stop(&mut self, broken: bool) -> Result<(), String> {
        match self {
            Self::Own(server) => server.stop(),
            Self::Foreign(server) => server.stop(broken),
        }
    }

    /// Adds the last lines of its standard error.
    pub(super) fn with_last_words(&self, what: String) -> String {
        match self {
            Self::Own(server) => server.with_last_words(what),
            Self::Foreign(server) => server.with_last_words(what),
        }
    }
}

/// A server as it is seen from outside.
#[derive(Debug)]
pub(super) enum Watched {
    /// One process.
    Process(Process),
    /// A program with all that it has started.
    Tree(Tree),
}

impl Watched {
    /// Those that there are now.
    pub(super) fn processes(&self) -> Vec<u32> {
        match self {
            Self::Process(process) => vec![process.id()],
            Self::Tree(tree) => tree.processes(),
        }
    }

    pub(super) fn cpu(&self) -> Option<CpuReading> {
        match self {
            Self::Process(process) => process.cpu(),
            Self::Tree(tree) => tree.cpu(),
        }
    }

    pub(super) fn max_rss_bytes(&self) -> Option<u64> {
        match self {
            Self::Process(process) => process.max_rss_bytes(),
            Self::Tree(tree) => tree.max_rss_bytes(),
        }
    }

    /// Those of a program that does not count them itself.
    pub(super) fn threads(&self) -> Option<ThreadsReading> {
        match self {
            Self::Process(_) => None,
            Self::Tree(tree) => Some(tree.threads()),
        }
    }
}
