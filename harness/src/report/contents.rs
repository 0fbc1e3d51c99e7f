//! Everything that a report says, as data: what the page, the Markdown and the pictures are made of.

mod anatomy;
#[cfg(test)]
mod checks;
mod facts;
mod plain;
mod sound;
mod table;

use serde::Serialize;

use super::FileRun;
use super::answer::{self, Answer};
use super::chart::{self, Chart, Look};
use super::selection::{Run, Selection, newest_first};
use crate::figures;
use crate::plan::server_of;

/// More files than these are counted and not named.
const MOST_NAMES: usize = 5;

/// A report on one or several results files.
#[derive(Clone, Debug, Serialize)]
pub struct Contents {
    /// What was compared, and where: `6 backends on Linux 6.18, AMD EPYC 9R14`.
    pub title: String,
    /// The answer in words.
    pub answer: Answer,
    /// In the order in which they are shown; those of a kind follow each other.
    pub charts: Vec<Chart>,
    /// Everything that has a place in a chart, in the order of the plan.
    pub backends: Vec<Named>,
    /// What was measured in every cell, and what searches came to; none of them is empty.
    pub tables: Vec<Table>,
    /// The files, the newest first.
    pub runs: Vec<RunFacts>,
}

/// A backend and how it looks.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// How it looks in every chart.
    pub look: Look,
    /// What it is, in a line; empty where that is not known.
    pub summary: String,
}

/// A table to be sorted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// What it holds.
    pub title: String,
    /// From left to right.
    pub columns: Vec<Column>,
    /// Each with one entry for every column.
    pub rows: Vec<Vec<Entry>>,
}

/// What one column says.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Its title, unit included.
    pub title: String,
    /// Whether it is of numbers.
    pub numeric: bool,
}

/// What one row says in one column.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// As it is shown; `–` where there is nothing.
    pub text: String,
    /// What it is sorted by in a column of numbers; rows without one come last.
    pub value: Option<f64>,
}

/// What is to be known of a file.
#[derive(Clone, Debug, Serialize)]
pub struct RunFacts {
    /// The file's name, with as many of its folders as tell it from the others.
    pub file: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// The command that repeats it.
    pub command: String,
    /// Trials by what became of them: `valid 40`, `suspect 8`, …
    pub verdicts: Vec<(String, usize)>,
    /// Why trials are not valid, each reason once, with the backends and how many trials it holds for.
    pub reasons: Vec<Reason>,
    /// The machine, groups of facts: each a title and pairs of a name and a value.
    pub environment: Vec<(String, Vec<(String, String)>)>,
    /// What to know of the file itself: that it was cut off, that the build was not a release build.
    pub notes: Vec<String>,
}

/// Why trials are not valid.
#[derive(Clone, Debug, Serialize)]
pub struct Reason {
    /// `suspect`, `invalid`, `failed` or `unavailable`.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// Which, each with the number of its trials.
    pub backends: Vec<(String, usize)>,
}

impl Contents {
    /// Of files in any order.
    #[must_use]
    pub fn of(files: &[FileRun]) -> Self {
        let files = &*sound::sound(files);
        let selection = Selection::of(files);
        let charts = chart::of(&selection);
        let mut answer = answer::of(&selection);
        answer.open.extend(elsewhere(&selection));
        let mut contents = Self {
            title: title(&selection),
            answer,
            backends: backends(&charts, &selection),
            tables: table::of(&selection),
            runs: newest_first(files).into_iter().map(|file| facts::of(file, &selection)).collect(),
            charts,
        };
        plain::make_plain(&mut contents);
        contents
    }
}

