//! When the requests of one connection are due.
//!
//! In an open loop each connection draws its own times, one after the other, from what was fixed before the run: they
//! need no storage however far behind a server falls, and do not depend on how connections are spread over threads.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Arrivals, LoadPlan, Pace};

const NS_PER_S: f64 = 1e9;

/// Requests of a Poisson process that are drawn to be counted, where they were never sent.
const MOST_DRAWN: u64 = 1000;

/// The times at which the requests of one connection are due, from the next one on.
#[derive(Clone, Debug)]
pub(super) enum Schedule {
    /// Closed loop: a request is due whenever there is room for it.
    Closed,
    Constant(Constant),
    Poisson(Poisson),
}

impl Schedule {
    /// One schedule for each connection of the plan, in their order.
    pub(super) fn of_each_connection(plan: &LoadPlan) -> impl Iterator<Item = Schedule> {
        let (pace, connections) = (plan.pace, plan.connections);
        let mut seeds = Pcg64Mcg::seed_from_u64(plan.seed);
        (0..connections).map(move |connection| match pace {
            Pace::Closed => Schedule::Closed,
            Pace::Open { rate_rps, arrivals: Arrivals::Constant } => {
                Schedule::Constant(Constant::new(rate_rps, connection as u64, connections as u64))
            }
            Pace::Open { rate_rps, arrivals: Arrivals::Poisson } => {
                let rng = Pcg64Mcg::from_rng(&mut seeds);
                Schedule::Poisson(Poisson::new(rate_rps / connections as f64, rng))
            }
        })
    }

    /// When the next request is due; in a closed loop that is now.
    pub(super) fn due_ns(&self, now_ns: u64) -> u64 {
        match self {
            Schedule::Closed => now_ns,
            Schedule::Constant(constant) => constant.due_ns(),
            Schedule::Poisson(poisson) => poisson.due_ns(),
        }
    }

    /// Goes on to the request after it.
    pub(super) fn advance(&mut self) {
        match self {
            Schedule::Closed => {}
            Schedule::Constant(constant) => constant.advance(),
            Schedule::Poisson(poisson) => poisson.advance(),
        }
    }

    /// How many requests are still due before `end_ns`. None in a closed loop, where not to send is to plan nothing.
    pub(super) fn count_before(self, end_ns: u64) -> u64 {
        match self {
            Schedule::Closed => 0,
            Schedule::Constant(constant) => constant.count_before(end_ns),
            Schedule::Poisson(poisson) => poisson.count_before(end_ns),
        }
    }
}

/// Every `stride`-th of the evenly spaced requests of the whole run. Connections that begin one after the other
/// together make up all of them.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    gap_ns: f64,
    /// The next request, counted over the whole run.
    number: u64,
    stride: u64,
}

impl Constant {
    fn new(total_rate_rps: f64, first: u64, stride: u64) -> Self {
        Self { gap_ns: NS_PER_S / total_rate_rps, number: first, stride }
    }

    fn due_ns(&self) -> u64 {
        self.number_due_ns(self.number)
    }

    fn number_due_ns(&self, number: u64) -> u64 {
        // From the number, not from the time before it, or rounding would add up.
        to_ns(number as f64 * self.gap_ns)
    }

    fn advance(&mut self) {
        self.number += self.stride;
    }

    /// Searched for by halving: a division would round other than the times themselves, and to count them one by one
    /// takes longer than a run where a server hung up on a high rate.
    fn count_before(&self, end_ns: u64) -> u64 {
        // The first number that is due too late. Gaps are longer than a nanosecond, see `MAX_RATE_RPS`.
        let (mut low, mut high) = (self.number, self.number + end_ns);
        while low < high {
            let middle = low.midpoint(high);
            if self.number_due_ns(middle) < end_ns {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low - self.number).div_ceil(self.stride)
    }
}

/// A Poisson process. Those of all connections together are one, too, of the sum of their rates.
#[derive(Clone, Debug)]
pub(super) struct Poisson {
    mean_gap_ns: f64,
    rng: Pcg64Mcg,
    due_ns: f64,
}

impl Poisson {
    fn new(rate_rps: f64, rng: Pcg64Mcg) -> Self {
        let mut process = Self { mean_gap_ns: NS_PER_S / rate_rps, rng, due_ns: 0.0 };
        process.advance();
        process
    }

