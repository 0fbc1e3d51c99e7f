//! Two sides of a comparison, and what follows from them.

use super::interval::{Estimate, Interval, MIN_BLOCKS, middle, paired, unpaired};
use super::metric::Metric;
use super::series::{Series, Void};

/// What two sides are to be told apart by.
#[derive(Clone, Debug)]
pub(super) enum Sides {
    /// Log ratios of trials in the same block.
    Paired(Vec<f64>),
    /// Logarithms of trials of two runs.
    Unpaired { new: Vec<f64>, old: Vec<f64> },
    /// One of them says nothing.
    Void(Void),
}

impl Sides {
    /// Within blocks: one counts if both sides have a usable trial in it.
    pub(super) fn paired(series: &Series, baseline: &Series, metric: Metric) -> Self {
        if let Some(void) = series.void(metric).or(baseline.void(metric)) {
            return Self::Void(void);
        }
        Self::Paired(series.relative_to(baseline).logs(metric))
    }

    pub(super) fn unpaired(new: &Series, old: &Series, metric: Metric) -> Self {
        if let Some(void) = new.void(metric).or(old.void(metric)) {
            return Self::Void(void);
        }
        Self::Unpaired { new: new.logs(metric), old: old.logs(metric) }
    }

    /// Blocks; of two runs those of the smaller.
    pub(super) fn blocks(&self) -> usize {
        match self {
            Self::Paired(log_ratios) => log_ratios.len(),
            Self::Unpaired { new, old } => new.len().min(old.len()),
            Self::Void(_) => 0,
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
            Self::Void(_) => None,
        };
        let void = if let Self::Void(void) = self { Some(*void) } else { None };
        Comparison { metric, blocks: self.blocks(), void, estimate, floor: None }
    }
}

/// One side as a ratio to the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// By what.
    pub metric: Metric,
    /// In which both sides have a usable trial.
    pub blocks: usize,
    /// Why nothing is said about the servers; none where something is.
    pub void: Option<Void>,
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
        self.void.is_none() && self.blocks < MIN_BLOCKS
    }

    /// The log ratio, positive where the first side is better.
    fn change(&self) -> f64 {
        let log = self.estimate.map_or(0.0, |estimate| estimate.ratio.ln());
        if self.metric.higher_is_better() { log } else { -log }
    }

    /// By how much the first side is most likely worse, as a share of the other; 0 where it is not.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.estimate.map_or(0.0, |estimate| self.loss_at(estimate.ratio).max(0.0))
    }

    /// Between which losses that lies.
    #[must_use]
    pub fn loss_interval(&self) -> Option<(f64, f64)> {
        let Interval { low, high } = self.interval()?;
        let (a, b) = (self.loss_at(low), self.loss_at(high));
        Some((a.min(b), a.max(b)))
    }

    fn loss_at(&self, ratio: f64) -> f64 {
        if self.metric.higher_is_better() { 1.0 - ratio } else { ratio - 1.0 }
    }

    /// The second side as a ratio to the first.
    #[must_use]
    pub fn inverted(self) -> Self {
        let interval = |Interval { low, high }| Interval { low: 1.0 / high, high: 1.0 / low };
        let estimate = self
            .estimate
            .map(|estimate| Estimate { ratio: 1.0 / estimate.ratio, interval: estimate.interval.map(interval) });
        Self { estimate, ..self }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::super::sorted::Sorted;
    use super::*;
    use crate::plan;
    use crate::results::TrialRecord;
    use crate::results::tests::trial;

    /// From -1 to 1, another for each trial and always the same.
    pub(crate) fn noise(backend: &str, block: usize) -> f64 {
        let seed = backend.bytes().fold(block as u64, |seed, byte| seed.wrapping_mul(257).wrapping_add(byte.into()));
        Pcg64Mcg::seed_from_u64(seed).random::<f64>() * 2.0 - 1.0
    }

    fn series(metric: &mut dyn FnMut(&mut TrialRecord)) -> Series {
        let mut trials: Vec<TrialRecord> = (1..=20).map(|block| TrialRecord { block, ..trial("epoll") }).collect();
        trials.iter_mut().for_each(metric);
        Series::of("epoll", &plan::tests::plan().cells()[0], &Sorted::of(&trials))
    }

    #[test]
    fn a_comparison_turned_round_says_the_same() {
        let slower = series(&mut |trial| {
            trial.measured.as_mut().unwrap().throughput_rps *= 0.9 * (1.0 + 0.01 * noise("a", trial.block));
        });
        let same = series(&mut |_| ());
        let compare = |a, b| Sides::paired(a, b, Metric::Throughput).compare(Metric::Throughput, 0.05);
        let (turned, other) = (compare(&slower, &same).inverted(), compare(&same, &slower));
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let (a, b) = (turned.interval().unwrap(), other.interval().unwrap());
        assert!(turned.is_better() && close(a.low, b.low) && close(a.high, b.high), "{a:?} {b:?}");
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
