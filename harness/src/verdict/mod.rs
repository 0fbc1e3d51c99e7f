//! Whether a trial may be believed, and what kept its throughput from being higher.
//!
//! A pure function of numbers: every fault that it knows can be handed to it in a test. What is unknown is no reason.

mod answers;
mod bottleneck;
mod floor;
mod generator;
mod lateness;
mod limits;
mod loopback;
mod losses;
mod machine;
mod short;
mod spread;
mod steadiness;
#[cfg(test)]
mod tests;

use crate::interference::Interference;
use crate::load::{LoadOutcome, Pace};
use crate::plan::Cell;
use crate::results::{Bottleneck, Measured, Verdict};

pub(crate) use floor::doubt_below;
pub(crate) use generator::BUSY_GENERATOR;
pub(crate) use lateness::{LATE_GENERATOR, LATE_TIMERS};
pub(crate) use losses::closing;

/// What is known of a trial that has a measurement.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Evidence {
    /// Requests sent in the window that were answered.
    pub requests: u64,
    /// Connections that broke.
    pub errors: u64,
    /// How the first of them broke.
    pub first_error: Option<String>,
    /// The time of the window in which connections were lost already, as a share of the time of all of them; `None` where
    /// that is not known.
    pub lost_share: Option<f64>,
    /// Answers after which the server closes connections, where nearly all of those that were lost agree on that.
    pub closed_after: Option<u64>,
    /// Whether the run was requested to end before all was measured that was to be.
    pub cut_short: bool,
    /// Answers that differed from what was sent.
    pub mismatches: u64,
    /// Requests not sent in time or never answered.
    pub censored: u64,
    /// Those of them that were sent before the end of the window, and never answered.
    pub unanswered: u64,
    /// Requests that were due in the window; `None` in a closed loop.
    pub due: Option<u64>,
    /// Requests a second that were asked for; `None` in a closed loop.
    pub rate_rps: Option<f64>,
    /// How long the oldest request had waited when the window closed, of those that were sent before it opened or never
    /// answered; `None` where that is not known.
    pub oldest_wait_ns: Option<u64>,
    /// Connections that were asked for.
    pub connections: usize,
    /// Those of them that had something to do in the window, and no answer to it.
    pub silent_connections: Option<u64>,
    /// Requests that should always have been in flight; `None` in an open loop.
    pub asked_in_flight: Option<f64>,
    /// Requests in flight, on average over the window.
    pub in_flight_mean: Option<f64>,
    /// What the edges of the window contribute to it.
    pub in_flight_edges: Option<f64>,
    /// Length of the window.
    pub elapsed_ns: u64,
    /// Answers that came in each of equally long parts of the window.
    pub slices: Vec<u64>,
    /// Their mean service time in each of them; 0 where there were none.
    pub slice_service_ns: Vec<u64>,
    /// The highest percentile of the latency that a trial has to carry by itself.
    pub latency_p99_ns: u64,
    /// The average service time.
    pub service_mean_ns: u64,
    /// The median service time.
    pub service_p50_ns: u64,
    /// How late the generator was with all but one in a hundred requests.
    pub send_lag_p99_ns: u64,
    /// How late nine in ten wake-ups by the machine's timers were at most, before the load.
    pub timers_p90_ns: Option<u64>,
    /// CPU time of the load generator for a request.
    pub client_cpu_ns_per_request: Option<f64>,
    /// The shortest time that the clock can tell.
    pub clock_step_ns: Option<u64>,
    /// By how much the CPU time of the server may be off on each of its CPUs.
    pub cpu_clock_step_ns: Option<u64>,
    /// How long after the window the last reading of the server was taken.
    pub readings_late_ns: Option<u64>,
    /// Share of its CPU time that the server used; `None` where it cannot be seen.
    pub server_utilisation: Option<f64>,
    /// Share of its time that the busiest thread of the server was running; `None` where it cannot be seen.
    pub server_busiest_thread: Option<f64>,
    /// Share of its time that the busiest thread of the load generator was running.
    pub client_utilisation: f64,
    /// Whether both sides had to share a CPU.
    pub cpus_shared: bool,
    /// Whether the server chose to run on other CPUs than those given to it.
    pub server_left_its_cpus: bool,
    /// What the machine did to both sides.
    pub interference: Interference,
    /// Connections that each thread of the server served; empty where that is unknown, or not how it works.
    pub connections_per_thread: Vec<u64>,
    /// Whether these threads accept from one listener.
    pub listener_is_shared: bool,
}

