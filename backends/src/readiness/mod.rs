//! The event loop of every readiness backend: `select`, `poll`, `epoll` and its variants and `polling` differ in one
//! [`Readiness`] each.
//!
//! Connections are level-triggered, and then nothing is remembered between two reports; or edge-triggered, and then
//! `edges.rs` remembers what was reported. Which of the two is known when this is compiled, so neither pays for the
//! other. The listener and the stop are level-triggered for all.

mod edges;
pub(crate) mod epoll;
pub(crate) mod epoll_et;
pub(crate) mod poll;
pub(crate) mod polling;
pub(crate) mod select;
pub(crate) mod spin;
#[cfg(test)]
mod stepped;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{SocketFlags, accept_with};
use slab::Slab;

use crate::admission::AcceptFailure;
use crate::backend::{Receipt, Unavailable};
use crate::buffers::Buffers;
use crate::connection::{Connection, Ended, Moved};
use crate::kernel::failed;
use crate::protocol::Protocol;
use crate::stats::{Counters, Event, Syscall, ThreadCounters};
use crate::timers::{Due, Phase, Timers};
use crate::workers::{ALL_WHO_WAIT, Context, Worker};
use edges::Edges;

/// Connections taken in before those that are open have their turn again.
const ACCEPTS_PER_TURN: usize = 256;

/// A way to learn which descriptors can be read from or written to.
pub(crate) trait Readiness: Sized {
    /// What it says of a descriptor. With [`Token`] it is level-triggered: it says so again for as long as it is so.
    type Hit: Hit;

    /// Whether [`wait`](Readiness::wait) returns at once, always. It then does not report the stop, which the loop
    /// looks for by itself.
    const SPINS: bool = false;

    fn new() -> io::Result<Self>;

    /// What was granted.
    fn receipt(&self) -> Receipt;

    /// Starts to watch `fd`, which is not watched yet and stays open until [`remove`](Readiness::remove).
    fn add(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()>;

    /// Changes what is waited for on `fd`, which is watched.
    fn modify(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()>;

    /// Stops watching `fd`. The caller closes it next.
    fn remove(&mut self, fd: BorrowedFd<'_>, token: Token, counters: &Counters) -> io::Result<()>;

    /// As [`add`](Readiness::add) for reading, of a listener that other loops watch, too.
    fn add_shared_listener(&mut self, fd: BorrowedFd<'_>, token: Token, counters: &Counters) -> io::Result<()> {
        self.add(fd, token, Interest::Read, counters)
    }

    /// Lets the other loops that watch this listener go first the next time; nothing to do where it wakes all of them.
    fn stand_back(&mut self, _: BorrowedFd<'_>, _: Token, _: &Counters) -> io::Result<()> {
        Ok(())
    }

    /// Who is woken by a listener that several loops watch.
    const WOKEN_BY_SHARED_LISTENER: &'static str = ALL_WHO_WAIT;

    /// Waits until something is ready or `timeout` has passed, and puts what is ready into `ready`, which is empty.
    ///
    /// A signal ends the wait early, with nothing ready.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Self::Hit>, counters: &Counters) -> io::Result<()>;
}

/// What a wait says of a descriptor.
pub(crate) trait Hit: Copy {
    /// Whether it is said once, when it comes to be, and not again while it is so.
    const IS_EDGE: bool;

    /// Which descriptor.
    fn token(self) -> Token;

    /// Remembers what came to be, where that is not said again.
    fn note(self, edges: &mut Edges);
}

impl Hit for Token {
    const IS_EDGE: bool = false;

    fn token(self) -> Token {
        self
    }

    fn note(self, _: &mut Edges) {}
}

/// What a descriptor is watched as: a small number, so that a table can be indexed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(usize);

impl Token {
    const LISTENER: Token = Token(0);
    const STOP: Token = Token(1);

    fn connection(key: usize) -> Self {
        Token(key + 2)
    }

    fn is_connection(self) -> bool {
        self.0 >= 2
    }

    fn key(self) -> usize {
        self.0 - 2
    }
}

/// What is waited for. Never both: a connection with output is not received from.
///
/// Errors and hang-ups end the wait in either case; the call that follows names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
    /// Nothing, for as long as accepting rests.
    None,
}

/// Asks the kernel for the interface and returns it.
fn probe<R: Readiness>() -> Result<Receipt, Unavailable> {
    match R::new() {
        Ok(readiness) => Ok(readiness.receipt()),
        Err(error) => Err(Unavailable { reason: error.to_string() }),
    }
}

/// One thread of a readiness backend.
pub(crate) struct EventLoop<'a, R: Readiness> {
    readiness: R,
    context: Context<'a>,
    counters: ThreadCounters,
}

impl<'a, R: Readiness> Worker<'a> for EventLoop<'a, R> {
    const WOKEN_BY_SHARED_LISTENER: &'static str = R::WOKEN_BY_SHARED_LISTENER;

