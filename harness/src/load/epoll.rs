//! The engine over epoll: two system calls for a request and its answer, and one wait for many of them.
//!
//! Sockets are registered once, level-triggered for reading, and re-registered only when a socket buffer fills up.
//! One receive per event: what it leaves is reported again, after the other connections had their turn.

use std::io;
use std::os::fd::OwnedFd;

use backends::refusal::refused;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::clock::{Clock, to_timespec};
use super::connection::Loss;
use super::cpu_meter::CpuMeter;
use super::received::received_bytes;
use super::run::{End, Finished};
use super::share::Share;
use super::timer::Timer;

const EVENTS: usize = 1024;
/// The timer, among the numbers of connections.
const TIMER: u64 = u64::MAX;
/// How long the end of the run may go unseen.
const LONGEST_WAIT_NS: u64 = 50_000_000;

const SMALL_RECEIVE_BYTES: usize = 64 * 1024;
/// Saves calls where a frame does not fit into the small buffer; more than this would not stay in the L2 cache.
const LARGE_RECEIVE_BYTES: usize = 256 * 1024;

/// The sockets of one thread, and what waits for them.
#[derive(Debug)]
pub(super) struct Epoll {
    set: OwnedFd,
    timer: Timer,
    /// By the number of the connection; none where it was lost.
    sockets: Vec<Option<Socket>>,
}

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    /// The last send found the socket buffer full, and writability is waited for.
    full: bool,
}

impl Epoll {
    pub(super) fn new(sockets: Vec<OwnedFd>) -> io::Result<Self> {
        let set = epoll::create(CreateFlags::CLOEXEC).map_err(|error| refused("epoll_create1", error))?;
        let timer = Timer::new()?;
        epoll::add(&set, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        for (connection, socket) in sockets.iter().enumerate() {
            epoll::add(&set, socket, EventData::new_u64(connection as u64), EventFlags::IN)?;
        }
        let sockets = sockets.into_iter().map(|fd| Some(Socket { fd, full: false })).collect();
        Ok(Self { set, timer, sockets })
    }

    pub(super) fn into_sockets(self) -> Vec<OwnedFd> {
        self.sockets.into_iter().flatten().map(|socket| socket.fd).collect()
    }

    /// Carries the share of the load whose connections these sockets are, until it is over or the run ends.
    pub(super) fn run<'run>(self, share: Share<'run>, clock: Clock, end: &End) -> io::Result<Finished<'run>> {
        let small = share.frame_bytes() <= SMALL_RECEIVE_BYTES;
        let receive_bytes = if small { SMALL_RECEIVE_BYTES } else { LARGE_RECEIVE_BYTES };
        let meter = CpuMeter::new(share.window());
        let mut run = Run { io: self, share, clock, meter, buffer: vec![0; receive_bytes].into_boxed_slice() };
        run.start();
        run.turn_until_over(end)?;
        let cpu = run.meter.finish(clock.now_ns());
        Ok(Finished { share: run.share, cpu, sockets: run.io.into_sockets(), timers: None })
    }

    /// Sleeps until then, as between two requests, or until something else happens.
    pub(super) fn sleep_until(&mut self, clock: Clock, at_ns: u64) -> io::Result<()> {
        self.timer.wake_at(clock, at_ns)?;
        self.wait(&mut Vec::with_capacity(1), LONGEST_WAIT_NS)
    }

    /// Waits for events, for at most `longest_ns` rounded up to a millisecond.
    fn wait(&self, events: &mut Vec<Event>, longest_ns: u64) -> io::Result<()> {
        events.clear();
        match epoll::wait(&self.set, spare_capacity(events), Some(&to_timespec(longest_ns))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(refused("epoll_pwait", error)),
        }
    }

    /// Whether to wait for room in a socket's buffer, too.
    fn set_full(&mut self, connection: usize, full: bool) -> Result<(), Errno> {
        let Some(socket) = &mut self.sockets[connection] else { return Ok(()) };
        if socket.full == full {
            return Ok(());
        }
        socket.full = full;
        let interest = if full { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        epoll::modify(&self.set, &socket.fd, EventData::new_u64(connection as u64), interest)
    }
}

