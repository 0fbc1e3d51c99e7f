//! Where the time comes from, and what it costs to ask for it.

use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::root::Root;

const CLOCKSOURCE: &str = "sys/devices/system/clocksource/clocksource0";

/// How often the clock is read to learn its cost, and how many times over: the fastest is the one that nothing disturbed.
const READS: usize = 2000;
const ROUNDS: usize = 10;

/// Where the time comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClockSource {
    /// The source in use.
    pub source: Option<String>,
    /// All that there are.
    pub available: Option<Vec<String>>,
}

impl ClockSource {
    pub(super) fn of(root: &Root) -> Self {
        Self {
            source: root.line(&format!("{CLOCKSOURCE}/current_clocksource")),
            available: root.words(&format!("{CLOCKSOURCE}/available_clocksource")),
        }
    }
}

/// What `CLOCK_MONOTONIC` costs and how fine it is, measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockCost {
    /// One reading.
    pub read_ns: u64,
    /// The smallest difference between two readings that differ. Cannot be seen to be smaller than a reading takes.
    pub step_ns: u64,
}

impl ClockCost {
    /// Reads the clock some thousand times, which takes about a millisecond.
    #[must_use]
    pub fn measure() -> Self {
        Self::of(monotonic_ns)
    }

    fn of(mut now_ns: impl FnMut() -> u64) -> Self {
        let mut cost = Self { read_ns: u64::MAX, step_ns: u64::MAX };
        for _ in 0..ROUNDS {
            let started = now_ns();
            let mut last = started;
            for _ in 0..READS {
                let now = now_ns();
                if now > last {
                    cost.step_ns = cost.step_ns.min(now - last);
                }
                last = now;
            }
            cost.read_ns = cost.read_ns.min(last.saturating_sub(started) / READS as u64);
        }
        // A clock that never moved has steps longer than all that.
        cost
    }
}

pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned().saturating_mul(1_000_000_000).saturating_add(now.tv_nsec.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_and_step_of_a_clock_are_told_apart() {
        // Each reading takes 100 ns, and only every 1000 ns are seen.
        let mut real_ns = 0;
        let cost = ClockCost::of(|| {
            real_ns += 100;
            real_ns / 1000 * 1000
        });
        assert_eq!(cost, ClockCost { read_ns: 100, step_ns: 1000 });
    }

    #[test]
    fn this_clock_can_be_read() {
        let cost = ClockCost::measure();
        assert!(cost.read_ns < 1_000_000 && cost.step_ns > 0, "{cost:?}");
    }
}
