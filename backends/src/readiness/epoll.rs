//! `epoll`: the kernel keeps the set of descriptors; a wait returns only those that are ready.
//!
//! Level-triggered. A connection is registered once and modified only when a send found no room: HAProxy measured
//! `epoll_ctl` at 84 % of its polling time before it did the same.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use super::{EventLoop, Interest, Readiness, Token};
use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::kernel::timespec;
use crate::refusal::refused;
use crate::stats::{Counters, ServeReport, Syscall};
use crate::stop::Stop;
use crate::workers;

/// Events that one wait may return; more are left for the next, so this bounds memory and not progress.
const EVENTS_PER_WAIT: usize = 1024;

pub(crate) struct EpollBackend;

impl Backend for EpollBackend {
    fn info(&self) -> &'static BackendInfo {
        &BackendInfo {
            name: "epoll",
            is_main: true,
            summary: "one event loop over epoll, level-triggered",
            use_when: "most servers on Linux: the cost of a wait follows the ready connections only",
            avoid_when: "every request counts and the kernel allows io_uring, or the program must run elsewhere",
            model: IoModel::Readiness,
            threading: Threading::LoopPerThread,
            waiting: Waiting::Sleeps,
            isolation: Isolation::Full,
        }
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        super::probe::<Epoll>()
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<EventLoop<'_, Epoll>>(self.info().threading, &job, stop)
    }
}

pub(crate) struct Epoll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Readiness for Epoll {
    type Hit = Token;

    fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|error| refused("epoll_create1", error))?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS_PER_WAIT) })
    }

    fn receipt(&self) -> Receipt {
        Self::receipt_of("level")
    }

    fn add(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()> {
        self.add_flags(fd, token, flags(interest), counters)
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()> {
        counters.syscall(Syscall::EpollCtl);
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(token.0 as u64), flags(interest))?)
    }

    const WOKEN_BY_SHARED_LISTENER: &'static str = "one that waits (EPOLLEXCLUSIVE)";

    fn add_shared_listener(&mut self, fd: BorrowedFd<'_>, token: Token, counters: &Counters) -> io::Result<()> {
        counters.syscall(Syscall::EpollCtl);
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token.0 as u64), EventFlags::IN | EventFlags::EXCLUSIVE)?)
    }

    /// The kernel wakes the first of its list that waits, and so favours the same loop every time; nginx goes to the end of
    /// that list in the same way (`ngx_reorder_accept_events`).
    fn stand_back(&mut self, fd: BorrowedFd<'_>, token: Token, counters: &Counters) -> io::Result<()> {
        self.remove(fd, token, counters)?;
        self.add_shared_listener(fd, token, counters)
    }

    fn remove(&mut self, fd: BorrowedFd<'_>, _: Token, counters: &Counters) -> io::Result<()> {
        // Closing a descriptor takes it out of the set only if no copy of it is open (epoll(7), question 6), and a
        // process that forks holds copies until it executes something else.
        counters.syscall(Syscall::EpollCtl);
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Token>, counters: &Counters) -> io::Result<()> {
        ready.extend(self.wait_for_events(timeout, counters)?.map(|(token, _)| token));
        Ok(())
    }
}

impl Epoll {
    /// What was granted, with how connections are triggered.
    pub(super) fn receipt_of(trigger: &str) -> Receipt {
        Receipt::new()
            .text("interface", "epoll_pwait")
            .text("trigger", trigger)
            .number("events_per_wait", EVENTS_PER_WAIT as u64)
    }

    /// Starts to watch `fd` for exactly `flags`.
    pub(super) fn add_flags(
        &mut self,
        fd: BorrowedFd<'_>,
        token: Token,
        flags: EventFlags,
        counters: &Counters,
    ) -> io::Result<()> {
        counters.syscall(Syscall::EpollCtl);
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token.0 as u64), flags)?)
    }

    /// Waits, and returns what came to be.
    #[inline]
    pub(super) fn wait_for_events(
        &mut self,
        timeout: Option<Duration>,
        counters: &Counters,
    ) -> io::Result<impl Iterator<Item = (Token, EventFlags)>> {
        let timeout = timeout.map(timespec);
        self.events.clear();
        counters.syscall(Syscall::EpollPwait);
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(refused("epoll_pwait", error)),
        }
        // A token is a `usize` that was widened.
        #[expect(clippy::cast_possible_truncation)]
        Ok(self.events.iter().map(|event| (Token(event.data.u64() as usize), event.flags)))
    }
}

fn flags(interest: Interest) -> EventFlags {
    match interest {
        Interest::Read => EventFlags::IN,
        Interest::Write => EventFlags::OUT,
        Interest::None => EventFlags::empty(),
    }
}
