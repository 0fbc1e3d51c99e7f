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

/// The same of all requests, the `unanswered` ones included.
#[must_use]
pub fn enough_of_all(histogram: &Histogram<u64>, unanswered: u64, q: f64) -> bool {
    // In a file there may be any number of them.
    enough_samples(histogram.len().saturating_add(unanswered), q)
}

/// The quantile `q` of all requests in the unit of the histogram, the `unanswered` ones being slower than any answer: none
/// where there are too few samples for it, or it lies among them.
/// Without them, a server would look the faster the more of its requests it leaves unanswered.
#[must_use]
pub fn percentile_of_all(histogram: &Histogram<u64>, unanswered: u64, q: f64) -> Option<u64> {
    enough_of_all(histogram, unanswered, q).then(|| value_of_all(histogram, unanswered, q))?
}

/// The same however few samples there are: for records and rows, whose readers see how many.
#[must_use]
pub fn value_of_all(histogram: &Histogram<u64>, unanswered: u64, q: f64) -> Option<u64> {
    let place = place_among_answers(histogram, unanswered, q)?;
    // Half a place less, or what a quotient lacks in precision would make it the next one.
    Some(histogram.value_at_quantile((place - 0.5) / histogram.len() as f64))
}

/// The same for many quantiles, ascending, in one walk through the histogram. It ends before the first that is none.
#[must_use]
pub fn percentiles_of_all(histogram: &Histogram<u64>, unanswered: u64, quantiles: &[f64]) -> Vec<u64> {
    let mut values = Vec::with_capacity(quantiles.len());
    let mut recorded = histogram.iter_recorded();
    // The greatest value seen, and how many are not above it.
    let (mut value, mut seen) = (0, 0.0);
    for place in quantiles.iter().map_while(|&q| place_among_all(histogram, unanswered, q)) {
        while seen < place {
            let Some(next) = recorded.next() else { return values };
            value = histogram.highest_equivalent(next.value_iterated_to());
            seen += next.count_since_last_iteration() as f64;
        }
        values.push(value);
    }
    values
}

/// Which of all requests it is, from 1; none where there are too few above it, or it was never answered.
fn place_among_all(histogram: &Histogram<u64>, unanswered: u64, q: f64) -> Option<f64> {
    place_among_answers(histogram, unanswered, q).filter(|_| enough_of_all(histogram, unanswered, q))
}

/// The same however few there are above it.
fn place_among_answers(histogram: &Histogram<u64>, unanswered: u64, q: f64) -> Option<f64> {
    let all = histogram.len().saturating_add(unanswered);
    // Rounded as above.
    let place = ((q * all as f64 * 1e6).round() / 1e6).ceil().max(1.0);
    (place <= histogram.len() as f64).then_some(place)
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
        assert_eq!(percentile_of_all(&histogram, 0, 0.99), None);
        histogram.record(5).unwrap();
        assert_eq!(percentile_of_all(&histogram, 0, 0.99), Some(5));
    }

    #[test]
    fn many_percentiles_at_once_are_what_each_is_by_itself() {
        let mut histogram = Histogram::new(3).unwrap();
        (1..=5000_u64).for_each(|n| histogram.record(n * n).unwrap());
        let quantiles: Vec<f64> = (0..200).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 40.0)).collect();
        for unanswered in [0, 1, 20, 400, 1_000_000] {
            let each: Vec<u64> =
                quantiles.iter().map_while(|&q| percentile_of_all(&histogram, unanswered, q)).collect();
            assert_eq!(percentiles_of_all(&histogram, unanswered, &quantiles), each, "{unanswered} unanswered");
        }
        assert_eq!(percentiles_of_all(&Histogram::new(3).unwrap(), 0, &quantiles), [0_u64; 0]);
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
