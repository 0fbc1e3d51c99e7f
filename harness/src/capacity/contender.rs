//! One backend whose capacity is searched for: what to try next, and what its trials came to.

use super::found::{BackendCapacity, EstimateRecord, LimitedBy, MetTrial, at_capacity};
use super::interval::Interval;
use super::search::{Answer, Estimate, Search, Tactics};
use super::standing::{Standing, standing};
use crate::figures;
use crate::plan::CapacityPlan;
use crate::results::{Outcome, TrialRecord};
use crate::slo::Slo;

/// Trials in a row that may say nothing before no more are made: what keeps them from it lies with the server.
const ATTEMPTS: usize = 3;

/// Trials in a row that the machine may disturb: that passes, and the budget ends it, too.
const PATIENCE: usize = 20;

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
            _ => {
                // One search by itself ends at a lucky point.
                let Some(interval) = Interval::of(estimates) else { return unknown };
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
            Some(first) if repeats == 0 => reasons.push(seen_once(&first)),
            Some(_) if repeats < plan.repeats => {
                reasons.push(format!("the search ended after {repeats} of {} repeats; see --budget", plan.repeats));
            }
            None if reasons.is_empty() => reasons.push("the search ended before its edge was found".to_owned()),
            _ => {}
        }
        reasons
    }
}

fn seen_once(first: &Estimate) -> String {
    let met = figures::grouped(first.met_rps);
    let missed = first.missed_rps.map_or(String::new(), |rps| format!(", and missed at {}/s", figures::grouped(rps)));
    format!("met at {met}/s{missed}, in a single search that was never repeated; see --budget")
}
