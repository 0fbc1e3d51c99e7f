//! `epoll-et`: epoll that says once when something comes to be, and is never told anything after that.
//!
//! A connection is registered once, for everything. A receive or a send that stops short makes the kernel say when it
//! can go on, so no `epoll_ctl` is made between the first and the last byte; what is reported has to be remembered.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::epoll::EventFlags;

use super::edges::{Edge, WATCHED};
use super::epoll::Epoll;
use super::{EventLoop, Interest, Readiness, Token};
use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::stats::{Counters, ServeReport};
use crate::stop::Stop;
use crate::workers;

pub(crate) struct EpollEtBackend;

impl Backend for EpollEtBackend {
    fn info(&self) -> &'static BackendInfo {
        &BackendInfo {
            name: "epoll-et",
            is_main: false,
            summary: "one event loop over epoll, edge-triggered: registered once, received from until it is drained",
            use_when: "answers often wait for room, or one epoll set is shared by several threads",
            avoid_when: "requests and answers are short: it makes the calls that epoll makes, and an edge missed is a hang",
            model: IoModel::Readiness,
            threading: Threading::LoopPerThread,
            waiting: Waiting::Sleeps,
            isolation: Isolation::Full,
        }
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        super::probe::<EpollEt>()
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<EventLoop<'_, EpollEt>>(self.info().threading, &job, stop)
    }
}

pub(crate) struct EpollEt(Epoll);

impl Readiness for EpollEt {
    type Hit = Edge;

    fn new() -> io::Result<Self> {
        Epoll::new().map(Self)
    }

    fn receipt(&self) -> Receipt {
        Epoll::receipt_of("edge")
    }

    fn add(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()> {
        if token.is_connection() {
            self.0.add_flags(fd, token, WATCHED | EventFlags::ET, counters)
        } else {
            self.0.add(fd, token, interest, counters)
        }
    }

    /// Only of the listener: a connection is watched for everything for as long as it lives.
    fn modify(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()> {
        self.0.modify(fd, token, interest, counters)
    }

    fn remove(&mut self, fd: BorrowedFd<'_>, token: Token, counters: &Counters) -> io::Result<()> {
        self.0.remove(fd, token, counters)
    }

    fn add_shared_listener(&mut self, fd: BorrowedFd<'_>, token: Token, counters: &Counters) -> io::Result<()> {
        self.0.add_shared_listener(fd, token, counters)
    }

    fn stand_back(&mut self, fd: BorrowedFd<'_>, token: Token, counters: &Counters) -> io::Result<()> {
        self.0.stand_back(fd, token, counters)
    }

    const WOKEN_BY_SHARED_LISTENER: &'static str = Epoll::WOKEN_BY_SHARED_LISTENER;

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Edge>, counters: &Counters) -> io::Result<()> {
        ready.extend(self.0.wait_for_events(timeout, counters)?.map(|(token, flags)| Edge { token, flags }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    /// `docs/ADDING_A_BACKEND.md` walks through this file and the loop that it belongs to.
    #[test]
    fn what_the_walkthrough_shows_is_what_stands_here() {
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let suite = include_str!("../../tests/conformance/main.rs");
        let sources = [include_str!("epoll_et.rs"), include_str!("mod.rs"), include_str!("../lib.rs"), suite].concat();
        let source = plain(&sources);
        let guide = include_str!("../../../docs/ADDING_A_BACKEND.md");
        let snippets: Vec<&str> =
            guide.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(snippets.len() >= 5, "{snippets:#?}");
        for snippet in snippets {
            for part in snippet.split('…') {
                assert!(source.contains(&plain(part)), "{part}");
            }
        }
    }
}
