//! The engine over `io_uring`: one system call for many requests and many answers.
//!
//! Each socket has one receive that goes on, into buffers that the kernel picks; each call submits a batch of sends, and
//! the last of a turn waits for answers as well.
//!
//! How exact its times are: a batch of at most `BATCH` sends shares the time that was read before the kernel was given
//! it, so that a request is dated before the kernel comes to it by at most what the sends before it in its batch take,
//! and never after. An answer is done when it is taken from the queue of the ring, as with epoll when it is taken from its
//! socket; those that are taken between two batches share the time that was read after the first. Both make a service time
//! longer than it was, by some ten microseconds under load and by nothing where one request is under way at a time.

mod probe;
mod ring;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;

use backends::io_uring::Shape;
use backends::refusal::refused;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use rustix::thread::set_current_timer_slack;

pub(super) use self::probe::probe;
use self::ring::{Other, Received, Ring};
use super::clock::Clock;
use super::connection::Loss;
use super::cpu_meter::CpuMeter;
use super::received::received_bytes;
use super::run::{End, Finished};
use super::share::Share;

/// Sends that are dated together and submitted by one call. With 4 to 32 of them a request costs the same within a
/// hundredth, so that this is as few as save calls.
const BATCH: usize = 4;
/// How long the end of the run may go unseen.
const LONGEST_WAIT_NS: u64 = 50_000_000;

/// The sockets of one thread, and what waits for them.
pub(super) struct IoUring<'run> {
    ring: Ring<'run>,
    /// By the number of the connection.
    peers: Vec<Peer>,
}

struct Peer {
    /// None where the connection was lost.
    socket: Option<OwnedFd>,
    /// Length of the last send.
    asked_bytes: usize,
    /// The last send found the socket buffer full, and room is waited for.
    full: bool,
    /// Stands in the batch.
    staged: bool,
}

impl<'run> IoUring<'run> {
    /// To be run by the calling thread, which has `sockets` for connections of this `share`. With the failure they come
    /// back.
    pub(super) fn new(sockets: Vec<OwnedFd>, share: &Share<'_>) -> Result<Self, (io::Error, Vec<OwnedFd>)> {
        Self::with_shape(sockets, shape(share.frame_bytes(), share.connections()))
    }

    fn with_shape(sockets: Vec<OwnedFd>, shape: Shape) -> Result<Self, (io::Error, Vec<OwnedFd>)> {
        // Or a wait would end late by the 50 µs that timers of other threads are allowed.
        let slack = set_current_timer_slack(NonZeroU64::new(1)).map_err(|error| refused("prctl", error));
        let ring = match slack.and_then(|()| Ring::new(&sockets, shape)) {
            Ok(ring) => ring,
            Err(error) => return Err((error, sockets)),
        };
        let peer = |socket| Peer { socket: Some(socket), asked_bytes: 0, full: false, staged: false };
        Ok(Self { ring, peers: sockets.into_iter().map(peer).collect() })
    }

    /// Sleeps until then, as between two requests, or until something else happens.
    pub(super) fn sleep_until(&mut self, clock: Clock, at_ns: u64) -> io::Result<()> {
        self.ring.wait_until(clock, at_ns)
    }

    pub(super) fn into_sockets(self) -> Vec<OwnedFd> {
        self.peers.into_iter().filter_map(|peer| peer.socket).collect()
    }

    /// Carries the share of the load whose connections these sockets are, until it is over or the run ends.
    pub(super) fn run(self, share: Share<'run>, clock: Clock, end: &End) -> io::Result<Finished<'run>> {
        let mut run = Run::new(self, share, clock);
        run.start()?;
        run.turn_until_over(end)?;
        let cpu = run.meter.finish(clock.now_ns());
        run.io.ring.settle();
        let sockets = run.io.peers.into_iter().filter_map(|peer| peer.socket).collect();
        Ok(Finished { share: run.share, cpu, sockets, timers: None })
    }
}

/// Buffers into which an answer fits whole, up to a point. Where they are small there is one for each connection, up to
/// the 2 MiB that the others come to as well: kernels before 6.13 hand out as many in one wait as there are answers, and
/// receives that find none cost up to twice as much. Later ones hand out about twenty, for which 128 are plenty.
fn shape(frame_bytes: usize, connections: usize) -> Shape {
    match frame_bytes {
        #[expect(clippy::cast_possible_truncation, reason = "just clamped")]
        ..=4096 => Shape { buffers: connections.clamp(128, 512).next_power_of_two() as u16, buffer_bytes: 4096 },
        4097..=32_768 => Shape { buffers: 64, buffer_bytes: 32_768 },
        _ => Shape { buffers: 64, buffer_bytes: 65_536 },
    }
}

/// A thread at work.
struct Run<'run> {
    io: IoUring<'run>,
    share: Share<'run>,
    clock: Clock,
    meter: CpuMeter,
    /// When the clock was read last.
    last_ns: u64,
    /// Connections that have something to send.
    batch: Vec<usize>,
    /// Connections that go on sending once what they send is submitted.
    unfinished: VecDeque<usize>,
    /// Connections that found no free buffer to receive into, in order.
    starved: VecDeque<usize>,
    /// Connections on which nothing can be sent any more. What has come before they broke still counts.
    broken: Vec<(usize, Errno)>,
    /// Receives that found no free buffer.
    #[cfg(test)]
    starvations: u64,
}

