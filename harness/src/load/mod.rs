//! The load generator: sends requests to one address, checks every answer byte for byte, and times it.
//!
//! It never knows what kind of server is at the other end. Measuring is split in time: all connections are opened and
//! answered once, they carry load for the warm-up, then follows the *window*, which is as long as was planned unless all
//! connections are lost, or the run is requested to end, before. A
//! request is *measured* if it was sent in the window, whenever its answer comes. After the window the load goes on,
//! unrecorded, until every measured request has its answer: a stall at the end is seen in its full length, and what is
//! late is served under the load that it was sent under. So nothing is cut off, and nothing is diluted by a time in
//! which little was asked.
//!
//! An engine (`epoll`, `io_uring`) moves bytes between sockets and a `share` of the load. What a share is made of, `traffic`,
//! `schedule`, `connection` and `recorder`, knows neither system calls nor the clock.

mod clock;
mod clock_step;
mod connect;
mod connection;
mod cpu_meter;
mod due;
mod engine;
mod epoll;
mod error;
mod greet;
mod idle;
mod in_flight;
mod io_uring;
mod losses;
mod occupancy;
mod received;
mod recorder;
pub mod rehearsal;
mod run;
mod schedule;
mod share;
mod slices;
mod source;
mod timer;
mod timers;
mod traffic;
mod visits;
mod window;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use hdrhistogram::Histogram;

pub use due::check_due;
pub(crate) use due::none_due;
pub use engine::Engine;
pub use error::LoadError;
pub use run::{run, run_until_cancelled};
pub use timers::TimerLateness;
pub use visits::{Visitor, Visits};

/// What to send, where, how fast and for how long.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// The server. Only loopback addresses are accepted.
    pub target: SocketAddr,
    /// Connections open at once, at least one; dealt out to the threads in turn.
    pub connections: usize,
    /// Payload of each frame, at most [`MAX_PAYLOAD_BYTES`](Self::MAX_PAYLOAD_BYTES); the header of 4 bytes comes on
    /// top.
    pub payload_bytes: u32,
    /// Requests that one connection may have in flight, 1 to [`MAX_DEPTH`](Self::MAX_DEPTH).
    pub depth: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// Load before the window, on the same connections.
    pub warmup: Duration,
    /// Length of the window, not counting the load that goes on while the last answers are awaited.
    pub duration: Duration,
    /// Generator threads, at least one and at most one per connection.
    pub threads: usize,
    /// The CPUs that the generator's threads may run on; thread `i` is pinned to the `i`-th of them, in turn.
    /// Empty: wherever the scheduler puts them.
    pub cpus: Vec<usize>,
    /// Decides the arrival times of [`Arrivals::Poisson`].
    pub seed: u64,
    /// The interface to do I/O with.
    pub engine: Engine,
    /// Connections open besides those, from before the warm-up to the end, on which nothing is ever sent.
    pub idle_connections: usize,
}

impl LoadPlan {
    /// More payload than this would need too much memory.
    pub const MAX_PAYLOAD_BYTES: u32 = 256 * 1024 * 1024;
    /// More requests in flight than this measure nothing but queues.
    pub const MAX_DEPTH: usize = 64 * 1024;
    /// More requests a second than this are beyond any generator.
    pub const MAX_RATE_RPS: f64 = 1e7;