    fn start(context: Context<'a>) -> io::Result<Self> {
        let counters = context.stats.register();
        let mut readiness = R::new()?;
        if context.shares_listener {
            readiness.add_shared_listener(context.listener.as_fd(), Token::LISTENER, &counters)?;
        } else {
            readiness.add(context.listener.as_fd(), Token::LISTENER, Interest::Read, &counters)?;
        }
        readiness.add(context.stop.as_fd(), Token::STOP, Interest::Read, &counters)?;
        Ok(Self { readiness, context, counters })
    }

    fn receipt(&self) -> Receipt {
        self.readiness.receipt()
    }

    fn run<P: Protocol>(&mut self, protocol: &P) -> io::Result<()> {
        self.turns(protocol).run()
    }

    fn counters(&self) -> &ThreadCounters {
        &self.counters
    }
}

impl<'a, R: Readiness> EventLoop<'a, R> {
    fn turns<'l, P: Protocol>(&'l mut self, protocol: &'l P) -> Turns<'l, 'a, R, P> {
        Turns {
            readiness: &mut self.readiness,
            context: &self.context,
            counters: &self.counters,
            protocol,
            connections: Slab::new(),
            unfinished: Vec::new(),
            buffers: Buffers::new(),
            timers: Timers::new(&self.context.limits),
        }
    }
}

/// The loop while it runs.
struct Turns<'l, 'a, R: Readiness, P: Protocol> {
    readiness: &'l mut R,
    context: &'l Context<'a>,
    counters: &'l Counters,
    protocol: &'l P,
    connections: Slab<Open<P>>,
    /// The keys of edge-triggered connections that can go on and will not be reported again.
    unfinished: Vec<usize>,
    buffers: Buffers,
    timers: Timers,
}

struct Open<P: Protocol> {
    connection: Connection<P>,
    interest: Interest,
    /// To be closed as soon as its output is gone.
    ending: bool,
    edges: Edges,
}

impl<P: Protocol> Open<P> {
    /// Takes note of what a call has done; true if the connection is to be closed.
    #[inline]
    fn has_ended(&mut self, moved: Result<Moved, Ended>, timers: &Timers, counters: &Counters) -> bool {
        match moved {
            Ok(Moved::Some) => timers.touch(&mut self.connection.last_moved),
            Ok(Moved::None) => {}
            Err(ended) => {
                ended.count(counters);
                if matches!(ended, Ended::Violation) && self.connection.has_output() {
                    self.ending = true;
                } else {
                    return true;
                }
            }
        }
        self.ending && !self.connection.has_output()
    }
}

