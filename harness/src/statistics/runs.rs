//! What is compared on request: all backends of a run with one of them, or a run with an earlier one.

use std::collections::HashSet;

use serde::Serialize;

use super::comparison::{Comparison, Sides};
use super::interval::error_rate;
use super::metric::Metric;
use super::series::{Doubt, Series, Void};
use super::sorted::Sorted;
use crate::plan::{Cell, CellKey, SweepPlan, twin_of};
use crate::results::TrialRecord;

/// The share from which on a difference matters, where nothing else was said.
pub const TOLERANCE: f64 = 0.05;

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
    /// What only the earlier run has: cells, and backends.
    pub absent: Vec<String>,
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
    /// What is compared.
    pub own: Counted,
    /// What it is compared with.
    pub other: Counted,
    /// Whether most trials of a side are suspect, and not only because the load generator was busy.
    pub doubtful: bool,
}

/// The trials of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// That ended, however they did.
    pub trials: usize,
    /// That were measured and are not invalid.
    pub usable: usize,
    /// Those of them that are suspect.
    pub suspect: usize,
}

impl Counted {
    fn of(series: &Series) -> Self {
        Self { trials: series.ended(), usable: series.usable(), suspect: series.suspect() }
    }
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
    /// The client was the bottleneck, or the rate was not taken.
    Void,
    /// The other side was measured, and this one does not work any more: it has no usable trial, or fewer than half
    /// of its trials are, or it does not take the rate. Only of as many trials as an interval needs.
    Lost,
}

impl Word {
    /// `tolerance`: the share from which on a difference matters.
    fn of(comparison: &Comparison, tolerance: f64) -> Self {
        match comparison.interval() {
            _ if comparison.void.is_some() => Self::Void,
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
            Self::Lost => "lost",
        }
    }
}

/// Compares every backend of `run` in every cell by every metric that says something there.
#[must_use]
pub fn compare_runs(run: Run<'_>, against: Against<'_>, tolerance: f64) -> RunComparison {
    compare_runs_by(run, against, tolerance, Metric::compared)
}

/// The same by those metrics alone: the fewer are looked at, the less has to hold together, and the less there is to resample.
#[must_use]
pub fn compare_runs_by(
    run: Run<'_>,
    against: Against<'_>,
    tolerance: f64,
    metrics: impl Fn(&Cell) -> &'static [Metric],
) -> RunComparison {
    let pairings = pairings(run, &against, metrics);
    let family = compared(&pairings);
    RunComparison { family, rows: rows(pairings, error_rate(family), tolerance), absent: against.absent_from(run) }
}

/// Several runs, each compared with an earlier one by the metrics that are told for its cells: the rows of each, all of which
/// hold together.
#[must_use]
pub fn compare_histories<M>(pairs: &[(Run<'_>, Run<'_>, M)]) -> Vec<Vec<Row>>
where
    M: Fn(&Cell) -> &'static [Metric],
{
    let pairings: Vec<Vec<Pairing>> =
        pairs.iter().map(|(new, old, metrics)| pairings(*new, &Against::Earlier(*old), metrics)).collect();
    let error_rate = error_rate(pairings.iter().map(|pairings| compared(pairings)).sum());
    pairings.into_iter().map(|pairings| rows(pairings, error_rate, 0.0)).collect()
}

/// Two sides of one row, before it is known how many have to hold together.
struct Pairing {
    cell: Cell,
    backend: String,
    metric: Metric,
    both: (Series, Series),
    sides: Sides,
    twins: Vec<Sides>,
}

fn compared(pairings: &[Pairing]) -> usize {
    pairings.iter().filter(|pairing| pairing.sides.is_compared()).count()
}

fn pairings(run: Run<'_>, against: &Against<'_>, metrics: impl Fn(&Cell) -> &'static [Metric]) -> Vec<Pairing> {
    let mut pairings = Vec::new();
    let old_cells = against.earlier().map(|old| keys(old.plan));
    let trials = Trials { own: Sorted::of(run.trials), old: against.earlier().map(|old| Sorted::of(old.trials)) };
    let is_shared = |cell: &Cell| old_cells.as_ref().is_none_or(|cells| cells.contains(&cell.key()));
    for cell in run.plan.cells().into_iter().filter(is_shared) {
        for backend in run.plan.backends.iter().filter(|backend| against.is_compared(backend)) {
            let both = against.both(&trials, backend, &cell);
            for &metric in metrics(&cell) {
                let sides = against.sides(&both, metric);
                let twins = against.twins(run, &trials, backend, &cell, metric);
                let (cell, backend, both) = (cell.clone(), backend.clone(), both.clone());
                pairings.push(Pairing { cell, backend, metric, both, sides, twins });
            }
        }
    }
    pairings
}