    fn check(&self) -> Result<(), LoadError> {
        let refuse = |reason: String| Err(LoadError::Plan(reason));
        if !self.target.ip().is_loopback() {
            return Err(LoadError::NotLoopback { target: self.target });
        }
        if self.connections == 0 {
            return refuse("no connections: ask for at least one".into());
        }
        if self.threads == 0 || self.threads > self.connections {
            let Self { threads, connections, .. } = self;
            let (threads, most) =
                (crate::figures::counted(*threads, "thread"), crate::figures::counted(*connections, "connection"));
            return refuse(format!("{threads} for {most}: ask for 1 to {connections}"));
        }
        if self.payload_bytes > Self::MAX_PAYLOAD_BYTES {
            return refuse(format!("a payload of more than {} bytes: ask for less", Self::MAX_PAYLOAD_BYTES));
        }
        if self.depth == 0 || self.depth > Self::MAX_DEPTH {
            return refuse(format!("a depth of {}: ask for 1 to {}", self.depth, Self::MAX_DEPTH));
        }
        if self.duration.is_zero() {
            return refuse("a window of no duration: ask for more".into());
        }
        match self.pace {
            Pace::Open { rate_rps, .. } if !(rate_rps > 0.0 && rate_rps <= Self::MAX_RATE_RPS) => {
                refuse(format!("a rate of {rate_rps}: ask for more than 0 and at most {}", Self::MAX_RATE_RPS))
            }
            _ => Ok(()),
        }
    }
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Closed loop: the next request leaves when an answer has come, `depth` of them always in flight.
    Closed,
    /// Open loop: requests have intended times, fixed beforehand, whatever the server does.
    Open {
        /// Requests a second over all connections; more than 0, at most [`LoadPlan::MAX_RATE_RPS`].
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
/// `requests`, `latency` and `service` belong together: every request that was sent in the window and answered, even
/// after it, is in all three.
#[derive(Debug)]
pub struct LoadOutcome {
    /// Requests sent in the window that were answered.
    pub requests: u64,
    /// Length of the window: as planned, unless the last connection was lost or the run was requested to end before its end.
    /// There was no load after that, and all rates are over the time that there was. Zero where that was in the warm-up.
    pub elapsed: Duration,
    /// Requests that were due in the window, as its schedule had them; a Poisson process draws more or fewer of them
    /// than rate × duration. None in a closed loop, where nothing is due.
    pub due: Option<u64>,
    /// Intended send time to done, in ns. In a closed loop the intended time is the send time: service time.
    pub latency: Histogram<u64>,
    /// Actual send to done, in ns.
    pub service: Histogram<u64>,
    /// How late the generator was with the requests that it sent in the window, in ns: from the moment at which one
    /// was due and its connection had room for it, to its sending. Empty in a closed loop.
    pub send_lag: Histogram<u64>,
    /// Connections that broke: reset, closed by the server while they were still in use, or sent more than was asked
    /// for. Never re-opened; in an open loop, all requests that they should still have sent are censored.
    pub errors: u64,
    /// The first error, for people.
    pub first_error: Option<String>,
    /// Answers that differed from what was sent, during the warm-up or after it.
    pub mismatches: u64,
    /// Requests sent in the window and not answered within the grace period, and those due before its end that were
    /// not sent by then.
    pub censored: u64,
    /// What the generator itself cost.
    pub client: ClientCost,
    /// The connections that are still open. Whoever closes first keeps an address and a port in `TIME_WAIT` for a minute:
    /// a client as many ports as it had connections, until none is left to listen on; a server the one that it had.
    /// So they are best kept until the server has ended.
    pub connections: Vec<OwnedFd>,
    /// Answers that came in each of equally long parts of the window as it was planned, whenever their requests were sent:
    /// of those parts that were over when it ended.
    pub slices: Vec<u64>,
    /// Requests in flight, on average over the window; counted by themselves, and not from their service times.
    pub in_flight_mean: f64,
    /// What the edges of the window contribute to it: requests that were sent before it, while they were in flight in it,
    /// less those that were sent in it, while they were in flight after it.
    pub in_flight_edges: f64,
    /// Connections with nothing in the histograms, although requests were due on them in the window.
    pub silent_connections: u64,
    /// Requests sent before the end of the window and not answered within the grace period: those of the censored ones
    /// that were in flight in the window, and have no service time.
    pub unanswered: u64,
    /// The mean service time of the answers in each of the slices, in ns; 0 where there were none.
    pub slice_service_ns: Vec<u64>,
    /// Idle connections that were not open any more at the end, or on which something had come.
    pub idle_lost: u64,
    /// The time of the window in which connections were lost already, as a share of the time of all of them.
    pub lost_share: f64,
    /// Answers after which the server closes connections, where nearly all of those that were lost agree on that; the one to
    /// the harness' own greeting counts.
    pub closed_after: Option<u64>,
    /// Whether the run was requested to end before all was measured that was to be.
    pub cut_short: bool,
    /// How long the oldest request had waited when the window closed, of those that were sent before it opened or never
    /// answered; zero where there are none.
    pub oldest_wait: Duration,
}

/// What the generator itself cost.
#[derive(Clone, Debug)]
pub struct ClientCost {
    /// The interface used for I/O.
    pub engine: &'static str,
    /// Why it is not the one that is preferred where the choice is free.
    pub engine_because: Option<String>,
    /// Generator threads.
    pub threads: usize,
    /// CPU time of all of them in the window.
    pub cpu: Duration,
    /// Share of the window in which the busiest of them was running, 0 to 1.
    pub utilisation: f64,
    /// Times in the window that one of them was made to wait for a CPU by another thread; `None` where the kernel does not say.
    pub involuntary_switches: Option<u64>,
    /// Share of the window in which the one that was kept waiting most could have run and had no CPU, 0 to 1; `None` where
    /// the kernel does not say.
    pub waited: Option<f64>,
    /// The shortest time that its clock can tell.
    pub clock_step_ns: u64,
    /// How late the machine's timers were before the load, on the CPU of the first thread; `None` in a closed loop.
    pub timers: Option<TimerLateness>,
}

/// Told when the window opens and when it closes, on the thread that called [`run`], which may get a CPU a little late.
/// The load goes on both times, so that a look at the server sees the same work at both ends, and neither the opening
/// of the connections nor their closing. A run that fails or is cancelled in the window does not close it.
pub trait Observer {
    /// `open` of the idle connections are open: first none, in the end `all`. An error ends the run, as
    /// [`LoadError::Idle`]. Not called where there are to be none.
    fn idle_connections(&mut self, _open: usize, _all: usize) -> Result<(), String> {
        Ok(())
    }
    /// The load begins, and the window will close at that time of the kernel's monotonic clock.
    fn window_closes_at(&mut self, _monotonic_ns: u64) {}
    /// The warm-up is over; what is sent from now on is measured.
    fn window_opens(&mut self) {}
    /// What is sent from now on is not measured any more, or all connections are lost.
    fn window_closed(&mut self) {}
}

/// An observer that does not look.
impl Observer for () {}
