//! What became of a trial: which trials figures are made of, and why others are not among them.
//!
//! Whatever counts trials, tells of them or makes figures of them asks here, so that a trial that is told as failed in one
//! place is in no figure of another. Only a search for a capacity reads more from trials, each of which answers a
//! question of its own there.

use std::fmt;

use super::{Outcome, TrialRecord, Verdict};
use crate::figures;

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

/// Whether two failures are the same but for their numbers, such as ports and processes.
#[must_use]
pub fn is_alike(one: &str, other: &str) -> bool {
    /// Numbers behind these are what was wrong.
    const TELLING: [&str; 4] = ["status:", "signal:", "error", "errno"];
    // Each other number is a zero.
    let without_numbers = |text: &str| {
        let (mut kept, mut behind) = (String::new(), "");
        for word in text.split_inclusive(char::is_whitespace) {
            if TELLING.contains(&behind) {
                kept.push_str(word);
            } else {
                for c in word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }) {
                    if c != '0' || !kept.ends_with('0') {
                        kept.push(c);
                    }
                }
            }
            behind = word.trim();
        }
        kept
    };
    one == other || without_numbers(one) == without_numbers(other)
}

/// That none of these trials is usable, with the commonest reason; none where one is, or where there are none.
#[must_use]
pub fn nothing_usable<'a>(trials: impl IntoIterator<Item = &'a TrialRecord>) -> Option<String> {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    let mut all = 0;
    let mut is_any_measured = false;
    for trial in trials {
        if trial.is_usable() {
            return None;
        }
        all += 1;
        is_any_measured |= trial.measured.is_some();
        let reason = trial.first_reason();
        match reasons.iter_mut().find(|(known, _)| is_alike(known, reason)) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    let (reason, count) = reasons.into_iter().rev().max_by_key(|(_, count)| *count)?;
    let of = figures::counted(all, "trial");
    let what = if is_any_measured { "no usable figures" } else { "nothing was measured" };
    Some(match count {
        _ if all == 1 => format!("{what} in {of}: {reason}"),
        count if count == all => format!("{what} in {of}, each time because: {reason}"),
        count => format!("{what} in {of}; the commonest reason, in {count} of them: {reason}"),
    })
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

    #[test]
    fn where_nothing_is_usable_the_commonest_reason_is_said() {
        let wrong = TrialRecord { verdict: Verdict::Invalid, reasons: vec!["wrong".to_owned()], ..trial("epoll") };
        let failed = |error| failed_trial("epoll", error);
        let trials = [wrong.clone(), failed("no port 17"), failed("no port 8")];
        assert_eq!(
            nothing_usable(&trials).as_deref(),
            Some("no usable figures in 3 trials; the commonest reason, in 2 of them: no port 17")
        );
        assert_eq!(nothing_usable([&wrong]).as_deref(), Some("no usable figures in 1 trial: wrong"));
        assert_eq!(nothing_usable(&[wrong, trial("poll")]), None);
        assert_eq!(nothing_usable(&[]), None);
    }

    #[test]
    fn failures_that_differ_in_numbers_only_are_alike() {
        assert!(is_alike("on 127.0.0.1:80 (pid 4711)", "on 127.0.0.1:28541 (pid 2)"));
        assert!(!is_alike("exit status: 1", "signal: 1") && !is_alike("a1b", "ab"));
        assert!(!is_alike("(exit status: 1)", "(exit status: 139)") && is_alike("for 1.20 s", "for 0.05 s"));
    }
}