/// `tolerance`: the share from which on a difference matters.
fn rows(pairings: Vec<Pairing>, error_rate: f64, tolerance: f64) -> Vec<Row> {
    let rows = pairings.into_iter().map(|Pairing { cell, backend, metric, both: (own, other), sides, twins }| {
        let reaches = twins.iter().filter_map(|twin| Some(twin.compare(metric, error_rate).interval()?.reach()));
        let comparison = Comparison { floor: reaches.max_by(f64::total_cmp), ..sides.compare(metric, error_rate) };
        let lost = own.is_lost_since(&other, metric);
        Row {
            cell,
            backend,
            word: if lost { Word::Lost } else { Word::of(&comparison, tolerance) },
            comparison,
            own: Counted::of(&own),
            other: Counted::of(&other),
            doubtful: [&own, &other].iter().any(|side| side.doubt(metric) == Doubt::Other),
        }
    });
    rows.collect()
}

/// The trials of both runs.
struct Trials<'a> {
    own: Sorted<'a>,
    old: Option<Sorted<'a>>,
}

fn keys(plan: &SweepPlan) -> HashSet<CellKey> {
    plan.cells().iter().map(Cell::key).collect()
}

impl Against<'_> {
    fn is_compared(&self, backend: &String) -> bool {
        self.baseline() != Some(backend) && self.earlier().is_none_or(|old| old.plan.backends.contains(backend))
    }

    fn baseline(&self) -> Option<&str> {
        match self {
            Self::Baseline(baseline) | Self::EarlierRelativeTo(_, baseline) => Some(baseline),
            Self::Earlier(_) => None,
        }
    }

    fn earlier(&self) -> Option<&Run<'_>> {
        match self {
            Self::Baseline(_) => None,
            Self::Earlier(old) | Self::EarlierRelativeTo(old, _) => Some(old),
        }
    }

    fn absent_from(&self, run: Run<'_>) -> Vec<String> {
        let Some(old) = self.earlier() else { return Vec::new() };
        let cells = keys(run.plan);
        let absent = old.plan.cells().into_iter().filter(|cell| !cells.contains(&cell.key()));
        let absent = absent.map(|cell| cell.to_string());
        absent.chain(old.plan.backends.iter().filter(|name| !run.plan.backends.contains(name)).cloned()).collect()
    }

    /// What is compared, and what with.
    fn both(&self, trials: &Trials<'_>, backend: &str, cell: &Cell) -> (Series, Series) {
        let own = |name: &str| Series::of(name, cell, &trials.own);
        let old = |name: &str| trials.old.as_ref().map_or_else(Series::default, |old| Series::of(name, cell, old));
        match self {
            Self::Baseline(baseline) => (own(backend), own(baseline)),
            Self::Earlier(_) => (own(backend), old(backend)),
            Self::EarlierRelativeTo(_, baseline) => {
                (own(backend).relative_to(&own(baseline)), old(backend).relative_to(&old(baseline)))
            }
        }
    }

    fn sides(&self, (own, other): &(Series, Series), metric: Metric) -> Sides {
        match self {
            Self::Baseline(_) => Sides::paired(own, other, metric),
            Self::Earlier(_) | Self::EarlierRelativeTo(..) => Sides::unpaired(own, other, metric),
        }
    }

    /// Where either side was there twice in the same blocks of either run, it and itself; where neither was, all that
    /// were.
    fn twins(&self, run: Run<'_>, trials: &Trials<'_>, backend: &str, cell: &Cell, metric: Metric) -> Vec<Sides> {
        let is_own = |name: &str| name == backend || self.baseline() == Some(name);
        let mut twins = Vec::new();
        let runs = [Some(&run), self.earlier()]
            .into_iter()
            .flatten()
            .zip([Some(&trials.own), trials.old.as_ref()].into_iter().flatten());
        for (run, trials) in runs {
            let has_own = run.plan.twice.iter().any(|name| is_own(name));
            let twice = run.plan.twice.iter().filter(|name| !has_own || is_own(name));
            let series = |name: &str| Series::of(name, cell, trials);
            twins.extend(twice.map(|name| Sides::paired(&series(&twin_of(name)), &series(name), metric)));
        }
        twins
    }
}

impl Row {
    /// Whether it is a loss outside the noise that is most likely larger than `tolerance`, or nothing is left.
    #[must_use]
    pub fn is_regression(&self, tolerance: f64) -> bool {
        match self.word {
            Word::Lost => true,
            Word::Worse => self.comparison.loss() > tolerance,
            _ => false,
        }
    }

    /// Whether what is lost is the rate, and not the answers.
    #[must_use]
    pub fn lost_its_rate(&self) -> bool {
        self.word == Word::Lost && self.comparison.void == Some(Void::Rate) && self.own.usable * 2 >= self.own.trials
    }
}

