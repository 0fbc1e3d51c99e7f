//! The trials of all runs, sorted into cells and backends and summarised once, for every chart.

use std::collections::{HashMap, HashSet};

use super::group::Group;
use super::look::looks;
use super::{Look, Point, Series};
use crate::plan::{Cell, CellKey};
use crate::report::selection::{self, Selection};
use crate::results::{RunRecord, TrialRecord};

/// All that was read.
pub(super) struct Gathered<'a> {
    /// The oldest first; those whose start nobody can read before all others.
    pub(super) runs: Vec<GatheredRun<'a>>,
    /// Everything that entered any of them, in the order of the newest plan, and how it looks.
    pub(super) entrants: Vec<(String, Look)>,
}

/// One file.
pub(super) struct GatheredRun<'a> {
    /// Of the file.
    pub(super) name: &'a str,
    pub(super) run: &'a RunRecord,
    /// Milliseconds since 1970; none where the file says something else than a time.
    pub(super) started_ms: Option<f64>,
    /// Equal ones are of the same machine.
    pub(super) machine: usize,
    /// In the order of the plan; of a search, those that it tried.
    pub(super) cells: Vec<GatheredCell<'a>>,
}

/// One cell of one run.
pub(super) struct GatheredCell<'a> {
    pub(super) cell: Cell,
    /// In the order of the plan.
    pub(super) groups: Vec<Group<'a>>,
    /// Where each of them is.
    by_backend: HashMap<String, usize>,
}

/// A cell, and the run that its figures come from.
#[derive(Clone, Copy)]
pub(super) struct Shown<'g> {
    pub(super) run: &'g GatheredRun<'g>,
    pub(super) cell: &'g GatheredCell<'g>,
}

/// Everything that entered any of the runs, in the order of the newest plan, and how it looks.
pub(super) fn entrants(selection: &Selection<'_>) -> Vec<(String, Look)> {
    let (mut names, mut known) = (Vec::new(), HashSet::new());
    for run in &selection.all {
        names.extend(run.record.plan.entrants().into_iter().filter(|name| known.insert(name.clone())));
    }
    let looks = looks(&names);
    names.into_iter().zip(looks).collect()
}

impl<'a> Gathered<'a> {
    pub(super) fn of(selection: &Selection<'a>) -> Self {
        let mut runs: Vec<GatheredRun<'a>> = selection.all.iter().rev().copied().map(GatheredRun::of).collect();
        // From the newest on, as the selection does it: memory that differs a little from boot to boot adds up.
        for place in (0..runs.len()).rev() {
            let environment = &runs[place].run.environment;
            let is_same = |other: &usize| runs[*other].run.environment.is_same_machine(environment);
            let mut known = (place + 1..runs.len()).rev().filter(|&other| runs[other].machine == other);
            let machine = known.find(is_same).unwrap_or(place);
            runs[place].machine = machine;
        }
        Self { runs, entrants: entrants(selection) }
    }

    /// Each cell that was measured on the machine of the newest run, with the newest figures that there are. Sweeps come
    /// before searches, which happen upon a cell with one backend only.
    pub(super) fn shown(&self) -> Vec<Shown<'_>> {
        let Some(newest) = self.runs.last() else { return Vec::new() };
        let mut runs: Vec<&GatheredRun<'_>> =
            self.runs.iter().rev().filter(|run| run.machine == newest.machine).collect();
        runs.sort_by_key(|run| run.run.capacity.is_some());
        let mut shown: Vec<Shown<'_>> = Vec::new();
        let mut places: HashMap<CellKey, usize> = HashMap::new();
        for run in runs {
            for cell in &run.cells {
                match places.get(&cell.cell.key()) {
                    None => {
                        places.insert(cell.cell.key(), shown.len());
                        shown.push(Shown { run, cell });
                    }
                    // One that was planned and never begun has no figures to keep older ones out with.
                    Some(&place) if shown[place].cell.is_unmeasured() && !cell.is_unmeasured() => {
                        shown[place] = Shown { run, cell };
                    }
                    Some(_) => {}
                }
            }
        }
        shown
    }

    /// Entrants of which nothing is drawn: of their cells, newer runs without them have figures.
    pub(super) fn outdated(&self, shown: &[Shown<'_>]) -> Vec<String> {
        let drawn: HashSet<&String> =
            shown.iter().flat_map(|shown| &shown.cell.groups).map(|group| &group.backend).collect();
        let names = self.entrants.iter().map(|(name, _)| name);
        names.filter(|name| !drawn.contains(name)).cloned().collect()
    }

    /// One for each entrant that has points, in the order of the entrants; each by `x`.
    pub(super) fn series(&self, points: impl Fn(&str) -> Vec<Point>) -> Vec<Series> {
        let series = |(backend, look): &(String, Look)| {
            let mut points = points(backend);
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            (!points.is_empty()).then(|| Series { backend: backend.clone(), look: *look, points, marks: Vec::new() })
        };
        self.entrants.iter().filter_map(series).collect()
    }
}

