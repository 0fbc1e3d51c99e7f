//! Requests that were not sent in time, or never answered. No histogram has them, so whoever reads one is told how many there were.

use super::Format;
use crate::figures::grouped;
use crate::results::Measured;
use crate::statistics::Censored;

/// What a comment says of them; nothing where there are none.
pub(super) fn comment(censored: Censored) -> Option<String> {
    let what = censored.what_and_how_many();
    match censored.count {
        0 => None,
        1 => Some(format!("1 request was {what} and is in no line")),
        more => Some(format!("{} requests were {what} and are in no line", grouped(more as f64))),
    }
}

/// What is said of all that are left out of histograms; nothing where none are.
pub(super) fn left_out<'a>(trials: impl Iterator<Item = &'a Measured>, format: Format) -> Option<String> {
    let mut answered = 0_u64;
    let censored = Censored::of(trials.inspect(|measured| answered = answered.saturating_add(measured.requests)));
    let [without, all] = [censored.count, answered.saturating_add(censored.count)].map(|count| grouped(count as f64));
    let what = censored.what_and_how_many();
    // What reads a log makes percentiles of what is in it.
    let percentiles = match format {
        Format::Hlog => "percentiles that are made of it are those of the others",
        _ => "percentiles end before them, for they are slower than any answer",
    };
    (censored.count > 0).then(|| format!("{without} of {all} requests, which were {what}: {percentiles}"))
}
