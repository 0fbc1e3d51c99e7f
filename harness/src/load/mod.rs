//! The load generator: sends requests to one address, checks every answer byte for byte, and times it.
//!
//! It never knows what kind of server is at the other end. Measuring is split in time: all connections are opened,
//! they carry load for the warm-up, and from then on (the *window*) every answer is recorded. When the planned
//! duration has passed no new request is sent, but those in flight are awaited, so that a stall at the end is seen
//! in its full length.

use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;

/// What to send, where, how fast and for how long.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// The server. Only loopback addresses are accepted.
    pub target: SocketAddr,
    /// Connections open at once, at least one; spread over the threads.
    pub connections: usize,
    /// Payload of each frame; the header of 4 bytes comes on top.
    pub payload_bytes: u32,
    /// Requests that one connection may have in flight, at least one.
    pub depth: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// Load before the window, on the same connections.
    pub warmup: Duration,
    /// Length of the window, not counting the wait for the last answers.
    pub duration: Duration,
    /// Generator threads, at least one and at most one per connection.
    pub threads: usize,
    /// The CPUs that the generator's threads may run on; thread `i` is pinned to the `i`-th of them, in turn.
    /// Empty: wherever the scheduler puts them.
    pub cpus: Vec<usize>,
    /// Decides the arrival times of [`Arrivals::Poisson`].
    pub seed: u64,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Closed loop: the next request leaves when an answer has come, `depth` of them always in flight.
    Closed,
    /// Open loop: requests have intended times, fixed beforehand, whatever the server does.
    Open {
        /// Requests a second over all connections; positive and finite.
        rate_rps: f64,
        /// How the intended times are spaced.
        arrivals: Arrivals,
    },
}

/// How the intended send times of an open loop are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// A Poisson process: independent, exponentially distributed gaps.
    Poisson,
}

/// What was measured.
///
/// `requests`, `latency` and `elapsed` belong together: every answer that came after the window opened is in all
/// three, and `elapsed` ends with the last of them (at least `duration`).
#[derive(Clone, Debug)]
pub struct LoadOutcome {
    /// Answers that came in the window and while awaiting the last ones.
    pub requests: u64,
    /// From the opening of the window to its end or the last answer, whichever is later.
    pub elapsed: Duration,
    /// Intended send time to done, in ns. In a closed loop the intended time is the send time: service time.
    pub latency: Histogram<u64>,
    /// Actual send to done, in ns.
    pub service: Histogram<u64>,
    /// How late the generator was, in ns: from the moment at which a request was due and its connection had room
    /// for it, to its sending. Empty in a closed loop.
    pub send_lag: Histogram<u64>,
    /// Connections that broke: refused, reset, closed or timed out. Never re-opened.
    pub errors: u64,
    /// The first error, for people.
    pub first_error: Option<String>,
    /// Answers that differed from what was sent.
    pub mismatches: u64,
    /// Requests due before the end of the window that were never sent, or never answered within the grace period.
    pub censored: u64,
    /// What the generator itself cost.
    pub client: ClientCost,
}

/// What the generator itself cost, from the opening of the window to the end.
#[derive(Clone, Debug)]
pub struct ClientCost {
    /// The interface used for I/O.
    pub engine: &'static str,
    /// Generator threads.
    pub threads: usize,
    /// CPU time of all of them.
    pub cpu: Duration,
    /// Share of the time that the busiest of them was running, 0 to 1.
    pub utilisation: f64,
}

/// Told when the window opens and when it is over, on the thread that called [`run`].
pub trait Observer {
    /// The warm-up is over; what is counted from now on belongs to the window.
    fn window_opens(&mut self) {}
    /// The last answer has come or has been given up.
    fn window_closed(&mut self) {}
}

/// An observer that does not look.
impl Observer for () {}