impl<'a> GatheredRun<'a> {
    fn of(one: selection::Run<'a>) -> Self {
        let (run, trials) = (one.record, one.trials);
        let entrants = run.plan.entrants();
        let is_entrant: HashSet<&String> = entrants.iter().collect();
        let mut sorted: Vec<Sorted<'a>> = Vec::new();
        let mut places: HashMap<CellKey, usize> = HashMap::new();
        for cell in run.plan.cells() {
            places.entry(cell.key()).or_insert_with(|| {
                sorted.push(Sorted::new(cell, &entrants));
                sorted.len() - 1
            });
        }
        // Where a search begins is a guess in a cell of its own, and no figure.
        let is_figure = |trial: &&TrialRecord| {
            is_entrant.contains(&trial.backend) && (run.capacity.is_none() || trial.cell.rate_rps.is_some())
        };
        for trial in trials.iter().filter(is_figure) {
            let place = match places.get(&trial.cell.key()) {
                Some(&place) => place,
                // What was not planned is no part of the comparison.
                None if run.capacity.is_none() => continue,
                None => {
                    sorted.push(Sorted::new(trial.cell.clone(), &[]));
                    places.insert(trial.cell.key(), sorted.len() - 1);
                    sorted.len() - 1
                }
            };
            sorted[place].take(trial);
        }
        let cells = sorted.into_iter().map(Sorted::summarised);
        let started_ms = selection::started(run).map(|started| started.as_millisecond() as f64);
        Self { name: one.file, run, started_ms, machine: 0, cells: cells.collect() }
    }
}

/// The trials of one cell, on their way to be summarised.
struct Sorted<'a> {
    cell: Cell,
    groups: Vec<(String, Vec<&'a TrialRecord>)>,
    by_backend: HashMap<String, usize>,
}

impl<'a> Sorted<'a> {
    fn new(cell: Cell, entrants: &[String]) -> Self {
        let by_backend = entrants.iter().cloned().zip(0..).collect();
        Self { cell, groups: entrants.iter().map(|entrant| (entrant.clone(), Vec::new())).collect(), by_backend }
    }

    fn take(&mut self, trial: &'a TrialRecord) {
        let place = *self.by_backend.entry(trial.backend.clone()).or_insert_with(|| {
            self.groups.push((trial.backend.clone(), Vec::new()));
            self.groups.len() - 1
        });
        self.groups[place].1.push(trial);
    }

    fn summarised(self) -> GatheredCell<'a> {
        let group = |(backend, trials): (String, Vec<&'a TrialRecord>)| Group::of(backend, self.cell.clone(), &trials);
        let groups = self.groups.into_iter().map(group).collect();
        GatheredCell { cell: self.cell.clone(), groups, by_backend: self.by_backend }
    }
}

impl GatheredCell<'_> {
    pub(super) fn group(&self, backend: &str) -> Option<&Group<'_>> {
        self.by_backend.get(backend).map(|&place| &self.groups[place])
    }

    fn is_unmeasured(&self) -> bool {
        self.groups.iter().all(|group| group.summary.trials == 0)
    }
}
