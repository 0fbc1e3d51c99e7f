//! What a search came to, as it is printed.

use serde::Serialize;

use super::search::Estimate;
use crate::results::{Measured, per};
use crate::slo::Slo;
use crate::statistics::{OfTrials, Percentile, percentile_of_trial};

/// What is known of the capacity of one backend.
#[derive(Clone, Debug, Serialize)]
pub struct BackendCapacity {
    /// Which.
    pub backend: String,
    /// Under which goal.
    pub slo: Slo,
    /// The median of the estimates; `None` where the load generator, or nothing, was the limit.
    pub capacity_rps: Option<f64>,
    /// The lower end of the interval: it sustains at least this.
    pub low_rps: Option<f64>,
    /// The upper end; `None` where the load generator was the limit.
    pub high_rps: Option<f64>,
    /// The probability with which both ends enclose the capacity; `None` where there is no interval.
    pub confidence: Option<f64>,
    /// One of each repeat.
    pub estimates: Vec<EstimateRecord>,
    /// What kept the rate from being higher; `None` where that is not known.
    pub limited_by: Option<LimitedBy>,
    /// Trials that were made.
    pub trials: usize,
    /// Those of them that met the goal and are suspect all the same, of which the machine is not the reason.
    pub suspect: usize,
    /// What the server did near this rate, while it met the goal.
    pub when_met: Option<WhenMet>,
    /// Why not to take it at face value.
    pub reasons: Vec<String>,
}

/// What one repeat of the search came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EstimateRecord {
    /// Between the two that follow.
    pub rps: Option<f64>,
    /// The highest rate that met the goal.
    pub met_rps: f64,
    /// The lowest that missed it; `None` where the load generator was the limit.
    pub missed_rps: Option<f64>,
}

/// What kept the rate from being higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum LimitedBy {
    /// The goal: beyond its capacity the server misses it.
    #[serde(rename = "slo")]
    Slo,
    /// The load generator: what the server would have done at a higher rate cannot be told.
    #[serde(rename = "generator")]
    Generator,
    /// The lowest rate that could be tried was too much.
    #[serde(rename = "not met at any rate tried")]
    NotMet,
}

/// What a server did in those trials within the interval that met the goal: trials that missed it are not in it, so it
/// is better than what the server does at that rate always.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhenMet {
    /// From the intended time to the answer, the median of the trials' own; `None` where there are too few answers, or it lies
    /// among requests without one.
    pub latency_p50_ns: Option<u64>,
    /// The same.
    pub latency_p99_ns: Option<u64>,
    /// CPU time of the server for one answer.
    pub server_cpu_ns_per_request: Option<f64>,
    /// Mean share of its CPU time that it used.
    pub server_utilisation: Option<f64>,
}

impl EstimateRecord {
    pub(super) fn of(estimate: &Estimate) -> Self {
        Self { rps: estimate.rps(), met_rps: estimate.met_rps, missed_rps: estimate.missed_rps }
    }
}

/// What is kept of a trial that met the goal.
#[derive(Debug)]
pub(super) struct MetTrial {
    rate_rps: f64,
    p50_ns: Option<f64>,
    p99_ns: Option<f64>,
    requests: u64,
    server_cpu_ns: Option<u64>,
    server_utilisation: Option<f64>,
}

impl MetTrial {
    /// `unanswered`: requests that were held against the goal.
    pub(super) fn new(rate_rps: f64, measured: &Measured, unanswered: u64) -> Self {
        let server = measured.server.as_ref();
        Self {
            rate_rps,
            p50_ns: percentile_of_trial(&measured.latency_hdr.0, unanswered, Percentile::P50),
            p99_ns: percentile_of_trial(&measured.latency_hdr.0, unanswered, Percentile::P99),
            requests: measured.requests,
            server_cpu_ns: server.and_then(|server| server.cpu_ns),
            server_utilisation: server.and_then(|server| server.utilisation),
        }
    }
}

/// Of the trials that met the goal from `low_rps` to `high_rps`.
pub(super) fn when_met(met: &[MetTrial], low_rps: f64, high_rps: f64) -> Option<WhenMet> {
    let near: Vec<&MetTrial> = met.iter().filter(|trial| (low_rps..=high_rps).contains(&trial.rate_rps)).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from histograms of whole nanoseconds")]
    let median = |own_ns: fn(&MetTrial) -> Option<f64>| {
        let own_ns: Vec<_> = near.iter().map(|trial| own_ns(trial)).collect();
        OfTrials::of(&own_ns).ok().map(|of| of.median_ns.round() as u64)
    };
    let costs = near.iter().filter_map(|trial| Some((trial.server_cpu_ns?, trial.requests)));
    let (cpu_ns, requests) =
        costs.fold((0_u128, 0_u128), |sum, cost| (sum.0 + u128::from(cost.0), sum.1 + u128::from(cost.1)));
    let busy: Vec<f64> = near.iter().filter_map(|trial| trial.server_utilisation).collect();
    (!near.is_empty()).then(|| WhenMet {
        latency_p50_ns: median(|trial| trial.p50_ns),
        latency_p99_ns: median(|trial| trial.p99_ns),
        server_cpu_ns_per_request: per(cpu_ns as f64, requests as f64),
        server_utilisation: per(busy.iter().sum(), busy.len() as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::trial;

    #[test]
    fn a_lucky_trial_above_the_interval_does_not_count() {
        let met = |rate_rps: f64, cpu_ns| {
            let mut measured = trial("epoll").measured.unwrap();
            measured.server.as_mut().unwrap().cpu_ns = Some(cpu_ns);
            MetTrial::new(rate_rps, &measured, 0)
        };
        let met = [met(90.0, 1), met(100.0, 2_000_000), met(110.0, 4_000_000), met(120.0, 1 << 40)];
        // Of 2000 answers each.
        let cost = |low_rps, high_rps| when_met(&met, low_rps, high_rps).and_then(|met| met.server_cpu_ns_per_request);
        assert_eq!(cost(100.0, 110.0), Some(1500.0));
        assert_eq!(cost(101.0, 109.0), None);
        assert!(cost(100.0, f64::INFINITY).unwrap() > 1e6, "nothing bounds it where the generator was the limit");
    }

    #[test]
    fn requests_without_an_answer_are_slower_than_those_with_one() {
        let p99 = |unanswered| {
            let met = [MetTrial::new(100.0, &trial("epoll").measured.unwrap(), unanswered)];
            when_met(&met, 0.0, 200.0).unwrap().latency_p99_ns
        };
        assert!(p99(10) > p99(0) && p99(0).is_some());
        assert_eq!(p99(30), None);
    }
}
