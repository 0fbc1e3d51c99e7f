//! The completion loop of one server thread.

use std::collections::VecDeque;
use std::io;

use rustix::io::Errno;
use rustix::net::Shutdown;
use slab::Slab;

use super::peer::{Peer, Receiving, Reply};
use super::ring::{BUFFERS, Completion, Id, Input, Payload, Ring, Socket};
use super::variants::VARIANTS;
use crate::admission::AcceptFailure;
use crate::backend::Receipt;
use crate::buffers::Buffers;
use crate::kernel::failed;
use crate::protocol::Protocol;
use crate::stats::{Counters, Event, ThreadCounters};
use crate::timers::{Due, Phase, Timers};
use crate::workers::{Context, Worker};

/// With fewer free buffers than this, replies are copied and their buffers given back at once: a buffer that is
/// being sent stays taken for as long as its peer does not read, and enough such peers would starve all others.
const SCARCE_BUFFERS: u16 = BUFFERS / 4;

/// With fewer free buffers than this, those that have been sent are given back before the loop waits, and no more replies are
/// held where they came in.
const LOW_BUFFERS: u16 = BUFFERS / 2;

/// One thread of the backend at that position of the table.
pub(super) struct Server<'a, const POSITION: usize> {
    ring: Ring,
    context: Context<'a>,
    counters: ThreadCounters,
}

impl<'a, const POSITION: usize> Worker<'a> for Server<'a, POSITION> {
    const WOKEN_BY_SHARED_LISTENER: &'static str =
        "one that waits (exclusive; ACCEPT for one connection at a time, not multishot)";

    fn start(context: Context<'a>) -> io::Result<Self> {
        let counters = context.stats.register();
        Ok(Self { ring: Ring::new(&VARIANTS[POSITION], &context.limits)?, context, counters })
    }

    fn receipt(&self) -> Receipt {
        self.ring.receipt(self.context.shares_listener)
    }

    fn run<P: Protocol>(&mut self, protocol: &P) -> io::Result<()> {
        let mut turns = Turns {
            ring: &mut self.ring,
            context: &self.context,
            counters: &self.counters,
            protocol,
            peers: Slab::new(),
            next_generation: 0,
            starved: VecDeque::new(),
            send_awaited: false,
            buffers: Buffers::new(),
            timers: Timers::new(&self.context.limits),
        };
        turns.run()
    }

    fn counters(&self) -> &ThreadCounters {
        &self.counters
    }
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    NotLast,
    Last,
}

/// The loop while it runs.
struct Turns<'l, 'a, P: Protocol> {
    ring: &'l mut Ring,
    context: &'l Context<'a>,
    counters: &'l Counters,
    protocol: &'l P,
    peers: Slab<Peer<P>>,
    next_generation: u32,
    /// Who waits for a free buffer, in order.
    starved: VecDeque<Id>,
    /// Some connection has to go on when its send is over.
    send_awaited: bool,
    buffers: Buffers,
    timers: Timers,
}

impl<P: Protocol> Turns<'_, '_, P> {
    fn run(&mut self) -> io::Result<()> {
        self.accept()?;
        self.ring.watch_stop(self.context.stop, self.counters)?;
        loop {
            let timeout = self.timers.timeout(!self.peers.is_empty());
            if self.is_send_awaited() {
                self.ring.submit(self.counters)?;
            } else {
                self.ring.wait(timeout, self.counters)?;
            }
            // Where the kernel could not tell, it is asked again.
            self.send_awaited &= self.ring.has_silent_sends();
            self.timers.turn_begins(timeout.is_some());
            let mut kernel_works = false;
            while let Some(completion) = self.ring.next() {
                kernel_works = true;
                self.complete(completion)?;
            }
            if kernel_works {
                self.timers.kernel_works();
            }
            self.feed_the_starved()?;
            if self.on_time()? == Turn::Last || (self.timers.is_stopping() && self.peers.is_empty()) {
                return Ok(());
            }
        }
    }