/// Which files the answer says nothing of, and where they are.
fn elsewhere(selection: &Selection<'_>) -> Vec<String> {
    let away = selection.all.iter().filter(|run| selection.is_elsewhere(run.record));
    let (searches, sweeps): (Vec<&Run<'_>>, Vec<&Run<'_>>) = away.partition(|run| run.record.capacity.is_some());
    let said = |runs: Vec<&Run<'_>>, part: [&str; 2]| {
        let names: Vec<&str> = runs.iter().map(|run| run.file).collect();
        match names.as_slice() {
            [] => None,
            [only] => Some(format!("{only} is of another machine: it {}.", part[0])),
            many if many.len() > MOST_NAMES => {
                Some(format!("{} are of other machines: they {}.", figures::counted(many.len(), "file"), part[1]))
            }
            [most @ .., last] => {
                Some(format!("{} and {last} are of other machines: they {}.", most.join(", "), part[1]))
            }
        }
    };
    let sweeps = said(sweeps, ["is in the history only", "are in the history only"]);
    sweeps.into_iter().chain(said(searches, ["takes no part", "take no part"])).collect()
}

/// What was compared, and where.
fn title(selection: &Selection<'_>) -> String {
    let Some(newest) = selection.runs.first() else { return "No run".to_owned() };
    let mut names: Vec<&String> = Vec::new();
    for name in selection.runs.iter().flat_map(|run| &run.record.plan.backends) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let environment = &newest.record.environment;
    let processor = environment.cpu_model.as_ref().map_or(String::new(), |model| format!(", {model}"));
    format!("{} on Linux {}{processor}", figures::counted(names.len(), "backend"), environment.kernel)
}

