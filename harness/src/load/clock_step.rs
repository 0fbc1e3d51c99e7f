//! The shortest time that the clock of a run can tell.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Steps that are looked at, of which the shortest counts.
const STEPS: usize = 100;
/// A clock that has not moved for so long is of no use.
const PATIENCE: Duration = Duration::from_millis(20);

/// The shortest distance of two readings one after the other: the step of the clock, or what a reading takes where that
/// is longer. Found out once.
pub(super) fn clock_step_ns() -> u64 {
    static STEP_NS: OnceLock<u64> = OnceLock::new();
    *STEP_NS.get_or_init(|| step_ns(ClockId::Monotonic))
}

fn step_ns(clock: ClockId) -> u64 {
    let begin = Instant::now();
    let mut shortest = PATIENCE;
    let mut before = clock_gettime(clock);
    let mut steps = 0;
    while steps < STEPS && begin.elapsed() < PATIENCE {
        let now = clock_gettime(clock);
        if now != before {
            let step = Duration::try_from(now - before).unwrap_or_default();
            shortest = shortest.min(step);
            steps += 1;
        }
        before = clock_gettime(clock);
    }
    u64::try_from(shortest.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_clock_has_long_steps_and_ours_short_ones() {
        // It moves with the ticks of the kernel, of which there are at most a thousand a second.
        let coarse_ns = step_ns(ClockId::MonotonicCoarse);
        let fine_ns = clock_step_ns();
        assert!(coarse_ns >= 900_000, "{coarse_ns}");
        assert!(fine_ns > 0 && fine_ns < coarse_ns / 10, "{fine_ns}");
    }
}