    /// Whether to find out at once which silent sends have succeeded, instead of with whatever is waited for next:
    /// a connection has to go on after its send, or the buffers that are being sent would be missed by receives.
    fn is_send_awaited(&self) -> bool {
        let awaited = self.send_awaited || !self.starved.is_empty() || self.are_buffers_missed();
        awaited && self.ring.has_silent_sends()
    }

    /// Whether few buffers are free, and as many more at least come back with the silent sends. Those of peers that do not
    /// read do not, and for few others nothing is gained: it would be a second call for each of their requests.
    fn are_buffers_missed(&self) -> bool {
        let free_buffers = self.ring.free_buffers();
        free_buffers < LOW_BUFFERS && self.ring.silent_buffers() >= usize::from(free_buffers)
    }

    fn complete(&mut self, completion: Completion) -> io::Result<()> {
        match completion {
            Completion::Received { id, result, last, more } => self.received(id, result, last, more),
            Completion::Sent { id, result, payload, lent } => {
                self.peers[id.key as usize].loans += u32::from(lent);
                self.sent(id, result, payload)
            }
            Completion::Accepted { result, last } => self.accepted(result, last),
            Completion::NotCancelled { id } => self.cancel_again(id),
            Completion::Stopped => self.drain(),
            Completion::LetGo { id, copied, done } => self.let_go(id, copied, done),
            Completion::Closed => {
                self.timers.closed();
                Ok(())
            }
            Completion::Done => Ok(()),
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        if self.ring.has_room() {
            return self.ring.accept(self.context.listener, self.context.shares_listener, self.counters);
        }
        self.counters.event(Event::AcceptPaused);
        self.timers.rest();
        Ok(())
    }

    fn accepted(&mut self, result: Result<Socket, Errno>, last: bool) -> io::Result<()> {
        match result.map_err(|error| (AcceptFailure::of(error), error)) {
            Ok(socket) => self.open(socket)?,
            Err(_) if self.timers.phase() != Phase::Accepting => {}
            // The connection was accepted, and closed because the table of the ring is full. Where it is not, the system
            // has as many open files as it may have, and to accept again at once would be a busy loop.
            Err((_, Errno::NFILE)) if self.ring.has_table() => {
                self.counters.event(Event::Unservable);
                if self.ring.has_room() {
                    self.timers.rest();
                }
            }
            // Cancelled by us, to go on more cautiously.
            Err((AcceptFailure::TryNext, _) | (_, Errno::CANCELED)) => {}
            // A multishot accept waits by itself; if it does not, to arm it again at once would be a busy loop.
            Err((AcceptFailure::Rest | AcceptFailure::NobodyWaits, _)) => {
                self.counters.event(Event::AcceptPaused);
                self.timers.rest();
            }
            Err((AcceptFailure::Fatal, error)) => return Err(failed("cannot accept", error)),
        }
        if last && self.timers.phase() == Phase::Accepting {
            self.accept()?;
        } else if self.ring.accepts_too_freely() {
            self.ring.cancel_accept(self.counters)?;
        }
        Ok(())
    }

    fn open(&mut self, socket: Socket) -> io::Result<()> {
        if !self.context.admission.admit(self.counters) {
            return self.ring.close(socket, self.counters);
        }
        let entry = self.peers.vacant_entry();
        let key = u32::try_from(entry.key()).expect("a process has fewer descriptors than that");
        let id = Id::new(key, self.next_generation);
        self.next_generation = self.next_generation.wrapping_add(1);
        let peer = entry.insert(Peer::new(socket, id, self.timers.opened()));
        if self.timers.is_stopping() {
            // Accepted before the accept was cancelled: what it has sent is still answered.
            self.ring.shut_down(&peer.socket, Shutdown::Read, self.counters)?;
            self.ring.await_shut_downs(self.counters)?;
        }
        peer.receiving = Receiving::Armed;
        self.ring.receive(&peer.socket, id, self.counters)
    }

    fn received(&mut self, id: Id, result: Result<Option<Input>, Errno>, last: bool, more: bool) -> io::Result<()> {
        let peer = &mut self.peers[id.key as usize];
        assert_eq!(peer.id, id, "a receive of a connection that has ended");
        let mut receiving = if last { Receiving::Ended } else { peer.receiving };
        match result {
            Ok(Some(input)) => {
                self.counters.events(Event::BytesReceived, input.len() as u64);
                // The receive that the kernel makes next sees a reset, too.
                peer.unanswered = !last && !more;
                self.answer(id, input)?;
                if last {
                    // The end of a receive is not the end of the stream.
                    receiving = Receiving::Paused;
                }
            }
            Ok(None) => self.peers[id.key as usize].ending = true,
            Err(Errno::NOBUFS) => {
                self.counters.event(Event::BuffersExhausted);
                self.starved.push_back(id);
                receiving = Receiving::Starved;
            }
            Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN) => receiving = Receiving::Paused,
            Err(_) => {
                if peer.abandon() {
                    self.counters.event(Event::ConnectionErrors);
                }
            }
        }
        self.peers[id.key as usize].receiving = receiving;
        self.go_on(id)
    }