#[cfg(test)]
mod tests {
    use super::super::interval::MIN_BLOCKS;
    use super::super::tests::noise;
    use super::*;
    use crate::plan;
    use crate::results::Verdict;
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
        let mut all = [trials("poll", 14, 1.0, 0.01), trials("epoll", 14, 2.0, 0.01)].concat();
        all[..7].iter_mut().for_each(|trial| trial.bottleneck = Some(crate::results::Bottleneck::Client));
        let comparison = compare_runs(run(&plan, &all), Against::Baseline("poll"), 0.05);
        let words: Vec<Word> = comparison.rows.iter().map(|row| row.word).collect();
        // The other half is enough.
        assert!(!words.contains(&Word::Void) && comparison.rows[0].comparison.blocks == 7, "{words:?}");
        all[7].bottleneck = Some(crate::results::Bottleneck::Client);
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
    fn a_backend_that_works_no_more_is_lost_and_fails_whatever_is_tolerated() {
        let plan = plan();
        let old = trials("epoll", 8, 1.0, 0.01);
        let broken_in = |blocks: usize| {
            let mut new = trials("epoll", 8, 1.0, 0.01);
            new[..blocks].iter_mut().for_each(|trial| trial.verdict = Verdict::Invalid);
            new
        };
        let rows = |new: &[TrialRecord], old: &[TrialRecord]| {
            let rows = compare_runs(run(&plan, new), Against::Earlier(run(&plan, old)), 0.05).rows;
            rows.into_iter().filter(|row| row.backend == "epoll").collect::<Vec<_>>()
        };
        for new in [broken_in(8), broken_in(5)] {
            let rows = rows(&new, &old);
            assert!(rows.iter().all(|row| row.word == Word::Lost && row.is_regression(1.0)), "{rows:?}");
        }
        assert!(rows(&broken_in(4), &old).iter().all(|row| row.word != Word::Lost), "half of them are left");
        assert!(rows(&old, &broken_in(8)).iter().all(|row| !row.is_regression(0.01)), "it was mended");
        let both = [broken_in(8), trials("poll", 8, 1.0, 0.01)].concat();
        let against = compare_runs(run(&plan, &both), Against::Baseline("poll"), 0.05);
        assert!(against.rows.iter().all(|row| row.word == Word::Lost && row.own.usable == 0));
    }

    #[test]
    fn too_few_trials_that_failed_are_inconclusive_on_either_side() {
        let plan = plan();
        let trials = |blocks: usize, verdict: crate::results::Verdict| {
            let trials = trials("epoll", blocks, 1.0, 0.01);
            trials.into_iter().map(|trial| TrialRecord { verdict, ..trial }).collect::<Vec<_>>()
        };
        let words = |works: usize, fails: usize| {
            let (old, new) = (trials(works, Verdict::Valid), trials(fails, Verdict::Invalid));
            let rows = compare_runs(run(&plan, &new), Against::Earlier(run(&plan, &old)), 0.05).rows;
            let rows: Vec<Row> = rows.into_iter().filter(|row| row.backend == "epoll").collect();
            assert!(rows.iter().all(|row| row.is_regression(1.0) == (row.word == Word::Lost)), "{rows:?}");
            rows.iter().map(|row| row.word).collect::<Vec<_>>()
        };
        for (works, fails) in [(1, 1), (8, 1), (8, MIN_BLOCKS - 1), (MIN_BLOCKS - 1, 8), (8, 0)] {
            assert_eq!(words(works, fails), [Word::Inconclusive; 4], "{works} {fails}");
        }
        assert_eq!(words(MIN_BLOCKS, MIN_BLOCKS), [Word::Lost; 4]);
    }

    #[test]
    fn a_run_of_which_most_trials_are_suspect_says_so() {
        let plan = plan();
        let old = trials("epoll", 8, 1.0, 0.01);
        let mut new = old.clone();
        for trial in &mut new[..5] {
            (trial.verdict, trial.reasons) = (Verdict::Suspect, vec!["odd".to_owned()]);
        }
        let rows = compare_runs(run(&plan, &new), Against::Earlier(run(&plan, &old)), 0.05).rows;
        let row = rows.iter().find(|row| row.backend == "epoll").unwrap();
        assert!(row.doubtful && (row.own.suspect, row.other.suspect) == (5, 0), "{row:?}");
    }

    #[test]
    fn the_noise_of_either_of_two_runs_is_the_floor() {
        let twice = SweepPlan { twice: vec!["epoll".to_owned()], ..plan() };
        let once = plan();
        let old = [trials("epoll", 12, 1.0, 0.01), trials("epoll#2", 12, 0.8, 0.01)].concat();
        let new = trials("epoll", 12, 0.9, 0.01);
        let word = |old_plan| throughput_word(run(&once, &new), Against::Earlier(run(old_plan, &old)), "epoll");
        assert_eq!((word(&once), word(&twice)), (Word::Worse, Word::Inconclusive));
    }

    #[test]
    fn what_only_the_earlier_run_has_is_named() {
        let (wide, narrow) = (SweepPlan { connections: vec![1, 64], ..plan() }, plan());
        let fewer = SweepPlan { backends: vec!["poll".to_owned()], ..narrow };
        let absent = |new, old| compare_runs(run(new, &[]), Against::Earlier(run(old, &[])), 0.05).absent;
        let names = absent(&fewer, &wide);
        assert!(names.len() == 2 && names[0].starts_with("64 connections") && names[1] == "epoll", "{names:?}");
        assert!(absent(&wide, &fewer).is_empty());
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
