//! Entrants that fail in the same way again and again: what is left of their trials is not run, so that a mistake costs three
//! timeouts and not one in every trial.
//!
//! The order of the trials and their numbers stay those of plan and seed, with gaps, so that what is resumed is tried again.

use super::Slot;
use crate::plan::Cell;
use crate::results::{Outcome, TrialRecord, is_alike};

/// After so many alike in a row.
const FAILURES: usize = 3;

/// The failures of one invocation: what is resumed is tried again.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    streaks: Vec<Streak>,
}

/// Failures in a row.
#[derive(Debug)]
struct Streak {
    backend: String,
    /// None of an entrant that does not start, which has nothing to do with the load.
    cell: Option<Cell>,
    error: String,
    failures: usize,
}

impl Streak {
    fn concerns(&self, backend: &str, cell: &Cell) -> bool {
        self.backend == backend && self.cell.as_ref().is_none_or(|own| own == cell)
    }
}

impl GivenUp {
    /// Whether the trial of a slot is not worth running.
    pub(super) fn concerns(&self, slot: &Slot) -> bool {
        let given_up = |streak: &Streak| streak.failures >= FAILURES && streak.concerns(&slot.backend, &slot.cell);
        self.streaks.iter().any(given_up)
    }

    /// Takes in how a trial ended, and whether its server had started; true where it was the last before giving up.
    pub(super) fn ended(&mut self, trial: &TrialRecord, has_started: bool) -> bool {
        let Some(error) = trial.error.as_deref().filter(|_| trial.outcome == Outcome::Failed) else {
            self.streaks.retain(|streak| !streak.concerns(&trial.backend, &trial.cell));
            return false;
        };
        let cell = has_started.then(|| trial.cell.clone());
        let is_same = |streak: &&mut Streak| streak.backend == trial.backend && streak.cell == cell;
        let Some(streak) = self.streaks.iter_mut().find(is_same) else {
            let (backend, error) = (trial.backend.clone(), error.to_owned());
            self.streaks.push(Streak { backend, cell, error, failures: 1 });
            return false;
        };
        if is_alike(&streak.error, error) {
            streak.failures += 1;
        } else {
            (streak.error, streak.failures) = (error.to_owned(), 1);
        }
        streak.failures == FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;
    use crate::results::tests::{failed_trial, trial};
    use crate::sweep::slots;

    fn slot(backend: &str, cell: &Cell) -> Slot {
        Slot { backend: backend.to_owned(), cell: cell.clone(), ..slots(&plan(), 7).next().unwrap() }
    }

    fn failed(error: &str, cell: &Cell) -> TrialRecord {
        TrialRecord { cell: cell.clone(), ..failed_trial("epoll", error) }
    }

    #[test]
    fn an_entrant_that_does_not_start_is_given_up_in_all_cells_after_the_third_time() {
        let cells = plan().cells();
        let mut given_up = GivenUp::default();
        for (port, is_last) in [(28_541, false), (9, false), (10_003, true)] {
            assert!(!given_up.concerns(&slot("epoll", &cells[1])));
            let error = format!("the server listens on [::1]:{port}, not on 127.0.0.1:{port}");
            assert_eq!(given_up.ended(&failed(&error, &cells[0]), false), is_last);
        }
        assert!(given_up.concerns(&slot("epoll", &cells[1])) && !given_up.concerns(&slot("poll", &cells[0])));
    }

    #[test]
    fn an_entrant_that_fails_under_a_load_is_given_up_under_that_load() {
        let cells = plan().cells();
        let mut given_up = GivenUp::default();
        for _ in 0..3 {
            given_up.ended(&failed("only 1 of 64 connections", &cells[1]), true);
            given_up.ended(&TrialRecord { cell: cells[0].clone(), ..trial("epoll") }, true);
        }
        assert!(given_up.concerns(&slot("epoll", &cells[1])) && !given_up.concerns(&slot("epoll", &cells[0])));
    }

    #[test]
    fn failures_that_differ_or_are_not_in_a_row_are_no_reason() {
        let cells = plan().cells();
        let mut given_up = GivenUp::default();
        for error in ["it died", "it died", "it hung", "it died", "it died"] {
            assert!(!given_up.ended(&failed(error, &cells[0]), false));
        }
        given_up.ended(&TrialRecord { cell: cells[0].clone(), ..trial("epoll") }, true);
        assert!(!given_up.ended(&failed("it died", &cells[0]), false));
        assert!(!given_up.concerns(&slot("epoll", &cells[0])));
    }
}