    /// A receive that the kernel is at work on, because more comes than it takes in at a time, is not found when it is to
    /// be cancelled. It would go on for as long as there are buffers.
    fn cancel_again(&mut self, id: Id) -> io::Result<()> {
        let peer = self.peers.get(id.key as usize).filter(|peer| peer.id == id);
        if peer.is_some_and(|peer| peer.receiving == Receiving::Pausing) {
            self.ring.cancel_receive(id, self.counters)?;
        }
        Ok(())
    }

    /// Has the protocol answer what is in `input`, and sends the answer from there if nothing is in the way.
    fn answer(&mut self, id: Id, input: Input) -> io::Result<()> {
        let peer = &mut self.peers[id.key as usize];
        if peer.ending {
            self.ring.recycle(id, input);
            return Ok(());
        }
        self.timers.touch(&mut peer.last_moved);
        let received = self.ring.bytes(&input);
        match peer.receive(self.protocol, received, &mut self.buffers, self.counters) {
            Ok(Reply::Direct(range)) if self.ring.free_buffers() >= SCARCE_BUFFERS => {
                (peer.sending, peer.unanswered) = (true, false);
                let reported = self.context.limits.idle_timeout.is_some();
                return self.ring.send(&peer.socket, id, Payload::Received(input, range), reported, self.counters);
            }
            Ok(Reply::Behind(range))
                if self.ring.free_buffers() >= LOW_BUFFERS && self.ring.can_hold(id, self.counters) =>
            {
                peer.hold(range.len());
                self.ring.hold(id, input, range);
                return Ok(());
            }
            Ok(Reply::Direct(range) | Reply::Behind(range)) => {
                peer.queue(&self.ring.bytes(&input)[range], &mut self.buffers, self.counters);
            }
            Ok(Reply::Queued) => {}
            Err(_) => {
                self.counters.event(Event::Violations);
                peer.ending = true;
            }
        }
        self.ring.recycle(id, input);
        Ok(())
    }

    fn sent(&mut self, id: Id, result: Result<usize, Errno>, mut payload: Payload) -> io::Result<()> {
        let peer = &mut self.peers[id.key as usize];
        assert_eq!(peer.id, id, "a send of a connection that has ended");
        peer.sending = false;
        match result {
            Ok(sent_bytes) => {
                self.counters.events(Event::BytesSent, sent_bytes as u64);
                if sent_bytes > 0 {
                    self.timers.touch(&mut peer.last_moved);
                }
                let is_bundle = matches!(payload, Payload::Held(_));
                if is_bundle {
                    self.counters.events(Event::BundledBytes, sent_bytes as u64);
                }
                if payload.advance(sent_bytes) {
                    peer.sending = true;
                    if is_bundle {
                        // The kernel was to say what moves, or was interrupted.
                        peer.hold_nothing();
                        payload = self.ring.copy_held(id, sent_bytes, self.buffers.take(), self.counters);
                    }
                    // An idle time-out needs to know whether anything moves.
                    let reported = self.context.limits.idle_timeout.is_some();
                    return self.ring.send_rest(&peer.socket, id, payload, reported, self.counters);
                }
            }
            // More memory than may be pinned is waiting to be read by the network.
            Err(Errno::NOBUFS | Errno::NOMEM) if matches!(payload, Payload::Lent(..)) && !peer.is_abandoned() => {
                self.counters.event(Event::ZeroCopyRefused);
                peer.sending = true;
                let reported = self.context.limits.idle_timeout.is_some();
                return self.ring.send_copying(&peer.socket, id, payload, reported, self.counters);
            }
            Err(_) => {
                if peer.abandon() {
                    self.counters.event(Event::ConnectionErrors);
                }
            }
        }
        if let Some(memory) = self.ring.give_back(id, payload) {
            self.buffers.give_back(memory);
        }
        self.go_on(id)
    }

