//! Made-up files for tests.

use super::{Chart, Point};
use crate::environment::{Build, Conditions, Environment};
use crate::plan::{self, SweepPlan};
use crate::report::FileRun;
use crate::report::selection::Selection;
use crate::results::tests::trial;
use crate::results::{Recorded, RunRecord, SCHEMA_VERSION, TrialRecord};

/// The charts of files.
pub(super) fn of(files: &[FileRun]) -> Vec<Chart> {
    super::of(&Selection::of(files))
}

/// A closed loop with one request in flight.
pub(super) fn plan(backends: &[&str], connections: &[usize]) -> SweepPlan {
    SweepPlan {
        backends: backends.iter().map(|&name| name.to_owned()).collect(),
        connections: connections.to_vec(),
        rate_rps: vec![None],
        ..plan::tests::plan()
    }
}

pub(super) fn file(name: &str, started: &str, plan: SweepPlan, trials: Vec<TrialRecord>) -> FileRun {
    let run = RunRecord {
        schema_version: SCHEMA_VERSION,
        started: started.to_owned(),
        build: Build::current(),
        plan,
        seed: 7,
        environment: Environment { kernel: "6.18".to_owned(), ..Environment::default() },
        conditions: Conditions::default(),
        generator: None,
        capacity: None,
    };
    let recorded = Recorded { run: Some(run), trials, intact_bytes: 0, cut_off: false };
    FileRun { name: name.to_owned(), recorded }
}

/// So many blocks of every cell of a plan, changed as the test needs it.
pub(super) fn trials(plan: &SweepPlan, blocks: usize, change: impl Fn(&mut TrialRecord)) -> Vec<TrialRecord> {
    let mut trials = Vec::new();
    for cell in plan.cells() {
        for backend in plan.entrants() {
            for block in 1..=blocks {
                let mut trial = TrialRecord { trial: trials.len() + 1, block, cell: cell.clone(), ..trial(&backend) };
                change(&mut trial);
                trials.push(trial);
            }
        }
    }
    trials
}

/// The only one of its kind.
#[track_caller]
pub(super) fn chart<'c>(charts: &'c [Chart], kind: &str) -> &'c Chart {
    let own: Vec<&Chart> = charts.iter().filter(|chart| chart.kind == kind).collect();
    let [only] = own.as_slice() else { panic!("{} charts of the kind {kind}", own.len()) };
    only
}

#[track_caller]
pub(super) fn point<'c>(charts: &'c [Chart], kind: &str, backend: &str, x: f64) -> &'c Point {
    let series = chart(charts, kind).series.iter().find(|series| series.backend == backend).unwrap();
    series.points.iter().find(|point| (point.x - x).abs() < 1e-9).unwrap()
}
