//! One backend whose capacity is searched for: what to try next, and what its trials came to.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::interval::Interval;
use super::search::{Answer, Estimate, Search, Tactics};
use super::standing::{Standing, standing};
use crate::figures;
use crate::plan::CapacityPlan;
use crate::results::{Measured, Outcome, TrialRecord, per};
use crate::slo::Slo;

/// Trials in a row that may say nothing before no more are made: what keeps them from it lies with the server.
const ATTEMPTS: usize = 3;

/// Trials in a row that the machine may disturb: that passes.
const PATIENCE: usize = 10;

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
    /// What the server did at this rate.
    pub at_capacity: Option<AtCapacity>,
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

/// What a server did in the trials that met the goal within the interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AtCapacity {
    /// From the intended time to the answer; `None` where there are too few answers.
    pub latency_p50_ns: Option<u64>,
    /// The same.
    pub latency_p99_ns: Option<u64>,
    /// CPU time of the server for one answer.
    pub server_cpu_ns_per_request: Option<f64>,
    /// Mean share of its CPU time that it used.
    pub server_utilisation: Option<f64>,
}

/// A backend, and how far its search has come.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) backend: String,
    tactics: Tactics,
    seed: u64,
    stage: Stage,
    /// Trials in a row that said nothing.
    attempts: usize,
    /// Trials in a row that the machine disturbed.
    disturbed: usize,
    trials: usize,
    met: Vec<MetTrial>,
}

#[derive(Debug)]
enum Stage {
    /// A short closed loop says where to begin.
    Guess,
    Search(Search),
    /// No trial says anything.
    GivenUp {
        reason: String,
        search: Option<Search>,
    },
}

/// What is kept of a trial that met the goal.
#[derive(Debug)]
struct MetTrial {
    rate_rps: f64,
    latency: Histogram<u64>,
    requests: u64,
    server_cpu_ns: Option<u64>,
    server_utilisation: Option<f64>,
}

/// What to try next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ask {
    /// How much it does in a closed loop.
    Guess,
    /// Whether it meets the goal at this rate.
    Rate(f64),
}

impl Contender {
    pub(super) fn new(backend: String, tactics: Tactics, seed: u64) -> Self {
        Self { backend, tactics, seed, stage: Stage::Guess, attempts: 0, disturbed: 0, trials: 0, met: Vec::new() }
    }

    /// `None` when all is known, or nothing more can be.
    pub(super) fn ask(&self) -> Option<Ask> {
        match &self.stage {
            Stage::Guess => Some(Ask::Guess),
            Stage::Search(search) => search.next_rps().map(Ask::Rate),
            Stage::GivenUp { .. } => None,
        }
    }

    /// Repeats that are done.
    pub(super) fn repeats(&self) -> usize {
        self.search().map_or(0, |search| search.repeats().len())
    }

    /// Takes the trial that was asked for.
    pub(super) fn take(&mut self, trial: &TrialRecord, slo: &Slo) {
        self.trials += 1;
        if trial.outcome == Outcome::Unavailable {
            let reason = trial.error.as_deref().unwrap_or("no reason is recorded");
            return self.give_up(format!("unavailable: {reason}"));
        }
        match self.ask() {
            Some(Ask::Guess) => self.take_guess(trial),
            Some(Ask::Rate(rate_rps)) => self.take_answer(trial, rate_rps, slo),
            None => {}
        }
    }

    fn take_guess(&mut self, trial: &TrialRecord) {
        match &trial.measured {
            Some(measured) if measured.mismatches == 0 && measured.throughput_rps > 0.0 => {
                self.attempts = 0;
                self.stage = Stage::Search(Search::new(self.tactics, measured.throughput_rps, self.seed));
            }
            _ => {
                let reason = trial.error.as_ref().or(trial.reasons.first());
                self.decided_nothing(reason.map_or("no reason is recorded", String::as_str));
            }
        }
    }

    fn take_answer(&mut self, trial: &TrialRecord, rate_rps: f64, slo: &Slo) {
        let answer = match standing(trial, slo) {
            Standing::Met => {
                self.met.extend(trial.measured.as_ref().map(|measured| MetTrial::new(rate_rps, measured)));
                Answer::Met
            }
            Standing::Missed => Answer::Missed,
            Standing::Limited => Answer::Limited,
            Standing::Disturbed(reason) => return self.was_disturbed(&reason),
            Standing::Broken(reason) => return self.decided_nothing(&reason),
        };
        (self.attempts, self.disturbed) = (0, 0);
        if let Stage::Search(search) = &mut self.stage {
            search.answer(answer);
        }
    }

