//! `poll`: the whole set of descriptors is handed to the kernel at every wait.
//!
//! The set is one compact array that lives as long as the loop; each wait costs its length, ready or not.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use super::{EventLoop, Interest, Readiness, Token};
use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::kernel::timespec;
use crate::stats::{Counters, ServeReport, Syscall};
use crate::stop::Stop;
use crate::workers;

pub(crate) struct PollBackend;

impl Backend for PollBackend {
    fn info(&self) -> &'static BackendInfo {
        &BackendInfo {
            name: "poll",
            is_main: true,
            summary: "one event loop over poll",
            use_when: "up to a few dozen connections, and wherever a program must be portable without a library",
            avoid_when: "many connections: every wait costs all of them, ready or not",
            model: IoModel::Readiness,
            threading: Threading::LoopPerThread,
            waiting: Waiting::Sleeps,
            isolation: Isolation::Full,
        }
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        super::probe::<Poll>()
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<EventLoop<'_, Poll>>(self.info().threading, &job, stop)
    }
}

pub(crate) struct Poll {
    /// What the kernel is handed. Invariant: every entry's descriptor is open, for callers remove before they close.
    fds: Vec<PollFd<'static>>,
    /// Whose entry it is, for each of `fds`.
    tokens: Vec<Token>,
    /// Where in `fds` a token's entry is, by token; stale for tokens that are not watched.
    positions: Vec<usize>,
}

impl Readiness for Poll {
    type Hit = Token;

    fn new() -> io::Result<Self> {
        Ok(Self { fds: Vec::new(), tokens: Vec::new(), positions: Vec::new() })
    }

    fn receipt(&self) -> Receipt {
        Receipt::new().text("interface", "ppoll").text("trigger", "level")
    }

    fn add(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, _: &Counters) -> io::Result<()> {
        if token.0 >= self.positions.len() {
            self.positions.resize(token.0 + 1, 0);
        }
        self.positions[token.0] = self.fds.len();
        self.fds.push(PollFd::from_borrowed_fd(watched(fd), flags(interest)));
        self.tokens.push(token);
        Ok(())
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, _: &Counters) -> io::Result<()> {
        self.fds[self.positions[token.0]] = PollFd::from_borrowed_fd(watched(fd), flags(interest));
        Ok(())
    }

    fn remove(&mut self, _: BorrowedFd<'_>, token: Token, _: &Counters) -> io::Result<()> {
        let position = self.positions[token.0];
        self.fds.swap_remove(position);
        self.tokens.swap_remove(position);
        if let Some(moved) = self.tokens.get(position) {
            self.positions[moved.0] = position;
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Token>, counters: &Counters) -> io::Result<()> {
        let timeout = timeout.map(timespec);
        counters.syscall(Syscall::Ppoll);
        let hits = match rustix::event::poll(&mut self.fds, timeout.as_ref()) {
            Ok(hits) => hits,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let hit = self.fds.iter().zip(&self.tokens).filter(|(fd, _)| !fd.revents().is_empty());
        // Taking only as many as were reported ends the scan at the last of them.
        ready.extend(hit.map(|(_, token)| *token).take(hits));
        Ok(())
    }
}

/// The descriptor, for as long as it is watched.
#[expect(unsafe_code)]
fn watched(fd: BorrowedFd<'_>) -> BorrowedFd<'static> {
    use std::os::fd::AsRawFd;
    // SAFETY: `Readiness::add` demands that the descriptor stays open until it is removed, and `remove` drops this.
    unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) }
}

fn flags(interest: Interest) -> PollFlags {
    match interest {
        Interest::Read => PollFlags::IN,
        Interest::Write => PollFlags::OUT,
        Interest::None => PollFlags::empty(),
    }
}
