//! The interval on a ratio.
//!
//! Ratios are looked at as logarithms, where twice as much and half as much lie equally far from no difference. What is
//! estimated is the middle of their distribution: the median of all averages of two (Hodges and Lehmann), which a
//! quarter of wild values does not move, and which wastes little where there are none.
//!
//! A bootstrap of whole blocks says how far that estimate strays. Of its distribution only the middle two thirds are
//! used: its tails are resamples that drew one outlier again and again. Student's t then stretches them to the level that
//! is asked for, where few blocks leave the tails of a bootstrap empty. How often such intervals hold what they should
//! is simulated in the tests, for several kinds of noise.
//!
//! Nothing here is random from outside: equal samples give equal intervals.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::median::median;

/// Below this there is no interval: simulated ones were then too short at the levels that many comparisons need.
pub const MIN_BLOCKS: usize = 7;

/// How often all comparisons of a run hold together.
pub const CONFIDENCE: f64 = 0.95;

const RESAMPLES: usize = 2000;

/// Degrees of freedom for each block. The middle of a bootstrap knows less of the noise than a standard deviation does:
/// with n - 1 of them, one of a hundred and more comparisons missed in 7 to 10 runs of a hundred, and not in 5.
const FREEDOM: f64 = 0.75;

/// Resamples on each side of the middle 68.3 %: one standard deviation, were they normal.
const TAIL: usize = 317;

/// More values than this are taken together in so many groups: pairs grow with the square, and with so many the interval
/// is narrow anyway.
const MOST_VALUES: usize = 100;

/// Where a ratio lies, as far as can be said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether there is a difference at all.
    #[must_use]
    pub fn excludes_one(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }

    /// How far it reaches from its middle, as a share of it.
    #[must_use]
    pub fn half_width(&self) -> f64 {
        (self.high / self.low).sqrt() - 1.0
    }

    /// How far its farther end is from no difference, as a factor of at least 1.
    #[must_use]
    pub fn reach(&self) -> f64 {
        self.high.max(1.0 / self.low)
    }
}

/// A ratio and its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The most likely one.
    pub ratio: f64,
    /// None where there are fewer than [`MIN_BLOCKS`].
    pub interval: Option<Interval>,
}

/// The share of comparisons that may go wrong one by one, for all of a `family` to hold together with [`CONFIDENCE`].
#[must_use]
pub fn error_rate(family: usize) -> f64 {
    (1.0 - CONFIDENCE) / family.max(1) as f64
}

/// The ratio of two sides that were measured in the same blocks; none of no blocks.
///
/// `resolution` is the log ratio that a measurement can just tell from none: values that are rounded alike look as if
/// there were no noise.
#[must_use]
pub fn paired(log_ratios: &[f64], resolution: f64, error_rate: f64) -> Option<Estimate> {
    let values = grouped(log_ratios);
    let pairs = Pairs::within(&values);
    let point = pairs.median(&vec![1; values.len()], &[])?;
    let deviation = || {
        let mut random = Pcg64Mcg::seed_from_u64(values.len() as u64);
        let mut weights = vec![0; values.len()];
        middle_half_width(|| {
            draw(&mut weights, &mut random);
            pairs.median(&weights, &[])
        })
    };
    Some(estimate(point, values.len(), resolution, error_rate, deviation))
}

/// The ratio of two sides that were measured at different times, `new` over `old`; none where either was not.
#[must_use]
pub fn unpaired(new_logs: &[f64], old_logs: &[f64], resolution: f64, error_rate: f64) -> Option<Estimate> {
    let (new, old) = (grouped(new_logs), grouped(old_logs));
    let pairs = Pairs::across(&new, &old);
    let point = pairs.median(&vec![1; new.len()], &vec![1; old.len()])?;
    let deviation = || {
        let mut random = Pcg64Mcg::seed_from_u64((new.len() + old.len()) as u64);
        let (mut new_weights, mut old_weights) = (vec![0; new.len()], vec![0; old.len()]);
        middle_half_width(|| {
            draw(&mut new_weights, &mut random);
            draw(&mut old_weights, &mut random);
            pairs.median(&new_weights, &old_weights)
        })
    };
    // The smaller side decides: trials of one run follow each other and know less than as many independent ones.
    Some(estimate(point, new.len().min(old.len()), resolution, error_rate, deviation))
}

/// The middle of the log ratios, without an interval.
#[must_use]
pub fn middle(log_ratios: &[f64]) -> Option<f64> {
    let values = grouped(log_ratios);
    Pairs::within(&values).median(&vec![1; values.len()], &[])
}

