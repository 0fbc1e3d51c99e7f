//! How often an interval holds what it should, by simulation.
//!
//! The noise is what a machine makes of log ratios: normal; with long tails; with blocks in which one side or the other
//! met another state of the machine and came out at 73 % of what it does. Every seed is fixed, so that a failure is a
//! change of the interval and no bad luck.

use harness::statistics::{Estimate, MIN_BLOCKS, error_rate, paired, unpaired};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// The log ratio of what is compared.
const TRUTH: f64 = 0.05;

/// How far log ratios commonly stray.
const NOISE: f64 = 0.03;

/// Blocks in one state of the machine instead of the other.
const SLOW: f64 = -0.314_7;

/// Its name, and a draw from it.
type Noise = (&'static str, fn(&mut Pcg64Mcg) -> f64);

const NOISES: [Noise; 5] = [
    ("normal", |random| NOISE * normal(random)),
    ("t with three degrees of freedom", |random| {
        let squares = (0..3).map(|_| normal(random).powi(2)).sum::<f64>();
        NOISE * normal(random) / (squares / 3.0).sqrt()
    }),
    ("one block of ten faster or slower", |random| {
        let outlier = match random.random::<f64>() {
            share if share < 0.05 => SLOW,
            share if share < 0.1 => -SLOW,
            _ => 0.0,
        };
        NOISE * normal(random) + outlier
    }),
    ("one trial of twenty slower", |random| {
        let mut state = || if random.random::<f64>() < 0.05 { SLOW } else { 0.0 };
        let outlier = state() - state();
        NOISE * normal(random) + outlier
    }),
    ("lognormal trials, wide", |random| 0.3 * (normal(random) - normal(random))),
];

fn normal(random: &mut Pcg64Mcg) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

/// The share of intervals that hold the truth.
fn coverage(runs: u32, mut estimate: impl FnMut() -> Estimate) -> f64 {
    let holds = |estimate: Estimate| {
        let interval = estimate.interval.expect("there are enough blocks");
        (interval.low..=interval.high).contains(&TRUTH.exp())
    };
    f64::from((0..runs).map(|_| u32::from(holds(estimate()))).sum::<u32>()) / f64::from(runs)
}

/// The least that a `level` may come out at in so many runs: two and a half standard deviations less. There are fifty such
/// checks, so that one or the other lies beyond two by chance.
fn least(level: f64, runs: u32) -> f64 {
    level - 2.5 * (level * (1.0 - level) / f64::from(runs)).sqrt()
}

/// Intervals that hold much more often than they say are wider than they have to be. Those over few blocks with outliers
/// hold in 97.5 %.
const MOST: f64 = 0.985;

fn check_coverage(blocks: usize, runs: u32) {
    for (name, noise) in NOISES {
        let random = &mut Pcg64Mcg::seed_from_u64(blocks as u64);
        let mut sample = |family| {
            let logs: Vec<f64> = (0..blocks).map(|_| TRUTH + noise(random)).collect();
            paired(&logs, 0.0, error_rate(family)).unwrap()
        };
        let alone = coverage(runs, || sample(1));
        assert!(
            (least(0.95, runs)..=MOST).contains(&alone),
            "{:.1} % of intervals over {blocks} blocks, {name}",
            alone * 100.0
        );
        // 99.85 % of them: in 1,000 runs it is one or two that miss.
        let among_many = coverage(runs, || sample(33));
        assert!(
            among_many >= least(1.0 - error_rate(33), runs),
            "{:.2} % of 33 intervals over {blocks} blocks, {name}",
            among_many * 100.0
        );
    }
}

#[test]
fn an_interval_over_the_fewest_blocks_holds_the_truth_as_often_as_it_says() {
    check_coverage(MIN_BLOCKS, 1000);
}

#[test]
fn an_interval_over_the_blocks_of_a_default_sweep_holds_the_truth_as_often_as_it_says() {
    check_coverage(8, 1000);
}

#[test]
fn an_interval_over_ten_blocks_holds_the_truth_as_often_as_it_says() {
    check_coverage(10, 1000);
}

#[test]
fn an_interval_over_twenty_blocks_holds_the_truth_as_often_as_it_says() {
    check_coverage(20, 1000);
}

#[test]
fn an_interval_between_two_runs_holds_the_truth_as_often_as_it_says() {
    for (name, noise) in NOISES {
        let random = &mut Pcg64Mcg::seed_from_u64(3);
        let covered = coverage(1000, || {
            let new: Vec<f64> = (0..8).map(|_| TRUTH + noise(random)).collect();
            let old: Vec<f64> = (0..8).map(|_| noise(random)).collect();
            unpaired(&new, &old, 0.0, error_rate(1)).unwrap()
        });
        assert!(covered >= least(0.95, 1000), "{:.1} % of intervals between runs, {name}", covered * 100.0);
    }
}

/// `--until`: a run that happens to look quiet ends early, and its interval must hold nevertheless.
#[test]
fn an_interval_that_a_run_ended_at_because_it_was_narrow_holds_the_truth_too() {
    for (name, noise) in NOISES.into_iter().take(4) {
        let random = &mut Pcg64Mcg::seed_from_u64(11);
        let covered = coverage(300, || {
            let mut logs: Vec<f64> = (0..8).map(|_| TRUTH + noise(random)).collect();
            loop {
                let estimate = paired(&logs, 0.0, error_rate(5)).unwrap();
                if logs.len() >= 40 || estimate.interval.unwrap().half_width() <= 0.03 {
                    return estimate;
                }
                logs.push(TRUTH + noise(random));
            }
        });
        // At the level of five comparisons: 99 %.
        assert!(covered >= least(0.99, 300), "{:.1} % of intervals, {name}", covered * 100.0);
    }
}

#[test]
fn a_backend_slowed_by_five_percent_is_found_among_many_comparisons() {
    // As many blocks as fit into the budget of --until for six backends in three cells, and one more is 5 % slower.
    let found = |(_, noise): Noise| {
        let random = &mut Pcg64Mcg::seed_from_u64(5);
        let slowed = || {
            let logs: Vec<f64> = (0..30).map(|_| 0.95_f64.ln() + noise(random)).collect();
            paired(&logs, 0.0, error_rate(90)).unwrap().interval.unwrap().high < 1.0
        };
        std::iter::repeat_with(slowed).take(40).filter(|found| *found).count()
    };
    for noise in [NOISES[0], NOISES[2], NOISES[3]] {
        let found = found(noise);
        assert!(found >= 38, "{found} of 40, {}", noise.0);
    }
}
