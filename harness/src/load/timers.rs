//! How late the timers of this machine are, as a generator thread meets them.
//!
//! A thread that sleeps until a set time wakes later than that: the timer has to fire, the CPU to leave its idle state, and
//! a hypervisor to bring the interrupt. A request that falls due while the generator sleeps is sent as much later, however
//! good the generator is. That is measured by the thread that sends, with the wait of its own engine, before there is load.

use std::io;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::{LoadPlan, Pace};
use crate::run_delay::OwnCount;

/// Wake-ups that are measured: as many as a p90 takes.
const WAKEUPS: usize = 100;
/// Where a CPU has others to run, they take long; this many have to do then.
const FEWEST_WAKEUPS: usize = 20;
const LONGEST: Duration = Duration::from_millis(250);
/// How long a sleep is that is measured. How deep a CPU sleeps, and whether a hypervisor still looks after it, depends on
/// that, so that it follows the load.
const SLEEPS: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(10));

/// By how much later than asked for a sleeping thread woke, in ns; without the time in which it had been woken and waited
/// for its CPU because another thread had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimerLateness {
    /// How often it slept.
    pub wakeups: u64,
    /// The median.
    pub p50_ns: u64,
    /// One in ten was later.
    pub p90_ns: u64,
    /// The latest.
    pub max_ns: u64,
}

/// How long the first generator thread of a load sleeps from one request to the next; `None` in a closed loop, which sets
/// no times.
pub(super) fn sleep_of(plan: &LoadPlan) -> Option<Duration> {
    let Pace::Open { rate_rps, .. } = plan.pace else { return None };
    let mean = Duration::try_from_secs_f64(plan.threads as f64 / rate_rps).unwrap_or(SLEEPS.1);
    Some(mean.clamp(SLEEPS.0, SLEEPS.1))
}

/// Sleeps for that long, over and over, on the calling thread. `sleep_until` may end early. Nothing where it is not to go on.
pub(super) fn measure(
    sleep: Duration,
    goes_on: impl Fn() -> bool,
    mut sleep_until: impl FnMut(Clock, u64) -> io::Result<()>,
) -> io::Result<Option<TimerLateness>> {
    let sleep_ns = u64::try_from(sleep.as_nanos()).unwrap_or(u64::MAX);
    let (begin, clock) = (Instant::now(), Clock::start());
    // Where the kernel does not count it, nothing is taken off.
    let count = OwnCount::open();
    let waited_ns = || count.read().map_or(0, |counted| counted.waited_ns);
    let mut late_ns = Vec::with_capacity(WAKEUPS);
    while late_ns.len() < WAKEUPS && (late_ns.len() < FEWEST_WAKEUPS || begin.elapsed() < LONGEST) {
        let waited_before_ns = waited_ns();
        let due_ns = clock.now_ns() + sleep_ns;
        let woken_ns = loop {
            if !goes_on() {
                return Ok(None);
            }
            sleep_until(clock, due_ns)?;
            let now_ns = clock.now_ns();
            if now_ns >= due_ns {
                break now_ns;
            }
        };
        late_ns.push(own_lateness_ns(woken_ns - due_ns, waited_ns().saturating_sub(waited_before_ns)));
    }
    Ok(Some(TimerLateness::of(late_ns)))
}

/// A thread that waits for its CPU was woken before.
fn own_lateness_ns(late_ns: u64, waited_ns: u64) -> u64 {
    late_ns.saturating_sub(waited_ns)
}

impl TimerLateness {
    /// Of at least one.
    fn of(mut late_ns: Vec<u64>) -> Self {
        late_ns.sort_unstable();
        let count = late_ns.len();
        let at = |tenths: usize| late_ns[(count * tenths).div_ceil(10).max(1) - 1];
        Self { wakeups: count as u64, p50_ns: at(5), p90_ns: at(9), max_ns: at(10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Arrivals, Engine};

    fn plan(pace: Pace, threads: usize) -> LoadPlan {
        LoadPlan {
            target: ([127, 0, 0, 1], 1).into(),
            connections: threads,
            payload_bytes: 0,
            depth: 1,
            pace,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(1),
            threads,
            cpus: Vec::new(),
            seed: 0,
            engine: Engine::Epoll,
            idle_connections: 0,
        }
    }

    #[test]
    fn sleeps_are_as_long_as_those_of_the_load_within_bounds() {
        let of = |rate_rps, threads| sleep_of(&plan(Pace::Open { rate_rps, arrivals: Arrivals::Constant }, threads));
        assert_eq!(of(2000.0, 1), Some(Duration::from_micros(500)));
        assert_eq!(of(8000.0, 2), Some(Duration::from_micros(250)));
        assert_eq!((of(1e7, 1), of(1e-300, 1)), (Some(SLEEPS.0), Some(SLEEPS.1)));
        assert_eq!(sleep_of(&plan(Pace::Closed, 1)), None);
    }

    #[test]
    fn a_lateness_has_percentiles_of_its_own_wake_ups() {
        let late = TimerLateness::of((1..=100).rev().collect());
        assert_eq!(late, TimerLateness { wakeups: 100, p50_ns: 50, p90_ns: 90, max_ns: 100 });
        assert_eq!(TimerLateness::of(vec![7]), TimerLateness { wakeups: 1, p50_ns: 7, p90_ns: 7, max_ns: 7 });
    }

    #[test]
    fn the_time_in_which_others_had_the_cpu_is_no_lateness_of_a_timer() {
        assert_eq!((own_lateness_ns(500, 200), own_lateness_ns(100, 200)), (300, 0));
    }

    #[test]
    fn a_sleep_that_ends_early_goes_on_and_none_ends_before_its_time() {
        let mut calls = 0;
        let sleep = |clock: Clock, due_ns: u64| {
            calls += 1;
            // Every other one ends at once.
            while calls % 2 == 0 && clock.now_ns() < due_ns {}
            Ok(())
        };
        let late = measure(Duration::from_micros(50), || true, sleep).unwrap().unwrap();
        assert!(late.wakeups >= FEWEST_WAKEUPS as u64 && calls > late.wakeups, "{late:?} of {calls}");
        assert!(late.p50_ns <= late.p90_ns && late.p90_ns <= late.max_ns, "{late:?}");
    }

    #[test]
    fn a_load_that_was_cancelled_measures_nothing_first() {
        assert_eq!(measure(Duration::from_hours(1), || false, |_, _| Ok(())).unwrap(), None);
    }
}
