//! Which of several files speaks for which cell.
//!
//! A cell's figures come from the newest run that has a trial in it, among the runs on the same machine as the newest.
//! Figures of several machines never stand side by side as if they were of one.

mod searched;

use std::cell::OnceCell;
use std::collections::HashSet;

use jiff::Timestamp;

pub use self::searched::Searched;
use super::FileRun;
use super::history::{self, Compared};
use crate::plan::{Cell, CellKey, SweepPlan};
use crate::results::{RunRecord, TrialRecord};
use crate::statistics::Sorted;

/// Cells times backends beyond which a plan is none that anybody could have run. What follows from a plan grows with it, so
/// it is looked at before anything is.
const MOST_SERIES: usize = 10_000;

/// The same of backends alone: each is compared with every other.
const MOST_BACKENDS: usize = 100;

/// The runs that are reported on.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// All, the newest first. A run that is there twice, because it was named twice or read before and after it went on,
    /// counts once.
    pub all: Vec<Run<'a>>,
    /// Those of the machine of the newest, in the same order.
    pub runs: Vec<Run<'a>>,
    /// What each differs in from the run before it: charts and sentences need the same, and it takes a while.
    history: OnceCell<Vec<Compared<'a>>>,
}

/// A run that is known to be one.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What its file is called.
    pub file: &'a str,
    /// What all trials have in common.
    pub record: &'a RunRecord,
    /// In the order in which they ended.
    pub trials: &'a [TrialRecord],
}

/// A sweep that speaks for cells.
#[derive(Clone, Debug)]
pub struct Speaker<'a> {
    /// Which.
    pub run: Run<'a>,
    /// Those that have a trial, in the order of its plan.
    pub cells: Vec<Cell>,
    /// All of its trials.
    pub trials: Sorted<'a>,
}

impl<'a> Selection<'a> {
    /// Of files in any order. One that was cut off in its first line says nothing.
    #[must_use]
    pub fn of(files: &'a [FileRun]) -> Self {
        let mut all: Vec<Run<'a>> = Vec::new();
        for run in newest_first(files).into_iter().filter_map(Run::of) {
            match all.iter_mut().find(|other| other.record == run.record) {
                Some(same) if same.trials.len() < run.trials.len() => *same = run,
                Some(_) => {}
                None => all.push(run),
            }
        }
        let is_here = |run: &Run<'_>| all[0].record.environment.is_same_machine(&run.record.environment);
        let runs = all.iter().copied().filter(is_here).collect();
        Self { all, runs, history: OnceCell::new() }
    }

    /// Every run that can be compared with an earlier one, the newest first.
    pub fn history(&self) -> &[Compared<'a>] {
        self.history.get_or_init(|| history::compared(self))
    }

    /// Whether a run was made on another machine than the newest.
    #[must_use]
    pub fn is_elsewhere(&self, run: &RunRecord) -> bool {
        self.runs.first().is_some_and(|newest| !newest.record.environment.is_same_machine(&run.environment))
    }

    /// The sweeps that speak for any cell, and for which. No two of them speak for the same.
    #[must_use]
    pub fn speakers(&self) -> Vec<Speaker<'a>> {
        let mut known = HashSet::new();
        let mut speakers = Vec::new();
        for run in self.sweeps() {
            let trials = Sorted::of(run.trials);
            let entrants = run.record.plan.entrants();
            let has_trial = |cell: &Cell| entrants.iter().any(|entrant| !trials.of_backend(entrant, cell).is_empty());
            let mut cells = run.record.plan.cells();
            cells.retain(|cell| has_trial(cell) && known.insert(cell.key()));
            if !cells.is_empty() {
                speakers.push(Speaker { run: *run, cells, trials });
            }
        }
        speakers
    }

    /// The runs with a plan of cells.
    pub fn sweeps(&self) -> impl Iterator<Item = &Run<'a>> {
        self.runs.iter().filter(|run| run.record.capacity.is_none())
    }

    /// The runs that searched for capacities.
    pub fn searches(&self) -> impl Iterator<Item = &Run<'a>> {
        self.runs.iter().filter(|run| run.record.capacity.is_some())
    }
}

impl<'a> Run<'a> {
    fn of(file: &'a FileRun) -> Option<Self> {
        Some(Self { file: &file.name, record: file.recorded.run.as_ref()?, trials: &file.recorded.trials })
    }

    /// How many of its trials are of no cell or of no backend of its plan: they are in no figure.
    #[must_use]
    pub fn strangers(&self) -> usize {
        let entrants = self.record.plan.entrants();
        // A search goes to rates that no plan has.
        let cells: Option<HashSet<CellKey>> =
            self.record.capacity.is_none().then(|| self.record.plan.cells().iter().map(Cell::key).collect());
        let is_planned = |trial: &&TrialRecord| {
            entrants.contains(&trial.backend) && cells.as_ref().is_none_or(|cells| cells.contains(&trial.cell.key()))
        };
        self.trials.iter().filter(|trial| !is_planned(trial)).count()
    }

