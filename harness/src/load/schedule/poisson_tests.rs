//! Whether what is called a Poisson process is one: exponential gaps, as many as asked for in any interval, and none that
//! knows of the one before it. Seeds are fixed, so that a test that passes always does; each is shown to fail for times
//! that are no such process.

use std::time::Duration;

use super::*;
use crate::load::Engine;

const SECOND_NS: u64 = 1_000_000_000;

/// One set of gaps in a thousand is further off by chance: the limit of Kolmogorov's distribution.
const KOLMOGOROV: f64 = 1.95;

/// When the requests of all connections are due, in the order of time.
fn due_ns(connections: usize, rate_rps: f64, seed: u64, end_ns: u64) -> Vec<u64> {
    let plan = LoadPlan {
        target: ([127, 0, 0, 1], 0).into(),
        connections,
        payload_bytes: 64,
        depth: 1,
        pace: Pace::Open { rate_rps, arrivals: Arrivals::Poisson },
        warmup: Duration::ZERO,
        duration: Duration::from_secs(1),
        threads: 1,
        cpus: Vec::new(),
        seed,
        engine: Engine::Auto,
        idle_connections: 0,
    };
    let mut due_ns = Vec::new();
    for mut schedule in Schedule::of_each_connection(&plan) {
        while schedule.due_ns(0) < end_ns {
            due_ns.push(schedule.due_ns(0));
            schedule.advance();
        }
    }
    due_ns.sort_unstable();
    due_ns
}

fn gaps(due_ns: &[u64]) -> Vec<f64> {
    due_ns.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect()
}

/// The largest distance between these and an exponential distribution, in units of what chance makes.
fn distance_from_exponential(gaps: &[f64], mean: f64) -> f64 {
    let mut sorted = gaps.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let distance = sorted.iter().enumerate().fold(0.0, |largest: f64, (rank, gap)| {
        let expected = 1.0 - (-gap / mean).exp();
        largest.max(expected - rank as f64 / count).max((rank + 1) as f64 / count - expected)
    });
    distance * count.sqrt()
}

/// Variance over mean of the counts in equal intervals: 1 for a Poisson process.
fn dispersion(counts: &[f64]) -> f64 {
    let mean = mean(counts);
    counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / (counts.len() - 1) as f64 / mean
}

/// Of each value with the one after it, in units of what chance makes.
fn correlation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let variance: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let covariance: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    covariance / variance * (values.len() as f64).sqrt()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn counts(due_ns: &[u64], interval_ns: u64, end_ns: u64) -> Vec<f64> {
    let mut counts = vec![0.0; usize::try_from(end_ns / interval_ns).unwrap()];
    for due_ns in due_ns {
        counts[usize::try_from(due_ns / interval_ns).unwrap()] += 1.0;
    }
    counts
}

#[test]
fn gaps_are_exponential_on_one_connection_and_over_all_of_them() {
    for connections in [1, 50] {
        for seed in 0..20 {
            let gaps = gaps(&due_ns(connections, 10_000.0, seed, SECOND_NS));
            let distance = distance_from_exponential(&gaps, 1e5);
            assert!(distance < KOLMOGOROV, "{distance} for seed {seed} on {connections}");
        }
    }
}

#[test]
fn counts_vary_as_much_as_their_mean_and_do_not_know_of_each_other() {
    for connections in [1, 50] {
        for seed in 0..20 {
            let counts = counts(&due_ns(connections, 20_000.0, seed, SECOND_NS), 1_000_000, SECOND_NS);
            // Standard deviations: √(2 ÷ 999) of the dispersion, 1 of the correlation.
            let (dispersion, correlation) = (dispersion(&counts), correlation(&counts));
            assert!((dispersion - 1.0).abs() < 0.18, "{dispersion} for seed {seed} on {connections}");
            assert!(correlation.abs() < 4.0, "{correlation} for seed {seed} on {connections}");
        }
    }
}

#[test]
fn a_gap_does_not_know_of_the_one_before_it() {
    for connections in [1, 50] {
        for seed in 0..20 {
            let correlation = correlation(&gaps(&due_ns(connections, 10_000.0, seed, SECOND_NS)));
            assert!(correlation.abs() < 4.0, "{correlation} for seed {seed} on {connections}");
        }
    }
}

#[test]
fn times_that_are_no_poisson_process_are_told_from_one() {
    let due_ns = due_ns(1, 10_000.0, 1, SECOND_NS);
    let exponential = gaps(&due_ns);
    // A rate that is 5 % off.
    assert!(distance_from_exponential(&exponential, 1.05e5) > KOLMOGOROV);
    // The same gaps with a fixed part.
    let shifted: Vec<f64> = exponential.iter().map(|gap| gap * 0.9 + 1e4).collect();
    assert!(distance_from_exponential(&shifted, 1e5) > KOLMOGOROV);
    // The same gaps, short ones beside short ones.
    let mut sorted = exponential.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    assert!(correlation(&sorted) > 4.0);
    // The same number of requests, evenly spaced.
    let even: Vec<u64> = (0..due_ns.len() as u64).map(|number| number * SECOND_NS / due_ns.len() as u64).collect();
    assert!(dispersion(&counts(&even, 1_000_000, SECOND_NS)) < 0.5);
}
