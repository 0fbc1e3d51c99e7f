//! Two sides of a comparison: which of their trials count, and what follows from them.

use std::collections::BTreeMap;

use super::interval::{Estimate, Interval, MIN_BLOCKS, middle, paired, unpaired};
use super::metric::Metric;
use crate::plan::Cell;
use crate::results::{Bottleneck, TrialRecord, Verdict};

/// Trials in which the client was the bottleneck, as a share, beyond which they say nothing about a server. The
/// estimate bears that many outliers and more.
const CLIENT_BOUND: f64 = 0.1;

/// The trials of one backend in one cell that may be believed.
#[derive(Clone, Debug)]
pub(super) struct Series {
    by_block: BTreeMap<usize, Point>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// Logarithms, in the order of [`METRICS`].
    logs: [Option<f64>; 4],
    client_bound: bool,
}

const METRICS: [Metric; 4] = [Metric::Throughput, Metric::P50, Metric::P99, Metric::ServerCpu];

impl Series {
    pub(super) fn of(backend: &str, cell: &Cell, trials: &[TrialRecord]) -> Self {
        let believed = trials
            .iter()
            .filter(|trial| trial.verdict != Verdict::Invalid && trial.backend == backend && trial.cell == *cell);
        let point = |trial: &TrialRecord| Point {
            logs: METRICS.map(|metric| metric.of(trial).map(f64::ln)),
            client_bound: trial.bottleneck == Some(Bottleneck::Client),
        };
        Self { by_block: believed.map(|trial| (trial.block, point(trial))).collect() }
    }

    /// Its trials as ratios to those of `baseline` in the same blocks: a machine that was slower in one block than in
    /// another was it for both.
    pub(super) fn relative_to(&self, baseline: &Self) -> Self {
        let relative = |(block, point): (&usize, &Point)| {
            let base = baseline.by_block.get(block)?;
            let logs = std::array::from_fn(|index| Some(point.logs[index]? - base.logs[index]?));
            Some((*block, Point { logs, client_bound: point.client_bound || base.client_bound }))
        };
        Self { by_block: self.by_block.iter().filter_map(relative).collect() }
    }

    pub(super) fn blocks_with(&self, metric: Metric) -> usize {
        self.logs(metric).len()
    }

    pub(super) fn logs(&self, metric: Metric) -> Vec<f64> {
        self.by_block.values().filter_map(|point| point.log(metric)).collect()
    }

    /// Whether `metric` says nothing about the server.
    pub(super) fn is_void(&self, metric: Metric) -> bool {
        let bound = self.by_block.values().filter(|point| point.client_bound).count();
        metric.needs_an_idle_client() && bound as f64 > CLIENT_BOUND * self.by_block.len() as f64
    }
}

impl Point {
    fn log(&self, metric: Metric) -> Option<f64> {
        METRICS.iter().position(|other| *other == metric).and_then(|index| self.logs[index])
    }
}

/// What two sides are to be told apart by.
#[derive(Clone, Debug)]
pub(super) enum Sides {
    /// Log ratios of trials in the same block.
    Paired(Vec<f64>),
    /// Logarithms of trials of two runs.
    Unpaired { new: Vec<f64>, old: Vec<f64> },
    /// The client was the bottleneck.
    Void,
}

impl Sides {
    /// Within blocks: one counts if both sides have a trial in it that may be believed.
    pub(super) fn paired(series: &Series, baseline: &Series, metric: Metric) -> Self {
        if series.is_void(metric) || baseline.is_void(metric) {
            return Self::Void;
        }
        Self::Paired(series.relative_to(baseline).logs(metric))
    }

    pub(super) fn unpaired(new: &Series, old: &Series, metric: Metric) -> Self {
        if new.is_void(metric) || old.is_void(metric) {
            return Self::Void;
        }
        Self::Unpaired { new: new.logs(metric), old: old.logs(metric) }
    }

    /// Blocks; of two runs those of the smaller.
    pub(super) fn blocks(&self) -> usize {
        match self {
            Self::Paired(log_ratios) => log_ratios.len(),
            Self::Unpaired { new, old } => new.len().min(old.len()),
            Self::Void => 0,
        }
    }

    /// Whether it will be one of the comparisons that have to hold together.
    pub(super) fn is_compared(&self) -> bool {
        self.blocks() > 0
    }

    pub(super) fn middle(&self) -> Option<f64> {
        match self {
            Self::Paired(log_ratios) => middle(log_ratios),
            _ => None,
        }
    }

    pub(super) fn compare(&self, metric: Metric, error_rate: f64) -> Comparison {
        let resolution = metric.resolution();
        let estimate = match self {
            Self::Paired(log_ratios) => paired(log_ratios, resolution, error_rate),
            Self::Unpaired { new, old } => unpaired(new, old, resolution, error_rate),
            Self::Void => None,
        };
        Comparison { metric, blocks: self.blocks(), void: matches!(self, Self::Void), estimate, floor: None }
    }
}

