//! The percentiles of a backend in a cell, of several trials: the same figure is ranked, shown and drawn.
//!
//! A percentile that a single trial can carry is the median of each trial's own, because the launch is the unit of sampling:
//! one trial with a long stall moves the percentile of all requests together and hardly moves this. Percentiles beyond p99
//! take more requests than most trials have, and are those of all requests of all trials together.

use hdrhistogram::Histogram;

use super::median::median;
use super::median_interval::median_interval;
use super::samples::{enough_of_all, enough_samples, percentile_of_all};
use super::summary::BackendSummary;
use crate::results::Measured;

/// One that has a column or a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// The median of requests.
    P50,
    /// Of a hundred requests the slowest but one.
    P99,
    /// Of a thousand.
    P999,
    /// Of ten thousand.
    P9999,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPercentile {
    /// Most trials, or all trials together, have too few requests above it.
    TooFew,
    /// It lies among requests that were never answered, which are slower than any answer.
    Unanswered,
}

/// What trials say by a percentile of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OfTrials {
    /// The median of them.
    pub median_ns: f64,
    /// Where the median of many more lies, with 95 % confidence; none of fewer than 6 trials, or where one has none.
    pub interval_ns: Option<[f64; 2]>,
}

impl Percentile {
    /// From 0 to 1.
    #[must_use]
    pub fn quantile(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
            Self::P9999 => 0.9999,
        }
    }

    /// `p99`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::P9999 => "p99.99",
        }
    }

    /// The same, with what it is of where that is not each trial.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::P50 | Self::P99 => self.name(),
            Self::P999 => "p99.9 (all requests)",
            Self::P9999 => "p99.99 (all requests)",
        }
    }
}

impl BackendSummary {
    /// In nanoseconds, or why there is none.
    ///
    /// # Errors
    ///
    /// Too few requests, or too many without an answer.
    pub fn percentile(&self, percentile: Percentile) -> Result<f64, NoPercentile> {
        match percentile {
            Percentile::P50 => self.p50.map(|own| own.median_ns),
            Percentile::P99 => self.p99.map(|own| own.median_ns),
            Percentile::P999 | Percentile::P9999 => {
                let (q, unanswered) = (percentile.quantile(), self.censored.count);
                percentile_of_all(&self.latency, unanswered, q).map(|ns| ns as f64).ok_or(
                    if enough_of_all(&self.latency, unanswered, q) {
                        NoPercentile::Unanswered
                    } else {
                        NoPercentile::TooFew
                    },
                )
            }
        }
    }
}

impl OfTrials {
    /// Of what each trial has by [`own_percentile`]. Where most of them are too short for it, the others would speak for the
    /// fast ones only.
    pub(crate) fn of(own_ns: &[Option<f64>]) -> Result<Self, NoPercentile> {
        let known_ns: Vec<f64> = own_ns.iter().copied().flatten().collect();
        let median_ns = median(&known_ns).filter(|_| known_ns.len() * 2 >= own_ns.len()).ok_or(NoPercentile::TooFew)?;
        if median_ns.is_infinite() {
            return Err(NoPercentile::Unanswered);
        }
        let interval_ns = median_interval(&known_ns)
            .filter(|ends| known_ns.len() == own_ns.len() && ends.iter().all(|end| end.is_finite()));
        Ok(Self { median_ns, interval_ns })
    }
}

/// In nanoseconds, that of the requests of one trial: infinite where it lies among those that were never answered, and none
/// where too few lie above it.
pub(crate) fn own_percentile(measured: &Measured, percentile: Percentile) -> Option<f64> {
    let q = percentile.quantile();
    let is_enough = enough_samples(measured.answers().saturating_add(measured.censored), q);
    or_infinite(measured.percentile_of_all(q), is_enough)
}

/// The same of these latencies, with `unanswered` requests besides.
pub(crate) fn percentile_of_trial(latency: &Histogram<u64>, unanswered: u64, percentile: Percentile) -> Option<f64> {
    let q = percentile.quantile();
    or_infinite(percentile_of_all(latency, unanswered, q), enough_of_all(latency, unanswered, q))
}

fn or_infinite(answered_ns: Option<u64>, is_enough: bool) -> Option<f64> {
    answered_ns.map(|ns| ns as f64).or(is_enough.then_some(f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::EncodedHistogram;
    use crate::results::tests::trial;

    /// A trial of `requests` that took 1 µs to `requests` µs each, with so many more that were never answered.
    fn measured(requests: u64, censored: u64) -> Measured {
        let mut measured = trial("epoll").measured.unwrap();
        (measured.latency_hdr, measured.censored) = (EncodedHistogram::of(requests), censored);
        measured
    }

    fn p99(trials: &[Measured]) -> Result<(u64, bool), NoPercentile> {
        let own_ns: Vec<_> = trials.iter().map(|measured| own_percentile(measured, Percentile::P99)).collect();
        // The bucket of a histogram is a thousandth wide.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some milliseconds")]
        OfTrials::of(&own_ns).map(|of| ((of.median_ns / 1e4).round() as u64 * 10, of.interval_ns.is_some()))
    }

    #[test]
    fn one_trial_with_a_long_stall_does_not_move_the_percentile_of_the_others() {
        let mut trials = vec![measured(1000, 0); 6];
        trials.push(measured(50_000, 0));
        assert_eq!(p99(&trials), Ok((990, true)));
    }

    #[test]
    fn a_trial_that_is_too_short_for_a_percentile_has_none() {
        let (long, short) = (|| measured(1000, 0), || measured(500, 0));
        assert_eq!(p99(&[long(), short()]), Ok((990, false)));
        assert_eq!(p99(&[long(), short(), short()]), Err(NoPercentile::TooFew));
        assert_eq!(p99(&[]), Err(NoPercentile::TooFew));
    }

    #[test]
    fn a_trial_whose_percentile_was_never_answered_is_slower_than_any_other() {
        let (answered, unanswered) = (|| measured(1000, 0), || measured(1000, 500));
        assert_eq!(p99(&[answered(), answered(), unanswered()]), Ok((990, false)));
        assert_eq!(p99(&[answered(), unanswered(), unanswered()]), Err(NoPercentile::Unanswered));
    }
}