impl<R: Readiness, P: Protocol> Turns<'_, '_, R, P> {
    fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        while self.turn(&mut ready)? {}
        Ok(())
    }

    /// Waits once and does what has become possible; false when all is done. `ready` is empty before and after.
    #[inline]
    fn turn(&mut self, ready: &mut Vec<R::Hit>) -> io::Result<bool> {
        let unfinished = if R::Hit::IS_EDGE { self.unfinished.len() } else { 0 };
        let timeout =
            if unfinished > 0 { Some(Duration::ZERO) } else { self.timers.timeout(!self.connections.is_empty()) };
        self.readiness.wait(timeout, ready, self.counters).map_err(|error| failed("cannot wait", error))?;
        if !R::SPINS {
            self.counters.events(Event::Wakeups, u64::from(timeout != Some(Duration::ZERO)));
        } else if self.context.stop.is_requested() && !self.timers.is_stopping() {
            self.drain()?;
        }
        self.timers.turn_begins(timeout.is_some());
        for hit in ready.drain(..) {
            match hit.token() {
                Token::LISTENER => self.accept()?,
                Token::STOP => self.drain()?,
                token if R::Hit::IS_EDGE => self.serve_edge(token.key(), hit)?,
                token => self.serve(token.key())?,
            }
        }
        if unfinished > 0 {
            self.serve_unfinished(unfinished)?;
        }
        self.on_time()?;
        Ok(!self.timers.is_stopping() || !self.connections.is_empty())
    }

    /// Takes in who waits.
    fn accept(&mut self) -> io::Result<()> {
        if self.timers.phase() != Phase::Accepting {
            return Ok(());
        }
        // What one loop leaves in a queue that it shares, another takes meanwhile.
        let most = if self.context.shares_listener { 1 } else { ACCEPTS_PER_TURN };
        for call in 0..most {
            self.counters.syscall(Syscall::Accept4);
            match accept_with(self.context.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => self.open(socket),
                Err(error) => match AcceptFailure::of(error) {
                    AcceptFailure::NobodyWaits => {
                        let missed = call == 0 && self.context.shares_listener;
                        self.counters.events(Event::AcceptMissed, u64::from(missed));
                        return Ok(());
                    }
                    AcceptFailure::TryNext => {}
                    AcceptFailure::Rest => return self.rest(),
                    AcceptFailure::Fatal => return Err(failed("cannot accept", error)),
                },
            }
        }
        if self.context.shares_listener {
            let stood_back = self.readiness.stand_back(self.context.listener.as_fd(), Token::LISTENER, self.counters);
            if stood_back.is_err() {
                self.rest_unwatched();
            }
        }
        Ok(())
    }

    fn open(&mut self, socket: OwnedFd) {
        if !self.context.admission.admit(self.counters) {
            self.counters.syscall(Syscall::Close);
            return;
        }
        let entry = self.connections.vacant_entry();
        let token = Token::connection(entry.key());
        let connection = Connection::new(socket, self.timers.opened());
        if self.readiness.add(connection.as_fd(), token, Interest::Read, self.counters).is_ok() {
            entry.insert(Open { connection, interest: Interest::Read, ending: false, edges: Edges::default() });
        } else {
            self.counters.event(Event::Unservable);
            connection.close(self.counters);
            self.context.admission.leave();
        }
    }

    fn rest(&mut self) -> io::Result<()> {
        self.counters.event(Event::AcceptPaused);
        self.timers.rest();
        self.watch_listener(Interest::None)
    }

    /// As [`rest`](Self::rest), where the kernel has refused to watch the listener: it will be asked again.
    fn rest_unwatched(&mut self) {
        self.counters.event(Event::AcceptPaused);
        self.timers.rest();
    }

    fn watch_listener(&mut self, interest: Interest) -> io::Result<()> {
        let listener = self.context.listener.as_fd();
        match interest {
            // An exclusive wait cannot be modified (epoll_ctl(2)), only ended and begun again.
            Interest::None if self.context.shares_listener => {
                self.readiness.remove(listener, Token::LISTENER, self.counters)
            }
            _ if self.context.shares_listener => {
                self.readiness.add_shared_listener(listener, Token::LISTENER, self.counters)
            }
            _ => self.readiness.modify(listener, Token::LISTENER, interest, self.counters),
        }
    }

    /// Makes the call that a level-triggered connection is ready for. What a receive has left is reported again, after the
    /// others had their turn.
    fn serve(&mut self, key: usize) -> io::Result<()> {
        let open = &mut self.connections[key];
        let moved = if open.connection.has_output() {
            open.connection.flush(&mut self.buffers, self.counters)
        } else {
            open.connection.receive(self.protocol, &mut self.buffers, self.counters)
        };
        if open.has_ended(moved, &self.timers, self.counters) {
            return self.close(key);
        }
        let wanted = if open.connection.has_output() { Interest::Write } else { Interest::Read };
        if open.interest != wanted {
            open.interest = wanted;
            let token = Token::connection(key);
            self.readiness.modify(open.connection.as_fd(), token, wanted, self.counters)?;
        }
        Ok(())
    }

    fn close(&mut self, key: usize) -> io::Result<()> {
        let Open { connection, .. } = self.connections.remove(key);
        self.readiness.remove(connection.as_fd(), Token::connection(key), self.counters)?;
        connection.close(self.counters);
        self.context.admission.leave();
        self.timers.closed();
        Ok(())
    }

    /// Stops accepting; every connection is read to its end, answered and closed.
    fn drain(&mut self) -> io::Result<()> {
        // The stop stays readable for the other threads; watching on would make this loop spin.
        self.readiness.remove(self.context.stop.as_fd(), Token::STOP, self.counters)?;
        if self.timers.phase() == Phase::Accepting {
            self.watch_listener(Interest::None)?;
        }
        self.timers.drain();
        for (_, open) in &self.connections {
            open.connection.stop_receiving(self.counters);
        }
        Ok(())
    }

    /// Does what is due by the clock.
    fn on_time(&mut self) -> io::Result<()> {
        while let Some(due) = self.timers.next_due() {
            match due {
                Due::Accept => {
                    if self.watch_listener(Interest::Read).is_err() {
                        self.rest_unwatched();
                    }
                }
                Due::Force => self.close_all_where(Event::Forced, |_| true)?,
                // Closing is all there is to do here, and was done.
                Due::GiveUp => return Ok(()),
                Due::CloseIdleSince(since) => {
                    self.close_all_where(Event::IdleClosed, |connection| connection.last_moved <= since)?;
                }
            }
        }
        Ok(())
    }

    fn close_all_where(&mut self, why: Event, closes: impl Fn(&Connection<P>) -> bool) -> io::Result<()> {
        let keys: Vec<usize> =
            self.connections.iter().filter(|(_, open)| closes(&open.connection)).map(|(key, _)| key).collect();
        for key in keys {
            self.counters.event(why);
            self.close(key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;
    use crate::stats::Stats;

    const TOKEN: Token = Token(7);

    #[test]
    fn an_idle_connection_is_small() {
        // What a loop holds for each; `poll` adds three words.
        assert!(size_of::<Open<crate::protocol::Framed>>() <= 96);
    }

    /// What is ready now.
    fn ready<R: Readiness>(readiness: &mut R, counters: &Counters) -> Vec<Token> {
        let mut ready = Vec::new();
        readiness.wait(Some(Duration::ZERO), &mut ready, counters).unwrap();
        ready.into_iter().map(Hit::token).collect()
    }

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
    }

    fn what_is_ready_follows_the_interest<R: Readiness>() {
        let counters = Arc::new(Stats::default()).register();
        let (ours, theirs) = pair();
        let mut readiness = R::new().unwrap();
        readiness.add(ours.as_fd(), TOKEN, Interest::Read, &counters).unwrap();
        assert_eq!(ready(&mut readiness, &counters), []);
        rustix::io::write(&theirs, b"?").unwrap();
        assert_eq!(ready(&mut readiness, &counters), [TOKEN]);
        assert_eq!(ready(&mut readiness, &counters), [TOKEN], "level-triggered");
        readiness.modify(ours.as_fd(), TOKEN, Interest::None, &counters).unwrap();
        assert_eq!(ready(&mut readiness, &counters), []);
        readiness.modify(ours.as_fd(), TOKEN, Interest::Write, &counters).unwrap();
        assert_eq!(ready(&mut readiness, &counters), [TOKEN]);
    }

    /// As in a process that forks: until it executes something else, the child has a copy of every descriptor.
    fn a_removed_socket_is_forgotten_while_a_copy_of_it_is_open<R: Readiness>() {
        let counters = Arc::new(Stats::default()).register();
        let (ours, theirs) = pair();
        let _copy = ours.try_clone().unwrap();
        let mut readiness = R::new().unwrap();
        readiness.add(ours.as_fd(), TOKEN, Interest::Read, &counters).unwrap();
        readiness.remove(ours.as_fd(), TOKEN, &counters).unwrap();
        drop(ours);
        rustix::io::write(&theirs, b"?").unwrap();
        assert_eq!(ready(&mut readiness, &counters), []);
    }

    fn what_becomes_ready_is_told_once<R: Readiness>() {
        let counters = Arc::new(Stats::default()).register();
        let (ours, theirs) = pair();
        let mut readiness = R::new().unwrap();
        readiness.add(ours.as_fd(), TOKEN, Interest::Read, &counters).unwrap();
        assert_eq!(ready(&mut readiness, &counters), [TOKEN], "there is room to write");
        assert_eq!(ready(&mut readiness, &counters), []);
        for _ in 0..2 {
            rustix::io::write(&theirs, b"?").unwrap();
            assert_eq!(ready(&mut readiness, &counters), [TOKEN]);
            assert_eq!(ready(&mut readiness, &counters), [], "edge-triggered");
        }
    }

    fn the_listener_is_level_triggered<R: Readiness>() {
        let counters = Arc::new(Stats::default()).register();
        let (ours, theirs) = pair();
        let mut readiness = R::new().unwrap();
        readiness.add(ours.as_fd(), Token::LISTENER, Interest::Read, &counters).unwrap();
        rustix::io::write(&theirs, b"?").unwrap();
        for _ in 0..2 {
            assert_eq!(ready(&mut readiness, &counters), [Token::LISTENER]);
        }
        readiness.modify(ours.as_fd(), Token::LISTENER, Interest::None, &counters).unwrap();
        assert_eq!(ready(&mut readiness, &counters), []);
    }

    macro_rules! tests_of {
        ($($name:ident is $readiness:ty { $($test:ident)+ })+) => {$(
            mod $name {
                use super::*;
                $(#[test] fn $test() { super::$test::<$readiness>(); })+
            }
        )+};
    }
    tests_of! {
        of_select is select::Select {
            what_is_ready_follows_the_interest
            the_listener_is_level_triggered
            a_removed_socket_is_forgotten_while_a_copy_of_it_is_open
        }
        of_poll is poll::Poll {
            what_is_ready_follows_the_interest
            the_listener_is_level_triggered
            a_removed_socket_is_forgotten_while_a_copy_of_it_is_open
        }
        of_epoll is epoll::Epoll {
            what_is_ready_follows_the_interest
            the_listener_is_level_triggered
            a_removed_socket_is_forgotten_while_a_copy_of_it_is_open
        }
        of_polling is polling::Polling {
            what_is_ready_follows_the_interest
            the_listener_is_level_triggered
            a_removed_socket_is_forgotten_while_a_copy_of_it_is_open
        }
        of_epoll_et is epoll_et::EpollEt {
            what_becomes_ready_is_told_once
            the_listener_is_level_triggered
            a_removed_socket_is_forgotten_while_a_copy_of_it_is_open
        }
        of_spin is spin::Spin {
            the_listener_is_level_triggered
            a_removed_socket_is_forgotten_while_a_copy_of_it_is_open
        }
    }
}
