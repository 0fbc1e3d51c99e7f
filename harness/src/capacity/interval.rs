//! From estimates to a capacity and how sure it is.
//!
//! The interval is made of order statistics: of n independent estimates, the k-th least and the k-th greatest enclose
//! the median of what they are drawn from with a probability that follows from coin tosses alone, whatever the
//! distribution. Ours are not quite independent, as each search of the edge begins around the median of those before it;
//! that it costs little is what `simulation` shows, in which intervals of 97 % enclose the capacity in at least 93 %,
//! whatever the first guess and however gradual the edge. Each estimate is itself a bracket, so the lower ends are ranked for the one end and the upper ends for
//! the other: estimates that agree by chance leave an interval of the resolution, and not of nothing.

use super::search::Estimate;

/// What an interval is to enclose the capacity with.
const CONFIDENCE: f64 = 0.95;

/// What several estimates say together. What is `None` lies beyond what the load generator could tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    /// The median.
    pub(super) capacity_rps: Option<f64>,
    /// The lower end.
    pub(super) low_rps: f64,
    /// The upper end.
    pub(super) high_rps: Option<f64>,
    /// The probability with which both ends enclose the median of all estimates that could have been made.
    pub(super) confidence: f64,
}

impl Interval {
    /// The narrowest of at least 95 %, or the widest where there are too few estimates; `None` where there is none.
    pub(super) fn of(estimates: &[Estimate]) -> Option<Self> {
        let (depth, confidence) = depth(estimates.len())?;
        // What has no upper end is above all others.
        let ranked = |value: fn(&Estimate) -> Option<f64>| {
            let mut values: Vec<f64> =
                estimates.iter().map(|estimate| value(estimate).unwrap_or(f64::INFINITY)).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let known = |rps: f64| rps.is_finite().then_some(rps);
        let low = ranked(|estimate| Some(estimate.met_rps));
        let high = ranked(|estimate| estimate.missed_rps);
        let middle = ranked(Estimate::rps);
        let count = estimates.len();
        Some(Self {
            capacity_rps: known(f64::midpoint(middle[(count - 1) / 2], middle[count / 2])),
            low_rps: low[depth - 1],
            high_rps: known(high[count - depth]),
            confidence,
        })
    }
}

/// Which estimate from either end bounds the interval, from 1, and the confidence that follows.
fn depth(count: usize) -> Option<(usize, f64)> {
    if count == 0 {
        return None;
    }
    let mut best = (1, 1.0 - 2.0 * tail(count, 0));
    for depth in 2..=count / 2 {
        let confidence = 1.0 - 2.0 * tail(count, depth - 1);
        if confidence < CONFIDENCE {
            break;
        }
        best = (depth, confidence);
    }
    Some(best)
}

/// The probability of at most `most` heads in `count` tosses.
fn tail(count: usize, most: usize) -> f64 {
    let mut ways = 1.0;
    let mut sum = 0.0;
    for heads in 0..=most {
        sum += ways;
        ways *= (count - heads) as f64 / (heads + 1) as f64;
    }
    sum * 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimates(middles: &[f64]) -> Vec<Estimate> {
        middles.iter().map(|rps| Estimate { met_rps: rps / 1.02, missed_rps: Some(rps * 1.02) }).collect()
    }

    #[test]
    fn six_estimates_are_enclosed_by_the_least_and_the_greatest() {
        let interval = Interval::of(&estimates(&[6.0, 1.0, 5.0, 2.0, 4.0, 3.0])).unwrap();
        assert!((interval.confidence - 0.96875).abs() < 1e-12);
        assert!((interval.capacity_rps.unwrap() - 3.5).abs() < 1e-9);
        assert!((interval.low_rps * 1.02 - 1.0).abs() < 1e-9);
        assert!((interval.high_rps.unwrap() / 1.02 - 6.0).abs() < 1e-9);
    }

    #[test]
    fn with_more_estimates_the_extremes_no_longer_count() {
        // From tables of the sign test: the k-th from either end, and its confidence.
        for (count, expected, confidence) in [(8, 1, 0.992), (9, 2, 0.961), (12, 3, 0.961), (20, 6, 0.959)] {
            let (depth, found) = depth(count).unwrap();
            assert_eq!(depth, expected, "{count}");
            assert!((found - confidence).abs() < 0.001, "{found} for {count}");
        }
    }

    #[test]
    fn too_few_estimates_say_how_little_they_are_worth() {
        assert_eq!(Interval::of(&[]), None);
        assert!(Interval::of(&estimates(&[7.0])).unwrap().confidence.abs() < 1e-12);
        assert!((Interval::of(&estimates(&[7.0, 8.0])).unwrap().confidence - 0.5).abs() < 1e-12);
    }

    #[test]
    fn estimates_that_agree_leave_the_resolution() {
        let interval = Interval::of(&estimates(&[100.0; 6])).unwrap();
        assert!((interval.high_rps.unwrap() / interval.low_rps - 1.02 * 1.02).abs() < 1e-9);
    }

    #[test]
    fn what_the_generator_cut_off_lies_above_all_others() {
        let cut = |from: usize| {
            let mut estimates = estimates(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            estimates[..from].iter_mut().for_each(|estimate| estimate.missed_rps = None);
            Interval::of(&estimates).unwrap()
        };
        assert_eq!((cut(1).high_rps, cut(1).capacity_rps.is_some()), (None, true));
        assert!(cut(1).capacity_rps.unwrap() > cut(0).capacity_rps.unwrap());
        assert_eq!((cut(3).capacity_rps, cut(6).capacity_rps), (None, None));
        assert!((cut(6).low_rps * 1.02 - 1.0).abs() < 1e-9, "at least this");
    }
}
