//! What trials say by a figure, and where the median of more of them lies.

use super::Figure;
use crate::report::chart::group::Group;
use crate::results::{TrialRecord, is_plausible};
use crate::statistics::{Metric, NoPercentile, floor_multiple, median, median_interval, syscalls_per_request};

impl Figure {
    /// What trials say together, or why they say nothing.
    pub(super) fn of_group(self, group: &Group<'_>) -> Result<f64, String> {
        let summary = &group.summary;
        if let Some(percentile) = self.percentile() {
            return summary.percentile(percentile).map_err(|why| match why {
                NoPercentile::Unanswered => {
                    format!("so many requests were {} that this percentile is one of them", summary.censored.what())
                }
                NoPercentile::TooFew => {
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
            // Where those lie is known with their median.
            Self::P50 | Self::P99 | Self::P999 => None,
            Self::ServerCpu => Metric::ServerCpu.of(trial),
            Self::Floor => floor_multiple(trial),
            Self::Syscalls => syscalls_per_request(measured),
            Self::Memory => server()?.max_rss_bytes.map(|bytes| bytes as f64),
            Self::IdleMemory => server()?.memory_bytes_per_idle_connection,
        }
    }

    /// None, too, where a trial does not say: what the others say would not be about all of them.
    pub(super) fn interval(self, group: &Group<'_>) -> Option<[f64; 2]> {
        let interval = match self {
            Self::P50 => group.summary.p50.ok()?.interval_ns,
            Self::P99 => group.summary.p99.ok()?.interval_ns,
            _ => {
                let values = self.of_trials(group);
                if values.len() == group.measured.len() { median_interval(&values) } else { None }
            }
        };
        interval.filter(|ends| ends.iter().all(|end| is_plausible(*end)))
    }
}
