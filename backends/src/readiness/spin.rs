//! `spin`: every socket is tried at every turn; nobody is ever asked which of them is ready.
//!
//! What the others pay to be woken is the difference between them and this. It never waits: a CPU for each thread is
//! busy whether there is load or not, and with one connection per turn the price of a miss is one receive.

use std::hint;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::{EventLoop, Interest, Readiness, Token};
use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::stats::{Counters, ServeReport};
use crate::stop::Stop;
use crate::workers;

/// Connections that are tried between two tries of the listener, but where a turn has more of them.
///
/// An accept that finds nobody costs as much as eleven receives that find nothing (measured on Linux 6.18), for it
/// prepares a descriptor first: with few connections most of the time would be spent on whom nobody expects.
const TRIES_PER_ACCEPT: usize = 64;

pub(crate) struct SpinBackend;

impl Backend for SpinBackend {
    fn info(&self) -> &'static BackendInfo {
        &BackendInfo {
            name: "spin",
            is_main: false,
            summary: "one busy loop that tries every socket, without any call that waits",
            use_when: "a handful of connections, a CPU to spare for each thread, and every microsecond counts",
            avoid_when: "anything else: it uses all of its CPUs when idle, and tries every connection for each that is ready",
            model: IoModel::Readiness,
            threading: Threading::LoopPerThread,
            waiting: Waiting::Spins,
            isolation: Isolation::Full,
        }
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        super::probe::<Spin>()
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<EventLoop<'_, Spin>>(self.info().threading, &job, stop)
    }
}

pub(crate) struct Spin {
    /// The connections, all of which are tried at every turn.
    connections: Vec<Token>,
    /// Where in `connections` a token is, by token; stale for those that are not watched.
    positions: Vec<usize>,
    listens: bool,
    /// Connections tried since the listener was.
    tries: usize,
}

impl Readiness for Spin {
    type Hit = Token;

    const SPINS: bool = true;

    fn new() -> io::Result<Self> {
        Ok(Self { connections: Vec::new(), positions: Vec::new(), listens: false, tries: 0 })
    }

    fn receipt(&self) -> Receipt {
        Receipt::new()
            .text("interface", "none: every socket is tried at every turn")
            .number("tries_per_accept", TRIES_PER_ACCEPT as u64)
    }

    fn add(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()> {
        if !token.is_connection() {
            return self.modify(fd, token, interest, counters);
        }
        if token.0 >= self.positions.len() {
            self.positions.resize(token.0 + 1, 0);
        }
        self.positions[token.0] = self.connections.len();
        self.connections.push(token);
        Ok(())
    }

    /// What a connection is tried for is up to the loop; only whether to accept is remembered here.
    fn modify(&mut self, _: BorrowedFd<'_>, token: Token, interest: Interest, _: &Counters) -> io::Result<()> {
        if token == Token::LISTENER {
            self.listens = interest != Interest::None;
        }
        Ok(())
    }

    fn remove(&mut self, _: BorrowedFd<'_>, token: Token, _: &Counters) -> io::Result<()> {
        if token.is_connection() {
            let position = self.positions[token.0];
            self.connections.swap_remove(position);
            if let Some(moved) = self.connections.get(position) {
                self.positions[moved.0] = position;
            }
        } else if token == Token::LISTENER {
            self.listens = false;
        }
        Ok(())
    }

    fn wait(&mut self, _: Option<Duration>, ready: &mut Vec<Token>, _: &Counters) -> io::Result<()> {
        self.tries += self.connections.len();
        if self.listens && (self.connections.is_empty() || self.tries >= TRIES_PER_ACCEPT) {
            self.tries = 0;
            ready.push(Token::LISTENER);
        }
        ready.extend_from_slice(&self.connections);
        if ready.is_empty() {
            hint::spin_loop();
        }
        Ok(())
    }
}
