//! What became of a trial: which trials figures are made of, and why others are not among them.
//!
//! Whatever counts trials, tells of them or makes figures of them asks here, so that a trial that is told as failed in one
//! place is in no figure of another. Only a search for a capacity reads more from trials, each of which answers a
//! question of its own there.

use std::fmt;

use super::{Outcome, TrialRecord, Verdict};

/// What became of a trial; the better, the less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It was measured, and nothing speaks against it.
    Valid,
    /// It was measured, and is to be looked at before it is relied on.
    Suspect,
    /// It was measured, and says nothing.
    Invalid,
    /// It has no measurement.
    Failed,
    /// It could not be started here.
    Unavailable,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Suspect => "suspect",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
        })
    }
}

impl TrialRecord {
    /// What became of it. Where a file says of the outcome what its figures contradict, the trial has failed.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match (self.outcome, &self.measured, self.verdict) {
            (Outcome::Unavailable, ..) => Fate::Unavailable,
            (Outcome::Failed, ..) | (Outcome::Ok, None, _) => Fate::Failed,
            (Outcome::Ok, Some(_), Verdict::Invalid) => Fate::Invalid,
            (Outcome::Ok, Some(_), Verdict::Suspect) => Fate::Suspect,
            (Outcome::Ok, Some(_), Verdict::Valid) => Fate::Valid,
        }
    }

    /// Whether figures are made of it: it was measured and is not invalid. Suspect ones are among them.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self.fate(), Fate::Valid | Fate::Suspect)
    }

    /// Why it is not valid. The error of a trial without a measurement says more than that there is none.
    pub fn why(&self) -> impl Iterator<Item = &str> {
        let of_verdict = self.reasons.iter().filter(|_| self.error.is_none());
        self.error.iter().chain(of_verdict).map(String::as_str)
    }

    /// The first of that, or that nothing is recorded.
    #[must_use]
    pub fn first_reason(&self) -> &str {
        self.why().next().unwrap_or("no reason is recorded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::{failed_trial, trial};

    #[test]
    fn what_was_measured_and_is_not_invalid_is_usable() {
        let judged = |verdict| TrialRecord { verdict, ..trial("epoll") };
        let unavailable = TrialRecord { outcome: Outcome::Unavailable, ..failed_trial("epoll", "no such call") };
        let fates = [
            (judged(Verdict::Valid), "valid", true),
            (judged(Verdict::Suspect), "suspect", true),
            (judged(Verdict::Invalid), "invalid", false),
            (failed_trial("epoll", "it died"), "failed", false),
            (unavailable, "unavailable", false),
        ];
        assert!(fates.is_sorted_by_key(|(trial, ..)| trial.fate()));
        for (trial, name, is_usable) in fates {
            assert_eq!((trial.fate().to_string().as_str(), trial.is_usable()), (name, is_usable));
        }
    }

    #[test]
    fn an_outcome_that_contradicts_the_measurement_is_a_failure() {
        let failed_with_figures = TrialRecord { outcome: Outcome::Failed, ..trial("epoll") };
        let ok_without_any = TrialRecord { measured: None, ..trial("epoll") };
        for trial in [failed_with_figures, ok_without_any] {
            assert_eq!((trial.fate(), trial.is_usable()), (Fate::Failed, false));
        }
    }

    #[test]
    fn an_error_is_told_instead_of_that_nothing_was_measured() {
        let failed = failed_trial("epoll", "it died");
        assert_eq!((failed.why().collect::<Vec<_>>(), failed.first_reason()), (vec!["it died"], "it died"));
        let suspect = TrialRecord { reasons: vec!["odd".to_owned(), "late".to_owned()], ..trial("epoll") };
        assert_eq!((suspect.why().collect::<Vec<_>>(), suspect.first_reason()), (vec!["odd", "late"], "odd"));
        assert_eq!(trial("epoll").first_reason(), "no reason is recorded");
    }
}
