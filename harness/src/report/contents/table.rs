//! The tables: of sweeps, a row for each backend in each cell; of searches for capacities, for each backend.

use super::{Column, Entry, Table, anatomy};
use crate::capacity::{BackendCapacity, LimitedBy};
use crate::figures::{self, NONE};
use crate::plan::Cell;
use crate::report::answer::place::Setting;
use crate::report::selection::{Searched, Selection, Speaker};
use crate::results::{Bottleneck, TrialRecord};
use crate::statistics::{BackendSummary, Percentile, Spread, summarise_cells};

/// Of the trials of a backend.
const SPREAD: &str = "spread";

/// The percentiles that have a column.
const PERCENTILES: [Percentile; 4] = [Percentile::P50, Percentile::P99, Percentile::P999, Percentile::P9999];

/// Of all runs that are reported on, those that have rows.
pub(super) fn of(selection: &Selection<'_>) -> Vec<Table> {
    let speakers = selection.speakers();
    let settings = settings(&speakers);
    let several = selection.sweeps().count() > 1;
    let all = [
        sweeps(&speakers, &settings, several),
        anatomy::of(&speakers, &settings, several),
        capacities(&selection.searched()),
    ];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

impl Table {
    /// What its columns do not say by themselves.
    #[must_use]
    pub fn legend(&self) -> Option<&'static str> {
        let has = |title: &str| self.columns.iter().any(|column| column.title == title);
        let spread = has(SPREAD).then_some(
            "spread: requests/s of the slowest and of the fastest trial; all other figures are medians of the trials' own, but \
             for max, max RSS and what is named as of all requests of all trials together",
        );
        spread.or(has(anatomy::FLOOR).then_some(anatomy::LEGEND))
    }
}

