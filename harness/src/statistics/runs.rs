//! What is compared on request: all backends of a run with one of them, or a run with an earlier one.

use serde::Serialize;

use super::comparison::{Comparison, Series, Sides};
use super::interval::error_rate;
use super::metric::Metric;
use crate::plan::{Cell, SweepPlan, twin_of};
use crate::results::TrialRecord;

/// The plan and the trials of one run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What was to be measured.
    pub plan: &'a SweepPlan,
    /// What was.
    pub trials: &'a [TrialRecord],
}

/// What the backends of a run are compared with.
#[derive(Clone, Copy, Debug)]
pub enum Against<'a> {
    /// Another backend in the same blocks.
    Baseline(&'a str),
    /// The same backends in an earlier run.
    Earlier(Run<'a>),
    /// The same backends in an earlier run, each as a ratio to this one, which is known not to have changed: what
    /// happened to the machine in between happened to it, too.
    EarlierRelativeTo(Run<'a>, &'a str),
}

/// Everything that was compared.
#[derive(Clone, Debug)]
pub struct RunComparison {
    /// Comparisons that hold together.
    pub family: usize,
    /// Cell by cell.
    pub rows: Vec<Row>,
}

/// One backend in one cell by one metric.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where.
    pub cell: Cell,
    /// Which.
    pub backend: String,
    /// What came of it.
    pub comparison: Comparison,
    /// The same in one word.
    pub word: Word,
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// It differs, and for the better.
    Better,
    /// It differs, and for the worse.
    Worse,
    /// If it differs at all, then by less than what matters.
    Tie,
    /// It may differ by more than what matters, or not at all.
    Inconclusive,
    /// The client was the bottleneck.
    Void,
}

impl Word {
    /// `tolerance`: the share from which on a difference matters.
    fn of(comparison: &Comparison, tolerance: f64) -> Self {
        match comparison.interval() {
            _ if comparison.void => Self::Void,
            _ if comparison.is_better() => Self::Better,
            _ if comparison.is_worse() => Self::Worse,
            Some(interval) if interval.low >= 1.0 - tolerance && interval.high <= 1.0 + tolerance => Self::Tie,
            _ => Self::Inconclusive,
        }
    }

    /// As it is printed.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Tie => "tie",
            Self::Inconclusive => "inconclusive",
            Self::Void => "void",
        }
    }
}

/// Compares every backend of `run` in every cell by every metric that says something there.
#[must_use]
pub fn compare_runs(run: Run<'_>, against: Against<'_>, tolerance: f64) -> RunComparison {
    let mut sides = Vec::new();
    for cell in run.plan.cells() {
        if !against.has(&cell) {
            continue;
        }
        for backend in run.plan.backends.iter().filter(|backend| against.is_compared(backend)) {
            for &metric in Metric::compared(&cell) {
                let both = against.sides(run, backend, &cell, metric);
                sides.push((cell.clone(), backend, metric, both));
            }
        }
    }
    let twins: Vec<_> =
        sides.iter().map(|(cell, backend, metric, _)| against.twins(run, backend, cell, *metric)).collect();
    let family = sides.iter().filter(|(_, _, _, sides)| sides.is_compared()).count();
    let error_rate = error_rate(family);
    let rows = sides.into_iter().zip(twins).map(|((cell, backend, metric, sides), twins)| {
        let reaches = twins.iter().filter_map(|twin| Some(twin.compare(metric, error_rate).interval()?.reach()));
        let comparison = Comparison { floor: reaches.max_by(f64::total_cmp), ..sides.compare(metric, error_rate) };
        Row { cell, backend: backend.clone(), word: Word::of(&comparison, tolerance), comparison }
    });
    RunComparison { family, rows: rows.collect() }
}

