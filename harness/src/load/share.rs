//! One thread's share of the load: its connections, what each has to send next, and what came of it.
//!
//! An engine moves bytes and asks here what to move. Times come from the engine, which reads the clock once per
//! system call that carries requests or answers: a request is *sent* when it is first offered to the kernel, and
//! *done* when the last byte of its answer was taken from it.
//!
//! Invariant: a connection that has room for a request that is not due yet stands on the agenda, once. All others
//! wait for an answer, and go on when it has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::connection::{Connection, Loss};
use super::recorder::Recorder;
use super::schedule::Schedule;
use super::traffic::Traffic;
use super::window::Window;
use super::{LoadPlan, Pace};

/// One thread's share of the load. Connections go by their number within it.
#[derive(Debug)]
pub(super) struct Share<'run> {
    traffic: &'run Traffic,
    window: Window,
    open_loop: bool,
    connections: Vec<Connection>,
    /// Connections by the time at which their next request is due, soonest first.
    agenda: BinaryHeap<Reverse<(u64, usize)>>,
    alive: usize,
    /// Requests in flight on connections that are alive.
    in_flight: usize,
    recorder: Recorder,
}

impl<'run> Share<'run> {
    /// The shares of all threads. Connections are dealt out in turn, so that in an open loop evenly spaced requests
    /// stay evenly spaced over the threads.
    pub(super) fn deal(plan: &LoadPlan, window: Window, traffic: &'run Traffic) -> Vec<Self> {
        let mut shares: Vec<_> = (0..plan.threads).map(|_| Self::new(plan, window, traffic)).collect();
        for (number, schedule) in Schedule::of_each_connection(plan).enumerate() {
            shares[number % plan.threads].add(schedule, traffic.start_of(number), plan.depth);
        }
        shares
    }

    fn new(plan: &LoadPlan, window: Window, traffic: &'run Traffic) -> Self {
        let open_loop = plan.pace != Pace::Closed;
        let connections = plan.connections.div_ceil(plan.threads);
        Self {
            traffic,
            window,
            open_loop,
            connections: Vec::with_capacity(connections),
            agenda: BinaryHeap::with_capacity(connections),
            alive: 0,
            in_flight: 0,
            recorder: Recorder::new(window, open_loop),
        }
    }

    fn add(&mut self, schedule: Schedule, start: usize, depth: usize) {
        self.connections.push(Connection::new(schedule, start, depth));
        self.alive += 1;
    }

    /// How many connections there were at the beginning.
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    pub(super) fn window(&self) -> Window {
        self.window
    }

    pub(super) fn frame_bytes(&self) -> usize {
        self.traffic.frame_bytes()
    }

    /// Lets all requests go that are due on a connection and have room. Then its [`unsent`](Self::unsent) bytes want
    /// to be sent.
    pub(super) fn release(&mut self, connection: usize, now_ns: u64) {
        if now_ns >= self.window.closes_ns {
            return;
        }
        let progress = &mut self.connections[connection];
        while let Some(ready_since_ns) = progress.release(self.traffic, now_ns) {
            self.in_flight += 1;
            if self.open_loop {
                self.recorder.sent(now_ns, now_ns - ready_since_ns);
            }
        }
        if !progress.on_agenda && progress.in_flight.room_since_ns().is_some() {
            progress.on_agenda = true;
            self.agenda.push(Reverse((progress.schedule.due_ns(now_ns), connection)));
        }
    }

    /// When the agenda has something to do next.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.agenda.peek().map(|&Reverse((due_ns, _))| due_ns)
    }

    /// Takes from the agenda a connection on which a request is due.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<usize> {
        let &Reverse((due_ns, connection)) = self.agenda.peek()?;
        if due_ns > now_ns {
            return None;
        }
        self.agenda.pop();
        self.connections[connection].on_agenda = false;
        Some(connection)
    }

    /// What to send next on a connection, in one piece; empty if there is nothing.
    pub(super) fn unsent(&self, connection: usize) -> &'run [u8] {
        self.connections[connection].outgoing.unsent(self.traffic)
    }

    /// The kernel took that many of the [`unsent`](Self::unsent) bytes.
    pub(super) fn sent(&mut self, connection: usize, bytes: usize) {
        self.connections[connection].outgoing.sent(self.traffic, bytes);
    }

    /// Checks and records what has come on a connection.
    pub(super) fn received(&mut self, connection: usize, piece: &[u8], now_ns: u64) -> Result<(), Loss> {
        let progress = &mut self.connections[connection];
        let received = progress.receive(self.traffic, piece)?;
        self.recorder.mismatches += received.mismatches;
        self.in_flight -= received.frames;
        for _ in 0..received.frames {
            self.recorder.answered(progress.in_flight.pop(now_ns), now_ns);
        }
        Ok(())
    }

    /// A connection has ended; told once for each. What was in flight stays there and is censored.
    pub(super) fn lost(&mut self, connection: usize, loss: Loss, now_ns: u64) {
        let in_flight = self.connections[connection].in_flight.len();
        self.alive -= 1;
        self.in_flight -= in_flight;
        // A server may hang up on a connection that nothing will be sent on any more.
        if now_ns < self.window.closes_ns || in_flight > 0 {
            self.recorder.broke(now_ns, format!("{loss} with {in_flight} requests in flight"));
        }
    }

    /// Whether there is nothing left to do or to wait for.
    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        self.alive == 0 || now_ns >= self.window.gives_up_ns || (now_ns >= self.window.closes_ns && self.in_flight == 0)
    }

    /// What the share has seen, with all that was not done counted as censored.
    pub(super) fn finish(mut self) -> Recorder {
        for connection in self.connections {
            let never_sent = connection.schedule.count_before(self.window.closes_ns);
            self.recorder.censored += connection.in_flight.len() as u64 + never_sent;
        }
        self.recorder
    }
}