/// One side as a ratio to the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// By what.
    pub metric: Metric,
    /// In which both sides have a trial that may be believed.
    pub blocks: usize,
    /// Whether the client was the bottleneck, so that nothing is said about the servers.
    pub void: bool,
    /// None where it is void, or where there is nothing to compare.
    pub estimate: Option<Estimate>,
    /// The factor up to which the same run found a backend to differ from itself; none where it did not look.
    pub floor: Option<f64>,
}

impl Comparison {
    /// The interval, where there are enough blocks for one.
    #[must_use]
    pub fn interval(&self) -> Option<Interval> {
        self.estimate?.interval
    }

    /// Whether the sides differ by more than noise. Not below the floor, whatever the interval says.
    #[must_use]
    pub fn differs(&self) -> bool {
        let Some(Estimate { ratio, interval: Some(interval) }) = self.estimate else { return false };
        interval.excludes_one() && self.floor.is_none_or(|floor| ratio.max(1.0 / ratio) > floor)
    }

    /// Whether the first side is the better one, if they differ.
    #[must_use]
    pub fn is_better(&self) -> bool {
        self.differs() && self.change() > 0.0
    }

    /// Whether the first side is the worse one, if they differ.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.differs() && self.change() < 0.0
    }

    /// Whether there are too few blocks to say anything.
    #[must_use]
    pub fn lacks_blocks(&self) -> bool {
        !self.void && self.blocks < MIN_BLOCKS
    }

    /// The log ratio, positive where the first side is better.
    fn change(&self) -> f64 {
        let log = self.estimate.map_or(0.0, |estimate| estimate.ratio.ln());
        if self.metric.higher_is_better() { log } else { -log }
    }

    /// By how much the first side is worse, as a share of the other; 0 where it is not.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let Some(Estimate { ratio, .. }) = self.estimate else { return 0.0 };
        if self.metric.higher_is_better() { (1.0 - ratio).max(0.0) } else { (ratio - 1.0).max(0.0) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::plan;
    use crate::results::tests::trial;

    /// From -1 to 1, another for each trial and always the same.
    pub(crate) fn noise(backend: &str, block: usize) -> f64 {
        let seed = backend.bytes().fold(block as u64, |seed, byte| seed.wrapping_mul(257).wrapping_add(byte.into()));
        Pcg64Mcg::seed_from_u64(seed).random::<f64>() * 2.0 - 1.0
    }

    fn series(metric: &mut dyn FnMut(&mut TrialRecord)) -> Series {
        let mut trials: Vec<TrialRecord> = (1..=20).map(|block| TrialRecord { block, ..trial("epoll") }).collect();
        trials.iter_mut().for_each(metric);
        Series::of("epoll", &plan::tests::plan().cells()[0], &trials)
    }

    #[test]
    fn more_than_a_tenth_of_the_trials_makes_a_client_the_bottleneck() {
        let bound_in = |blocks: usize| {
            let mut mark = |trial: &mut TrialRecord| {
                if trial.block <= blocks {
                    trial.bottleneck = Some(Bottleneck::Client);
                }
            };
            let series = series(&mut mark);
            (series.is_void(Metric::Throughput), series.is_void(Metric::ServerCpu))
        };
        assert_eq!((bound_in(2), bound_in(3)), ((false, false), (true, false)));
    }

    #[test]
    fn losing_reads_in_the_direction_of_the_metric() {
        let twice = series(&mut |trial| {
            let measured = trial.measured.as_mut().unwrap();
            measured.throughput_rps *= 2.0 * (1.0 + 0.001 * noise("a", trial.block));
            *measured.server.as_mut().unwrap().cpu_ns.as_mut().unwrap() *= 2;
        });
        let once = series(&mut |_| ());
        let compare = |metric| Sides::paired(&twice, &once, metric).compare(metric, 0.05);
        let (throughput, cpu) = (compare(Metric::Throughput), compare(Metric::ServerCpu));
        assert!(throughput.is_better() && !throughput.is_worse() && throughput.loss() == 0.0);
        assert!(cpu.is_worse() && (cpu.loss() - 1.0).abs() < 1e-9, "{cpu:?}");
    }

    #[test]
    fn a_difference_has_to_exceed_the_floor_by_itself() {
        let slower = series(&mut |trial| trial.measured.as_mut().unwrap().throughput_rps *= 0.9);
        let same = series(&mut |_| ());
        let comparison = Sides::paired(&slower, &same, Metric::Throughput).compare(Metric::Throughput, 0.05);
        let with_floor = |floor| Comparison { floor, ..comparison }.differs();
        assert!(with_floor(None) && with_floor(Some(1.1)) && !with_floor(Some(1.12)));
    }
}