impl Evidence {
    /// What a measurement of `cell` by itself says; it does not know what was due, how the run ended, nor who used which
    /// CPUs.
    #[must_use]
    pub fn of(measured: &Measured, cell: &Cell) -> Self {
        Self {
            requests: measured.requests,
            errors: measured.errors,
            first_error: None,
            lost_share: measured.lost_share,
            closed_after: None,
            cut_short: false,
            mismatches: measured.mismatches,
            censored: measured.censored,
            // Older files do not tell them apart.
            unanswered: measured.unanswered.unwrap_or(measured.censored),
            due: None,
            rate_rps: cell.rate_rps,
            oldest_wait_ns: None,
            connections: cell.connections,
            silent_connections: measured.silent_connections,
            asked_in_flight: (cell.pace() == Pace::Closed).then_some(cell.connections as f64 * cell.depth as f64),
            in_flight_mean: measured.in_flight_mean,
            in_flight_edges: measured.in_flight_edges,
            elapsed_ns: measured.elapsed_ns,
            slices: measured.slices.clone(),
            slice_service_ns: measured.slice_service_ns.clone(),
            latency_p99_ns: measured.latency_ns.p99,
            service_mean_ns: measured.service_ns.mean,
            service_p50_ns: measured.service_ns.p50,
            send_lag_p99_ns: measured.send_lag_ns.p99,
            timers_p90_ns: measured.client.timers.map(|timers| timers.p90_ns),
            client_cpu_ns_per_request: measured.client.cpu_ns_per_request,
            clock_step_ns: measured.client.clock_step_ns,
            cpu_clock_step_ns: measured.server.as_ref().and_then(|server| server.cpu_clock_step_ns),
            readings_late_ns: measured.server.as_ref().and_then(|server| server.readings_late_ns),
            server_utilisation: measured.server.as_ref().and_then(|server| server.utilisation),
            server_busiest_thread: measured.server.as_ref().and_then(|server| server.busiest_thread),
            client_utilisation: measured.client.utilisation,
            cpus_shared: false,
            server_left_its_cpus: false,
            interference: (*measured.interference).clone(),
            connections_per_thread: measured
                .server
                .as_ref()
                .and_then(|server| server.connections_per_thread.clone())
                .unwrap_or_default(),
            listener_is_shared: measured.server.as_ref().is_some_and(|server| {
                server.receipt.get("spread").is_some_and(|spread| spread == backends::SHARED_LISTENER)
            }),
        }
    }

    /// With what the record of a load does not keep.
    #[must_use]
    pub fn with_end(self, end: &LoadEnd) -> Self {
        let LoadEnd { first_error, closed_after, cut_short, due, oldest_wait_ns } = end.clone();
        Self { first_error, closed_after, cut_short, due, oldest_wait_ns, ..self }
    }

    /// Answers a second.
    fn throughput_rps(&self) -> f64 {
        self.requests as f64 * 1e9 / self.elapsed_ns.max(1) as f64
    }
}

/// What a load says of itself that its record does not keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadEnd {
    first_error: Option<String>,
    closed_after: Option<u64>,
    cut_short: bool,
    due: Option<u64>,
    oldest_wait_ns: Option<u64>,
}

impl LoadEnd {
    /// Of a load that has ended.
    #[must_use]
    pub fn of(load: &LoadOutcome) -> Self {
        Self {
            first_error: load.first_error.clone(),
            closed_after: load.closed_after,
            cut_short: load.cut_short,
            due: load.due,
            oldest_wait_ns: u64::try_from(load.oldest_wait.as_nanos()).ok(),
        }
    }
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the trial may be believed.
    pub verdict: Verdict,
    /// Why not; empty where it may. Figures that differ from trial to trial stand in the record beside them, so that
    /// equal reasons read equal.
    pub reasons: Vec<String>,
    /// What kept throughput from being higher; `None` where that cannot be known.
    pub bottleneck: Option<Bottleneck>,
}

/// Judges a trial.
#[must_use]
pub fn judge(evidence: &Evidence) -> Judgement {
    let invalid = [losses::reasons_against(evidence), answers::reasons_against(evidence)].concat();
    let mut suspect = Vec::new();
    // Without an answer, nothing else says anything.
    if evidence.requests > 0 {
        suspect.extend(generator::reasons_to_doubt(evidence));
        suspect.extend(steadiness::reason_to_doubt(evidence));
        suspect.extend(machine::reasons_to_doubt(evidence));
        suspect.extend(limits::reasons_to_doubt(evidence));
        suspect.extend(loopback::reason_to_doubt(evidence));
        suspect.extend(spread::reason_to_doubt(evidence));
        suspect.extend(short::reasons_to_doubt(evidence));
    }
    let suspect = [losses::reasons_to_doubt(evidence), answers::reasons_to_doubt(evidence), suspect].concat();
    let verdict = match (invalid.is_empty(), suspect.is_empty()) {
        (false, _) => Verdict::Invalid,
        (true, false) => Verdict::Suspect,
        (true, true) => Verdict::Valid,
    };
    Judgement { verdict, reasons: [invalid, suspect].concat(), bottleneck: bottleneck::of(evidence) }
}

/// What the machine did to a trial, whatever came of it; neither server nor load generator is the cause of any of it.
#[must_use]
pub fn disturbances(measured: &Measured, cell: &Cell) -> Vec<String> {
    let evidence = Evidence::of(measured, cell);
    [machine::reasons_to_doubt(&evidence), limits::reasons_to_doubt(&evidence)].concat()
}

/// A side is busy from here on. Not 1: the last tenth goes to whatever else needs a CPU, and queues are long before.
const BUSY: f64 = 0.9;

/// Answers to requests that were due, from which on the asked rate was met. Not 1: what falls due just before the end of
/// the window may be sent just after it.
const RATE_MET: f64 = 0.995;

/// Whether an open loop met its rate: the one rule of verdicts, bottlenecks, statistics and charts.
///
/// Whoever was to blame, what was due and had no answer was missed. Requests that fell due before the window and were caught
/// up with in it make up for none of those: counting them would hide a server that stands still at its end.
pub(crate) fn is_rate_met(requests: u64, censored: u64) -> bool {
    requests as f64 >= RATE_MET * requests.saturating_add(censored) as f64
}

fn rate_met(evidence: &Evidence) -> bool {
    evidence.due.is_some() && is_rate_met(evidence.requests, evidence.censored)
}