/// Everything that is drawn in a chart, in the order of the newest plan.
fn backends(charts: &[Chart], selection: &Selection<'_>) -> Vec<Named> {
    let summary = |name: &str| {
        let foreign = || selection.all.iter().find_map(|run| run.record.plan.foreign(name));
        let ours = || backends::backend(server_of(name)).map(|backend| backend.info().summary.to_owned());
        foreign().map(|server| server.command.join(" ")).or_else(ours).unwrap_or_default()
    };
    let is_drawn = |name: &str| charts.iter().flat_map(|chart| &chart.series).any(|series| series.backend == name);
    let entrants = chart::entrants(selection).into_iter().filter(|(name, _)| is_drawn(name));
    entrants.map(|(name, look)| Named { look, summary: summary(&name), name }).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::chart::{Axis, Mark, Point, Scale, Series, State, Symbol, Unit};
    use super::*;

    const LOOKS: [Look; 3] = [
        Look { light: "#0072b2", dark: "#56b4e9", symbol: Symbol::Circle, dash: &[] },
        Look { light: "#d55e00", dark: "#e69f00", symbol: Symbol::Square, dash: &[6, 3] },
        Look { light: "#009e73", dark: "#2fd1a5", symbol: Symbol::Triangle, dash: &[2, 2] },
    ];

    /// Of everything a little: gaps, intervals, suspect and invalid points, all scales, marks, and a backend with a name that
    /// would do harm in a page that does not escape it.
    pub(crate) fn contents() -> Contents {
        let names = ["epoll", "io_uring", "<script>alert(1)</script>"];
        let charts = vec![
            chart("throughput", Unit::Count, Scale::Log, Unit::PerSecond, Scale::Linear, |series, place| {
                ([1.0, 64.0, 512.0, 4000.0][place], 1e5 * (1.0 + 0.3 * series as f64) * (1.0 + place as f64))
            }),
            chart("distribution-64", Unit::Quantile, Scale::Nines, Unit::Nanoseconds, Scale::Log, |series, place| {
                ([0.0, 0.9, 0.99, 0.9999][place], 5e4 * (1.0 + 0.3 * series as f64) * (1.0 + place as f64).powi(3))
            }),
            chart("history", Unit::Time, Scale::Time, Unit::PerSecond, Scale::Linear, |series, place| {
                (1.76e12 + 8.64e7 * place as f64, 1e5 * (1.0 + 0.3 * series as f64) * [1.0, 1.01, 0.99, 1.3][place])
            }),
        ];
        let entry = |text: &str, value| Entry { text: text.to_owned(), value };
        let rows = names.iter().zip([2.0, 1.0, 3.0]);
        Contents {
            title: "3 backends on Linux 6.18 & a CPU".to_owned(),
            answer: Answer {
                findings: vec![
                    "At 512 connections io_uring serves 1.31× [1.24, 1.38] the requests of epoll.".to_owned(),
                ],
                notes: vec!["The intervals of 6 comparisons hold together in 95 % of runs.".to_owned()],
                crossovers: vec!["From 64 connections on io_uring is ahead.".to_owned()],
                changes: vec![
                    "Since 2026-01-02 epoll serves 0.80× [0.77, 0.82] the requests of the run before.".to_owned(),
                ],
                open: vec!["At 1 connection <script>alert(1)</script> was not measured.".to_owned()],
            },
            charts,
            backends: names
                .iter()
                .zip(LOOKS)
                .map(|(&name, look)| Named { name: name.to_owned(), look, summary: format!("about {name}") })
                .collect(),
            tables: vec![Table {
                title: "Every backend in every cell".to_owned(),
                columns: [("backend", false), ("requests/s", true)]
                    .map(|(title, numeric)| Column { title: title.to_owned(), numeric })
                    .into(),
                rows: rows
                    .map(|(name, value)| vec![entry(name, None), entry(&value.to_string(), Some(value))])
                    .collect(),
            }],
            runs: vec![RunFacts {
                file: "run.jsonl".to_owned(),
                started: "2026-01-02T03:04:05Z".to_owned(),
                command: "harness sweep --backends epoll,io_uring".to_owned(),
                verdicts: vec![("valid".to_owned(), 40), ("suspect".to_owned(), 8)],
                reasons: vec![Reason {
                    kind: "suspect".to_owned(),
                    reason: "the load generator was busy".to_owned(),
                    backends: vec![("epoll".to_owned(), 8)],
                }],
                environment: vec![("machine".to_owned(), vec![("kernel".to_owned(), "6.18 <b>".to_owned())])],
                notes: vec!["the file was cut off".to_owned()],
            }],
        }
    }

    /// Three series of four points: the second has a gap, the third one that is invalid and one that is suspect.
    fn chart(
        id: &str,
        x_unit: Unit,
        x_scale: Scale,
        y_unit: Unit,
        y_scale: Scale,
        at: impl Fn(usize, usize) -> (f64, f64),
    ) -> Chart {
        let names = ["epoll", "io_uring", "<script>alert(1)</script>"];
        let series = |index: usize| {
            let points = (0..4).map(|place| {
                let (x, y) = at(index, place);
                let state = match (index, place) {
                    (1, 2) => State::Missing,
                    (2, 1) => State::Invalid,
                    (2, 2) => State::Suspect,
                    _ => State::Valid,
                };
                let y = (state != State::Missing).then_some(y);
                Point { x, y, interval: y.map(|y| [y * 0.95, y * 1.07]), state, said: vec![format!("{state:?} <i>")] }
            });
            let marks = if index == 0 {
                vec![Mark { x: at(0, 3).0, interval: None, label: "capacity 182,000/s".to_owned() }]
            } else {
                Vec::new()
            };
            Series { backend: names[index].to_owned(), look: LOOKS[index], points: points.collect(), marks }
        };
        Chart {
            id: id.to_owned(),
            kind: id.split('-').next().unwrap_or(id).to_owned(),
            title: format!("{id} against something"),
            cells: "payload 64 B · depth 1 · closed loop".to_owned(),
            x: Axis { label: "along".to_owned(), unit: x_unit, scale: x_scale },
            y: Axis { label: "up".to_owned(), unit: y_unit, scale: y_scale },
            series: (0..3).map(series).collect(),
            notes: vec!["bars: where the median lies in 95 % of runs".to_owned()],
        }
    }

    #[test]
    fn what_is_written_into_a_page_is_plain_data() {
        let json = serde_json::to_value(contents()).unwrap();
        assert!(json["charts"][0]["series"][1]["points"][2]["y"].is_null());
        assert_eq!(json["charts"][1]["x"]["scale"], "nines");
    }
}
