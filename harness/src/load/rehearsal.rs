//! A share of a load without a kernel: for whoever wants to know what the generator itself costs. It is the code that a
//! load runs, called as the engine over epoll calls it, and no other; time passes as it is told to.

use std::time::Duration;

use super::in_flight::Request;
use super::recorder::Recorder;
use super::share::Share;
use super::traffic::Traffic;
use super::window::Window;
use super::{Engine, LoadPlan, Pace};

/// Long enough that no rehearsal comes to its end: time passes much faster in one.
const WINDOW: Duration = Duration::from_hours(365 * 24);

/// Between two turns in a closed loop, and from a request to its answer in an open one.
const STEP_NS: u64 = 500;

/// What the connections of a rehearsal send, and when.
#[derive(Debug)]
pub struct Stage {
    plan: LoadPlan,
    traffic: Traffic,
}

impl Stage {
    /// One request in flight on each of so many connections.
    #[must_use]
    pub fn new(connections: usize, payload_bytes: u32, pace: Pace) -> Self {
        let plan = LoadPlan {
            target: ([127, 0, 0, 1], 0).into(),
            connections,
            payload_bytes,
            depth: 1,
            pace,
            warmup: Duration::ZERO,
            duration: WINDOW,
            threads: 1,
            cpus: Vec::new(),
            seed: 0,
            engine: Engine::Auto,
            idle_connections: 0,
        };
        let traffic = Traffic::new(payload_bytes, plan.depth);
        Self { plan, traffic }
    }

    /// A load whose first requests are on their way: in a closed loop one on each connection.
    #[must_use]
    pub fn rehearse(&self) -> Rehearsal<'_> {
        let share = Share::deal(&self.plan, Window::new(self.plan.warmup, self.plan.duration), &self.traffic).remove(0);
        let mut rehearsal = Rehearsal { share, in_flight: vec![&[]; self.plan.connections], next: 0, now_ns: 0 };
        for connection in 0..self.plan.connections {
            rehearsal.send_due_on(connection);
        }
        rehearsal
    }
}

/// A generator thread against a kernel that takes everything, and a server that answers at once and in order.
#[derive(Debug)]
pub struct Rehearsal<'s> {
    share: Share<'s>,
    /// What is to be answered, by connection.
    in_flight: Vec<&'s [u8]>,
    /// The connection whose answer comes next. Requests go out in turn, so that answers come so.
    next: usize,
    now_ns: u64,
}

impl Rehearsal<'_> {
    /// All that is done for one request: it falls due and is sent, and its answer is checked and recorded.
    ///
    /// # Panics
    ///
    /// When a server that does as it should is said not to: the generator is broken.
    #[inline]
    pub fn turn(&mut self) {
        // An open loop waits for its timer, where nothing is in flight.
        if self.in_flight[self.next].is_empty()
            && let Some(due_ns) = self.share.next_due_ns()
        {
            self.now_ns = due_ns;
            self.send_all_due();
        }
        self.now_ns += STEP_NS;
        let connection = self.next;
        self.next = if connection + 1 == self.in_flight.len() { 0 } else { connection + 1 };
        let answer = std::mem::take(&mut self.in_flight[connection]);
        self.share.received(connection, answer, self.now_ns).expect("a server that does as it should");
        self.send_due_on(connection);
        self.send_all_due();
    }

    fn send_all_due(&mut self) {
        while let Some(connection) = self.share.take_due(self.now_ns) {
            self.send_due_on(connection);
        }
    }

    fn send_due_on(&mut self, connection: usize) {
        self.share.release(connection, self.now_ns);
        loop {
            let unsent = self.share.unsent(connection);
            if unsent.is_empty() {
                return;
            }
            self.in_flight[connection] = unsent;
            self.share.sent(connection, unsent.len());
        }
    }

    /// The load is over: how many answers were recorded, and how many of them differed from what was sent.
    #[must_use]
    pub fn finish(self) -> (u64, u64) {
        let seen = self.share.finish(u64::MAX);
        (seen.latency.len(), seen.mismatches)
    }
}

/// What is written down of requests, without the requests.
#[derive(Debug)]
pub struct Recording {
    recorder: Recorder,
    open_loop: bool,
    now_ns: u64,
}

impl Recording {
    /// Of an open or of a closed loop: of the former there is more to write down.
    #[must_use]
    pub fn new(open_loop: bool) -> Self {
        let recorder = Recorder::new(Window::new(Duration::ZERO, WINDOW), open_loop);
        Self { recorder, open_loop, now_ns: 0 }
    }

    /// A request was sent, and answered after `latency_ns`.
    #[inline]
    pub fn request(&mut self, latency_ns: u64) {
        let request = Request { due_ns: self.now_ns, sent_ns: self.now_ns };
        self.recorder.began(self.now_ns);
        if self.open_loop {
            self.recorder.sent(request, 0);
        }
        let answered_ns = self.now_ns + latency_ns;
        self.recorder.answered(request, answered_ns);
        self.recorder.ended(1, latency_ns, answered_ns);
        self.now_ns = answered_ns;
    }

    /// How many requests were recorded.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.recorder.latency.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Arrivals;

    #[test]
    fn every_turn_is_one_request_that_is_answered_as_it_should_be() {
        let open = Pace::Open { rate_rps: 1e6, arrivals: Arrivals::Constant };
        for pace in [Pace::Closed, open] {
            let stage = Stage::new(8, 64, pace);
            let mut rehearsal = stage.rehearse();
            for _ in 0..1000 {
                rehearsal.turn();
            }
            assert_eq!(rehearsal.finish(), (1000, 0), "{pace:?}");
        }
    }

    #[test]
    fn every_request_is_recorded_once() {
        for open_loop in [false, true] {
            let mut recording = Recording::new(open_loop);
            (1..=1000).for_each(|latency_ns| recording.request(latency_ns * 1000));
            assert_eq!((recording.recorded(), recording.recorder.latency.max()), (1000, 1_000_447));
        }
    }
}
