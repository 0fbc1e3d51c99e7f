//! What changed from one run to the next: the marks of a chart over time, and the sentences about them.
//!
//! A run is compared with the one before it on the same machine, made with the same settings, that measured the cell. All of these comparisons, from the
//! first run to the last, hold together: with many runs, some would else differ by chance.

use std::time::Duration;

use super::selection::{Run, Selection, started};
use crate::plan::Cell;
use crate::results::RunRecord;
use crate::statistics::{self, Metric, Row, Word, compare_histories};

/// A run, and what it was compared with.
#[derive(Clone, Debug)]
pub struct Compared<'a> {
    /// Which.
    pub run: Run<'a>,
    /// A row for each backend in each cell that an earlier run has.
    pub rows: Vec<Row>,
}

/// By what runs are compared in a cell: its throughput, or with a rate its p99.
#[must_use]
pub fn metric(cell: &Cell) -> Metric {
    if cell.rate_rps.is_some() { Metric::P99 } else { Metric::Throughput }
}

/// Whether a row is a change, and worth a mark.
#[must_use]
pub fn is_change(row: &Row) -> bool {
    matches!(row.word, Word::Better | Word::Worse | Word::Lost)
}

/// Every run that is compared with an earlier one, the newest first.
pub(super) fn compared<'a>(selection: &Selection<'a>) -> Vec<Compared<'a>> {
    // Without a time of its own a run has no place in a history; and a search has no plan of cells.
    let dated = selection.all.iter().filter(|run| started(run.record).is_some() && run.record.capacity.is_none());
    let dated: Vec<&Run<'a>> = dated.collect();
    if dated.len() < 2 {
        return Vec::new();
    }
    let runs: Vec<(Run<'a>, Vec<Cell>)> = dated.into_iter().map(|run| (*run, measured(run))).collect();
    let mut places = Vec::new();
    let mut pairs = Vec::new();
    for (place, (new, cells)) in runs.iter().enumerate() {
        let mut left: Vec<&Cell> = cells.iter().collect();
        let is_alike = |old: &Run<'_>| {
            old.record.environment.is_same_machine(&new.record.environment)
                && settings(old.record, new.record).is_empty()
        };
        for (old, earlier) in runs[place + 1..].iter().filter(|(old, _)| is_alike(old)) {
            if left.is_empty() {
                break;
            }
            let (common, rest): (Vec<&Cell>, Vec<&Cell>) = left.into_iter().partition(|cell| earlier.contains(cell));
            left = rest;
            if !common.is_empty() {
                places.push(place);
                pairs.push((as_run(new), as_run(old), move |cell: &Cell| by(cell, &common)));
            }
        }
    }
    let mut compared: Vec<(usize, Compared<'a>)> = Vec::new();
    for (place, rows) in places.into_iter().zip(compare_histories(&pairs)) {
        match compared.last_mut() {
            Some((last, one)) if *last == place => one.rows.extend(rows),
            _ => compared.push((place, Compared { run: runs[place].0, rows })),
        }
    }
    compared.into_iter().map(|(_, one)| one).collect()
}

/// The cells of its plan in which it has a trial: one that was never begun is no earlier measurement.
fn measured(run: &Run<'_>) -> Vec<Cell> {
    let mut begun: Vec<&Cell> = Vec::new();
    for trial in run.trials {
        // Trials of a cell mostly follow each other.
        if begun.last().is_none_or(|last| **last != trial.cell) && !begun.contains(&&trial.cell) {
            begun.push(&trial.cell);
        }
    }
    run.record.plan.cells().into_iter().filter(|cell| begun.contains(&cell)).collect()
}

fn by(cell: &Cell, common: &[&Cell]) -> &'static [Metric] {
    match metric(cell) {
        _ if !common.contains(&cell) => &[],
        Metric::P99 => &[Metric::P99],
        _ => &[Metric::Throughput],
    }
}

fn as_run<'a>(run: &Run<'a>) -> statistics::Run<'a> {
    statistics::Run { plan: &run.record.plan, trials: run.trials }
}

/// What takes part in every figure and is another in one of two runs: a difference between them may come from it.
pub(super) fn settings(before: &RunRecord, now: &RunRecord) -> Vec<String> {
    let span = |ns| humantime::format_duration(Duration::from_nanos(ns)).to_string();
    let of = |run: &RunRecord| {
        let RunRecord { build, plan, .. } = run;
        [
            ("build", build.build_profile.clone()),
            ("server CPUs", plan.server_cpus.to_string()),
            ("load generator CPUs", plan.client_cpus.to_string()),
            ("engine", plan.engine.to_string()),
            ("spread", plan.spread.to_string()),
            ("warm-up", span(plan.warmup_ns)),
            ("duration", span(plan.duration_ns)),
        ]
    };
    let both = of(before).into_iter().zip(of(now)).filter(|((_, before), (_, now))| before != now);
    both.map(|((name, before), (_, now))| format!("{name} {now} after {before}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::FileRun;
    use crate::report::tests::{file, run};
    use crate::statistics::tests::noise;

    const BLOCKS: usize = 7;

    /// So many runs of two backends in five cells, of which nothing but chance tells one from the next.
    fn quiet(runs: usize, seed: usize) -> Vec<FileRun> {
        (0..runs)
            .map(|day| {
                let started = format!("2026-01-01T00:{:02}:{:02}Z", day / 60, day % 60);
                file(&started, run(&started, &[1, 8, 64, 256, 1024], &["epoll", "poll"]), BLOCKS, |trial| {
                    let number = trial.block + 100 * trial.cell.connections + 1_000_000 * day + 1_000_000_000 * seed;
                    trial.measured.as_mut().unwrap().throughput_rps *= 1.0 + 0.02 * noise(&trial.backend, number);
                })
            })
            .collect()
    }

    #[test]
    fn a_long_history_of_nothing_but_noise_has_next_to_no_marks() {
        let found: usize = (0..4)
            .map(|seed| {
                let files = quiet(40, seed);
                let compared: Vec<Row> =
                    compared(&Selection::of(&files)).into_iter().flat_map(|compared| compared.rows).collect();
                assert_eq!(compared.len(), 39 * 10);
                compared.iter().filter(|row| is_change(row)).count()
            })
            .sum();
        // As families of two runs, one of twenty pairs would have one: about eight.
        assert!(found <= 1, "{found}");
    }

    #[test]
    fn a_run_is_compared_with_the_one_before_it_that_measured_the_cell() {
        let mut files = quiet(3, 1);
        files[1].recorded.trials.retain(|trial| trial.cell.connections != 64);
        for trial in &mut files[2].recorded.trials {
            trial.measured.as_mut().unwrap().throughput_rps *= 2.0;
        }
        let selection = Selection::of(&files);
        let compared = compared(&selection);
        let names: Vec<(&str, usize)> = compared.iter().map(|one| (one.run.file, one.rows.len())).collect();
        assert_eq!(names, [("2026-01-01T00:00:02Z", 10), ("2026-01-01T00:00:01Z", 8)]);
        assert!(compared[0].rows.iter().all(|row| row.word == Word::Better), "{compared:#?}");
        assert!(compared[1].rows.iter().all(|row| !is_change(row)), "{compared:#?}");
    }
}
