//! Requests that were never answered, or never sent. No histogram has them, so whoever reads one is told how many there were.

use crate::figures::grouped;
use crate::results::Measured;

/// How many there are.
pub(super) fn count<'a>(trials: impl Iterator<Item = &'a Measured>) -> u64 {
    trials.fold(0, |sum, measured| sum.saturating_add(measured.censored))
}

/// What a comment says of so many; nothing where there are none.
pub(super) fn comment(count: u64) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 request was never answered and is in no line".to_owned()),
        more => Some(format!("{} requests were never answered and are in no line", grouped(more as f64))),
    }
}

/// What is said of all that are left out of histograms; nothing where none are.
pub(super) fn left_out<'a>(trials: impl Iterator<Item = &'a Measured>) -> Option<String> {
    let (answered, unanswered) = trials.fold((0_u64, 0_u64), |(answered, unanswered), measured| {
        (answered.saturating_add(measured.requests), unanswered.saturating_add(measured.censored))
    });
    let [without, all] = [unanswered, answered.saturating_add(unanswered)].map(|count| grouped(count as f64));
    (unanswered > 0)
        .then(|| format!("{without} of {all} requests, which were never answered: percentiles are those of the others"))
}