    fn due_ns(&self) -> u64 {
        to_ns(self.due_ns)
    }

    fn advance(&mut self) {
        // Drawn from [0, 1); the logarithm of 1 - x is always finite.
        let uniform: f64 = self.rng.random();
        self.due_ns -= self.mean_gap_ns * (1.0 - uniform).ln();
    }

    /// The first of them are drawn. Of the others there are as many as the rate says: how many a process would draw differs
    /// from that by less than a hundredth, where there are more than ten times as many of all connections, and to draw
    /// them would take a time that grows with the rate.
    fn count_before(mut self, end_ns: u64) -> u64 {
        let drawn = self.draw_before(end_ns);
        drawn + to_ns(((end_ns as f64 - self.due_ns) / self.mean_gap_ns).ceil().max(0.0))
    }

    /// Draws those that are due before then, up to [`MOST_DRAWN`], and says how many they were.
    fn draw_before(&mut self, end_ns: u64) -> u64 {
        let mut drawn = 0;
        while self.due_ns() < end_ns && drawn < MOST_DRAWN {
            self.advance();
            drawn += 1;
        }
        drawn
    }
}

/// Times are positive, and rounding down by less than a nanosecond is nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn to_ns(time_ns: f64) -> u64 {
    time_ns as u64
}

#[cfg(test)]
mod poisson_tests;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::Engine;

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn constant_arrivals_are_evenly_spaced_over_all_connections() {
        let mut schedules: Vec<_> = Schedule::of_each_connection(&plan(3, 1000.0, Arrivals::Constant)).collect();
        let mut due_ns = Vec::new();
        for _round in 0..4 {
            for schedule in &mut schedules {
                due_ns.push(schedule.due_ns(0));
                schedule.advance();
            }
        }
        let expected_ns: Vec<u64> = (0..12).map(|number| number * 1_000_000).collect();
        assert_eq!(due_ns, expected_ns);
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let mut schedule = only(&plan(1, 3.0, Arrivals::Constant));
        for _ in 0..3_000_000 {
            schedule.advance();
        }
        assert_eq!(schedule.due_ns(0), 1_000_000 * SECOND_NS);
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let rate_rps = 10_000.0;
        let gaps_ns = gaps_ns(only(&plan(1, rate_rps, Arrivals::Poisson)), 200_000);
        let (mean, variance) = mean_and_variance(&gaps_ns);
        let expected = 1e9 / rate_rps;
        assert!((mean / expected - 1.0).abs() < 0.01, "mean {mean}");
        assert!((variance / expected.powi(2) - 1.0).abs() < 0.03, "variance {variance}");
        // The share of gaps longer than twice the mean tells the exponential from others of that variance.
        let long = gaps_ns.iter().filter(|&&gap_ns| gap_ns > 2.0 * expected).count() as f64 / gaps_ns.len() as f64;
        assert!((long - (-2.0_f64).exp()).abs() < 0.005, "long {long}");
    }

    #[test]
    fn poisson_connections_add_up_to_the_rate_asked_for() {
        let counted: u64 = Schedule::of_each_connection(&plan(50, 20_000.0, Arrivals::Poisson))
            .map(|schedule| schedule.count_before(5 * SECOND_NS))
            .sum();
        // Five standard deviations.
        assert!(counted.abs_diff(100_000) < 5 * 317, "{counted}");
    }

    #[test]
    fn the_seed_decides_the_times_and_each_connection_has_its_own() {
        let times = |seed| {
            let plan = LoadPlan { seed, ..plan(2, 100.0, Arrivals::Poisson) };
            Schedule::of_each_connection(&plan).map(|schedule| gaps_ns(schedule, 20)).collect::<Vec<_>>()
        };
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
        assert_ne!(times(1)[0], times(1)[1]);
    }

    #[test]
    fn counts_what_is_still_due() {
        let mut schedule = only(&plan(1, 10.0, Arrivals::Constant));
        assert_eq!(schedule.clone().count_before(SECOND_NS), 10);
        schedule.advance();
        assert_eq!(schedule.count_before(SECOND_NS), 9);
        assert_eq!(Schedule::Closed.count_before(SECOND_NS), 0);
    }

    #[test]
    fn constant_arrivals_are_counted_as_if_one_by_one() {
        for rate_rps in [0.3, 3.0, 7.7, 999.9, 12_345.6, 1e5 / 3.0] {
            for mut schedule in Schedule::of_each_connection(&plan(3, rate_rps, Arrivals::Constant)) {
                for _ in 0..2 {
                    schedule.advance();
                }
                // Ends on, before and after a request that is due.
                let Schedule::Constant(constant) = &schedule else { panic!("{schedule:?}") };
                let due_ns = constant.number_due_ns(constant.number + 30 * constant.stride);
                for end_ns in [0, 1, SECOND_NS / 3, due_ns - 1, due_ns, due_ns + 1] {
                    let mut one_by_one = schedule.clone();
                    let mut count = 0;
                    while one_by_one.due_ns(0) < end_ns {
                        one_by_one.advance();
                        count += 1;
                    }
                    assert_eq!(schedule.clone().count_before(end_ns), count, "{rate_rps}/s before {end_ns}");
                }
            }
        }
    }

    #[test]
    fn a_day_at_the_highest_rate_is_counted_at_once() {
        let schedule = only(&plan(1, LoadPlan::MAX_RATE_RPS, Arrivals::Constant));
        assert_eq!(schedule.count_before(86_400 * SECOND_NS), 864_000_000_000);
    }

    #[test]
    fn what_a_poisson_process_never_sent_is_drawn_up_to_a_number_that_no_plan_changes() {
        let day_ns = 86_400 * SECOND_NS;
        for (rate_rps, end_ns) in [(0.5, SECOND_NS), (100.0, SECOND_NS), (LoadPlan::MAX_RATE_RPS, day_ns)] {
            let Schedule::Poisson(mut process) = only(&plan(1, rate_rps, Arrivals::Poisson)) else { unreachable!() };
            let counted = process.clone().count_before(end_ns);
            let drawn = process.draw_before(end_ns);
            let expected = rate_rps * end_ns as f64 / 1e9;
            assert!(drawn <= MOST_DRAWN);
            // Five standard deviations of what was drawn; exact where that is all.
            assert!(
                (counted as f64 - expected).abs() < 5.0 * (MOST_DRAWN as f64).sqrt() + 1.0,
                "{counted} at {rate_rps}/s"
            );
            assert!(drawn == MOST_DRAWN || counted == drawn, "{counted}, {drawn} drawn");
            // A part is never more than the whole.
            assert!(process.clone().count_before(end_ns / 3) <= process.count_before(end_ns));
        }
    }

    fn plan(connections: usize, rate_rps: f64, arrivals: Arrivals) -> LoadPlan {
        LoadPlan {
            target: ([127, 0, 0, 1], 0).into(),
            connections,
            payload_bytes: 64,
            depth: 1,
            pace: Pace::Open { rate_rps, arrivals },
            warmup: Duration::ZERO,
            duration: Duration::from_secs(1),
            threads: 1,
            cpus: Vec::new(),
            seed: 7,
            engine: Engine::Auto,
            idle_connections: 0,
        }
    }

    fn only(plan: &LoadPlan) -> Schedule {
        Schedule::of_each_connection(plan).next().unwrap()
    }

    fn gaps_ns(mut schedule: Schedule, count: usize) -> Vec<f64> {
        let mut before_ns = 0;
        let mut gap_ns = || {
            let due_ns = schedule.due_ns(0);
            schedule.advance();
            let gap_ns = due_ns - before_ns;
            before_ns = due_ns;
            gap_ns as f64
        };
        (0..count).map(|_| gap_ns()).collect()
    }

    fn mean_and_variance(values: &[f64]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0))
    }
}
