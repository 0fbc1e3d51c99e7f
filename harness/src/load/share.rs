//! One thread's share of the load: its connections, what each has to send next, and what came of it.
//!
//! An engine moves bytes and asks here what to move. Times come from the engine, which reads the clock once per
//! system call that carries requests or answers: a request is *sent* when it is first offered to the kernel, and
//! *done* when the last byte of its answer was taken from it.
//!
//! Invariant: a connection that has room for a request that is not due yet stands on the agenda, once. All others
//! wait for an answer and go on when it has come, or have nothing to send any more.

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
    /// Requests in flight that were sent before the window closed, on connections that are alive.
    awaited: usize,
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
            awaited: 0,
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

    /// Lets all requests of a connection go that are ready. Then its [`unsent`](Self::unsent) bytes want to be sent.
    pub(super) fn release(&mut self, connection: usize, now_ns: u64) {
        let progress = &mut self.connections[connection];
        while let Some(ready_ns) = progress.ready_ns(now_ns) {
            if ready_ns > now_ns {
                if !progress.on_agenda {
                    progress.on_agenda = true;
                    self.agenda.push(Reverse((ready_ns, connection)));
                }
                return;
            }
            let request = progress.release(self.traffic, now_ns);
            progress.in_window.was_due |= self.window.contains(request.due_ns);
            self.recorder.began(now_ns);
            if now_ns < self.window.closes_ns {
                self.awaited += 1;
            }
            if self.open_loop {
                self.recorder.sent(request, now_ns - ready_ns);
            }
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

    /// The kernel did not take the last `bytes` of those that were said to be [`sent`](Self::sent).
    pub(super) fn not_sent(&mut self, connection: usize, bytes: usize) {
        self.connections[connection].outgoing.not_sent(self.traffic, bytes);
    }

    /// Checks and records what has come on a connection.
    pub(super) fn received(&mut self, connection: usize, piece: &[u8], now_ns: u64) -> Result<(), Loss> {
        let progress = &mut self.connections[connection];
        let received = progress.receive(self.traffic, piece)?;
        self.recorder.mismatches += received.mismatches;
        let mut service_ns = 0;
        for _ in 0..received.frames {
            let request = progress.in_flight.pop(now_ns);
            service_ns += now_ns - request.sent_ns;
            if request.sent_ns < self.window.closes_ns {
                self.awaited -= 1;
                progress.in_window.was_answered |= self.recorder.answered(request, now_ns);
            }
        }
        self.recorder.ended(received.frames, service_ns, now_ns);
        Ok(())
    }

    /// A connection has ended; told once for each. What was in flight will not be answered. `received_bytes`: what had come
    /// on it from the beginning on, as far as that is known.
    pub(super) fn lost(&mut self, connection: usize, loss: Loss, received_bytes: Option<u64>, now_ns: u64) {
        let progress = &mut self.connections[connection];
        progress.lost = true;
        let in_flight = progress.in_flight.len();
        let unanswered = progress.give_up_in_flight(self.window.closes_ns);
        self.recorder.never_answered(unanswered);
        self.recorder.given_up(in_flight, now_ns);
        self.awaited -= unanswered;
        self.alive -= 1;
        let answers = received_bytes.filter(|_| loss.is_the_servers()).map(|bytes| self.answers_in(bytes));
        self.recorder.losses.add(now_ns, answers);
        // After the window, a server may hang up on a connection that owes nothing.
        if now_ns < self.window.closes_ns || in_flight > 0 {
            let requests = if in_flight == 1 { "request" } else { "requests" };
            self.recorder.broke(now_ns, format!("{loss}, with {in_flight} {requests} in flight"));
        }
    }

    /// Whether everything that was sent before the window closed has been answered.
    pub(super) fn is_settled(&self, now_ns: u64) -> bool {
        now_ns >= self.window.closes_ns && self.awaited == 0
    }

    /// Whether there is nothing left to be done, or the time for it has passed.
    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        self.alive == 0 || now_ns >= self.window.gives_up_ns
    }

    /// Closes the window at `at_ns`, or now if that has passed; see [`Window::cut`].
    #[cold]
    pub(super) fn cut(&mut self, at_ns: u64, now_ns: u64) {
        self.window.cut(at_ns, now_ns);
        self.recorder.set_window(self.window);
    }

    /// When there was no load of this share any more: when its last connection was lost, or the window closed.
    pub(super) fn ended_ns(&self) -> u64 {
        let last_lost_ns = self.recorder.losses.last_ns().filter(|_| self.alive == 0);
        last_lost_ns.unwrap_or(u64::MAX).min(self.window.closes_ns)
    }

    /// Answers of which so many bytes have come, the one to the greeting included, which is as long.
    fn answers_in(&self, received_bytes: u64) -> u64 {
        received_bytes / self.traffic.frame_bytes() as u64
    }

    /// What the share has seen, with all that was not done counted as censored. No share had any load after `end_ns`: what
    /// would have been due later was not.
    pub(super) fn finish(mut self, end_ns: u64) -> Recorder {
        self.recorder.end_window(end_ns);
        self.recorder.never_answered(self.awaited);
        for connection in self.connections {
            if let Some(sent_ns) = connection.in_flight.oldest_sent_ns() {
                self.recorder.waited_since(sent_ns);
            }
            let never_sent = self.recorder.never_sent(connection.schedule);
            // In a closed loop there is always something to do.
            let was_due = !self.open_loop || connection.in_window.was_due || never_sent > 0;
            self.recorder.silent_connections += u64::from(was_due && !connection.in_window.was_answered);
        }
        self.recorder.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::{Arrivals, Engine};

    const CLOSES_NS: u64 = 1000;

    #[test]
    fn a_closed_loop_keeps_depth_requests_in_flight() {
        let (traffic, plan) = (traffic(), plan(2, Pace::Closed));
        let mut share = only_share(&plan, &traffic);
        share.release(0, 100);
        assert_eq!(share.unsent(0).len(), 2 * traffic.frame_bytes());
        let answer = send(&mut share, 0);
        share.received(0, &answer[..traffic.frame_bytes()], 150).unwrap();
        share.release(0, 150);
        assert_eq!(send(&mut share, 0).len(), traffic.frame_bytes());
        assert_eq!(share.next_due_ns(), None);
        let seen = share.finish(u64::MAX);
        assert_eq!((seen.latency.len(), seen.latency.max(), seen.send_lag.len(), seen.censored), (1, 50, 0, 2));
        assert_eq!((seen.due, seen.unanswered), (0, 2));
    }

    #[test]
    fn lateness_is_the_generators_only_while_there_is_room() {
        let (traffic, plan) = (traffic(), plan(1, every_100_ns()));
        let mut share = only_share(&plan, &traffic);
        // Due at 0, and sent by a generator that is 30 ns late.
        share.release(0, 30);
        let answer = send(&mut share, 0);
        // The next two fall due meanwhile; there is room only when the answer has come.
        assert_eq!(share.next_due_ns(), None);
        share.received(0, &answer, 250).unwrap();
        share.release(0, 250);
        let answer = send(&mut share, 0);
        assert_eq!(answer.len(), traffic.frame_bytes());
        share.received(0, &answer, 260).unwrap();
        let seen = share.finish(u64::MAX);
        assert_eq!((seen.send_lag.max(), seen.send_lag.min()), (30, 0));
        // Intended at 0 and at 100; sent at 30 and at 250.
        assert_eq!((seen.latency.max(), seen.latency.min()), (250, 160));
        let service = seen.service.unwrap();
        assert_eq!((service.max(), service.min()), (220, 10));
    }

    #[test]
    fn the_agenda_holds_what_is_to_be_sent_later() {
        let (traffic, plan) = (traffic(), plan(4, every_100_ns()));
        let mut share = only_share(&plan, &traffic);
        share.release(0, 0);
        assert_eq!(send(&mut share, 0).len(), traffic.frame_bytes());
        assert_eq!(share.next_due_ns(), Some(100));
        assert_eq!(share.take_due(99), None);
        // An answer, and with it a second look at the connection, makes no second entry.
        share.release(0, 99);
        assert_eq!(share.take_due(230), Some(0));
        assert_eq!(share.next_due_ns(), None);
        share.release(0, 230);
        assert_eq!(send(&mut share, 0).len(), 2 * traffic.frame_bytes());
        assert_eq!(share.next_due_ns(), Some(300));
    }

    #[test]
    fn what_is_sent_in_the_window_is_measured_whenever_its_answer_comes() {
        let (traffic, mut plan) = (traffic(), plan(1, Pace::Closed));
        plan.warmup = Duration::from_nanos(100);
        let mut share = only_share(&plan, &traffic);
        // Sent in the warm-up, in the window, and after it.
        for (sent_ns, answered_ns, awaited) in [(50, 150, 1), (150, 1500, 1), (1500, 1600, 0)] {
            share.release(0, sent_ns);
            assert_eq!(share.awaited, awaited);
            let answer = send(&mut share, 0);
            assert_eq!(answer.len(), traffic.frame_bytes());
            share.received(0, &answer, answered_ns).unwrap();
        }
        let seen = share.finish(u64::MAX);
        assert_eq!(seen.oldest_wait_ns, 0, "the one that was sent in the warm-up was answered in the window");
        assert_eq!((seen.latency.len(), seen.latency.max(), seen.censored), (1, 1350, 0));
        // One in flight all the time: 1350 ns measured, of which 400 were after the window, and 50 more in it.
        assert!((seen.in_flight_mean - 1.0).abs() < 1e-9 && (seen.in_flight_edges() + 0.35).abs() < 1e-9);
    }

    #[test]
    fn how_long_the_oldest_request_had_waited_at_the_end_of_the_window_is_known() {
        let traffic = traffic();
        let mut plan = LoadPlan { depth: 1, ..plan(1, Pace::Closed) };
        plan.warmup = Duration::from_nanos(200);
        // Sent in the warm-up, and answered after the window or never.
        for answered_ns in [Some(1500), None] {
            let mut share = only_share(&plan, &traffic);
            share.release(0, 100);
            let answer = send(&mut share, 0);
            if let Some(now_ns) = answered_ns {
                share.received(0, &answer, now_ns).unwrap();
            }
            let closes_ns = share.window().closes_ns;
            let seen = share.finish(u64::MAX);
            assert_eq!((seen.latency.len(), seen.oldest_wait_ns), (0, closes_ns - 100));
        }
    }

    #[test]
    fn after_the_window_the_load_goes_on_until_what_was_sent_in_it_is_answered() {
        let (traffic, plan) = (traffic(), LoadPlan { connections: 2, ..plan(1, Pace::Closed) });
        let mut share = only_share(&plan, &traffic);
        share.release(0, 0);
        let late = send(&mut share, 0);
        share.release(1, 0);
        for now_ns in [CLOSES_NS, CLOSES_NS + 10] {
            let answer = send(&mut share, 1);
            share.received(1, &answer, now_ns).unwrap();
            assert!(!share.is_settled(now_ns));
            share.release(1, now_ns);
            assert_eq!(share.unsent(1).len(), traffic.frame_bytes());
        }
        share.received(0, &late, CLOSES_NS + 20).unwrap();
        assert!(share.is_settled(CLOSES_NS + 20) && !share.is_over(CLOSES_NS + 20));
        let seen = share.finish(u64::MAX);
        assert_eq!((seen.latency.len(), seen.latency.max(), seen.censored), (2, CLOSES_NS + 20, 0));
    }

    #[test]
    fn what_was_due_in_the_window_and_sent_after_it_is_censored() {
        let (traffic, plan) = (traffic(), plan(16, every_100_ns()));
        let mut share = only_share(&plan, &traffic);
        share.release(0, 0);
        // The other nine, and one that was due after the window.
        share.release(0, CLOSES_NS);
        assert_eq!(send(&mut share, 0).len(), 11 * traffic.frame_bytes());
        let seen = share.finish(u64::MAX);
        assert_eq!((seen.due, seen.send_lag.len(), seen.censored), (10, 1, 10));
        // Of those, one was in flight in the window.
        assert_eq!(seen.unanswered, 1);
    }

    #[test]
    fn what_was_due_in_the_window_and_never_sent_is_censored() {
        let (traffic, mut plan) = (traffic(), plan(1, every_100_ns()));
        plan.warmup = Duration::from_nanos(200);
        let mut share = only_share(&plan, &traffic);
        share.release(0, 0);
        let answer = send(&mut share, 0);
        // Its room is used by one that was due in the warm-up, too.
        share.received(0, &answer, 400).unwrap();
        share.release(0, 400);
        let answer = send(&mut share, 0);
        share.received(0, &answer, 1300).unwrap();
        let seen = share.finish(u64::MAX);
        assert_eq!((seen.due, seen.latency.len(), seen.latency.max(), seen.censored), (10, 1, 1200, 10));
    }

    #[test]
    fn a_server_may_hang_up_on_a_connection_that_has_done_its_work() {
        let (traffic, plan) = (traffic(), LoadPlan { connections: 2, ..plan(1, Pace::Closed) });
        let mut share = only_share(&plan, &traffic);
        share.release(0, 0);
        share.lost(1, Loss::Closed, None, CLOSES_NS);
        assert!(!share.is_settled(CLOSES_NS) && !share.is_over(CLOSES_NS));
        share.lost(0, Loss::Closed, None, CLOSES_NS);
        assert!(share.is_settled(CLOSES_NS) && share.is_over(CLOSES_NS));
        let seen = share.finish(u64::MAX);
        assert_eq!((seen.errors, seen.censored, seen.unanswered), (1, 1, 1));
        let (at_ns, error) = seen.first_error.unwrap();
        assert_eq!(at_ns, CLOSES_NS);
        assert_eq!(error, "the server closed a connection, with 1 request in flight");
    }

    #[test]
    fn an_engine_that_leaves_connections_idle_breaks_littles_law() {
        let (traffic, plan) = (traffic(), plan(1, Pace::Closed));
        for (pause_ns, in_flight_mean) in [(0, 1.0), (50, 0.5)] {
            let mut share = only_share(&plan, &traffic);
            // Each answer takes 50 ns.
            for sent_ns in (0..CLOSES_NS).step_by(50 + pause_ns) {
                share.release(0, sent_ns);
                let answer = send(&mut share, 0);
                share.received(0, &answer, sent_ns + 50).unwrap();
            }
            let seen = share.finish(u64::MAX);
            assert!((seen.in_flight_mean - in_flight_mean).abs() < 1e-9, "{}", seen.in_flight_mean);
            let throughput_per_ns = seen.latency.len() as f64 / CLOSES_NS as f64;
            assert!((throughput_per_ns * seen.latency.mean() - in_flight_mean).abs() < 0.01);
        }
    }

    #[test]
    fn connections_that_should_have_been_measured_and_were_not_are_counted() {
        let (traffic, plan) = (traffic(), LoadPlan { connections: 3, ..plan(1, Pace::Closed) });
        let mut share = only_share(&plan, &traffic);
        (0..3).for_each(|connection| share.release(connection, 0));
        let answer = send(&mut share, 0);
        share.received(0, &answer, 10).unwrap();
        share.lost(1, Loss::Closed, None, 20);
        assert_eq!(share.finish(u64::MAX).silent_connections, 2);

        // Every 100 ns in turn, so that the last has its only request after the window.
        let plan = LoadPlan { connections: 11, ..super::tests::plan(1, every_100_ns()) };
        let mut share = only_share(&plan, &traffic);
        share.release(0, 0);
        let answer = send(&mut share, 0);
        share.received(0, &answer, 10).unwrap();
        // Of the others, nine had something to do.
        assert_eq!(share.finish(u64::MAX).silent_connections, 9);
    }

    #[test]
    fn what_is_lost_after_the_window_and_was_not_measured_is_not_censored() {
        let (traffic, plan) = (traffic(), plan(2, Pace::Closed));
        let mut share = only_share(&plan, &traffic);
        share.release(0, CLOSES_NS);
        share.lost(0, Loss::Closed, None, CLOSES_NS + 1);
        let seen = share.finish(u64::MAX);
        assert_eq!((seen.errors, seen.censored), (1, 0));
    }

    #[test]
    fn nothing_is_sent_any_more_on_a_lost_connection() {
        let (traffic, plan) = (traffic(), LoadPlan { connections: 2, ..plan(1, every_100_ns()) });
        let mut share = only_share(&plan, &traffic);
        share.release(1, 0);
        share.lost(1, Loss::Closed, None, 50);
        assert_eq!(share.take_due(100), Some(1));
        share.release(1, 100);
        assert!(share.is_settled(CLOSES_NS));
        let seen = share.finish(u64::MAX);
        assert_eq!((seen.send_lag.len(), seen.errors, seen.censored), (0, 1, 10));
    }

    #[test]
    fn where_all_connections_were_lost_there_is_no_window_any_more_and_nothing_is_due() {
        let (traffic, plan) = (traffic(), LoadPlan { connections: 2, ..plan(1, every_100_ns()) });
        let mut share = only_share(&plan, &traffic);
        share.release(0, 0);
        let answer = send(&mut share, 0);
        share.received(0, &answer, 50).unwrap();
        share.release(1, 100);
        share.lost(0, Loss::Closed, None, 150);
        assert_eq!(share.ended_ns(), CLOSES_NS);
        share.lost(1, Loss::Closed, None, 400);
        assert_eq!(share.ended_ns(), 400);
        let seen = share.finish(400);
        // Due at 0, 100, 200 and 300; of those one was answered, one in flight, and two were never sent.
        assert_eq!((seen.due, seen.latency.len(), seen.unanswered, seen.censored), (4, 1, 1, 3));
        // From 0 to 50, and from 100 to 400.
        assert!((seen.in_flight_mean - 350.0 / 400.0).abs() < 1e-9, "{}", seen.in_flight_mean);
        assert_eq!(seen.window().closes_ns, 400);
    }

    #[test]
    fn what_was_lost_in_the_warm_up_leaves_no_window() {
        let (traffic, mut plan) = (traffic(), plan(1, every_100_ns()));
        plan.warmup = Duration::from_nanos(500);
        let mut share = only_share(&plan, &traffic);
        share.release(0, 0);
        share.lost(0, Loss::Closed, None, 150);
        assert_eq!(share.ended_ns(), 150);
        let seen = share.finish(150);
        assert_eq!((seen.due, seen.window().opens_ns, seen.window().closes_ns), (0, 500, 500));
    }

    #[test]
    fn a_window_that_is_cut_short_measures_what_was_sent_before_its_end() {
        let (traffic, plan) = (traffic(), plan(1, Pace::Closed));
        let mut share = only_share(&plan, &traffic);
        // Every 100 ns, answered after 60; cut at 300, while the third is on its way.
        for sent_ns in [0, 100, 200] {
            share.release(0, sent_ns);
            let answer = send(&mut share, 0);
            if sent_ns == 200 {
                share.cut(240, 230);
                assert!(!share.is_settled(240));
            }
            share.received(0, &answer, sent_ns + 60).unwrap();
        }
        assert!(share.is_settled(260) && share.ended_ns() == 240);
        share.release(0, 260);
        let seen = share.finish(240);
        assert_eq!((seen.latency.len(), seen.censored, seen.unanswered), (3, 0, 0));
        // From 0 to 60, from 100 to 160 and from 200 to 240.
        assert!((seen.in_flight_mean - 160.0 / 240.0).abs() < 1e-9, "{}", seen.in_flight_mean);
    }

    #[test]
    fn answers_are_counted_as_the_server_sees_them() {
        let (short, empty) = (Traffic::new(64, 16), Traffic::new(0, 16));
        for (traffic, frame_bytes) in [(&short, 68), (&empty, 4)] {
            let plan = plan(1, Pace::Closed);
            let share = only_share(&plan, traffic);
            // The end of the stream counts as a byte.
            let of = |bytes| share.answers_in(bytes);
            assert_eq!([0, 1, frame_bytes, frame_bytes + 1].map(of), [0, 0, 1, 1]);
            assert_eq!([3 * frame_bytes - 1, 3 * frame_bytes, 3 * frame_bytes + 1].map(of), [2, 3, 3]);
        }
    }

    fn traffic() -> Traffic {
        Traffic::new(64, 16)
    }

    fn every_100_ns() -> Pace {
        Pace::Open { rate_rps: 1e7, arrivals: Arrivals::Constant }
    }

    /// One connection, and a window from the beginning on.
    fn plan(depth: usize, pace: Pace) -> LoadPlan {
        LoadPlan {
            target: ([127, 0, 0, 1], 0).into(),
            connections: 1,
            payload_bytes: 64,
            depth,
            pace,
            warmup: Duration::ZERO,
            duration: Duration::from_nanos(CLOSES_NS),
            threads: 1,
            cpus: Vec::new(),
            seed: 0,
            engine: Engine::Auto,
            idle_connections: 0,
        }
    }

    fn only_share<'t>(plan: &LoadPlan, traffic: &'t Traffic) -> Share<'t> {
        Share::deal(plan, Window::new(plan.warmup, plan.duration), traffic).remove(0)
    }

    /// Plays a kernel that takes everything, and says what it took.
    fn send(share: &mut Share<'_>, connection: usize) -> Vec<u8> {
        let mut sent = Vec::new();
        while let unsent @ [_, ..] = share.unsent(connection) {
            sent.extend_from_slice(unsent);
            share.sent(connection, unsent.len());
        }
        sent
    }
}