/// At most [`MOST_VALUES`]: the medians of values that follow each other, where there are more.
fn grouped(values: &[f64]) -> Vec<f64> {
    values.chunks(values.len().div_ceil(MOST_VALUES).max(1)).filter_map(median).collect()
}

fn estimate(point: f64, blocks: usize, resolution: f64, error_rate: f64, deviation: impl FnOnce() -> f64) -> Estimate {
    let interval = (blocks >= MIN_BLOCKS).then(|| {
        let n = blocks as f64;
        // Resampling n values underestimates their variance by (n - 1)/n.
        let deviation = deviation() * (n / (n - 1.0)).sqrt();
        let reach = (deviation * student_quantile(1.0 - error_rate / 2.0, FREEDOM * n)).max(resolution);
        Interval { low: (point - reach).exp(), high: (point + reach).exp() }
    });
    Estimate { ratio: point.exp(), interval }
}

fn student_quantile(p: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).expect("there is at least one degree of freedom").inverse_cdf(p)
}

/// Resamples with replacement: how often each value was drawn.
fn draw(weights: &mut [u32], random: &mut Pcg64Mcg) {
    weights.fill(0);
    for _ in 0..weights.len() {
        weights[random.random_range(0..weights.len())] += 1;
    }
}

/// Half the width of the middle 68.3 % of the estimates.
fn middle_half_width(mut resample: impl FnMut() -> Option<f64>) -> f64 {
    let mut estimates: Vec<f64> = (0..RESAMPLES).filter_map(|_| resample()).collect();
    estimates.sort_unstable_by(f64::total_cmp);
    (estimates[RESAMPLES - 1 - TAIL] - estimates[TAIL]) / 2.0
}

/// All pairs of values, sorted once by what the estimate takes the median of. A resample only weighs them anew.
struct Pairs {
    sorted: Vec<Pair>,
    /// Whether both of a pair come from the same values.
    within: bool,
}

struct Pair {
    value: f64,
    first: usize,
    second: usize,
}

impl Pairs {
    /// The averages of two values, a value with itself included.
    fn within(values: &[f64]) -> Self {
        let pairs = (0..values.len()).flat_map(|first| (first..values.len()).map(move |second| (first, second)));
        let pair = |(first, second)| Pair { value: f64::midpoint(values[first], values[second]), first, second };
        Self::sorted(pairs.map(pair).collect(), true)
    }

    /// The differences between a new and an old value.
    fn across(new: &[f64], old: &[f64]) -> Self {
        let pairs = (0..new.len()).flat_map(|first| (0..old.len()).map(move |second| (first, second)));
        let pair = |(first, second): (usize, usize)| Pair { value: new[first] - old[second], first, second };
        Self::sorted(pairs.map(pair).collect(), false)
    }

    fn sorted(mut sorted: Vec<Pair>, within: bool) -> Self {
        sorted.sort_unstable_by(|a, b| a.value.total_cmp(&b.value));
        Self { sorted, within }
    }

