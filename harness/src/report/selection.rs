//! Which of several files speaks for which cell.
//!
//! A cell's figures come from the newest run that has a trial in it, among the runs on the same machine as the newest.
//! Figures of several machines never stand side by side as if they were of one.

use jiff::Timestamp;

use super::FileRun;
use crate::plan::{Cell, SweepPlan};
use crate::results::{RunRecord, TrialRecord};

/// Cells times backends beyond which a plan is none that anybody could have run. What follows from a plan grows with it, so
/// it is looked at before anything is.
const MOST_SERIES: usize = 10_000;

/// The same of backends alone: each is compared with every other.
const MOST_BACKENDS: usize = 100;

/// The runs that are reported on.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// Those of the machine, the newest first.
    pub runs: Vec<Run<'a>>,
    /// Files with runs of other machines.
    pub elsewhere: Vec<&'a str>,
}

/// A run that is known to be one.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The name of its file.
    pub file: &'a str,
    /// What all trials have in common.
    pub record: &'a RunRecord,
    /// In the order in which they ended.
    pub trials: &'a [TrialRecord],
}

impl<'a> Selection<'a> {
    /// Of files in any order. One that was cut off in its first line says nothing.
    #[must_use]
    pub fn of(files: &'a [FileRun]) -> Self {
        let mut runs: Vec<Run<'a>> = newest_first(files).into_iter().filter_map(Run::of).collect();
        let newest = runs.first().map(|run| run.record);
        let is_here = |run: &Run<'_>| newest.is_some_and(|newest| is_same_machine(newest, run.record));
        let elsewhere = runs.iter().filter(|run| !is_here(run)).map(|run| run.file).collect();
        runs.retain(is_here);
        Self { runs, elsewhere }
    }

    /// The cells of sweeps that have a trial, each with the run that speaks for it.
    #[must_use]
    pub fn cells(&self) -> Vec<(Cell, Run<'a>)> {
        let mut cells: Vec<(Cell, Run<'a>)> = Vec::new();
        for run in self.sweeps() {
            for cell in run.record.plan.cells() {
                let is_new = cells.iter().all(|(other, _)| *other != cell);
                if is_new && run.trials.iter().any(|trial| trial.cell == cell) {
                    cells.push((cell, *run));
                }
            }
        }
        cells
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

/// Whether both were made on the same machine, as far as figures depend on it.
#[must_use]
pub fn is_same_machine(run: &RunRecord, other: &RunRecord) -> bool {
    let (a, b) = (&run.environment, &other.environment);
    (&a.cpu_model, a.cpus, &a.kernel, a.memory_bytes, a.virtualised, &a.virtualisation.machine)
        == (&b.cpu_model, b.cpus, &b.kernel, b.memory_bytes, b.virtualised, &b.virtualisation.machine)
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

    #[test]
    fn the_newest_run_on_its_machine_speaks_for_each_cell() {
        let older = file("older", run("2026-01-01T00:00:00Z", &[1, 64], &["epoll", "poll"]), 2, |_| ());
        let newer = file("newer", run("2026-01-02T00:00:00+01:00", &[64, 512], &["epoll", "poll"]), 2, |_| ());
        let mut other = run("2025-01-01T00:00:00Z", &[4000], &["epoll"]);
        other.environment.kernel = "another".to_owned();
        let cut_off = FileRun { name: "cut".to_owned(), recorded: crate::report::tests::nothing() };
        let files = [cut_off, older, file("elsewhere", other, 2, |_| ()), newer];
        let selection = Selection::of(&files);
        let cells: Vec<(usize, &str)> =
            selection.cells().iter().map(|(cell, run)| (cell.connections, run.file)).collect();
        assert_eq!(cells, [(64, "newer"), (512, "newer"), (1, "older")]);
        assert_eq!(selection.elsewhere, ["elsewhere"]);
        let names: Vec<&str> = newest_first(&files).iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["newer", "older", "elsewhere", "cut"]);
    }

    #[test]
    fn a_cell_without_a_trial_is_left_to_an_older_run() {
        let older = file("older", run("2026-01-01T00:00:00Z", &[1, 64], &["epoll", "poll"]), 2, |_| ());
        let mut newer = file("newer", run("2026-01-02T00:00:00Z", &[1, 64], &["epoll", "poll"]), 2, |_| ());
        newer.recorded.trials.retain(|trial| trial.cell.connections == 1);
        let files = [older, newer];
        let selection = Selection::of(&files);
        let cells: Vec<(usize, &str)> =
            selection.cells().iter().map(|(cell, run)| (cell.connections, run.file)).collect();
        assert_eq!(cells, [(1, "newer"), (64, "older")]);
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
