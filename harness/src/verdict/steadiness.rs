//! Whether what was measured stayed the same while it was measured.
//!
//! Pettitt's test: wherever the window is cut in two, how often was a part before the cut better than one after it? It
//! ranks, so that one hiccup weighs no more than any other part; it finds a slope as well as a step, and a pause that takes
//! up half of what is on one side of a cut.

use super::Evidence;

/// Parts that are shorter are looked at two by two: what a scheduler does in a few milliseconds runs from one into the
/// next, while the test takes them to be independent. Not four by four: ten parts cannot show anything.
const SHORTEST_NS: u64 = 10_000_000;

/// Parts of the window in which one answer more or less would be a large change say nothing.
const FEWEST_ANSWERS: u64 = 10;

/// A change is one where chance makes as clear a one less often than this.
const SIGNIFICANCE: f64 = 0.01;

/// A smaller change of the rate is no reason: trials differ from each other by as much.
const LARGE: f64 = 0.1;

/// And of the service time, which differs more: in an open loop it is all that can change while the rate is met.
const LARGE_IN_TIME: f64 = 0.5;

pub(super) fn reason_to_doubt(evidence: &Evidence) -> Option<String> {
    let Parts { answers, times_ns } = Parts::of(evidence);
    if answers.is_empty() || median(&answers) < FEWEST_ANSWERS as f64 {
        return None;
    }
    if is_unsteady(&answers, LARGE) {
        return Some("not steady: the rate of answers changed within the window, by more than 10 %".to_owned());
    }
    is_unsteady(&times_ns, LARGE_IN_TIME)
        .then(|| "not steady: the service time changed within the window, by more than 50 %".to_owned())
}

/// The window, part by part.
struct Parts {
    answers: Vec<u64>,
    /// The mean service time in each part that has an answer. Without one there is no time, and no change of it.
    times_ns: Vec<u64>,
}

impl Parts {
    fn of(evidence: &Evidence) -> Self {
        let slices = &evidence.slices;
        let slice_ns = evidence.elapsed_ns / (slices.len() as u64).max(1);
        let together = if slice_ns < SHORTEST_NS { 2 } else { 1 };
        // Not known in files that are older than it.
        let of_each = evidence.slice_service_ns.iter().zip(slices).map(|(mean_ns, answers)| mean_ns * answers);
        let sums_ns: Vec<u64> = of_each.collect();
        let sum = |values: &[u64]| values.iter().sum::<u64>();
        let answers: Vec<u64> = slices.chunks(together).map(sum).collect();
        let times_ns = sums_ns.chunks(together).map(sum).zip(&answers);
        let times_ns = times_ns.filter_map(|(sum_ns, &answers)| sum_ns.checked_div(answers)).collect();
        Self { answers, times_ns }
    }
}

/// Whether values changed for good somewhere, by more than this share of their median.
fn is_unsteady(values: &[u64], large: f64) -> bool {
    if values.len() < 2 {
        return false;
    }
    let (cut, probability) = change(values);
    let (before, after) = values.split_at(cut);
    probability < SIGNIFICANCE && (median(after) - median(before)).abs() > large * median(values)
}

/// The cut that separates the slices best, and how probable one as good is by chance.
fn change(slices: &[u64]) -> (usize, f64) {
    let count = slices.len() as f64;
    let clearness = |cut: usize| {
        let (before, after) = slices.split_at(cut);
        let sign = |a: &u64, b: &u64| b.cmp(a) as i64;
        before.iter().map(|a| after.iter().map(|b| sign(a, b)).sum::<i64>()).sum::<i64>().abs()
    };
    let (clearest, cut) = (1..slices.len()).map(|cut| (clearness(cut), cut)).max().unwrap_or_default();
    let probability = 2.0 * (-6.0 * (clearest as f64).powi(2) / (count.powi(3) + count.powi(2))).exp();
    (cut, probability)
}

fn median(values: &[u64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle] as f64
    } else {
        f64::midpoint(values[middle - 1] as f64, values[middle] as f64)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    /// Forty slices around these rates, each of which varies by up to `noise` of itself.
    fn slices(rng: &mut Pcg64Mcg, noise: f64, rate: impl Fn(usize) -> f64) -> Vec<u64> {
        let mut slice = |part| {
            let uniform: f64 = rng.random();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of answers")]
            let answers = (rate(part) * (1.0 + noise * (2.0 * uniform - 1.0))) as u64;
            answers
        };
        (0..40).map(&mut slice).collect()
    }

    fn found(noise: f64, rate: impl Fn(usize) -> f64 + Copy) -> usize {
        let mut rng = Pcg64Mcg::seed_from_u64(3);
        (0..1000).filter(|_| is_unsteady(&slices(&mut rng, noise, rate), LARGE)).count()
    }

    #[test]
    fn a_slope_is_found_where_it_is_large() {
        let slope = |change: f64| move |part: usize| 1000.0 * (1.0 + change * (part as f64 / 39.0 - 0.5));
        // From half to half of the window, the rate changes by half of that.
        assert_eq!(found(0.1, slope(0.4)), 1000);
        assert_eq!(found(0.1, slope(-0.4)), 1000);
        assert_eq!(found(0.02, slope(0.1)), 0);
    }

    #[test]
    fn a_step_is_found_wherever_it_is() {
        // What this machine does when its CPUs change their speed.
        for at in [8, 20, 32] {
            let step = |part| if part < at { 1000.0 } else { 730.0 };
            assert!(found(0.1, step) >= 950, "at {at}: {}", found(0.1, step));
        }
    }

    #[test]
    fn noise_is_seldom_taken_for_a_change() {
        assert_eq!(found(0.1, |_| 1000.0), 0);
        assert!(found(0.5, |_| 1000.0) <= 10, "{}", found(0.5, |_| 1000.0));
    }

    #[test]
    fn a_hiccup_is_no_change() {
        for at in [0, 7, 39] {
            assert_eq!(found(0.05, |part| if part == at { 0.0 } else { 1000.0 }), 0);
        }
    }

    #[test]
    fn a_stop_each_second_is_no_change() {
        // 200 ms in every second of a window of four.
        assert_eq!(found(0.05, |part| if part % 10 < 2 { 0.0 } else { 1000.0 }), 0);
    }

    #[test]
    fn with_parts_two_by_two_a_step_is_found_in_the_middle_third() {
        let step = |at: usize| [vec![2000; at], vec![1500; 20 - at]].concat();
        for (at, found) in [(3, false), (7, true), (10, true), (13, true), (17, false)] {
            assert_eq!(is_unsteady(&step(at), LARGE), found, "at {at} of 20");
        }
    }

    #[test]
    fn what_is_not_there_has_not_changed() {
        assert!(!is_unsteady(&[], LARGE) && !is_unsteady(&[1], LARGE));
    }
}
