//! One backend whose capacity is searched for: what to try next, and what its trials came to.

use super::found::{BackendCapacity, EstimateRecord, LimitedBy, MetTrial, when_met};
use super::interval::Interval;
use super::search::{Answer, Estimate, Search, Tactics};
use super::standing::{Standing, doubt, standing, unanswered};
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
    /// No more trials than these are made.
    most_trials: usize,
    stage: Stage,
    /// What it does in a closed loop.
    guess_rps: Option<f64>,
    /// Trials in a row that said nothing.
    attempts: usize,
    /// Trials in a row that the machine disturbed.
    disturbed: usize,
    /// Why each trial that it disturbed decided nothing.
    disturbances: Vec<String>,
    trials: usize,
    met: Vec<MetTrial>,
    /// Why each of them that is suspect is so.
    doubts: Vec<String>,
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

/// Why a search asks for nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All is known, or somebody interrupted it.
    Otherwise,
    /// Its time was up.
    OutOfTime,
    /// One or the other: a file does not say when its search ended.
    EarlyAsRecorded,
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
    pub(super) fn new(backend: String, tactics: Tactics, seed: u64, most_trials: usize) -> Self {
        Self {
            backend,
            tactics,
            seed,
            most_trials,
            stage: Stage::Guess,
            guess_rps: None,
            attempts: 0,
            disturbed: 0,
            disturbances: Vec::new(),
            trials: 0,
            met: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// `None` when all is known, or nothing more can be.
    pub(super) fn ask(&self) -> Option<Ask> {
        if self.has_had_all_trials() {
            return None;
        }
        match &self.stage {
            Stage::Guess => Some(Ask::Guess),
            Stage::Search(search) => search.next_rps().map(Ask::Rate),
            Stage::GivenUp { .. } => None,
        }
    }

    fn has_had_all_trials(&self) -> bool {
        self.trials >= self.most_trials
    }

    /// How many more trials such a search takes, where nothing unusual happens.
    pub(super) fn usual_trials_left(&self) -> usize {
        if self.ask().is_none() {
            return 0;
        }
        usual_trials(self.tactics.repeats).saturating_sub(self.trials).max(1)
    }

    /// What it does in a closed loop, as soon as that is known.
    pub(super) fn guess_rps(&self) -> Option<f64> {
        self.guess_rps
    }

    /// Repeats that are done.
    pub(super) fn repeats(&self) -> usize {
        self.search().map_or(0, |search| search.repeats().len())
    }

    /// Takes the trial that was asked for.
    pub(super) fn take(&mut self, trial: &TrialRecord, slo: &Slo) {
        let asked = self.ask();
        self.trials += 1;
        if trial.outcome == Outcome::Unavailable {
            return self.give_up(format!("unavailable: {}", trial.first_reason()));
        }
        match asked {
            Some(Ask::Guess) => self.take_guess(trial),
            Some(Ask::Rate(rate_rps)) => self.take_answer(trial, rate_rps, slo),
            None => {}
        }
    }

    fn take_guess(&mut self, trial: &TrialRecord) {
        match &trial.measured {
            Some(measured) if measured.mismatches == 0 && measured.throughput_rps > 0.0 => {
                self.attempts = 0;
                self.guess_rps = Some(measured.throughput_rps);
                self.stage = Stage::Search(Search::new(self.tactics, measured.throughput_rps, self.seed));
            }
            _ => self.decided_nothing(trial.first_reason()),
        }
    }

    fn take_answer(&mut self, trial: &TrialRecord, rate_rps: f64, slo: &Slo) {
        let answer = match standing(trial, slo) {
            Standing::Met => {
                self.met.extend(
                    trial
                        .measured
                        .as_ref()
                        .map(|measured| MetTrial::new(rate_rps, measured, unanswered(trial, measured))),
                );
                self.doubts.extend(doubt(trial).map(str::to_owned));
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
        self.disturbances.push(reason.to_owned());
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
    pub(super) fn capacity(&self, plan: &CapacityPlan, ended: Ended) -> BackendCapacity {
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
            suspect: self.doubts.len(),
            when_met: None,
            reasons: self.reasons(first, estimates, plan, ended),
        };
        match first {
            Some(first) if first.met_rps <= 0.0 => {
                let limit = if first.missed_rps.is_some() { LimitedBy::NotMet } else { LimitedBy::Generator };
                BackendCapacity { high_rps: first.missed_rps, limited_by: Some(limit), ..unknown }
            }
            _ => {
                // One search by itself ends at a lucky point.
                let Some(interval) = Interval::of(estimates) else { return unknown };
                let limit = match interval.capacity_rps {
                    Some(rps) if rps <= 0.0 => LimitedBy::NotMet,
                    Some(_) => LimitedBy::Slo,
                    None => LimitedBy::Generator,
                };
                let unknown = BackendCapacity {
                    high_rps: interval.high_rps,
                    confidence: Some(interval.confidence),
                    limited_by: Some(limit),
                    ..unknown
                };
                if limit == LimitedBy::NotMet {
                    return unknown;
                }
                BackendCapacity {
                    capacity_rps: interval.capacity_rps,
                    low_rps: Some(interval.low_rps),
                    when_met: when_met(&self.met, interval.low_rps, interval.high_rps.unwrap_or(f64::INFINITY)),
                    ..unknown
                }
            }
        }
    }

    fn reasons(&self, first: Option<Estimate>, repeats: &[Estimate], plan: &CapacityPlan, ended: Ended) -> Vec<String> {
        let mut reasons = Vec::new();
        // Where a search was given up or interrupted, no budget would have helped.
        let may_be_short = ended != Ended::Otherwise || self.has_had_all_trials();
        let is_cut_short = matches!(self.stage, Stage::Search(_)) && may_be_short;
        let see_budget = match ended {
            _ if !is_cut_short => "",
            Ended::EarlyAsRecorded => "; it was interrupted, or its time was up (see --budget)",
            Ended::OutOfTime | Ended::Otherwise => "; see --budget",
        };
        if let Some(last) = self.disturbances.last().filter(|_| is_cut_short) {
            let (disturbed, all) = (self.disturbances.len(), self.trials);
            reasons.push(format!(
                "{} decided nothing, the last as {last}: search again when the machine is quiet",
                figures::counted_of(disturbed, all, "trial")
            ));
        }
        let floor = figures::grouped(self.tactics.floor_rps);
        if let Stage::GivenUp { reason, .. } = &self.stage {
            reasons.push(reason.clone());
        }
        match first {
            Some(first) if first.met_rps <= 0.0 => reasons.push(format!(
                "missed at {floor}/s too: lower rates bring too few answers for it; ask for a longer --duration"
            )),
            Some(first) if repeats.is_empty() => reasons.push(seen_once(&first) + see_budget),
            Some(_) if repeats.len() < plan.repeats => {
                let (done, all) = (repeats.len(), plan.repeats);
                reasons
                    .push(format!("the search ended after {}{see_budget}", figures::counted_of(done, all, "repeat")));
            }
            None if !matches!(self.stage, Stage::GivenUp { .. }) => {
                reasons.push(format!("the search ended before its edge was found{see_budget}"));
            }
            _ => {}
        }
        let nowhere = repeats.iter().filter(|repeat| repeat.met_rps <= 0.0).count();
        if nowhere > 0 {
            reasons.push(format!("{} missed at {floor}/s too", figures::counted_of(nowhere, repeats.len(), "repeat")));
        }
        if let Some(first) = self.doubts.first() {
            let (suspect, met) = (self.doubts.len(), self.met.len());
            let (those, are) = (figures::counted_of(suspect, met, "trial"), if suspect == 1 { "is" } else { "are" });
            reasons.push(format!("{those} that met the goal {are} suspect; the first: {first}"));
        }
        reasons
    }
}

/// Trials of one backend where nothing unusual happens: the guess, seven or so of the first search, three of each repeat.
fn usual_trials(repeats: usize) -> usize {
    9 + 3 * repeats
}

/// Trials of one backend after which its search ends where no budget does: half as many again and more.
pub(super) fn most_trials(repeats: usize) -> usize {
    (6 * repeats).max(24)
}

fn seen_once(first: &Estimate) -> String {
    let met = figures::grouped(first.met_rps);
    let missed = first.missed_rps.map_or(String::new(), |rps| format!(", and missed at {}/s", figures::grouped(rps)));
    format!("met at {met}/s{missed}, in a single search that was never repeated")
}
