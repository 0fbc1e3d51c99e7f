//! Whether each thread of the server had its share of the connections.
//!
//! A thread that has more than its share is at its limit when the others are not: throughput, and the tail of the times,
//! are then those of the spread and not of the interface. That is no error, and it is decided anew in every trial.

use super::Evidence;

/// The busiest thread has more than so many times its share. A fair hash gives more than that to one of two threads in 7 %
/// of trials at 8 connections, and in one of forty thousand at 64.
const UNEVEN: f64 = 1.5;

/// Where a fair hash would spread as unevenly less often than this, it was none.
const SIGNIFICANCE: f64 = 0.01;

const BY_CHANCE: &str = "connections fell unevenly on the server threads, by chance: one has more than 1.5 × its share, \
                         and throughput follows that; more connections spread better";
const BEYOND_CHANCE: &str = "connections were spread over the server threads more unevenly than by chance: one has more \
                             than 1.5 × its share, and throughput follows that";

const BY_WHO_WAS_AWAKE: &str = "connections fell unevenly on the server threads, which share one listener: one has more \
                                than 1.5 × its share, and throughput follows that; a listener for each (--spread \
                                reuseport) spreads them as evenly as chance does";

pub(super) fn reason_to_doubt(evidence: &Evidence) -> Option<String> {
    let spread = &evidence.connections_per_thread;
    let (connections, threads) = (spread.iter().sum::<u64>(), spread.len() as u64);
    let most = spread.iter().copied().max()?;
    let share = connections as f64 / threads as f64;
    // Connections are whole: where there are few of them, some thread has more than its share at best.
    if most as f64 <= UNEVEN * share || most <= connections.div_ceil(threads) {
        return None;
    }
    // There is no hash then whose chance could be reckoned with.
    if evidence.listener_is_shared {
        return Some(BY_WHO_WAS_AWAKE.to_owned());
    }
    let by_chance = chance_of(most, connections, threads) >= SIGNIFICANCE;
    Some(if by_chance { BY_CHANCE } else { BEYOND_CHANCE }.to_owned())
}

/// How often at least one of the threads would have as many, if each connection went to any of them alike. At most: that
/// of one thread, times the threads; exact where no two of them can have as many.
fn chance_of(most: u64, connections: u64, threads: u64) -> f64 {
    (threads as f64 * upper_tail(most, connections, 1.0 / threads as f64)).min(1.0)
}

/// The probability of at least `least` successes in `n` trials, of which each has the probability `p`.
fn upper_tail(least: u64, n: u64, p: f64) -> f64 {
    let (of, rest) = (least as f64, (n - least) as f64);
    let log_ways: f64 = (1..=least).map(|i| ((rest + i as f64) / i as f64).ln()).sum();
    let mut term = (log_ways + of * p.ln() + rest * (1.0 - p).ln()).exp();
    let mut sum = term;
    for successes in least..n {
        term *= (n - successes) as f64 / (successes + 1) as f64 * p / (1.0 - p);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) -> bool {
        (value / expected - 1.0).abs() < 1e-9
    }

    #[test]
    fn tails_are_those_of_coins_and_dice() {
        assert!(near(upper_tail(2, 2, 0.5), 0.25));
        assert!(near(upper_tail(7, 8, 0.5), 9.0 / 256.0));
        assert!(near(upper_tail(3, 4, 0.25), (4.0 * 3.0 + 1.0) / 256.0));
        assert!(near(upper_tail(0, 9, 0.25), 1.0));
        // Far out, and of many, it is small and no nonsense.
        let far = upper_tail(60_000, 100_000, 0.5);
        assert!((0.0..1e-300).contains(&far), "{far}");
        let middle = upper_tail(50_000, 100_000, 0.5);
        assert!((0.5..0.51).contains(&middle), "{middle}");
    }

    #[test]
    fn the_figures_beside_the_threshold_are_right() {
        // More than 6 of 8, and more than 48 of 64.
        assert!(near(chance_of(7, 8, 2), 0.070_312_5));
        let at_64 = chance_of(49, 64, 2);
        assert!((0.00001..0.0001).contains(&at_64), "{at_64}");
    }
}