    /// The network reads no more what was sent from where it lay, on a connection that may have been closed since.
    fn let_go(&mut self, id: Id, copied: bool, done: Option<Payload>) -> io::Result<()> {
        self.counters.event(Event::ZeroCopyNotices);
        self.counters.events(Event::ZeroCopyCopied, copied.into());
        if let Some(memory) = done.and_then(|payload| self.ring.give_back(id, payload)) {
            self.buffers.give_back(memory);
        }
        let Some(peer) = self.peers.get_mut(id.key as usize).filter(|peer| peer.id == id) else { return Ok(()) };
        peer.loans -= 1;
        if !peer.ending {
            return Ok(());
        }
        // The peer has taken all of what one send left lying; how far it is with the next is not told.
        self.timers.touch(&mut peer.last_moved);
        self.go_on(id)
    }

    /// Starts whatever a connection can do next: send, receive, pause, or close.
    fn go_on(&mut self, id: Id) -> io::Result<()> {
        let peer = &mut self.peers[id.key as usize];
        if !peer.sending
            && let Some(payload) = peer.take_output().or_else(|| peer.take_test_for_reset())
        {
            (peer.sending, peer.unanswered) = (true, false);
            let reported = self.context.limits.idle_timeout.is_some();
            self.ring.send(&peer.socket, id, payload, reported, self.counters)?;
        }
        self.send_awaited |= peer.sending && (peer.ending || peer.has_output());
        match peer.receiving {
            Receiving::Armed if !peer.ending && peer.is_clogged() => {
                peer.receiving = Receiving::Pausing;
                self.ring.cancel_receive(id, self.counters)
            }
            Receiving::Paused if !peer.ending => {
                if peer.has_output() || peer.sends_much() || (peer.sending && !self.ring.receives_while_sending()) {
                    self.send_awaited = true;
                    return Ok(());
                }
                peer.receiving = Receiving::Armed;
                self.ring.receive(&peer.socket, id, self.counters)
            }
            // What a peer sends after a violation is of no use, and it may send for as long as it does not read.
            Receiving::Armed if peer.ending && peer.sending => {
                peer.receiving = Receiving::Pausing;
                self.ring.cancel_receive(id, self.counters)
            }
            _ if !peer.ending || peer.sending => Ok(()),
            Receiving::Armed => {
                if peer.shut_down_first() {
                    self.ring.shut_down(&peer.socket, Shutdown::Both, self.counters)?;
                    self.ring.await_shut_downs(self.counters)?;
                }
                // Closing a descriptor does not end a receive on it, and a shutdown can be missed: see `drain`.
                peer.receiving = Receiving::Pausing;
                self.ring.cancel_receive(id, self.counters)
            }
            Receiving::Pausing => Ok(()),
            Receiving::Paused | Receiving::Starved | Receiving::Ended => self.end(id),
        }
    }

