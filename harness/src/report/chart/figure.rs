//! What is drawn upwards: each figure of a backend in a cell, how sure it is, and whether to believe it.

use super::facet::Along;
use super::group::{Group, Standing};
use super::{Axis, Point, Scale, Series, State, Unit};
use crate::figures;
use crate::plan::Cell;
use crate::results::TrialRecord;
use crate::statistics::{
    Metric, Remark, RemarkKind, Void, enough_samples, floor_multiple, median, median_interval, percentile_of_all,
};

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Throughput,
    P50,
    P99,
    P999,
    ServerCpu,
    /// The same as a multiple of what the kernel charges for an echo.
    Floor,
    Syscalls,
    /// The most memory that the server ever held.
    Memory,
    /// What it holds in user space for each idle connection.
    IdleMemory,
}

impl Figure {
    /// In the order in which they are shown.
    pub(super) const ALL: [Self; 9] = [
        Self::Throughput,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::ServerCpu,
        Self::Floor,
        Self::Syscalls,
        Self::Memory,
        Self::IdleMemory,
    ];

    /// Whether there are charts of it along that axis. An offered load decides the throughput, and connections the memory;
    /// of percentiles there are two, and along a load, where they part, three.
    pub(super) fn is_drawn(self, along: Along) -> bool {
        match self {
            Self::Throughput | Self::Memory | Self::IdleMemory => along != Along::Rate,
            Self::P50 => along == Along::Rate,
            Self::P99 | Self::P999 | Self::ServerCpu | Self::Floor | Self::Syscalls => true,
        }
    }

    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::ServerCpu => "cpu",
            Self::Floor => "floor",
            Self::Syscalls => "syscalls",
            Self::Memory => "memory",
            Self::IdleMemory => "idle-memory",
        }
    }

    /// Without its unit; what is measured from the sending of a request on is called service time.
    pub(super) fn label(self, cell: &Cell) -> String {
        let percentile = |name: &str| {
            let what = if cell.rate_rps.is_some() { "latency" } else { "service time" };
            format!("{name} {what}")
        };
        match self {
            Self::Throughput => "requests per second".to_owned(),
            Self::P50 => percentile("p50"),
            Self::P99 => percentile("p99"),
            Self::P999 => percentile("p99.9"),
            Self::ServerCpu => "server CPU time per request".to_owned(),
            Self::Floor => "server CPU time per request, as a multiple of the floor".to_owned(),
            Self::Syscalls => "system calls per request".to_owned(),
            Self::Memory => "server memory (max RSS)".to_owned(),
            Self::IdleMemory => "server memory per idle connection".to_owned(),
        }
    }

    pub(super) fn axis(self, cell: &Cell, scale: Scale) -> Axis {
        let unit = match self {
            Self::Throughput => Unit::PerSecond,
            Self::P50 | Self::P99 | Self::P999 | Self::ServerCpu => Unit::Nanoseconds,
            Self::Floor | Self::Syscalls => Unit::Count,
            Self::Memory | Self::IdleMemory => Unit::Bytes,
        };
        Axis { label: self.label(cell), unit, scale }
    }

    pub(super) fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P99 => Some(0.99),
            Self::P999 => Some(0.999),
            _ => None,
        }
    }

    /// What a point and its bar are. Where a point is of all requests together it may lie outside of its bar, which is said
    /// where one does.
    pub(super) fn meaning(self, series: &[Series]) -> String {
        let is_outside =
            |point: &Point| point.y.zip(point.interval).is_some_and(|(y, [low, high])| !(low..=high).contains(&y));
        let some_are = series.iter().flat_map(|series| &series.points).any(is_outside);
        let outside = if some_are { ", which a point may be outside of" } else { "" };
        self.bars().to_owned() + outside
    }

    fn bars(self) -> &'static str {
        match self {
            Self::Memory => {
                "points: the median over the trials of the most memory that the server ever held, all that it needs by \
                 itself included; bars: where the median of many more trials lies, with 95 % confidence"
            }
            Self::Floor => {
                "points: the median of the trials, each by the floor beside it: what the kernel charges for one echo with \
                 plain calls and no waiting; bars: where the median of many more of them lies, with 95 % confidence"
            }
            Self::Throughput | Self::IdleMemory => {
                "points: the median of the trials; bars: where the median of many more of them lies, with 95 % confidence"
            }
            Self::P50 | Self::P99 | Self::P999 => {
                "points: the percentile of the requests of all trials together; bars: where the median of each trial's own \
                 percentile lies, with 95 % confidence"
            }
            Self::ServerCpu | Self::Syscalls => {
                "points: the sum over all trials by their requests; bars: where the median of each trial's own quotient \
                 lies, with 95 % confidence"
            }
        }
    }

    /// What trials say together, or why they say nothing.
    fn of_group(self, group: &Group<'_>) -> Result<f64, String> {
        let summary = &group.summary;
        if let Some(q) = self.quantile() {
            let percentile = percentile_of_all(&summary.latency, summary.unanswered, q);
            return percentile.map(|ns| ns as f64).ok_or_else(|| {
                if enough_samples(summary.latency.len().saturating_add(summary.unanswered), q) {
                    "so many requests were never answered that this percentile is one of them".to_owned()
                } else {
                    "too few requests for this percentile, at least 10 must lie above it".to_owned()
                }
            });
        }
        let value = match self {
            Self::Throughput => summary.throughput_rps.map(|spread| spread.median),
            Self::ServerCpu => summary.server_cpu_ns_per_request,
            Self::Floor => summary.anatomy.floor.map(|floor| floor.median),
            Self::Syscalls => summary.syscalls_per_request,
            Self::Memory => median(&self.of_trials(group)),
            _ => summary.memory_bytes_per_idle_connection,
        };
        value.ok_or_else(|| {
            let why = match self {
                Self::Floor => "no floor was measured beside these trials",
                Self::Syscalls | Self::IdleMemory => "not known: servers that are not ours do not count them",
                _ => "not known of this server",
            };
            why.to_owned()
        })
    }

    /// What each trial says by itself; those of which it is not known are left out.
    fn of_trials(self, group: &Group<'_>) -> Vec<f64> {
        group.measured.iter().filter_map(|trial| self.of_trial(trial)).collect()
    }

    fn of_trial(self, trial: &TrialRecord) -> Option<f64> {
        let measured = trial.measured.as_ref()?;
        let server = || measured.server.as_ref();
        match self {
            Self::Throughput => Some(measured.throughput_rps),
            Self::P50 => Metric::P50.of(trial),
            Self::P99 => Metric::P99.of(trial),
            Self::P999 => percentile_of_all(&measured.latency_hdr.0, measured.censored, 0.999).map(|ns| ns as f64),
            Self::ServerCpu => Metric::ServerCpu.of(trial),
            Self::Floor => floor_multiple(trial),
            Self::Syscalls => (measured.requests > 0).then_some(server()?.syscalls? as f64 / measured.requests as f64),
            Self::Memory => server()?.max_rss_bytes.map(|bytes| bytes as f64),
            Self::IdleMemory => server()?.memory_bytes_per_idle_connection,
        }
    }

    /// Whether it says no more than what the load generator could do, where that was busy.
    fn needs_an_idle_client(self) -> bool {
        matches!(self, Self::Throughput | Self::P50 | Self::P99 | Self::P999)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "memory is neither negative nor so large"
    )]
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Self::Throughput => format!("{}/s", figures::grouped(value)),
            Self::P50 | Self::P99 | Self::P999 | Self::ServerCpu => figures::duration(value),
            Self::Floor | Self::Syscalls => figures::three_digits(value),
            Self::Memory | Self::IdleMemory => figures::bytes(value.round() as u64),
        }
    }

    /// What a backend did in a cell, at `x`.
    pub(super) fn point(self, group: &Group<'_>, x: f64) -> Point {
        let missing = |mut said: Vec<String>| {
            said.extend(remarks(group));
            Point { x, y: None, interval: None, state: State::Missing, said }
        };
        if group.standing == Standing::Missing {
            let said = if group.summary.trials == 0 { vec!["not measured".to_owned()] } else { Vec::new() };
            return missing(said);
        }
        let value = match self.of_group(group) {
            Ok(value) => value,
            Err(reason) => return missing(vec![format!("{}: {reason}", self.label(&group.cell))]),
        };
        if !is_plausible(value) {
            return missing(vec![format!("{}: what the file says is not plausible", self.label(&group.cell))]);
        }
        let (state, reasons) = self.judged(group);
        let interval = if state == State::Invalid { None } else { self.interval(group) };
        let bar = interval.map_or(String::new(), |ends| format!(" [{}]", ends.map(|end| self.text(end)).join(", ")));
        let mut said = vec![format!("{} {}{bar}", self.label(&group.cell), self.text(value))];
        said.push(match group.standing {
            Standing::Invalid => format!("none of {} counts", figures::counted(group.summary.trials, "trial")),
            _ if group.measured.len() == group.summary.trials => figures::counted(group.summary.trials, "trial"),
            _ => format!("{} of {}", group.measured.len(), figures::counted(group.summary.trials, "trial")),
        });
        said.extend(reasons);
        said.extend(remarks(group));
        Point { x, y: Some(value), interval, state, said }
    }

    fn judged(self, group: &Group<'_>) -> (State, Option<String>) {
        let is_latency = self.quantile().is_some();
        if group.standing == Standing::Invalid {
            return (State::Invalid, None);
        }
        if is_latency && group.bounds.rate {
            return (
                State::Invalid,
                Some(format!("{}: how late answers were says how long it was watched", Void::Rate.text())),
            );
        }
        if self.needs_an_idle_client() && group.bounds.client {
            return (State::Suspect, Some(format!("{}: the server might have done more", Void::Client.text())));
        }
        (if group.is_doubtful(self.needs_an_idle_client()) { State::Suspect } else { State::Valid }, None)
    }

    /// None, too, where a trial does not say: what the others say would not be about all of them.
    fn interval(self, group: &Group<'_>) -> Option<[f64; 2]> {
        let values = self.of_trials(group);
        let interval = if values.len() == group.measured.len() { median_interval(&values) } else { None };
        interval.filter(|ends| ends.iter().all(|end| is_plausible(*end)))
    }
}

/// Whether anything that is measured here can be so much, in whichever unit: a day of nanoseconds and a terabyte are less than
/// the most, one system call for a thousand requests more than the least.
pub(in crate::report) fn is_plausible(value: f64) -> bool {
    value == 0.0 || (1e-6..=1e15).contains(&value)
}

/// Why trials are not what they should be, a line each.
fn remarks(group: &Group<'_>) -> impl Iterator<Item = String> {
    let all = group.summary.trials;
    group.summary.remarks.iter().map(move |Remark { kind, reason, trials }| {
        let kind = match kind {
            RemarkKind::Unavailable => return format!("unavailable: {reason}"),
            RemarkKind::Failed => "failed",
            RemarkKind::Invalid => "invalid",
            RemarkKind::Suspect => "suspect",
        };
        format!("{kind}, {trials} of {all}: {reason}")
    })
}
