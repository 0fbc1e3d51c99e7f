//! How many samples a percentile needs.

use hdrhistogram::Histogram;

/// Samples that must lie above a percentile before it is more than the luck of a few of them.
const SAMPLES_ABOVE: f64 = 10.0;

/// Whether `samples` are enough for the quantile `q`.
#[must_use]
pub fn enough_samples(samples: u64, q: f64) -> bool {
    // A quantile such as 0.999 is no exact number; without the rounding, 10,000 samples would just not be enough.
    (samples as f64 * (1.0 - q) * 1e6).round() / 1e6 >= SAMPLES_ABOVE
}

/// The quantile `q` in the unit of the histogram, where there are enough samples for it.
#[must_use]
pub fn percentile(histogram: &Histogram<u64>, q: f64) -> Option<u64> {
    enough_samples(histogram.len(), q).then(|| histogram.value_at_quantile(q))
}

/// The same of all requests, the `unanswered` ones being slower than any answer: none, too, where it lies among them.
/// Without them, a server would look the faster the more of its requests it leaves unanswered.
#[must_use]
pub fn percentile_of_all(histogram: &Histogram<u64>, unanswered: u64, q: f64) -> Option<u64> {
    let (all, answered) = (histogram.len().saturating_add(unanswered), histogram.len() as f64);
    // Rounded as above.
    let place = ((q * all as f64 * 1e6).round() / 1e6).ceil().max(1.0);
    // Half a place less, or what a quotient lacks in precision would make it the next one.
    (enough_samples(all, q) && place <= answered).then(|| histogram.value_at_quantile((place - 0.5) / answered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_samples_must_lie_above() {
        for (samples, q) in [(20, 0.5), (1000, 0.99), (10_000, 0.999), (100_000, 0.9999)] {
            assert!(enough_samples(samples, q), "{samples} for {q}");
            assert!(!enough_samples(samples - 1, q), "{} for {q}", samples - 1);
        }
    }

    #[test]
    fn a_percentile_without_enough_samples_is_none() {
        let mut histogram = Histogram::new(3).unwrap();
        histogram.record_n(5, 999).unwrap();
        assert_eq!(percentile(&histogram, 0.99), None);
        histogram.record(5).unwrap();
        assert_eq!(percentile(&histogram, 0.99), Some(5));
    }

    #[test]
    fn a_request_that_was_never_answered_is_slower_than_any_answer() {
        let mut histogram = Histogram::new(3).unwrap();
        (1..=990).for_each(|value| histogram.record(value).unwrap());
        assert_eq!(percentile_of_all(&histogram, 10, 0.5), Some(500));
        assert_eq!(percentile_of_all(&histogram, 10, 0.99), Some(990));
        assert_eq!(percentile_of_all(&histogram, 11, 0.99), None);
        assert_eq!(percentile_of_all(&Histogram::new(3).unwrap(), 1000, 0.5), None);
        assert_eq!(percentile_of_all(&Histogram::new(3).unwrap(), 0, 0.5), None);
    }
}
