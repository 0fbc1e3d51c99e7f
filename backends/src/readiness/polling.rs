//! `polling`: the portable crate that async runtimes build on, here level-triggered.
//!
//! It stands for itself and not for epoll, which it uses on Linux: around every wait it makes four more calls, for a
//! timer and a notifier of its own. On other systems it is kqueue, event ports or IOCP.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use super::{EventLoop, Interest, Readiness, Token};
use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::kernel::failed;
use crate::stats::{Counters, ServeReport, Syscall};
use crate::stop::Stop;
use crate::workers;

pub(crate) struct PollingBackend;

impl Backend for PollingBackend {
    fn info(&self) -> &'static BackendInfo {
        &BackendInfo {
            name: "polling",
            is_main: true,
            summary: "one event loop over the portable polling crate",
            use_when: "one program for Linux, BSD, macOS, illumos and Windows",
            avoid_when: "Linux is all there is: it makes five system calls where epoll makes one",
            model: IoModel::Readiness,
            threading: Threading::LoopPerThread,
            waiting: Waiting::Sleeps,
            isolation: Isolation::Full,
        }
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        super::probe::<Polling>()
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<EventLoop<'_, Polling>>(self.info().threading, &job, stop)
    }
}

pub(crate) struct Polling {
    poller: Poller,
    events: Events,
}

impl Readiness for Polling {
    type Hit = Token;

    fn new() -> io::Result<Self> {
        let poller = Poller::new().map_err(|error| failed("polling cannot start", error))?;
        if !poller.supports_level() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "polling is not level-triggered here"));
        }
        Ok(Self { poller, events: Events::new() })
    }

    fn receipt(&self) -> Receipt {
        Receipt::new().text("interface", "polling 3 over epoll_wait").text("trigger", "level")
    }

    #[expect(unsafe_code)]
    fn add(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()> {
        counters.syscall(Syscall::EpollCtl);
        // SAFETY: the descriptor stays open until `remove`, which `Readiness::add` demands of its caller.
        unsafe { self.poller.add_with_mode(fd.as_raw_fd(), event(token, interest), PollMode::Level) }
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()> {
        counters.syscall(Syscall::EpollCtl);
        self.poller.modify_with_mode(fd, event(token, interest), PollMode::Level)
    }

    fn remove(&mut self, fd: BorrowedFd<'_>, _: Token, counters: &Counters) -> io::Result<()> {
        counters.syscall(Syscall::EpollCtl);
        self.poller.delete(fd)
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Token>, counters: &Counters) -> io::Result<()> {
        // What the crate does around the wait itself (`epoll.rs` of version 3.11): it arms its timer, whether or not
        // there is a time-out, and afterwards drains and re-arms its notifier.
        counters.syscall(Syscall::TimerfdSettime);
        counters.syscall(Syscall::EpollCtl);
        counters.syscall(Syscall::EpollPwait);
        counters.syscall(Syscall::Read);
        counters.syscall(Syscall::EpollCtl);
        self.events.clear();
        self.poller.wait(&mut self.events, timeout)?;
        ready.extend(self.events.iter().map(|event| Token(event.key)));
        Ok(())
    }
}

fn event(token: Token, interest: Interest) -> Event {
    match interest {
        Interest::Read => Event::readable(token.0),
        Interest::Write => Event::writable(token.0),
        Interest::None => Event::none(token.0),
    }
}