    /// Closes a connection on which nothing is in flight, once the network reads nothing from us any more that was sent on
    /// it. A socket that is closed keeps what its peer does not read, and what is lent with it, for as long as the peer
    /// likes, and nobody can take it back.
    fn end(&mut self, id: Id) -> io::Result<()> {
        let peer = &mut self.peers[id.key as usize];
        if peer.loans == 0 {
            return self.close(id);
        }
        if peer.is_abandoned() {
            // The kernel drops what it has not got rid of, and the loans with it.
            self.ring.reset_on_close(&peer.socket, self.counters)?;
            return self.close(id);
        }
        if peer.shut_down_first() {
            // The peer sees the end behind what it has not read.
            self.ring.shut_down(&peer.socket, Shutdown::Write, self.counters)?;
            self.ring.await_shut_downs(self.counters)?;
        }
        Ok(())
    }

    /// Forgets a connection on which nothing is in flight.
    fn close(&mut self, id: Id) -> io::Result<()> {
        let peer = self.peers.remove(id.key as usize);
        debug_assert!(!peer.sending);
        self.ring.forget(id, self.counters);
        self.counters.event(Event::Closed);
        self.ring.close(peer.socket, self.counters)?;
        self.context.admission.leave();
        // In the table of the ring it takes a place until that is closed.
        if self.ring.has_room() {
            self.timers.closed();
        }
        Ok(())
    }

    /// Re-arms as many of those that found no buffer as there are buffers now: not before, or they would fail again.
    fn feed_the_starved(&mut self) -> io::Result<()> {
        for _ in 0..self.ring.free_buffers() {
            let Some(id) = self.starved.pop_front() else { break };
            let Some(peer) = self.peers.get_mut(id.key as usize).filter(|peer| peer.id == id) else { continue };
            peer.receiving = Receiving::Paused;
            self.go_on(id)?;
        }
        Ok(())
    }

    /// Stops accepting; every connection is read to its end, answered and closed.
    ///
    /// A multishot receive that is busy with the last bytes misses that the socket was shut down meanwhile, and waits
    /// for ever (seen on Linux 6.18). One that starts afterwards sees it; so each is ended, and started once more.
    fn drain(&mut self) -> io::Result<()> {
        self.ring.cancel_accept(self.counters)?;
        self.timers.drain();
        for (_, peer) in &self.peers {
            self.ring.shut_down(&peer.socket, Shutdown::Read, self.counters)?;
        }
        self.ring.await_shut_downs(self.counters)?;
        for (_, peer) in &mut self.peers {
            if peer.receiving == Receiving::Armed {
                peer.receiving = Receiving::Pausing;
                self.ring.cancel_receive(peer.id, self.counters)?;
            }
        }
        Ok(())
    }

    /// Does what is due by the clock.
    fn on_time(&mut self) -> io::Result<Turn> {
        while let Some(due) = self.timers.next_due() {
            match due {
                Due::Accept => self.accept()?,
                Due::Force => self.end_all_where(Event::Forced, |_| true)?,
                Due::GiveUp => return Ok(Turn::Last),
                Due::CloseIdleSince(since) => {
                    self.end_all_where(Event::IdleClosed, |peer| !peer.is_abandoned() && peer.last_moved <= since)?;
                }
            }
        }
        Ok(Turn::NotLast)
    }

    /// Ends connections without asking their peers. They close when the kernel has let go of them.
    fn end_all_where(&mut self, why: Event, ends: impl Fn(&Peer<P>) -> bool) -> io::Result<()> {
        let ids: Vec<Id> = self.peers.iter().filter(|(_, peer)| ends(peer)).map(|(_, peer)| peer.id).collect();
        for id in &ids {
            self.counters.event(why);
            let peer = &mut self.peers[id.key as usize];
            peer.abandon();
            if why == Event::Forced {
                self.ring.reset_on_close(&peer.socket, self.counters)?;
            }
            if peer.shut_down_first() {
                self.ring.shut_down(&peer.socket, Shutdown::Both, self.counters)?;
            }
        }
        // Once for all: where shutting down is an operation, each wait is one for another thread.
        self.ring.await_shut_downs(self.counters)?;
        for id in ids {
            self.go_on(id)?;
        }
        Ok(())
    }
}

impl<P: Protocol> Drop for Turns<'_, '_, P> {
    /// Before the sockets are closed: what was not submitted yet names them by number.
    fn drop(&mut self) {
        self.ring.settle();
        self.ring.close_table();
    }
}
