//! What trials say by a figure: all of them together, each by itself, and where the median of more of them lies.

use super::Figure;
use crate::report::chart::group::Group;
use crate::results::{TrialRecord, is_plausible};
use crate::statistics::{Metric, enough_of_all, floor_multiple, median, median_interval, percentile_of_all};

impl Figure {
    /// What trials say together, or why they say nothing.
    pub(super) fn of_group(self, group: &Group<'_>) -> Result<f64, String> {
        let summary = &group.summary;
        if let Some(q) = self.quantile() {
            let percentile = percentile_of_all(&summary.latency, summary.censored.count, q);
            return percentile.map(|ns| ns as f64).ok_or_else(|| {
                if enough_of_all(&summary.latency, summary.censored.count, q) {
                    format!("so many requests were {} that this percentile is one of them", summary.censored.what())
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
                Self::Floor => match summary.anatomy.floor_missing.first() {
                    Some((why, _)) => return format!("no floor was measured beside these trials: {why}"),
                    None => "no floor was measured beside these trials",
                },
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
            Self::P999 => measured.percentile_of_all(0.999).map(|ns| ns as f64),
            Self::ServerCpu => Metric::ServerCpu.of(trial),
            Self::Floor => floor_multiple(trial),
            Self::Syscalls => (measured.requests > 0).then_some(server()?.syscalls? as f64 / measured.requests as f64),
            Self::Memory => server()?.max_rss_bytes.map(|bytes| bytes as f64),
            Self::IdleMemory => server()?.memory_bytes_per_idle_connection,
        }
    }

    /// None, too, where a trial does not say: what the others say would not be about all of them.
    pub(super) fn interval(self, group: &Group<'_>) -> Option<[f64; 2]> {
        let values = self.of_trials(group);
        let interval = if values.len() == group.measured.len() { median_interval(&values) } else { None };
        interval.filter(|ends| ends.iter().all(|end| is_plausible(*end)))
    }
}
