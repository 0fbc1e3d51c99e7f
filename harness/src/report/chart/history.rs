//! What was measured in several runs, over time: the chart of those who run the same sweep again and again.
//!
//! Every run takes part, whichever machine it was made on; a line is never joined across machines, and nothing is called a
//! change that other settings may have made.

use super::facet::ids;
use super::figure::Figure;
use super::gathered::{Gathered, GatheredRun, Shown};
use super::{Axis, Chart, Mark, Point, Scale, State, Unit, lines, notes};
use crate::figures;
use crate::plan::Cell;
use crate::report::history::{self, Compared};
use crate::results::is_plausible;
use crate::statistics::{Metric, Row, Word};

/// Beyond so many changes of a kind nobody reads on.
const MOST_CHANGES: usize = 5;

/// One chart for each cell that two runs share, of its throughput, or with a rate of its p99.
pub(super) fn draw(gathered: &Gathered<'_>, compared: &[Compared<'_>]) -> Vec<Chart> {
    let mut charts = Vec::new();
    for figure in [Figure::Throughput, Figure::P99] {
        let shared: Vec<(Cell, Vec<Shown<'_>>)> =
            shared_cells(gathered).into_iter().filter(|(cell, _)| figure_of(cell) == figure).collect();
        let kind = if figure == Figure::Throughput { "history" } else { "history-p99" };
        let drawn: Vec<(&Cell, Chart)> = shared
            .iter()
            .map(|(cell, shown)| (cell, chart(gathered, cell, shown, figure, kind, compared)))
            .filter(|(_, chart)| chart.series.iter().any(|series| series.points.iter().any(|point| point.y.is_some())))
            .collect();
        let ids = ids(kind, &drawn.iter().map(|(cell, _)| *cell).collect::<Vec<_>>());
        charts.extend(drawn.into_iter().zip(ids).map(|((_, chart), id)| Chart { id, ..chart }));
    }
    charts
}

fn figure_of(cell: &Cell) -> Figure {
    if history::metric(cell) == Metric::P99 { Figure::P99 } else { Figure::Throughput }
}

/// Sweeps whose start is known.
fn dated<'g>(gathered: &'g Gathered<'_>) -> impl Iterator<Item = &'g GatheredRun<'g>> {
    gathered.runs.iter().filter(|run| run.started_ms.is_some() && run.run.capacity.is_none())
}

/// Each cell that several of them have, in the order of the newest; the oldest run first.
fn shared_cells<'g>(gathered: &'g Gathered<'_>) -> Vec<(Cell, Vec<Shown<'g>>)> {
    let mut order = Vec::new();
    let mut cells: std::collections::HashMap<_, Vec<Shown<'g>>> = std::collections::HashMap::new();
    let runs: Vec<&GatheredRun<'_>> = dated(gathered).collect();
    for run in runs.into_iter().rev() {
        for cell in &run.cells {
            let key = cell.cell.key();
            let shown = cells.entry(key).or_default();
            if shown.is_empty() {
                order.push(key);
            }
            shown.insert(0, Shown { run, cell });
        }
    }
    let shared = order.into_iter().filter_map(|key| cells.remove(&key)).filter(|shown| shown.len() > 1);
    shared.map(|shown| (shown[0].cell.cell.clone(), shown)).collect()
}

