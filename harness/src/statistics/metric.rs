//! What trials are compared by.

use serde::Serialize;

use super::percentile::{Percentile, own_percentile};
use crate::plan::Cell;
use crate::results::TrialRecord;
use crate::verdict::is_rate_met;

/// One figure of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Answers a second.
    Throughput,
    /// The median latency; in a closed loop that of service.
    P50,
    /// The 99th percentile of the same.
    P99,
    /// CPU time of the server for one answer.
    ServerCpu,
}

/// Histograms keep three digits.
const HISTOGRAM_RESOLUTION: f64 = 0.001;

impl Metric {
    /// Those by which backends are ranked in a cell. With a rate, throughput is what was asked for.
    #[must_use]
    pub fn ranked(cell: &Cell) -> [Self; 2] {
        match cell.rate_rps {
            None => [Self::Throughput, Self::ServerCpu],
            Some(_) => [Self::P99, Self::ServerCpu],
        }
    }

    /// All that say something in a cell.
    #[must_use]
    pub fn compared(cell: &Cell) -> &'static [Self] {
        match cell.rate_rps {
            None => &[Self::Throughput, Self::P50, Self::P99, Self::ServerCpu],
            Some(_) => &[Self::P50, Self::P99, Self::ServerCpu],
        }
    }

    /// Its value; none where it was not measured, is no more than the luck of a few requests, or lies among requests that
    /// were never answered.
    #[must_use]
    pub fn of(self, trial: &TrialRecord) -> Option<f64> {
        let measured = trial.measured.as_ref()?;
        let value = match self {
            Self::Throughput => measured.throughput_rps,
            Self::P50 => own_percentile(measured, Percentile::P50)?,
            Self::P99 => own_percentile(measured, Percentile::P99)?,
            Self::ServerCpu => measured.server.as_ref()?.cpu_ns? as f64 / measured.requests as f64,
        };
        // Ratios are taken of it.
        (value.is_finite() && value > 0.0).then_some(value)
    }

    /// Whether a server is better for having more of it.
    #[must_use]
    pub fn higher_is_better(self) -> bool {
        self == Self::Throughput
    }

    /// Whether it says nothing about a server whose client was the bottleneck.
    #[must_use]
    pub fn needs_an_idle_client(self) -> bool {
        self != Self::ServerCpu
    }

    /// Whether it is of how long answers took.
    #[must_use]
    pub fn is_latency(self) -> bool {
        matches!(self, Self::P50 | Self::P99)
    }

    /// The log ratio that can just be told from none.
    pub(super) fn resolution(self) -> f64 {
        match self {
            Self::P50 | Self::P99 => HISTOGRAM_RESOLUTION,
            Self::Throughput | Self::ServerCpu => 0.0,
        }
    }

    /// For people, as it follows a factor: `1.31× the requests/s of epoll`.
    #[must_use]
    pub fn name(self, cell: &Cell) -> &'static str {
        match (self, cell.rate_rps.is_some()) {
            (Self::Throughput, _) => "requests/s",
            (Self::P50, true) => "p50 latency",
            (Self::P50, false) => "p50 service time",
            (Self::P99, true) => "p99 latency",
            (Self::P99, false) => "p99 service time",
            (Self::ServerCpu, _) => "server CPU/request",
        }
    }
}

/// Whether more requests of an open loop went unanswered than its end explains. How late answers were then says how long
/// the window was, and nothing about the server.
pub(crate) fn missed_its_rate(trial: &TrialRecord) -> bool {
    let Some(measured) = trial.measured.as_ref().filter(|_| trial.cell.rate_rps.is_some()) else { return false };
    !is_rate_met(measured.requests, measured.censored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::EncodedHistogram;
    use crate::results::tests::{failed_trial, trial};

    impl EncodedHistogram {
        /// The `n`-th of so many requests took `n` µs.
        pub(crate) fn of(requests: u64) -> Self {
            let mut histogram = hdrhistogram::Histogram::new(3).unwrap();
            (1..=requests).for_each(|us| histogram.record(us * 1000).unwrap());
            Self::from(histogram)
        }
    }

    #[test]
    fn each_is_read_from_its_trial() {
        let trial = trial("epoll");
        assert_eq!(Metric::Throughput.of(&trial), Some(4000.0));
        assert_eq!(Metric::ServerCpu.of(&trial), Some(20_000.0));
        assert!((Metric::P99.of(&trial).unwrap() - 1.98e6).abs() < 1e4);
        assert_eq!(Metric::Throughput.of(&failed_trial("epoll", "it died")), None);
    }

    #[test]
    fn a_percentile_of_too_few_requests_is_none() {
        let mut trial = trial("epoll");
        trial.measured.as_mut().unwrap().latency_hdr = EncodedHistogram::of(999);
        assert_eq!(Metric::P99.of(&trial), None);
        assert!(Metric::P50.of(&trial).is_some());
    }

    #[test]
    fn a_server_that_leaves_requests_unanswered_does_not_look_the_faster_for_it() {
        let of = |answered, censored| {
            let mut trial = trial("epoll");
            let measured = trial.measured.as_mut().unwrap();
            (measured.latency_hdr, measured.censored) = (EncodedHistogram::of(answered), censored);
            (Metric::P50.of(&trial), Metric::P99.of(&trial))
        };
        // The slowest hundred of 2,000 were never answered: the median is that of all, and the p99 nobody knows.
        let (all, survivors) = (of(2000, 0), of(1900, 100));
        assert!((survivors.0.unwrap() - all.0.unwrap()).abs() < 2e3, "{survivors:?}");
        assert!(all.1.is_some() && survivors.1.is_none(), "{survivors:?}");
    }

    #[test]
    fn a_rate_is_missed_where_more_than_one_request_of_two_hundred_is_not_answered() {
        let missed = |censored, rate_rps| {
            let mut trial = trial("epoll");
            trial.cell.rate_rps = rate_rps;
            trial.measured.as_mut().unwrap().censored = censored;
            missed_its_rate(&trial)
        };
        assert!(!missed(10, Some(4000.0)) && missed(11, Some(4000.0)) && !missed(11, None));
    }

    #[test]
    fn nothing_of_which_there_is_none_is_a_ratio() {
        let mut trial = trial("epoll");
        let measured = trial.measured.as_mut().unwrap();
        measured.throughput_rps = 0.0;
        measured.server.as_mut().unwrap().cpu_ns = Some(0);
        assert_eq!((Metric::Throughput.of(&trial), Metric::ServerCpu.of(&trial)), (None, None));
    }
}