impl<'run> Run<'run> {
    fn new(io: IoUring<'run>, share: Share<'run>, clock: Clock) -> Self {
        let meter = CpuMeter::new(share.window());
        let connections = io.peers.len();
        Self {
            io,
            share,
            clock,
            meter,
            last_ns: 0,
            batch: Vec::with_capacity(BATCH),
            unfinished: VecDeque::with_capacity(connections),
            starved: VecDeque::with_capacity(connections),
            broken: Vec::new(),
            #[cfg(test)]
            starvations: 0,
        }
    }

    /// Receives everywhere, and sends what is due from the beginning.
    fn start(&mut self) -> io::Result<()> {
        for connection in 0..self.io.peers.len() {
            self.io.ring.receive(connection)?;
        }
        for connection in 0..self.io.peers.len() {
            self.stage(connection)?;
        }
        Ok(())
    }

    fn turn_until_over(&mut self, end: &End) -> io::Result<()> {
        let mut settled = false;
        loop {
            self.dispatch_all()?;
            let now_ns = self.last_ns;
            if let Some(at_ns) = end.cut_ns() {
                self.cut(at_ns, now_ns);
            }
            let over = self.share.is_over(now_ns);
            if !settled && (over || self.share.is_settled(now_ns)) {
                settled = true;
                end.thread_is_settled();
            }
            if over || end.is_reached() {
                return Ok(());
            }
            let longest_ns = if self.may_wait() { LONGEST_WAIT_NS } else { 0 };
            let until_next_ns = self.share.window().until_next_ns(now_ns).min(longest_ns);
            let due_ns = self.share.next_due_ns().unwrap_or(u64::MAX);
            self.io.ring.wait_until(self.clock, due_ns.min(now_ns.saturating_add(until_next_ns)))?;
            self.take_answers()?;
        }
    }

    /// With a buffer those that found none may have nothing to receive, while others wait for one with an answer: those
    /// have their turn first. Each such turn leaves fewer of them unless there are answers, and so they come to an end.
    fn may_wait(&self) -> bool {
        self.starved.is_empty() || self.io.ring.free_buffers() == 0
    }

    fn take_answers(&mut self) -> io::Result<()> {
        self.now_ns();
        self.heed()?;
        // Not those that come in with the sends that are submitted meanwhile: what is due has its turn first.
        for _ in 0..self.io.ring.waiting() {
            let Some(received) = self.io.ring.next_received() else { break };
            self.received(received, self.last_ns)?;
        }
        let now_ns = self.last_ns;
        while let Some((connection, error)) = self.broken.pop() {
            self.lose(connection, Loss::Broken(error), now_ns);
        }
        // As many as there are buffers now: others would only fail once more.
        for _ in 0..self.io.ring.free_buffers() {
            let Some(connection) = self.starved.pop_front() else { break };
            self.receive(connection)?;
        }
        Ok(())
    }

    fn received(&mut self, received: Received, now_ns: u64) -> io::Result<()> {
        let Received { socket: connection, result, last } = received;
        let alive = self.io.peers[connection].socket.is_some();
        let mut ended = last;
        let outcome = match result {
            Ok(Some(buffer)) => {
                let bytes = self.io.ring.bytes(&buffer);
                let outcome = if alive { self.share.received(connection, bytes, now_ns) } else { Ok(()) };
                self.io.ring.recycle(buffer);
                outcome
            }
            Ok(None) => Err(Loss::Closed),
            Err(Errno::NOBUFS) => {
                ended = false;
                self.starved.push_back(connection);
                #[cfg(test)]
                {
                    self.starvations += 1;
                }
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::CANCELED) => Ok(()),
            Err(error) => Err(Loss::Broken(error)),
        };
        match outcome {
            Ok(()) if ended => {
                // The end of a receive is not the end of the stream.
                self.receive(connection)?;
                self.stage(connection)
            }
            Ok(()) => self.stage(connection),
            Err(loss) => {
                self.lose(connection, loss, now_ns);
                Ok(())
            }
        }
    }