fn chart(
    gathered: &Gathered<'_>,
    cell: &Cell,
    shown: &[Shown<'_>],
    figure: Figure,
    kind: &str,
    compared: &[Compared<'_>],
) -> Chart {
    let mut series = gathered.series(|backend| points(shown, figure, backend));
    for series in &mut series {
        for shown in shown {
            let of_run = compared.iter().filter(|compared| std::ptr::eq(compared.run.record, shown.run.run));
            let rows = of_run.flat_map(|compared| &compared.rows);
            let row = rows.filter(|row| row.backend == series.backend && row.cell == *cell);
            series.marks.extend(row.filter_map(|row| mark(row, shown.run.started_ms?)));
        }
    }
    let label = figure.label(cell);
    let mut notes = vec![figure.meaning().to_owned()];
    notes.extend(notes::of(&series));
    notes.extend(notes::missing(&series, |x| {
        let run = shown.iter().find(|shown| shown.run.started_ms == Some(x));
        run.map(|shown| shown.run.name.to_owned())
    }));
    if series.iter().any(|series| !series.marks.is_empty()) {
        notes.push(
            "marks: where a run differs from the one before it on the same machine with the same settings by more than the \
             noise within both, which is the server's doing only if nothing else changed; all comparisons of the whole \
             history hold together with 95 % confidence"
                .to_owned(),
        );
    }
    notes.extend(newest(machines(shown), "another machine"));
    notes.extend(newest(other_settings(shown), "other settings"));
    Chart {
        id: String::new(),
        kind: kind.to_owned(),
        title: format!("{} over time", lines::capitalised(&label)),
        cells: cell.to_string(),
        x: Axis { label: "start of the run".to_owned(), unit: Unit::Time, scale: Scale::Time },
        y: figure.axis(cell, Scale::Linear),
        series,
        notes,
    }
}

/// One for each run that has the backend, and a gap wherever the machine is another one.
fn points(shown: &[Shown<'_>], figure: Figure, backend: &str) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let mut before: Option<(usize, f64)> = None;
    for shown in shown {
        let (Some(x), Some(group)) = (shown.run.started_ms, shown.cell.group(backend)) else { continue };
        if let Some((_, at)) = before.filter(|(machine, _)| *machine != shown.run.machine) {
            let said = vec!["the machine is another one from here on".to_owned()];
            let between = f64::midpoint(at, x);
            points.push(Point { x: between, y: None, interval: None, state: State::Missing, said });
        }
        before = Some((shown.run.machine, x));
        let mut point = figure.point(group, x);
        point.said.insert(1, format!("{}, {}", shown.run.name, shown.run.run.started));
        points.push(point);
    }
    points
}

fn mark(row: &Row, x: f64) -> Option<Mark> {
    let label = match row.word {
        Word::Lost => "works no more".to_owned(),
        Word::Better | Word::Worse => {
            let estimate = row.comparison.estimate.filter(|estimate| is_plausible(estimate.ratio))?;
            let interval = estimate.interval?;
            let change = |ratio: f64| (ratio - 1.0) * 100.0;
            let (low, high) = (change(interval.low), change(interval.high));
            // Below ten percent a digit more tells its ends apart.
            let digits = usize::from(low.abs().min(high.abs()) < 10.0);
            format!("{:+.digits$} % [{low:.digits$}, {high:.digits$}]", change(estimate.ratio))
        }
        Word::Tie | Word::Inconclusive | Word::Void => return None,
    };
    Some(Mark { x, interval: None, label })
}

/// The newest of many, and how many there are before them.
fn newest(mut all: Vec<String>, what: &str) -> Vec<String> {
    let before = all.len().saturating_sub(MOST_CHANGES);
    let told = all.split_off(before);
    let note =
        (before > 0).then(|| format!("{what} from run to run before that, too: {}", figures::counted(before, "time")));
    note.into_iter().chain(told).collect()
}

/// Where the machine changes from one run to the next, and to what.
fn machines(shown: &[Shown<'_>]) -> Vec<String> {
    let changed = shown.windows(2).filter(|two| two[0].run.machine != two[1].run.machine);
    changed
        .map(|two| {
            let (before, now) = (&two[0].run.run.environment, &two[1].run.run.environment);
            let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "a CPU unknown".to_owned());
            let mut differs = Vec::new();
            if before.cpu_model != now.cpu_model {
                differs.push(format!("{} after {}", name(&now.cpu_model), name(&before.cpu_model)));
            }
            if before.kernel != now.kernel {
                differs.push(format!("Linux {} after {}", now.kernel, before.kernel));
            }
            if before.cpus != now.cpus || !before.has_same_memory(now) {
                differs.push("another number of CPUs, or other memory".to_owned());
            }
            if before.virtualisation != now.virtualisation {
                differs.push("another hypervisor or container".to_owned());
            }
            format!("another machine from {} on: {}", two[1].run.run.started, differs.join(", "))
        })
        .collect()
}

/// Where settings change from one run on a machine to the next, and to what.
fn other_settings(shown: &[Shown<'_>]) -> Vec<String> {
    let change = |(place, now): (usize, &Shown<'_>)| {
        let before = shown[..place].iter().rev().find(|before| before.run.machine == now.run.machine)?;
        let differs = history::settings(before.run.run, now.run.run);
        let from = &now.run.run.started;
        (!differs.is_empty()).then(|| {
            format!("other settings from {from} on, and nothing is compared across that: {}", differs.join(", "))
        })
    };
    shown.iter().enumerate().filter_map(change).collect()
}