impl Against<'_> {
    fn has(&self, cell: &Cell) -> bool {
        match self {
            Self::Baseline(_) => true,
            Self::Earlier(old) | Self::EarlierRelativeTo(old, _) => old.plan.cells().contains(cell),
        }
    }

    fn is_compared(&self, backend: &String) -> bool {
        match self {
            Self::Baseline(baseline) => backend != baseline,
            Self::Earlier(old) => old.plan.backends.contains(backend),
            Self::EarlierRelativeTo(old, baseline) => backend != baseline && old.plan.backends.contains(backend),
        }
    }

    fn sides(&self, run: Run<'_>, backend: &str, cell: &Cell, metric: Metric) -> Sides {
        let new = Series::of(backend, cell, run.trials);
        let base = |run: Run<'_>, name: &str| Series::of(name, cell, run.trials);
        match self {
            Self::Baseline(baseline) => Sides::paired(&new, &base(run, baseline), metric),
            Self::Earlier(old) => Sides::unpaired(&new, &base(*old, backend), metric),
            Self::EarlierRelativeTo(old, baseline) => {
                let old_ratios = base(*old, backend).relative_to(&base(*old, baseline));
                Sides::unpaired(&new.relative_to(&base(run, baseline)), &old_ratios, metric)
            }
        }
    }

    /// Where either side was there twice in the same blocks: it and itself.
    fn twins(&self, run: Run<'_>, backend: &str, cell: &Cell, metric: Metric) -> Vec<Sides> {
        let Self::Baseline(baseline) = self else { return Vec::new() };
        let twice = [backend, baseline].into_iter().filter(|name| run.plan.twice.iter().any(|twice| twice == name));
        let series = |name: &str| Series::of(name, cell, run.trials);
        twice.map(|name| Sides::paired(&series(&twin_of(name)), &series(name), metric)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::noise;
    use super::*;
    use crate::plan;
    use crate::results::tests::trial;

    fn plan() -> SweepPlan {
        SweepPlan { connections: vec![1], rate_rps: vec![None], ..plan::tests::plan() }
    }

    fn run<'a>(plan: &'a SweepPlan, trials: &'a [TrialRecord]) -> Run<'a> {
        Run { plan, trials }
    }

    /// `spread`: the largest distance from the factor, as a share of it.
    fn trials(backend: &str, blocks: usize, factor: f64, spread: f64) -> Vec<TrialRecord> {
        let of = |block: usize| {
            let mut trial = TrialRecord { block, ..trial(backend) };
            trial.measured.as_mut().unwrap().throughput_rps *= factor * (1.0 + spread * noise(backend, block));
            trial
        };
        (1..=blocks).map(of).collect()
    }

    fn throughput_word(run: Run<'_>, against: Against<'_>, backend: &str) -> Word {
        let rows = compare_runs(run, against, 0.05).rows;
        let of = |row: &&Row| row.backend == backend && row.comparison.metric == Metric::Throughput;
        rows.iter().find(of).unwrap().word
    }

    #[test]
    fn every_case_has_its_word() {
        let plan = plan();
        let base = trials("poll", 12, 1.0, 0.001);
        for (factor, noise, blocks, word) in [
            (1.2, 0.01, 12, Word::Better),
            (0.8, 0.01, 12, Word::Worse),
            (1.0, 0.001, 12, Word::Tie),
            (1.0, 0.2, 12, Word::Inconclusive),
            (0.5, 0.001, 5, Word::Inconclusive),
        ] {
            let all = [base.clone(), trials("epoll", blocks, factor, noise)].concat();
            assert_eq!(throughput_word(run(&plan, &all), Against::Baseline("poll"), "epoll"), word, "{factor} {noise}");
        }
    }

    #[test]
    fn a_client_that_was_the_bottleneck_makes_all_but_cpu_time_void() {
        let plan = plan();
        let mut all = [trials("poll", 10, 1.0, 0.01), trials("epoll", 10, 2.0, 0.01)].concat();
        all[0].bottleneck = Some(crate::results::Bottleneck::Client);
        let comparison = compare_runs(run(&plan, &all), Against::Baseline("poll"), 0.05);
        let words: Vec<Word> = comparison.rows.iter().map(|row| row.word).collect();
        // One of ten trials is borne.
        assert!(!words.contains(&Word::Void), "{words:?}");
        all[1].bottleneck = Some(crate::results::Bottleneck::Client);
        let comparison = compare_runs(run(&plan, &all), Against::Baseline("poll"), 0.05);
        let words: Vec<Word> = comparison.rows.iter().map(|row| row.word).collect();
        assert_eq!(words, [Word::Void, Word::Void, Word::Void, Word::Tie]);
        assert_eq!(comparison.family, 1);
    }

    #[test]
    fn an_earlier_run_is_compared_without_its_blocks() {
        let plan = plan();
        let old = trials("epoll", 12, 1.0, 0.01);
        // The blocks of another run are others, so that their numbers mean nothing.
        let mut new = trials("epoll", 12, 0.8, 0.01);
        for trial in &mut new {
            trial.block += 100;
        }
        let rows = compare_runs(run(&plan, &new), Against::Earlier(run(&plan, &old)), 0.05).rows;
        assert!(rows.iter().any(|row| row.backend == "epoll" && row.word == Word::Worse), "{rows:?}");
    }

    #[test]
    fn what_happened_to_the_machine_between_two_runs_happened_to_the_baseline_too() {
        let plan = plan();
        let old = [trials("poll", 12, 1.0, 0.01), trials("epoll", 12, 1.0, 0.01)].concat();
        let new = [trials("poll", 12, 0.7, 0.01), trials("epoll", 12, 0.7, 0.01)].concat();
        let (old, new) = (run(&plan, &old), run(&plan, &new));
        assert_eq!(throughput_word(new, Against::Earlier(old), "epoll"), Word::Worse);
        assert_eq!(throughput_word(new, Against::EarlierRelativeTo(old, "poll"), "epoll"), Word::Tie);
    }

    #[test]
    fn cells_and_backends_that_only_one_run_has_are_left_out() {
        let (wide, narrow) = (plan(), SweepPlan { connections: vec![64], ..plan() });
        let trials = trials("epoll", 12, 1.0, 0.01);
        assert!(compare_runs(run(&wide, &trials), Against::Earlier(run(&narrow, &trials)), 0.05).rows.is_empty());
        let other = SweepPlan { backends: vec!["select".to_owned()], ..plan() };
        assert!(compare_runs(run(&wide, &trials), Against::Earlier(run(&other, &trials)), 0.05).rows.is_empty());
    }
}
