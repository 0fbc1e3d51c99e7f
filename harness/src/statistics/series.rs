//! The trials of one backend in one cell: which of them count, and when they say nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use super::interval::{MIN_BLOCKS, middle};
use super::metric::{Metric, missed_its_rate};
use super::sorted::Sorted;
use crate::plan::Cell;
use crate::results::{Bottleneck, TrialRecord, Verdict};
use crate::verdict::BUSY_GENERATOR;

/// A backend is compared if the client was not the bottleneck in at least half of its trials; the others are left out.
const CLIENT_BOUND: f64 = 0.5;

/// A backend is compared by latency if it took the rate in at least three quarters of its trials; the others are left out.
/// They would be the slowest of all, and an estimate bears a quarter of those.
const RATE_MISSED: f64 = 0.25;

/// Why the trials of a backend say nothing by a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Void {
    /// The client was the bottleneck: the server might have done more.
    Client,
    /// It did not take the rate: how late its answers were depends on how long it was watched.
    Rate,
}

impl Void {
    /// As it is printed.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Client => "the client was the bottleneck",
            Self::Rate => "the rate was missed",
        }
    }
}

/// What most of some trials were bound by, which takes figures away from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// [`Void::Client`].
    pub client: bool,
    /// [`Void::Rate`].
    pub rate: bool,
}

impl Bounds {
    /// Of trials of one backend in one cell.
    #[must_use]
    pub fn of(trials: &[&TrialRecord]) -> Self {
        let has_more_than = |share: f64, is: &dyn Fn(&TrialRecord) -> bool| {
            trials.iter().filter(|trial| is(trial)).count() as f64 > share * trials.len() as f64
        };
        Self {
            client: has_more_than(CLIENT_BOUND, &|trial| trial.bottleneck == Some(Bottleneck::Client)),
            rate: has_more_than(RATE_MISSED, &missed_its_rate),
        }
    }
}

/// The trials of one backend in one cell that are usable.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    by_block: BTreeMap<usize, Point>,
    /// Trials that ended, however they did.
    ended: usize,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// Logarithms, in the order of [`METRICS`].
    logs: [Option<f64>; 4],
    client_bound: bool,
    rate_missed: bool,
    doubt: Doubt,
}

/// Which reason there is to doubt a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// It is valid.
    None,
    /// Only that the load generator was busy.
    Busy,
    /// Another.
    Other,
}

impl Doubt {
    /// That of a trial with a measurement.
    #[must_use]
    pub fn of(trial: &TrialRecord) -> Self {
        match trial.verdict {
            Verdict::Valid => Self::None,
            _ if trial.reasons.iter().all(|reason| reason == BUSY_GENERATOR) => Self::Busy,
            _ => Self::Other,
        }
    }

    /// That of most of some trials. Where only some of those that are doubted are so for a busy load generator, it is
    /// another. That the generator was busy is no reason to doubt what does not need it idle.
    #[must_use]
    pub fn of_most(doubts: impl IntoIterator<Item = Self>, needs_an_idle_client: bool) -> Self {
        let [mut all, mut busy, mut other] = [0_usize; 3];
        for doubt in doubts {
            all += 1;
            busy += usize::from(doubt == Self::Busy);
            other += usize::from(doubt == Self::Other);
        }
        let doubted = if needs_an_idle_client { busy + other } else { other };
        match doubted * 2 > all {
            false => Self::None,
            true if needs_an_idle_client && busy * 2 > all => Self::Busy,
            true => Self::Other,
        }
    }
}

const METRICS: [Metric; 4] = [Metric::Throughput, Metric::P50, Metric::P99, Metric::ServerCpu];

impl Series {
    pub(super) fn of(backend: &str, cell: &Cell, trials: &Sorted<'_>) -> Self {
        let own = trials.of_backend(backend, cell);
        let usable = own.iter().filter(|trial| trial.is_usable());
        Self { by_block: usable.map(|trial| (trial.block, Point::of(trial))).collect(), ended: own.len() }
    }

    /// Its trials as ratios to those of `baseline` in the same blocks: a machine that was slower in one block than in
    /// another was it for both.
    pub(super) fn relative_to(&self, baseline: &Self) -> Self {
        let relative = |(block, point): (&usize, &Point)| Some((*block, point.over(baseline.by_block.get(block)?)));
        Self { by_block: self.by_block.iter().filter_map(relative).collect(), ended: self.ended }
    }

    /// Trials that ended, however they did.
    pub(super) fn ended(&self) -> usize {
        self.ended
    }

    /// Those of them that are usable.
    pub(super) fn usable(&self) -> usize {
        self.by_block.len()
    }

    /// Those that there is a reason to doubt.
    pub(super) fn suspect(&self) -> usize {
        self.by_block.values().filter(|point| point.doubt != Doubt::None).count()
    }

    /// The reason there is to doubt what most of them say by a metric.
    pub(super) fn doubt(&self, metric: Metric) -> Doubt {
        Doubt::of_most(self.by_block.values().map(|point| point.doubt), metric.needs_an_idle_client())
    }

    pub(super) fn blocks_with(&self, metric: Metric) -> usize {
        self.logs(metric).len()
    }

    pub(super) fn logs(&self, metric: Metric) -> Vec<f64> {
        self.by_block.values().filter_map(|point| point.log(metric)).collect()
    }

    /// The middle of what was seen, whatever the reason not to compare it.
    pub(super) fn middle(&self, metric: Metric) -> Option<f64> {
        let logs: Vec<f64> = self.by_block.values().filter_map(|point| point.seen(metric)).collect();
        middle(&logs)
    }