    /// The median, each value being there as often as its weight says; none of nothing.
    fn median(&self, first: &[u32], second: &[u32]) -> Option<f64> {
        let weight = |pair: &Pair| match (self.within, pair.first == pair.second) {
            (true, true) => first[pair.first] * (first[pair.first] + 1) / 2,
            (true, false) => first[pair.first] * first[pair.second],
            (false, _) => first[pair.first] * second[pair.second],
        };
        // A resample is as large as what it was drawn from, and so has as many pairs.
        let all = self.sorted.len();
        let (lower, upper) = (all.checked_sub(1)? / 2, all / 2);
        let (mut seen, mut low) = (0, None);
        for pair in &self.sorted {
            seen += weight(pair) as usize;
            if seen > lower && low.is_none() {
                low = Some(pair.value);
            }
            if seen > upper {
                return Some(f64::midpoint(low?, pair.value));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn logs() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(-2.0..2.0, MIN_BLOCKS..20)
    }

    fn close(a: f64, b: f64) -> bool {
        (a.ln() - b.ln()).abs() < 1e-9
    }

    proptest! {
        #[test]
        fn a_factor_on_one_side_is_a_factor_on_ratio_and_interval(logs in logs(), shift in -3.0_f64..3.0) {
            let shifted: Vec<f64> = logs.iter().map(|log| log + shift).collect();
            let (before, after) = (paired(&logs, 0.0, 0.01).unwrap(), paired(&shifted, 0.0, 0.01).unwrap());
            let (old, new) = (before.interval.unwrap(), after.interval.unwrap());
            let factor = shift.exp();
            prop_assert!(close(after.ratio, before.ratio * factor));
            prop_assert!(close(new.low, old.low * factor) && close(new.high, old.high * factor));
        }

        #[test]
        fn swapping_the_sides_inverts_ratio_and_interval(logs in logs()) {
            let swapped: Vec<f64> = logs.iter().map(|log| -log).collect();
            let (before, after) = (paired(&logs, 0.0, 0.01).unwrap(), paired(&swapped, 0.0, 0.01).unwrap());
            let (old, new) = (before.interval.unwrap(), after.interval.unwrap());
            prop_assert!(close(after.ratio, 1.0 / before.ratio));
            prop_assert!(close(new.low, 1.0 / old.high) && close(new.high, 1.0 / old.low));
        }

        #[test]
        fn the_ratio_lies_within_its_interval_and_a_larger_family_widens_it(logs in logs()) {
            let alone = paired(&logs, 0.0, error_rate(1)).unwrap();
            let among_many = paired(&logs, 0.0, error_rate(100)).unwrap();
            let (narrow, wide) = (alone.interval.unwrap(), among_many.interval.unwrap());
            prop_assert!(narrow.low <= alone.ratio && alone.ratio <= narrow.high);
            prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
        }
    }

    #[test]
    fn a_quarter_of_wild_values_leaves_the_ratio_where_it_is() {
        let mut logs = vec![0.1; 12];
        logs.extend([5.0, 5.0, 5.0]);
        assert!((paired(&logs, 0.0, 0.05).unwrap().ratio.ln() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn too_few_blocks_have_no_interval_and_none_have_no_ratio() {
        let few = paired(&[0.1; MIN_BLOCKS - 1], 0.0, 0.05).unwrap();
        assert!(close(few.ratio, 0.1_f64.exp()));
        assert_eq!(few.interval, None);
        assert!(paired(&[0.1; MIN_BLOCKS], 0.0, 0.05).unwrap().interval.is_some());
        assert!(paired(&[], 0.0, 0.05).is_none() && unpaired(&[], &[0.0], 0.0, 0.05).is_none());
        assert_eq!(unpaired(&[0.1; 20], &[0.1; MIN_BLOCKS - 1], 0.0, 0.05).unwrap().interval, None);
    }

    #[test]
    fn thousands_of_values_are_taken_together_and_lose_none_of_their_order() {
        let logs: Vec<f64> = (0..10_000).map(|index| f64::from(index % 7) / 100.0).collect();
        assert_eq!(grouped(&logs).len(), MOST_VALUES);
        let interval = paired(&logs, 0.0, 0.05).unwrap().interval.unwrap();
        assert!(interval.low <= 0.03_f64.exp() && interval.high >= 0.03_f64.exp(), "{interval:?}");
        assert_eq!(grouped(&logs[..MOST_VALUES]), logs[..MOST_VALUES]);
        assert!(grouped(&logs[..=MOST_VALUES]).len() > MOST_VALUES / 2);
    }

    #[test]
    fn values_that_are_rounded_alike_are_not_exact() {
        let interval = paired(&[0.0; 8], 0.001, 0.05).unwrap().interval.unwrap();
        assert!(close(interval.low, (-0.001_f64).exp()) && close(interval.high, 0.001_f64.exp()));
        assert!(!interval.excludes_one());
    }

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (p, freedom, expected) in
            [(0.975, 6.0, 2.446_912), (0.995, 7.0, 3.499_483), (0.9995, 7.0, 5.407_883), (0.9995, 29.0, 3.659_405)]
        {
            let quantile = student_quantile(p, freedom);
            assert!((quantile - expected).abs() < 1e-4, "{quantile} for {p} of {freedom}");
        }
        assert!(
            student_quantile(1.0 - error_rate(10_000) / 2.0, 6.0) > student_quantile(1.0 - error_rate(1000) / 2.0, 6.0)
        );
    }

    #[test]
    fn resampling_weighs_pairs_as_if_they_were_drawn() {
        let values = [0.3, -0.1, 0.7, 0.2];
        // The first was drawn twice, the last not at all.
        let weighed = Pairs::within(&values).median(&[2, 1, 1, 0], &[]);
        assert_eq!(weighed, middle(&[0.3, 0.3, -0.1, 0.7]));
    }
}