    /// How many trials were planned.
    #[must_use]
    pub fn planned(&self) -> usize {
        let plan = &self.record.plan;
        plan.cells().len().saturating_mul(plan.entrants().len()).saturating_mul(plan.trials)
    }
}

/// All files, by when their runs began. Those that do not say it come last.
#[must_use]
pub fn newest_first(files: &[FileRun]) -> Vec<&FileRun> {
    let mut files: Vec<&FileRun> = files.iter().collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.recorded.run.as_ref().map(started)));
    files
}

/// When a run began; none where that is no time.
#[must_use]
pub fn started(run: &RunRecord) -> Option<Timestamp> {
    run.started.parse().ok()
}

/// Refuses a plan that is larger than anything that was ever run.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_plan(plan: &SweepPlan) -> Result<(), String> {
    let lengths = [
        plan.connections.len(),
        plan.payload_bytes.len(),
        plan.depth.len(),
        plan.rate_rps.len().max(1),
        plan.server_threads.len(),
        plan.idle_connections.len(),
        plan.entrants().len(),
    ];
    if plan.entrants().len() > MOST_BACKENDS {
        return Err(format!("its plan has more than {MOST_BACKENDS} backends, so no sweep wrote it"));
    }
    match lengths.into_iter().try_fold(1_usize, usize::checked_mul) {
        Some(series) if series <= MOST_SERIES => Ok(()),
        _ => Err(format!(
            "its plan has more than {MOST_SERIES} combinations of cells and backends, so no sweep wrote it"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::report::tests::{file, run};

    /// The connections of each cell, and who speaks for it.
    fn spoken_for<'a>(selection: &Selection<'a>) -> Vec<(usize, &'a str)> {
        let of = |speaker: Speaker<'a>| speaker.cells.into_iter().map(move |cell| (cell.connections, speaker.run.file));
        selection.speakers().into_iter().flat_map(of).collect()
    }

    #[test]
    fn the_newest_run_on_its_machine_speaks_for_each_cell() {
        let older = file("older", run("2026-01-01T00:00:00Z", &[1, 64], &["epoll", "poll"]), 2, |_| ());
        let newer = file("newer", run("2026-01-02T00:00:00+01:00", &[64, 512], &["epoll", "poll"]), 2, |_| ());
        let mut other = run("2025-01-01T00:00:00Z", &[4000], &["epoll"]);
        other.environment.kernel = "another".to_owned();
        let cut_off = FileRun { name: "cut".to_owned(), recorded: crate::report::tests::nothing() };
        let files = [cut_off, older, file("elsewhere", other, 2, |_| ()), newer];
        let selection = Selection::of(&files);
        assert_eq!(spoken_for(&selection), [(64, "newer"), (512, "newer"), (1, "older")]);
        let elsewhere = selection.all.iter().filter(|run| selection.is_elsewhere(run.record)).map(|run| run.file);
        assert_eq!(elsewhere.collect::<Vec<_>>(), ["elsewhere"]);
        let names: Vec<&str> = newest_first(&files).iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["newer", "older", "elsewhere", "cut"]);
    }

    #[test]
    fn a_run_that_is_there_twice_counts_once_as_far_as_it_went() {
        let whole = file("whole", run("2026-01-01T00:00:00Z", &[1], &["epoll", "poll"]), 2, |_| ());
        let mut before = FileRun { name: "before".to_owned(), ..whole.clone() };
        before.recorded.trials.pop();
        let files = [before, whole];
        let names: Vec<&str> = Selection::of(&files).all.iter().map(|run| run.file).collect();
        assert_eq!(names, ["whole"]);
    }

    #[test]
    fn a_cell_without_a_trial_is_left_to_an_older_run() {
        let older = file("older", run("2026-01-01T00:00:00Z", &[1, 64], &["epoll", "poll"]), 2, |_| ());
        let mut newer = file("newer", run("2026-01-02T00:00:00Z", &[1, 64], &["epoll", "poll"]), 2, |_| ());
        newer.recorded.trials.retain(|trial| trial.cell.connections == 1);
        let files = [older, newer];
        let selection = Selection::of(&files);
        assert_eq!(spoken_for(&selection), [(1, "newer"), (64, "older")]);
    }

    #[test]
    fn a_plan_that_nobody_could_have_run_is_refused() {
        assert_eq!(check_plan(&plan::tests::plan()), Ok(()));
        let many = SweepPlan { connections: vec![1; 1 << 20], depth: vec![1; 1 << 20], ..plan::tests::plan() };
        let crowd = SweepPlan { backends: vec!["epoll".to_owned(); 101], ..plan::tests::plan() };
        assert!(check_plan(&crowd).unwrap_err().contains("more than 100 backends"));
        assert!(check_plan(&many).unwrap_err().contains("more than 10000 "));
    }
}