    fn decided_nothing(&mut self, reason: &str) {
        self.attempts += 1;
        if self.attempts >= ATTEMPTS {
            self.give_up(format!("{ATTEMPTS} trials in a row say nothing: {reason}"));
        }
    }

    fn was_disturbed(&mut self, reason: &str) {
        self.disturbed += 1;
        if self.disturbed >= PATIENCE {
            self.give_up(format!("{reason} in {PATIENCE} trials in a row: search again when the machine is quiet"));
        }
    }

    fn give_up(&mut self, reason: String) {
        let search = self.search().cloned();
        self.stage = Stage::GivenUp { reason, search };
    }

    fn search(&self) -> Option<&Search> {
        match &self.stage {
            Stage::Guess => None,
            Stage::Search(search) => Some(search),
            Stage::GivenUp { search, .. } => search.as_ref(),
        }
    }

    /// What is known so far.
    pub(super) fn capacity(&self, plan: &CapacityPlan) -> BackendCapacity {
        let estimates = self.search().map_or(&[][..], Search::repeats);
        let first = self.search().and_then(Search::first);
        let unknown = BackendCapacity {
            backend: self.backend.clone(),
            slo: plan.slo.clone(),
            capacity_rps: None,
            low_rps: None,
            high_rps: None,
            confidence: None,
            estimates: estimates.iter().map(EstimateRecord::of).collect(),
            limited_by: None,
            trials: self.trials,
            at_capacity: None,
            reasons: self.reasons(first, estimates.len(), plan),
        };
        match first {
            Some(first) if first.met_rps <= 0.0 => {
                BackendCapacity { high_rps: first.missed_rps, limited_by: Some(LimitedBy::NotMet), ..unknown }
            }
            Some(first) => {
                let interval = Interval::of(estimates).or(Interval::of(&[first])).expect("there is one estimate");
                let limit = if interval.capacity_rps.is_some() { LimitedBy::Slo } else { LimitedBy::Generator };
                BackendCapacity {
                    capacity_rps: interval.capacity_rps,
                    low_rps: Some(interval.low_rps),
                    high_rps: interval.high_rps,
                    confidence: Some(interval.confidence),
                    limited_by: Some(limit),
                    at_capacity: at_capacity(&self.met, interval.low_rps),
                    ..unknown
                }
            }
            None => unknown,
        }
    }

    fn reasons(&self, first: Option<Estimate>, repeats: usize, plan: &CapacityPlan) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Stage::GivenUp { reason, .. } = &self.stage {
            reasons.push(reason.clone());
        }
        match first {
            Some(first) if first.met_rps <= 0.0 => reasons.push(format!(
                "missed at {}/s too: lower rates bring too few answers for it; ask for a longer --duration",
                figures::grouped(self.tactics.floor_rps)
            )),
            Some(_) if repeats < plan.repeats => {
                reasons.push(format!("the search ended after {repeats} of {} repeats; see --budget", plan.repeats));
            }
            None if reasons.is_empty() => reasons.push("the search ended before its edge was found".to_owned()),
            _ => {}
        }
        reasons
    }
}

impl EstimateRecord {
    fn of(estimate: &Estimate) -> Self {
        Self { rps: estimate.rps(), met_rps: estimate.met_rps, missed_rps: estimate.missed_rps }
    }
}

impl MetTrial {
    fn new(rate_rps: f64, measured: &Measured) -> Self {
        let server = measured.server.as_ref();
        Self {
            rate_rps,
            latency: measured.latency_hdr.0.clone(),
            requests: measured.requests,
            server_cpu_ns: server.and_then(|server| server.cpu_ns),
            server_utilisation: server.and_then(|server| server.utilisation),
        }
    }
}

/// Of the trials that met the goal at `low_rps` or above.
fn at_capacity(met: &[MetTrial], low_rps: f64) -> Option<AtCapacity> {
    let near: Vec<&MetTrial> = met.iter().filter(|trial| trial.rate_rps >= low_rps).collect();
    let mut latency = Histogram::new(3).expect("three digits are within what a histogram can keep");
    for trial in &near {
        latency.add(&trial.latency).expect("a resizing histogram takes any value");
    }
    let percentile = |q| crate::statistics::percentile(&latency, q);
    let costs = near.iter().filter_map(|trial| Some((trial.server_cpu_ns?, trial.requests)));
    let (cpu_ns, requests) = costs.fold((0, 0), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1));
    let busy: Vec<f64> = near.iter().filter_map(|trial| trial.server_utilisation).collect();
    (!near.is_empty()).then(|| AtCapacity {
        latency_p50_ns: percentile(0.5),
        latency_p99_ns: percentile(0.99),
        server_cpu_ns_per_request: per(cpu_ns as f64, requests as f64),
        server_utilisation: per(busy.iter().sum(), busy.len() as f64),
    })
}
