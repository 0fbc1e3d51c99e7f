//! What one thread has seen; merged at the end.

use hdrhistogram::Histogram;

use super::in_flight::Request;
use super::losses::Losses;
use super::occupancy::Occupancy;
use super::schedule::Schedule;
use super::slices::Slices;
use super::window::Window;

/// One hour; what is longer is recorded as that.
const LONGEST_NS: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Counts and times of the requests that were sent in the window. What went wrong is counted from the first request
/// on, because no warm-up excuses it.
#[derive(Debug)]
pub(super) struct Recorder {
    window: Window,
    pub(super) latency: Histogram<u64>,
    /// None in a closed loop, where it would be the same as the latency.
    pub(super) service: Option<Histogram<u64>>,
    pub(super) send_lag: Histogram<u64>,
    /// Requests due in the window; always 0 in a closed loop.
    pub(super) due: u64,
    pub(super) mismatches: u64,
    pub(super) censored: u64,
    /// Those of the censored ones that were in flight in the window.
    pub(super) unanswered: u64,
    pub(super) errors: u64,
    /// With its time.
    pub(super) first_error: Option<(u64, String)>,
    /// All answers that came in the window.
    pub(super) slices: Slices,
    pub(super) in_flight_mean: f64,
    /// Time that requests sent before the window spent in it, of all of them together,
    before_window_ns: u64,
    /// and that requests sent in the window spent after it.
    after_window_ns: u64,
    /// Connections that had something to do in the window, and no answer to it.
    pub(super) silent_connections: u64,
    pub(super) losses: Losses,
    /// How long the oldest of the requests that were in flight when the window closed had waited by then, of those that were
    /// sent before it or never answered.
    pub(super) oldest_wait_ns: u64,
    /// Of all requests, those of the warm-up included, while the run goes on.
    occupancy: Occupancy,
}

impl Recorder {
    pub(super) fn new(window: Window, open_loop: bool) -> Self {
        Self {
            window,
            latency: histogram(),
            service: open_loop.then(histogram),
            send_lag: histogram(),
            due: 0,
            mismatches: 0,
            censored: 0,
            unanswered: 0,
            errors: 0,
            first_error: None,
            slices: Slices::new(window),
            in_flight_mean: 0.0,
            before_window_ns: 0,
            after_window_ns: 0,
            silent_connections: 0,
            losses: Losses::default(),
            oldest_wait_ns: 0,
            occupancy: Occupancy::new(window),
        }
    }

    /// A request was sent. Said in every loop.
    pub(super) fn began(&mut self, now_ns: u64) {
        self.occupancy.began(now_ns);
    }

    /// That many requests of a connection are in flight no more, because they were answered; so long after they were sent,
    /// all of them together.
    pub(super) fn ended(&mut self, answers: usize, service_ns: u64, now_ns: u64) {
        self.slices.add(answers as u64, service_ns, now_ns);
        self.occupancy.ended(answers, now_ns);
    }

    /// That many requests of a connection are in flight no more, because it was lost.
    pub(super) fn given_up(&mut self, requests: usize, now_ns: u64) {
        self.occupancy.ended(requests, now_ns);
    }

    /// A request was sent, this long after it was due and had room. Said in an open loop only.
    pub(super) fn sent(&mut self, request: Request, lag_ns: u64) {
        if self.window.contains(request.due_ns) {
            self.due += 1;
        }
        if self.window.contains(request.sent_ns) {
            self.send_lag.saturating_record(lag_ns);
        } else if request.due_ns < self.window.closes_ns && self.window.closes_ns <= request.sent_ns {
            // Too late to be measured, but it should have been.
            self.censored += 1;
        }
    }

    /// An answer to a request that was sent before the end of the window, and whether it is measured.
    pub(super) fn answered(&mut self, request: Request, now_ns: u64) -> bool {
        if !self.window.contains(request.sent_ns) {
            self.before_window_ns += now_ns.min(self.window.closes_ns).saturating_sub(self.window.opens_ns);
            if now_ns > self.window.closes_ns {
                self.waited_since(request.sent_ns);
            }
            return false;
        }
        self.after_window_ns += now_ns.saturating_sub(self.window.closes_ns);
        self.latency.saturating_record(now_ns - request.due_ns);
        if let Some(service) = &mut self.service {
            service.saturating_record(now_ns - request.sent_ns);
        }
        true
    }

    /// A request that was sent then was in flight when the window closed.
    pub(super) fn waited_since(&mut self, sent_ns: u64) {
        self.oldest_wait_ns = self.oldest_wait_ns.max(self.window.closes_ns.saturating_sub(sent_ns));
    }

    /// These are still due, and will never be sent: how many of them in the window.
    pub(super) fn never_sent(&mut self, schedule: Schedule) -> u64 {
        let before_close = schedule.clone().count_before(self.window.closes_ns);
        let in_window = before_close - schedule.count_before(self.window.opens_ns);
        self.due += in_window;
        self.censored += before_close;
        in_window
    }

    /// The window closes earlier than it was to.
    pub(super) fn set_window(&mut self, window: Window) {
        self.window = window;
        self.occupancy.set_window(window);
    }

    /// There was no load after `end_ns`, and so there is no window.
    pub(super) fn end_window(&mut self, end_ns: u64) {
        let Window { opens_ns, closes_ns, .. } = self.window;
        self.set_window(Window { closes_ns: end_ns.clamp(opens_ns, closes_ns), ..self.window });
    }

    /// The window as it was in the end.
    pub(super) fn window(&self) -> Window {
        self.window
    }

    /// The run is over.
    pub(super) fn finish(mut self) -> Self {
        self.in_flight_mean = self.occupancy.clone().mean();
        self
    }

    /// That many requests were sent before the end of the window, and will not be answered.
    pub(super) fn never_answered(&mut self, requests: usize) {
        self.unanswered += requests as u64;
        self.censored += requests as u64;
    }

    pub(super) fn broke(&mut self, now_ns: u64, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert((now_ns, error));
    }

    /// What is to be added to the time of all measured requests for the time that requests were in flight in the window,
    /// as requests in flight on average.
    pub(super) fn in_flight_edges(&self) -> f64 {
        let length_ns = (self.window.closes_ns - self.window.opens_ns).max(1);
        (self.before_window_ns as f64 - self.after_window_ns as f64) / length_ns as f64
    }

    /// What two threads have seen together.
    pub(super) fn merge(mut self, other: Self) -> Self {
        add(&mut self.latency, &other.latency);
        if let (Some(service), Some(others)) = (&mut self.service, &other.service) {
            add(service, others);
        }
        add(&mut self.send_lag, &other.send_lag);
        self.due += other.due;
        self.mismatches += other.mismatches;
        self.censored += other.censored;
        self.unanswered += other.unanswered;
        self.errors += other.errors;
        self.slices.merge(&other.slices);
        self.in_flight_mean += other.in_flight_mean;
        self.before_window_ns += other.before_window_ns;
        self.after_window_ns += other.after_window_ns;
        self.silent_connections += other.silent_connections;
        self.losses.merge(other.losses);
        self.oldest_wait_ns = self.oldest_wait_ns.max(other.oldest_wait_ns);
        self.first_error = [self.first_error, other.first_error].into_iter().flatten().min();
        self
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, SIGNIFICANT_DIGITS).expect("the bounds are constant and valid")
}

fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    sum.add(other).expect("all histograms have the same bounds");
}
