//! What can be said of one metric in one cell.

use crate::statistics::{Comparison, Entry, Estimate, Metric, MetricRanking, TOLERANCE, Void};

/// Up to this factor backends tie, as for `compare`: those that may differ by more are not told apart.
pub(super) const TIE: f64 = 1.0 + TOLERANCE;

/// Where what is not told apart may differ by a larger factor than this, it says nothing.
pub(super) const WIDE: f64 = 1.25;

/// One metric in one cell.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) metric: Metric,
    pub(super) order: Order,
    /// Backends that had the client as their limit.
    pub(super) client_bound: Vec<String>,
    /// Backends that missed the rate.
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
    /// Somebody is behind for sure.
    Led(Lead),
    /// No two of them are known to differ, and if they do, then by no more than this factor.
    Tie { names: Vec<String>, reach: f64 },
    /// No two differ for sure, but the data would not show even a large difference.
    Wide { reach: f64 },
    /// Each is behind another one for sure.
    Circle,
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
    /// Those whom nobody is ahead of for sure, in the order of the plan.
    pub(super) leaders: Vec<String>,
    /// The factor up to which any two of them may differ.
    pub(super) tie_reach: f64,
    /// The best as a ratio to each of those that are behind it for sure, the nearest first.
    pub(super) behind: Vec<(String, Estimate)>,
    /// Whether every leader is ahead of each of these for sure.
    pub(super) all_are_ahead: bool,
    /// Those that are behind somebody else, and not told from the best.
    pub(super) between: Vec<Between>,
}

/// One that is behind another one than the best.
#[derive(Clone, Debug)]
pub(super) struct Between {
    pub(super) ahead: String,
    pub(super) behind: String,
    /// The first as a ratio to the second.
    pub(super) by: Estimate,
}

impl Lead {
    /// Whether the leaders may differ so much that nothing is said of which is the best.
    pub(super) fn is_wide(&self) -> bool {
        self.leaders.len() > 1 && self.tie_reach > WIDE
    }
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
        let members: Vec<usize> = by
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.backend == best || sure.iter().any(|(one, _)| one.backend == entry.backend))
            .map(|(place, _)| place)
            .collect();
        Self::among(&Pairs { by, members }, &best)
    }

    /// The order of those that are compared with the best. That none differs from it does not mean that none differs from
    /// any: it may be the one that is known the least of.
    fn among(pairs: &Pairs<'_>, best: &str) -> Self {
        let Pairs { by, members } = pairs;
        let name = |place: usize| by.entries[place].backend.clone();
        let unbeaten: Vec<usize> =
            members.iter().copied().filter(|&one| members.iter().all(|&other| !pairs.is_ahead(other, one))).collect();
        let reach = pairs.reach(&unbeaten);
        if unbeaten.len() == members.len() {
            return if reach > WIDE {
                Self::Wide { reach }
            } else {
                Self::Tie { names: unbeaten.into_iter().map(name).collect(), reach }
            };
        }
        // Ratios do not have to follow from each other: one may be ahead of the one that most others are not ahead of.
        let beaten_by = |one: usize| members.iter().filter(|&&other| pairs.is_ahead(one, other)).count();
        let is_best = |place: &usize| by.entries[*place].backend == best;
        let first = unbeaten.iter().copied().find(is_best);
        let Some(first) = first.or_else(|| unbeaten.iter().copied().max_by_key(|&one| beaten_by(one))) else {
            return Self::Circle;
        };
        let distance = |estimate: &Estimate| estimate.ratio.ln().abs();
        let (mut behind, mut between, mut all_are_ahead) = (Vec::new(), Vec::new(), true);
        for &one in members.iter().filter(|one| !unbeaten.contains(one)) {
            if pairs.is_ahead(first, one) {
                behind.extend(pairs.estimate(first, one).map(|estimate| (name(one), estimate)));
                all_are_ahead &= unbeaten.iter().all(|&leader| pairs.is_ahead(leader, one));
                continue;
            }
            let ahead = members.iter().copied().filter(|&other| pairs.is_ahead(other, one));
            let known = ahead.filter_map(|other| Some((unbeaten.contains(&other), other, pairs.estimate(other, one)?)));
            let nearest = known.max_by(|a, b| a.0.cmp(&b.0).then(distance(&b.2).total_cmp(&distance(&a.2))));
            between.extend(nearest.map(|(_, other, by)| Between { ahead: name(other), behind: name(one), by }));
        }
        behind.sort_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1)));
        let leaders = unbeaten.into_iter().map(name).collect();
        Self::Led(Lead { best: name(first), leaders, tie_reach: reach, behind, all_are_ahead, between })
    }
}

/// Comparisons of every two of those that can be compared.
struct Pairs<'a> {
    by: &'a MetricRanking,
    /// Places of entries.
    members: Vec<usize>,
}

impl Pairs<'_> {
    /// One as a ratio to the other.
    fn of(&self, one: usize, other: usize) -> Option<Comparison> {
        let ordered = (one.min(other), one.max(other));
        let (first, _, pair) = self.by.pairs.iter().find(|(first, second, _)| (*first, *second) == ordered)?;
        Some(if *first == one { *pair } else { pair.inverted() })
    }

    fn is_ahead(&self, one: usize, other: usize) -> bool {
        self.of(one, other).is_some_and(|pair| pair.is_better())
    }

    fn estimate(&self, one: usize, other: usize) -> Option<Estimate> {
        self.of(one, other)?.estimate
    }

    /// The factor up to which any two of these may differ; of one alone there are none. Two that were hardly ever measured
    /// in the same block may differ by any.
    fn reach(&self, among: &[usize]) -> f64 {
        let two = among
            .iter()
            .flat_map(|&one| among.iter().filter(move |&&other| one < other).map(move |&other| (one, other)));
        let reach = |(one, other)| {
            self.of(one, other).and_then(|pair| pair.interval()).map_or(f64::INFINITY, |interval| interval.reach())
        };
        two.map(reach).fold(1.0, f64::max)
    }
}
