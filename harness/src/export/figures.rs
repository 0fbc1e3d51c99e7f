//! What of a run is followed over time: a few figures of each backend in each cell, with how sure they are.

use std::collections::BTreeMap;

use super::group::Group;
use super::names::{Names, words};
use crate::figures::counted;
use crate::plan::Cell;
use crate::results::{Bottleneck, TrialRecord, Verdict};
use crate::statistics::{Bounds, Metric, median, median_interval, syscalls_per_request};

/// All figures.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) rows: Vec<Row>,
    /// What there is no figure of, and why, a line each.
    pub(super) left_out: Vec<String>,
}

/// One figure of one backend in one cell.
#[derive(Debug)]
pub(super) struct Row {
    /// Backend and cell, the same in every run.
    pub(super) benchmark: String,
    pub(super) measure: &'static Measure,
    /// The median of the trials.
    pub(super) value: f64,
    /// Where that of many more may lie; none with too few trials.
    pub(super) interval: Option<[f64; 2]>,
    /// Whether it says how fast the load generator was, and little about the server.
    pub(super) is_client_bound: bool,
    /// What to know before relying on it.
    pub(super) said: String,
}

/// What is measured.
#[derive(Debug)]
pub(super) struct Measure {
    /// Where Bencher has a measure of its own, its slug.
    pub(super) slug: &'static str,
    /// For people.
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) is_better_when_bigger: bool,
    kind: Kind,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Compared(Metric),
    Syscalls,
    IdleMemory,
}

const MEASURES: [Measure; 6] = [
    Measure {
        slug: "throughput",
        title: "throughput",
        unit: "requests/s",
        is_better_when_bigger: true,
        kind: Kind::Compared(Metric::Throughput),
    },
    Measure {
        slug: "latency",
        title: "p50",
        unit: "ns",
        is_better_when_bigger: false,
        kind: Kind::Compared(Metric::P50),
    },
    Measure {
        slug: "latency-p99",
        title: "p99",
        unit: "ns",
        is_better_when_bigger: false,
        kind: Kind::Compared(Metric::P99),
    },
    Measure {
        slug: "server-cpu-per-request",
        title: "server CPU/request",
        unit: "ns",
        is_better_when_bigger: false,
        kind: Kind::Compared(Metric::ServerCpu),
    },
    Measure {
        slug: "syscalls-per-request",
        title: "system calls/request",
        unit: "calls",
        is_better_when_bigger: false,
        kind: Kind::Syscalls,
    },
    Measure {
        slug: "memory-per-idle-connection",
        title: "memory/idle connection",
        unit: "bytes",
        is_better_when_bigger: false,
        kind: Kind::IdleMemory,
    },
];

impl Figures {
    pub(super) fn of(groups: &[Group]) -> Self {
        let mut figures = Self { rows: Vec::new(), left_out: Vec::new() };
        let mut names = Names::of_benchmarks();
        let mut without_rate = 0;
        let mut incomplete: BTreeMap<&str, usize> = BTreeMap::new();
        for group in groups {
            let benchmark = format!("{}/{}", names.harmless(group.backend), words(group.cell).join("/"));
            let is_late = Bounds::of(&group.usable).rate;
            without_rate += usize::from(is_late);
            for measure in MEASURES.iter().filter(|measure| measure.says_something(group.cell)) {
                if is_late && measure.is_latency() {
                    continue;
                }
                // Those that lack a percentile are the slow ones: the others would speak for themselves only.
                if measure.is_latency() && group.usable.iter().any(|trial| measure.of(trial).is_none()) {
                    *incomplete.entry(measure.title).or_default() += usize::from(!group.usable.is_empty());
                    continue;
                }
                figures.rows.extend(Row::of(&benchmark, measure, group));
            }
        }
        if without_rate > 0 {
            let cells = counted(without_rate, "pair");
            figures.left_out.push(format!(
                "latencies of {cells} of backend and cell where the rate was missed: they say how long the window was"
            ));
        }
        figures.left_out.extend(incomplete.into_iter().map(|(title, count)| {
            let pairs = counted(count, "pair");
            format!(
                "{title} of {pairs} of backend and cell where a trial has too few answers for it, mostly a slow one"
            )
        }));
        figures
    }
}

impl Row {
    fn of(benchmark: &str, measure: &'static Measure, group: &Group) -> Option<Self> {
        let used: Vec<(&TrialRecord, f64)> =
            group.usable.iter().filter_map(|&trial| Some((trial, measure.of(trial)?))).collect();
        let values: Vec<f64> = used.iter().map(|(_, value)| *value).collect();
        Some(Self {
            benchmark: benchmark.to_owned(),
            measure,
            value: median(&values)?,
            interval: median_interval(&values),
            is_client_bound: measure.needs_an_idle_client() && Bounds::of(&group.usable).client,
            said: said(measure, group, &used.iter().map(|(trial, _)| *trial).collect::<Vec<_>>()),
        })
    }
}

/// What a figure is worth that is of these trials, in words.
fn said(measure: &Measure, group: &Group, used: &[&TrialRecord]) -> String {
    let mut said = vec![format!("median of {}", counted(used.len(), "trial"))];
    let of = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    said.extend(of(group.ended - group.usable.len(), "more invalid or not measured"));
    said.extend(of(group.usable.len() - used.len(), "more without this figure"));
    let suspect = used.iter().filter(|trial| trial.verdict == Verdict::Suspect).count();
    said.extend(of(suspect, "of them suspect"));
    let client = used.iter().filter(|trial| trial.bottleneck == Some(Bottleneck::Client)).count();
    if measure.needs_an_idle_client() {
        said.extend(of(client, "where the load generator was the bottleneck and the server might have done more"));
    }
    said.join("; ")
}

impl Measure {
    /// Whether it is a figure of a server in this cell: throughput with a rate is what was asked for.
    fn says_something(&self, cell: &Cell) -> bool {
        match &self.kind {
            Kind::Compared(metric) => Metric::compared(cell).contains(metric),
            Kind::Syscalls => true,
            Kind::IdleMemory => cell.idle_connections > 0,
        }
    }

    fn is_latency(&self) -> bool {
        matches!(&self.kind, Kind::Compared(metric) if metric.is_latency())
    }

    fn needs_an_idle_client(&self) -> bool {
        matches!(&self.kind, Kind::Compared(metric) if metric.needs_an_idle_client())
    }

    fn of(&self, trial: &TrialRecord) -> Option<f64> {
        let measured = trial.measured.as_ref()?;
        let server = || measured.server.as_ref();
        let value = match &self.kind {
            Kind::Compared(metric) => metric.of(trial),
            Kind::Syscalls => syscalls_per_request(measured),
            Kind::IdleMemory => server()?.memory_bytes_per_idle_connection,
        };
        value.filter(|value| value.is_finite())
    }
}