    /// Why `metric` says nothing about the server.
    pub(super) fn void(&self, metric: Metric) -> Option<Void> {
        if metric.needs_an_idle_client() && self.has_more_than(CLIENT_BOUND, |point| point.client_bound) {
            return Some(Void::Client);
        }
        let missed = metric.is_latency() && self.has_more_than(RATE_MISSED, |point| point.rate_missed);
        missed.then_some(Void::Rate)
    }

    /// Whether it says nothing any more where `before` said something: no trial is usable, or fewer than half of
    /// them, or the rate is not taken any more. Of fewer trials than an interval needs, one that went wrong would say so.
    pub(super) fn is_lost_since(&self, before: &Self, metric: Metric) -> bool {
        if self.ended.min(before.ended) < MIN_BLOCKS {
            return false;
        }
        let half = |series: &Self| series.usable() > 0 && series.usable() * 2 >= series.ended;
        let gone = self.usable() == 0 && before.usable() > 0;
        let fails = half(before) && !half(self);
        gone || fails || (self.void(metric) == Some(Void::Rate) && before.void(metric).is_none())
    }

    fn has_more_than(&self, share: f64, is: impl Fn(&Point) -> bool) -> bool {
        self.by_block.values().filter(|point| is(point)).count() as f64 > share * self.by_block.len() as f64
    }
}

impl Point {
    fn of(trial: &TrialRecord) -> Self {
        Self {
            logs: METRICS.map(|metric| metric.of(trial).map(f64::ln)),
            client_bound: trial.bottleneck == Some(Bottleneck::Client),
            rate_missed: missed_its_rate(trial),
            doubt: Doubt::of(trial),
        }
    }

    /// Either side is reason enough for both.
    fn over(&self, base: &Self) -> Self {
        Self {
            logs: std::array::from_fn(|index| Some(self.logs[index]? - base.logs[index]?)),
            client_bound: self.client_bound || base.client_bound,
            rate_missed: self.rate_missed || base.rate_missed,
            doubt: self.doubt.max(base.doubt),
        }
    }

    fn seen(&self, metric: Metric) -> Option<f64> {
        METRICS.iter().position(|other| *other == metric).and_then(|index| self.logs[index])
    }

    fn log(&self, metric: Metric) -> Option<f64> {
        let left_out =
            (metric.needs_an_idle_client() && self.client_bound) || (metric.is_latency() && self.rate_missed);
        self.seen(metric).filter(|_| !left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::results::tests::trial;

    fn series(metric: &mut dyn FnMut(&mut TrialRecord)) -> Series {
        let mut trials: Vec<TrialRecord> = (1..=20).map(|block| TrialRecord { block, ..trial("epoll") }).collect();
        trials.iter_mut().for_each(metric);
        Series::of("epoll", &plan::tests::plan().cells()[0], &Sorted::of(&trials))
    }

    #[test]
    fn a_client_that_was_the_bottleneck_in_few_trials_takes_only_those_out() {
        let bound_in = |blocks: usize| {
            let mut mark = |trial: &mut TrialRecord| {
                if trial.block <= blocks {
                    trial.bottleneck = Some(Bottleneck::Client);
                }
            };
            let series = series(&mut mark);
            let of = |metric| (series.void(metric), series.blocks_with(metric));
            (of(Metric::Throughput), of(Metric::ServerCpu))
        };
        assert_eq!(bound_in(10), ((None, 10), (None, 20)));
        assert_eq!(bound_in(11), ((Some(Void::Client), 9), (None, 20)));
    }

    #[test]
    fn a_backend_that_does_not_take_the_rate_has_no_latency_to_compare() {
        let missed_in = |blocks: usize| {
            let mut miss = |trial: &mut TrialRecord| {
                trial.cell = plan::tests::plan().cells()[2].clone();
                trial.measured.as_mut().unwrap().censored = if trial.block <= blocks { 11 } else { 10 };
            };
            let mut trials: Vec<TrialRecord> = (1..=20).map(|block| TrialRecord { block, ..trial("epoll") }).collect();
            trials.iter_mut().for_each(&mut miss);
            Series::of("epoll", &plan::tests::plan().cells()[2], &Sorted::of(&trials))
        };
        let (few, many) = (missed_in(5), missed_in(6));
        assert_eq!((few.void(Metric::P99), few.blocks_with(Metric::P99)), (None, 15));
        assert_eq!((many.void(Metric::P99), many.void(Metric::ServerCpu)), (Some(Void::Rate), None));
        assert!(many.is_lost_since(&few, Metric::P99) && !many.is_lost_since(&few, Metric::ServerCpu));
        assert!(!few.is_lost_since(&many, Metric::P99) && !many.is_lost_since(&many, Metric::P99));
    }

    #[test]
    fn a_busy_load_generator_is_a_doubt_of_its_own_about_what_needs_it_idle() {
        let because = |reason: &str| {
            let series = series(&mut |trial| {
                if trial.block > 9 {
                    trial.verdict = Verdict::Suspect;
                    trial.reasons = vec![reason.to_owned()];
                }
            });
            (series.suspect(), series.doubt(Metric::P99), series.doubt(Metric::ServerCpu))
        };
        assert_eq!(because(BUSY_GENERATOR), (11, Doubt::Busy, Doubt::None));
        assert_eq!(because("other processes took CPU time of the server"), (11, Doubt::Other, Doubt::Other));
        let mixed = [Doubt::Busy, Doubt::Other, Doubt::None];
        assert_eq!([true, false].map(|needs| Doubt::of_most(mixed, needs)), [Doubt::Other, Doubt::None]);
    }
}