/// A thread at work.
struct Run<'run> {
    io: Epoll,
    share: Share<'run>,
    clock: Clock,
    meter: CpuMeter,
    buffer: Box<[u8]>,
}

impl Run<'_> {
    /// Sends what is due from the beginning, and puts the rest on the agenda.
    fn start(&mut self) {
        for connection in 0..self.io.sockets.len() {
            let now_ns = self.now_ns();
            self.send_due_on(connection, now_ns);
        }
    }

    fn turn_until_over(&mut self, end: &End) -> io::Result<()> {
        let mut settled = false;
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let now_ns = self.now_ns();
            self.send_all_due(now_ns);
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
            if let Some(due_ns) = self.share.next_due_ns() {
                self.io.timer.wake_at(self.clock, due_ns)?;
            }
            self.io.wait(&mut events, self.share.window().until_next_ns(now_ns).min(LONGEST_WAIT_NS))?;
            for event in &events {
                self.handle(*event);
            }
        }
    }

    fn handle(&mut self, Event { flags, data, .. }: Event) {
        let token = data.u64();
        if token == TIMER {
            // It has done its work by ending the wait.
            return;
        }
        let connection = usize::try_from(token).expect("tokens were made from numbers of connections");
        // An error or a hang-up is found out by receiving, too, after the answers that came before it.
        if flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP) {
            self.receive(connection);
        }
        if flags.contains(EventFlags::OUT) {
            self.flush(connection);
        }
    }

    fn receive(&mut self, connection: usize) {
        let Some(socket) = &self.io.sockets[connection] else { return };
        let received = recv(&socket.fd, &mut *self.buffer, RecvFlags::empty());
        let now_ns = self.now_ns();
        let outcome = match received {
            Ok((_, 0)) => Err(Loss::Closed),
            Ok((_, bytes)) => self.share.received(connection, &self.buffer[..bytes], now_ns),
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(Loss::Broken(error)),
        };
        match outcome {
            Ok(()) => self.send_due_on(connection, now_ns),
            Err(loss) => self.lose(connection, loss, now_ns),
        }
        // Requests that fell due meanwhile must not wait for the rest of the events.
        self.send_all_due(now_ns);
    }

    /// Sends on all connections whose time has come.
    fn send_all_due(&mut self, mut now_ns: u64) {
        while let Some(connection) = self.share.take_due(now_ns) {
            self.send_due_on(connection, now_ns);
            now_ns = self.now_ns();
        }
    }

    fn send_due_on(&mut self, connection: usize, now_ns: u64) {
        self.share.release(connection, now_ns);
        self.flush(connection);
    }

    /// Sends what the socket takes.
    fn flush(&mut self, connection: usize) {
        let Some(socket) = &self.io.sockets[connection] else { return };
        let flushed = loop {
            let unsent = self.share.unsent(connection);
            if unsent.is_empty() {
                break self.io.set_full(connection, false);
            }
            match send(&socket.fd, unsent, SendFlags::NOSIGNAL) {
                Ok(bytes) => self.share.sent(connection, bytes),
                Err(Errno::AGAIN) => break self.io.set_full(connection, true),
                Err(Errno::INTR) => {}
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = flushed {
            let now_ns = self.now_ns();
            self.lose(connection, Loss::Broken(error), now_ns);
        }
    }

    fn lose(&mut self, connection: usize, loss: Loss, now_ns: u64) {
        // Closing takes the socket out of the epoll set.
        if let Some(socket) = self.io.sockets[connection].take() {
            self.share.lost(connection, loss, received_bytes(&socket.fd), now_ns);
        }
    }

    #[cold]
    fn cut(&mut self, at_ns: u64, now_ns: u64) {
        self.share.cut(at_ns, now_ns);
        self.meter.set_window(self.share.window());
    }

    /// Reads the clock.
    fn now_ns(&mut self) -> u64 {
        let now_ns = self.clock.now_ns();
        self.meter.at(now_ns);
        now_ns
    }
}
