//! What something costs: several rounds of it, and where their median lies.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::clock::thread_cpu;
use super::{FloorError, Round};
use crate::statistics::{median, median_interval};

/// What one call, hand-over or echo costs, by the rounds in which it was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Price {
    /// Median of the rounds.
    pub median_ns: f64,
    /// Where the median lies; null below six rounds.
    pub interval_ns: Option<[f64; 2]>,
    /// The cheapest round.
    pub min_ns: f64,
    /// How many calls there were in all rounds.
    pub calls: u64,
    /// The mean of each round, in the order in which they were taken.
    pub rounds_ns: Vec<f64>,
}

impl Price {
    /// None of no rounds.
    pub(super) fn of(rounds: &[Round]) -> Option<Self> {
        let rounds_ns: Vec<f64> = rounds.iter().map(|round| round.ns).collect();
        Some(Self {
            median_ns: median(&rounds_ns)?,
            interval_ns: median_interval(&rounds_ns),
            min_ns: rounds_ns.iter().copied().fold(f64::INFINITY, f64::min),
            calls: rounds.iter().map(|round| round.calls).sum(),
            rounds_ns,
        })
    }
}

/// Calls made between two looks at the clock, where they are short: the look is then lost among them.
pub(super) const BATCH: u32 = 100;

/// Takes turns of `calls` each for as long as `slice`, after one to warm up, and divides this thread's CPU time by the
/// calls. It is CPU time so that whatever else the CPU is given to meanwhile does not count.
pub(super) fn repeat(
    slice: Duration,
    calls: u32,
    mut turn: impl FnMut() -> Result<(), FloorError>,
) -> Result<Round, FloorError> {
    turn()?;
    let (start, cpu) = (Instant::now(), thread_cpu());
    let mut turns = 0;
    loop {
        turn()?;
        turns += 1;
        if start.elapsed() >= slice {
            break;
        }
    }
    let calls = turns * u64::from(calls);
    Ok(Round { ns: thread_cpu().saturating_sub(cpu).as_secs_f64() * 1e9 / calls as f64, calls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_the_median_of_its_rounds() {
        let rounds = |all: &[f64]| all.iter().map(|&ns| Round { ns, calls: 10 }).collect::<Vec<_>>();
        assert_eq!(Price::of(&[]), None);
        let price = Price::of(&rounds(&[3.0, 1.0, 2.0])).unwrap();
        assert_eq!((price.median_ns, price.min_ns, price.calls, price.interval_ns), (2.0, 1.0, 30, None));
        let price = Price::of(&rounds(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0])).unwrap();
        assert_eq!((price.median_ns, price.interval_ns), (3.5, Some([1.0, 6.0])));
        assert_eq!(price.rounds_ns, [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
    }

    #[test]
    fn every_turn_but_the_first_is_counted() {
        let mut turns = 0;
        let mut turn = || {
            turns += 1;
            Ok(())
        };
        let round = repeat(Duration::from_millis(1), 3, &mut turn).unwrap();
        assert_eq!(round.calls, 3 * (turns - 1));
        assert!(matches!(repeat(Duration::MAX, 1, || Err(FloorError::Stuck)), Err(FloorError::Stuck)));
    }
}
