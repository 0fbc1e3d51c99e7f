//! What can be said of one metric in one cell.

use super::words::inverted;
use crate::statistics::{Comparison, Entry, Estimate, Metric, MetricRanking, Void};

/// Where a tie may hide a larger factor than this, it says nothing.
pub(super) const WIDE: f64 = 1.25;

/// One metric in one cell.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) metric: Metric,
    pub(super) order: Order,
    /// Backends that had the client as their limit.
    pub(super) client_bound: Vec<String>,
    /// Backends that did not take the rate.
    pub(super) rate_missed: Vec<String>,
    /// Backends of whose trials too few count.
    pub(super) unreliable: Vec<String>,
    /// Backends that have too few blocks with the best.
    pub(super) short: Vec<String>,
    /// Backends most of whose trials are suspect.
    pub(super) doubtful: Vec<String>,
    /// Backends in most of whose trials the load generator was busy, and nothing worse.
    pub(super) busy: Vec<String>,
    /// The factor up to which backends were seen to differ from themselves; none where nobody looked.
    pub(super) noise: Option<f64>,
}

/// Who is ahead.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// There are no two to compare.
    Nothing,
    /// Somebody is, for sure.
    Led(Lead),
    /// Nobody, or by no more than this factor.
    Tie { names: Vec<String>, reach: f64 },
    /// Nobody for sure, but the data would not show even a large difference.
    Wide { reach: f64 },
    /// There are too few blocks; the one that came out ahead.
    TooFew { blocks: usize },
    /// Not known: the client held back one that came out ahead even so.
    Held { best: String, ahead: Vec<String> },
    /// A backend differs from itself by this.
    Distrusted { backend: String, itself: Estimate },
}

/// Those ahead, and those behind.
#[derive(Clone, Debug)]
pub(super) struct Lead {
    /// Of the leaders the one that the others are compared with.
    pub(super) best: String,
    /// In the order of the plan.
    pub(super) leaders: Vec<String>,
    /// The factor up to which they may differ from the best.
    pub(super) tie_reach: f64,
    /// The best as a ratio to each of those that are behind for sure, the nearest first.
    pub(super) behind: Vec<(String, Estimate)>,
}

impl Standing {
    pub(super) fn of(by: &MetricRanking) -> Self {
        let names = |keep: &dyn Fn(&Entry) -> bool| -> Vec<String> {
            by.entries.iter().filter(|entry| keep(entry)).map(|entry| entry.backend.clone()).collect()
        };
        let reaches = by.floors.iter().filter_map(|(_, floor)| Some(floor.interval()?.reach()));
        Self {
            metric: by.metric,
            order: Order::of(by),
            client_bound: names(&|entry| entry.void == Some(Void::Client)),
            rate_missed: names(&|entry| entry.void == Some(Void::Rate)),
            unreliable: names(&|entry| entry.void.is_none() && entry.unreliable),
            short: names(&|entry| {
                let lacks = entry.to_best.is_some_and(|one| one.interval().is_none());
                entry.void.is_none() && !entry.unreliable && lacks
            }),
            doubtful: names(&|entry| entry.doubtful),
            busy: names(&|entry| entry.busy),
            noise: reaches.max_by(f64::total_cmp),
        }
    }

    /// Those that no sentence about the order speaks of.
    pub(super) fn left_out(&self) -> impl Iterator<Item = &String> {
        self.client_bound.iter().chain(&self.rate_missed).chain(&self.unreliable).chain(&self.short)
    }
}

impl Order {
    fn of(by: &MetricRanking) -> Self {
        let Some(best) = by.best.clone() else { return Self::Nothing };
        if let Some((backend, floor)) = by.floors.iter().find(|(_, floor)| floor.differs())
            && let Some(itself) = floor.estimate
        {
            return Self::Distrusted { backend: backend.clone(), itself };
        }
        if !by.ahead.is_empty() {
            return Self::Held { best, ahead: by.ahead.iter().map(|(name, _)| name.clone()).collect() };
        }
        let others: Vec<(&Entry, &Comparison)> = by
            .entries
            .iter()
            .filter(|entry| !entry.unreliable)
            .filter_map(|entry| Some((entry, entry.to_best.as_ref()?)))
            .collect();
        let sure: Vec<&(&Entry, &Comparison)> = others.iter().filter(|(_, one)| one.interval().is_some()).collect();
        if sure.is_empty() {
            return match others.iter().map(|(_, one)| one.blocks).max() {
                Some(blocks) => Self::TooFew { blocks },
                None => Self::Nothing,
            };
        }
        // Ratios do not have to follow from each other: one may be ahead of the one that most others are not ahead of.
        if let Some((_, one)) = sure.iter().find(|(_, one)| one.is_better()) {
            return Self::Wide { reach: one.interval().map_or(f64::INFINITY, |interval| interval.reach()) };
        }
        let ties: Vec<&&(&Entry, &Comparison)> = sure.iter().filter(|(_, one)| !one.differs()).collect();
        let leads = |entry: &&Entry| entry.backend == best || ties.iter().any(|(tie, _)| tie.backend == entry.backend);
        let leaders: Vec<String> = by.entries.iter().filter(leads).map(|entry| entry.backend.clone()).collect();
        let reach = ties.iter().filter_map(|(_, one)| one.interval()).map(|interval| interval.reach());
        let reach = reach.max_by(f64::total_cmp).unwrap_or(1.0);
        let behind = sure.iter().filter(|(_, one)| one.is_worse());
        let mut behind: Vec<(String, Estimate)> =
            behind.filter_map(|(entry, one)| Some((entry.backend.clone(), inverted(&one.estimate?)))).collect();
        behind.sort_by(|a, b| a.1.ratio.ln().abs().total_cmp(&b.1.ratio.ln().abs()));
        match behind.is_empty() {
            true if reach > WIDE => Self::Wide { reach },
            true => Self::Tie { names: leaders, reach },
            false => Self::Led(Lead { best, leaders, tie_reach: reach, behind }),
        }
    }
}
