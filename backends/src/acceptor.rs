//! A thread that accepts, for others that serve with blocking calls.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use crate::admission::{ACCEPT_REST, AcceptFailure};
use crate::kernel::{failed, timespec};
use crate::stats::{Event, Syscall, ThreadCounters};
use crate::workers::Context;

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WokenBy {
    Stop,
    Listener,
    /// The time was up, or a signal came.
    Nobody,
}

/// What a thread accepts with.
pub(crate) struct Acceptor<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) counters: ThreadCounters,
}

impl<'a> Acceptor<'a> {
    pub(crate) fn new(context: Context<'a>) -> Self {
        let counters = context.stats.register();
        Self { context, counters }
    }

    /// Takes in who comes until the stop. `serve` gets everybody whom the limit on connections lets in, `on_time` is
    /// called from time to time if that is asked for.
    pub(crate) fn accept_until_stop(
        &self,
        every: Option<Duration>,
        mut on_time: impl FnMut(),
        mut serve: impl FnMut(OwnedFd),
    ) -> io::Result<()> {
        let mut next_time = every.map(|every| Instant::now() + every);
        // The listener does not block, so that a connection which goes away between the two calls is no trap.
        loop {
            let woken_by = self.wait(Some(self.context.listener), next_time)?;
            if woken_by == WokenBy::Stop {
                return Ok(());
            }
            if let Some(every) = every.filter(|_| next_time.is_some_and(|due| due <= Instant::now())) {
                on_time();
                next_time = Some(Instant::now() + every);
            }
            if woken_by != WokenBy::Listener {
                continue;
            }
            self.counters.syscall(Syscall::Accept4);
            match accept_with(self.context.listener, SocketFlags::CLOEXEC) {
                Ok(socket) if self.context.admission.admit(&self.counters) => serve(socket),
                Ok(_) => self.counters.syscall(Syscall::Close),
                Err(error) => match AcceptFailure::of(error) {
                    AcceptFailure::NobodyWaits => {
                        self.counters.events(Event::AcceptMissed, u64::from(self.context.shares_listener));
                    }
                    AcceptFailure::TryNext => {}
                    AcceptFailure::Rest => {
                        self.counters.event(Event::AcceptPaused);
                        self.wait(None, Some(Instant::now() + ACCEPT_REST))?;
                    }
                    AcceptFailure::Fatal => return Err(failed("cannot accept", error)),
                },
            }
        }
    }

    /// Waits for `listener`, the time that is `due` or the stop.
    fn wait(&self, listener: Option<&TcpListener>, due: Option<Instant>) -> io::Result<WokenBy> {
        let stop = PollFd::new(self.context.stop, PollFlags::IN);
        let mut fds = [stop.clone(), listener.map_or(stop, |listener| PollFd::new(listener, PollFlags::IN))];
        let timeout = due.map(|due| timespec(due.saturating_duration_since(Instant::now())));
        self.counters.syscall(Syscall::Ppoll);
        let polled = poll(&mut fds, timeout.as_ref());
        self.counters.event(Event::Wakeups);
        match polled {
            Ok(_) if !fds[0].revents().is_empty() => Ok(WokenBy::Stop),
            Ok(_) if !fds[1].revents().is_empty() => Ok(WokenBy::Listener),
            Ok(_) | Err(Errno::INTR) => Ok(WokenBy::Nobody),
            Err(error) => Err(failed("cannot wait", error)),
        }
    }

    /// Takes back a connection that was let in and cannot be served.
    pub(crate) fn unservable(&self) {
        self.counters.event(Event::Unservable);
        self.counters.event(Event::Closed);
        self.counters.syscall(Syscall::Close);
        self.context.admission.leave();
    }
}