    fn receive(&mut self, connection: usize) -> io::Result<()> {
        if self.io.peers[connection].socket.is_none() {
            return Ok(());
        }
        self.io.ring.receive(connection)
    }

    /// Puts a connection into the batch, which leaves when it is full.
    fn stage(&mut self, connection: usize) -> io::Result<()> {
        let peer = &mut self.io.peers[connection];
        if !peer.staged {
            peer.staged = true;
            self.batch.push(connection);
            if self.batch.len() == BATCH {
                self.dispatch()?;
                if self.submit()? {
                    // What is taken from here on was not done before.
                    self.now_ns();
                }
            }
        }
        Ok(())
    }

    /// Has everything that can be sent ready for the next call, which has to follow soon.
    fn dispatch_all(&mut self) -> io::Result<()> {
        self.dispatch()?;
        while !self.unfinished.is_empty() {
            self.submit()?;
            // Not those that are added meanwhile: they are to be submitted first.
            for _ in 0..self.unfinished.len() {
                let Some(connection) = self.unfinished.pop_front() else { break };
                self.stage(connection)?;
            }
            self.dispatch()?;
        }
        Ok(())
    }

    /// Dates what the batch sends, and has it ready for the next call. Requests that have fallen due meanwhile are sent
    /// with it.
    fn dispatch(&mut self) -> io::Result<()> {
        loop {
            let now_ns = self.now_ns();
            while self.batch.len() < BATCH
                && let Some(connection) = self.share.take_due(now_ns)
            {
                if !mem::replace(&mut self.io.peers[connection].staged, true) {
                    self.batch.push(connection);
                }
            }
            let mut batch = mem::take(&mut self.batch);
            for connection in batch.drain(..) {
                self.io.peers[connection].staged = false;
                self.share.release(connection, now_ns);
                self.send(connection)?;
            }
            self.batch = batch;
            if self.share.next_due_ns().is_none_or(|due_ns| due_ns > now_ns) {
                return Ok(());
            }
            self.submit()?;
        }
    }

    fn send(&mut self, connection: usize) -> io::Result<()> {
        let peer = &mut self.io.peers[connection];
        if peer.full || peer.socket.is_none() {
            return Ok(());
        }
        let unsent = self.share.unsent(connection);
        if unsent.is_empty() {
            return Ok(());
        }
        peer.asked_bytes = unsent.len();
        self.io.ring.send(connection, unsent)?;
        // That it was not will be said.
        self.share.sent(connection, unsent.len());
        if !self.share.unsent(connection).is_empty() {
            self.unfinished.push_back(connection);
        }
        Ok(())
    }

    /// Submits what is ready, and says whether there was anything.
    fn submit(&mut self) -> io::Result<bool> {
        let is_any = self.io.ring.submit()?;
        self.heed()?;
        Ok(is_any)
    }

    /// Takes note of sends that were short, and of sockets that have room again.
    fn heed(&mut self) -> io::Result<()> {
        while let Some(other) = self.io.ring.next_other() {
            match other {
                Other::SentShort { socket: connection, result: Ok(sent_bytes) } => {
                    let peer = &mut self.io.peers[connection];
                    self.share.not_sent(connection, peer.asked_bytes - sent_bytes);
                    peer.full = true;
                    self.io.ring.await_room(connection)?;
                }
                Other::SentShort { socket: connection, result: Err(error) } => self.broken.push((connection, error)),
                Other::Room { socket: connection } => {
                    self.io.peers[connection].full = false;
                    self.unfinished.push_back(connection);
                }
            }
        }
        Ok(())
    }

    fn lose(&mut self, connection: usize, loss: Loss, now_ns: u64) {
        let Some(socket) = self.io.peers[connection].socket.take() else { return };
        // Closing alone would not end the receive on it, and so neither the connection.
        let received_bytes = received_bytes(&socket);
        let _ = shutdown(&socket, Shutdown::Both);
        self.share.lost(connection, loss, received_bytes, now_ns);
    }

    #[cold]
    fn cut(&mut self, at_ns: u64, now_ns: u64) {
        self.share.cut(at_ns, now_ns);
        self.meter.set_window(self.share.window());
    }

    /// Reads the clock.
    fn now_ns(&mut self) -> u64 {
        self.last_ns = self.clock.now_ns();
        self.meter.at(self.last_ns);
        self.last_ns
    }
}