/// What has a column, because it tells cells from each other.
fn settings(speakers: &[Speaker<'_>]) -> Vec<Setting> {
    let mut settings = Setting::varying(&speakers.iter().flat_map(|speaker| &speaker.cells));
    if !settings.contains(&Setting::Connections) {
        settings.insert(0, Setting::Connections);
    }
    settings
}

fn sweeps(speakers: &[Speaker<'_>], settings: &[Setting], several: bool) -> Table {
    let is_among_idle = speakers.iter().flat_map(|speaker| &speaker.cells).any(|cell| cell.idle_connections > 0);
    // Who, where, and whether to believe it come before what there is to be believed.
    let mut columns = vec![column("backend", false)];
    columns.extend(settings.iter().map(|setting| column(title(*setting), setting.is_quantity())));
    columns.push(column("verdicts", false));
    columns.extend(["requests/s", SPREAD].map(|title| column(title, true)));
    columns.extend(PERCENTILES.map(|percentile| column(percentile.title(), true)));
    columns.extend(["max", "server CPU/request", "syscalls/request", "max RSS"].map(|title| column(title, true)));
    columns.extend(is_among_idle.then(|| column("memory/idle connection", true)));
    columns.push(column("bottleneck", false));
    columns.push(column("trials", true));
    columns.extend(several.then(|| column("file", false)));

    let mut rows = Vec::new();
    for Speaker { run, cells, trials: sorted } in speakers {
        for summary in summarise_cells(&run.record.plan, cells, sorted) {
            for backend in &summary.backends {
                let mut row = vec![word(&backend.backend)];
                row.extend(settings.iter().map(|setting| place(*setting, &summary.cell)));
                let own = sorted.of_backend(&backend.backend, &summary.cell);
                row.push(word(&verdicts(own.iter().copied())));
                row.extend(figures_of(backend));
                row.extend(
                    is_among_idle.then(|| number(backend.memory_bytes_per_idle_connection, figures::mean_bytes)),
                );
                row.push(word(&list(&backend.bottlenecks, Bottleneck::to_string)));
                row.push(trials(backend));
                row.extend(several.then(|| word(run.file)));
                rows.push(row);
            }
        }
    }
    Table { title: "Every backend in every cell".to_owned(), columns, rows }
}

/// From requests a second to the most memory.
fn figures_of(summary: &BackendSummary) -> Vec<Entry> {
    let throughput = summary.throughput_rps;
    let spread = throughput.filter(|_| summary.measured > 1);
    let mut entries = vec![
        number(throughput.map(|Spread { median, .. }| median), figures::grouped),
        Entry {
            text: spread.map_or(NONE.to_owned(), |Spread { min, max, .. }| {
                format!("{} to {}", figures::grouped(min), figures::grouped(max))
            }),
            value: spread.map(|spread| spread.relative()).filter(|share| share.is_finite()),
        },
    ];
    entries.extend(PERCENTILES.map(|percentile| number(summary.percentile(percentile).ok(), figures::duration)));
    // What was not sent in time, or never answered, is later than any answer.
    let is_known = summary.censored.count == 0 && !summary.latency.is_empty();
    entries.push(number(is_known.then(|| summary.latency.max() as f64), figures::duration));
    entries.push(number(summary.server_cpu_ns_per_request, figures::duration));
    entries.push(number(summary.syscalls_per_request, figures::three_digits));
    entries.push(number(summary.max_rss_bytes.map(|bytes| bytes as f64), |_| {
        summary.max_rss_bytes.map_or(NONE.to_owned(), figures::bytes)
    }));
    entries
}

fn capacities(searched: &[Searched<'_>]) -> Table {
    let several = searched.len() > 1;
    let mut columns = vec![column("backend", false), column("verdicts", false), column("goal", false)];
    columns.extend(
        ["capacity, requests/s", "at least", "at most", "p50 when met", "p99 when met"]
            .map(|title| column(title, true)),
    );
    columns.push(column("server CPU/request", true));
    columns.push(column("limited by", false));
    columns.push(column("trials", true));
    columns.extend(several.then(|| column("file", false)));
    let mut rows = Vec::new();
    for Searched { run, found } in searched {
        for capacity in found.iter().flatten() {
            let own = run.trials.iter().filter(|trial| trial.backend == capacity.backend);
            let mut row = vec![word(&capacity.backend), word(&verdicts(own))];
            row.extend(figures_of_capacity(capacity));
            row.extend(several.then(|| word(run.file)));
            rows.push(row);
        }
    }
    Table { title: "Capacities".to_owned(), columns, rows }
}

/// From the goal to how many trials there were.
fn figures_of_capacity(capacity: &BackendCapacity) -> Vec<Entry> {
    let met = capacity.when_met.as_ref();
    let limit = match capacity.limited_by {
        Some(LimitedBy::Slo) => "the goal",
        Some(LimitedBy::Generator) => "the load generator",
        Some(LimitedBy::NotMet) => "not met at any rate tried",
        None => NONE,
    };
    vec![
        word(&capacity.slo.to_string()),
        number(capacity.capacity_rps, figures::grouped),
        number(capacity.low_rps, figures::grouped),
        number(capacity.high_rps, figures::grouped),
        number(met.and_then(|met| met.latency_p50_ns).map(|ns| ns as f64), figures::duration),
        number(met.and_then(|met| met.latency_p99_ns).map(|ns| ns as f64), figures::duration),
        number(met.and_then(|met| met.server_cpu_ns_per_request), figures::duration),
        word(limit),
        number(Some(capacity.trials as f64), figures::grouped),
    ]
}

pub(super) fn title(setting: Setting) -> &'static str {
    match setting {
        Setting::Connections => "connections",
        Setting::Rate => "rate",
        Setting::Payload => "payload",
        Setting::Depth => "depth",
        Setting::Threads => "server threads",
        Setting::Idle => "idle connections",
        Setting::Arrivals => "arrivals",
        Setting::Protocol => "protocol",
        Setting::Transport => "transport",
    }
}

pub(super) fn place(setting: Setting, cell: &Cell) -> Entry {
    let value = Some(setting.number(cell)).filter(|value| value.is_finite() && setting.is_quantity());
    Entry { text: setting.value(cell), value }
}

pub(super) fn column(title: &str, numeric: bool) -> Column {
    Column { title: title.to_owned(), numeric }
}

pub(super) fn word(text: &str) -> Entry {
    Entry { text: if text.is_empty() { NONE.to_owned() } else { text.to_owned() }, value: None }
}

pub(super) fn number(value: Option<f64>, text: impl Fn(f64) -> String) -> Entry {
    let value = value.filter(|value| value.is_finite());
    Entry { text: value.map_or(NONE.to_owned(), text), value }
}

/// How many trials the figures are made of.
fn trials(summary: &BackendSummary) -> Entry {
    let (measured, all) = (summary.measured, summary.trials);
    let text = if measured == all { all.to_string() } else { format!("{measured} of {all}") };
    Entry { text, value: Some(measured as f64) }
}

/// `valid 7, suspect 1`.
fn verdicts<'a>(trials: impl Iterator<Item = &'a TrialRecord>) -> String {
    let counts = super::facts::counted(trials);
    list(&counts, |(fate, count)| format!("{fate} {count}"))
}

fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}
