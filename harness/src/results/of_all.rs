//! Latencies of all requests, of which only the answered ones are in a histogram: the others are slower than any answer.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LatencySummary, Measured};
use crate::statistics::value_of_all;

/// The figures of a [`LatencySummary`] of all requests, those without an answer included. Null is a percentile that lies
/// among them, and where there are any the mean and the maximum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "each is the percentile that its name says")]
pub struct LatencyOfAll {
    pub min: Option<u64>,
    pub mean: Option<u64>,
    pub p50: Option<u64>,
    pub p90: Option<u64>,
    pub p99: Option<u64>,
    pub p999: Option<u64>,
    pub p9999: Option<u64>,
    pub max: Option<u64>,
}

impl LatencyOfAll {
    /// `answered`: the figures of the histogram, for which it is asked only where `unanswered` requests are missing in it.
    #[must_use]
    pub fn of(answered: &LatencySummary, histogram: &Histogram<u64>, unanswered: u64) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let value =
            |q, of_answers| if unanswered == 0 { Some(of_answers) } else { value_of_all(histogram, unanswered, q) };
        let whole = |figure| (unanswered == 0).then_some(figure);
        Self {
            min: Some(answered.min),
            mean: whole(answered.mean),
            p50: value(0.5, answered.p50),
            p90: value(0.9, answered.p90),
            p99: value(0.99, answered.p99),
            p999: value(0.999, answered.p999),
            p9999: value(0.9999, answered.p9999),
            max: whole(answered.max),
        }
    }
}

impl Measured {
    /// From the time at which a request was meant to be sent to its answer, of all requests that were due.
    #[must_use]
    pub fn latency_of_all(&self) -> LatencyOfAll {
        LatencyOfAll::of(&self.latency_ns, &self.latency_hdr.0, self.censored)
    }

    /// From the sending of a request to its answer, of all that were sent.
    #[must_use]
    pub fn service_of_all(&self) -> LatencyOfAll {
        LatencyOfAll::of(&self.service_ns, &self.service_hdr.0, self.sent_and_unanswered())
    }

    /// Requests that were sent and never answered; files of earlier builds do not tell them from those sent too late.
    #[must_use]
    pub fn sent_and_unanswered(&self) -> u64 {
        self.unanswered.unwrap_or(self.censored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::trial;

    /// 2,000 answers in 1 µs to 2,000 µs, and others that never came.
    fn of_all(censored: u64, unanswered: u64) -> [LatencyOfAll; 2] {
        let mut measured = trial("epoll").measured.unwrap();
        (measured.censored, measured.unanswered) = (censored, Some(unanswered));
        [measured.latency_of_all(), measured.service_of_all()]
    }

    #[test]
    fn where_every_request_was_answered_the_figures_are_those_of_the_answers() {
        let measured = trial("epoll").measured.unwrap();
        let of_answers = serde_json::to_value(&measured.latency_ns).unwrap();
        for of_all in of_all(0, 0) {
            assert_eq!(serde_json::to_value(of_all).unwrap(), of_answers);
        }
    }

    #[test]
    fn a_percentile_among_the_unanswered_and_the_mean_and_the_maximum_have_no_value() {
        // Every tenth request of 2,222 is missing, and half of those were sent.
        let [latency, service] = of_all(222, 111);
        assert!(latency.p50.unwrap().abs_diff(1_111_000) < 2000 && latency.p90.is_some(), "{latency:?}");
        assert_eq!((latency.p99, latency.p9999, latency.mean, latency.max), (None, None, None, None));
        assert!(service.p50.unwrap().abs_diff(1_056_000) < 2000, "{service:?}");
        let [latency, service] = of_all(2001, 0);
        assert!(latency.p50.is_none() && latency.min.is_some() && service.p9999.is_some());
    }

    #[test]
    fn without_an_answer_there_is_no_least_one_either() {
        let empty = Histogram::new(3).unwrap();
        assert_eq!(LatencyOfAll::of(&LatencySummary::of(&empty), &empty, 0), LatencyOfAll::default());
    }
}
