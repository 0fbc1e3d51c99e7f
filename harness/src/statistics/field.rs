//! One cell by one metric: its comparisons, and the order that follows from them.

use std::rc::Rc;

use super::comparison::{Comparison, Sides};
use super::interval::MIN_BLOCKS;
use super::metric::Metric;
use super::ranking::{Entry, MetricRanking};
use super::series::{Doubt, Series, Void};
use super::sorted::Sorted;
use crate::plan::{Cell, SweepPlan, twin_of};

/// The trials of one cell, by who entered it.
pub(super) struct Entrants {
    /// In the order of the plan.
    backends: Vec<(String, Rc<Series>)>,
    /// Those that were there for the second time, by the place of the backend.
    twins: Vec<(usize, Series)>,
}

impl Entrants {
    pub(super) fn of(plan: &SweepPlan, cell: &Cell, trials: &Sorted<'_>) -> Self {
        let series = |name: &str| Series::of(name, cell, trials);
        let twice = plan.backends.iter().enumerate().filter(|(_, name)| plan.twice.contains(name));
        Self {
            backends: plan.backends.iter().map(|name| (name.clone(), Rc::new(series(name)))).collect(),
            twins: twice.map(|(place, name)| (place, series(&twin_of(name)))).collect(),
        }
    }
}

/// Everything that is to be compared in one cell by one metric.
pub(super) struct Field {
    metric: Metric,
    entrants: Vec<(String, Rc<Series>)>,
    /// By the places of the two backends; the first comes before the second.
    pairs: Vec<(usize, usize, Sides)>,
    /// By the place of the backend.
    twins: Vec<(usize, Sides)>,
    /// Blocks that were run.
    blocks: usize,
}

impl Field {
    pub(super) fn of(of_cell: &Entrants, metric: Metric) -> Self {
        let entrants = of_cell.backends.clone();
        let mut pairs = Vec::new();
        for second in 1..entrants.len() {
            for first in 0..second {
                pairs.push((first, second, Sides::paired(&entrants[first].1, &entrants[second].1, metric)));
            }
        }
        let twins =
            of_cell.twins.iter().map(|(place, twin)| (*place, Sides::paired(twin, &entrants[*place].1, metric)));
        let twins = twins.collect();
        let blocks = entrants.iter().map(|(_, series)| series.ended()).max().unwrap_or(0);
        Self { metric, entrants, pairs, twins, blocks }
    }

    pub(super) fn comparisons(&self) -> usize {
        let pairs = self.pairs.iter().filter(|(_, _, sides)| sides.is_compared()).count();
        pairs + self.twins.iter().filter(|(_, sides)| sides.is_compared()).count()
    }

    pub(super) fn ranked(self, error_rate: f64) -> MetricRanking {
        let floors: Vec<(usize, Comparison)> =
            self.twins.iter().map(|(place, sides)| (*place, sides.compare(self.metric, error_rate))).collect();
        let compared: Vec<(usize, usize, Comparison)> = self
            .pairs
            .iter()
            .map(|(first, second, sides)| {
                let floor = floor_for(*first, *second, &floors);
                (*first, *second, Comparison { floor, ..sides.compare(self.metric, error_rate) })
            })
            .collect();
        let best = self.best();
        let ahead = best.map_or_else(Vec::new, |best| self.ahead_of(best));
        let distrusted = floors.iter().any(|(_, floor)| floor.differs());
        let is_ranked = ahead.is_empty() && !distrusted;
        let entries = self.entrants.iter().enumerate().map(|(place, (backend, series))| {
            let void = series.void(self.metric);
            let to_best =
                best.filter(|&best| best != place && void.is_none()).and_then(|best| to(&compared, place, best));
            let known = match to_best {
                Some(comparison) => comparison.interval().is_some(),
                None => best == Some(place) && series.blocks_with(self.metric) >= MIN_BLOCKS,
            };
            let ties = to_best.is_none_or(|comparison| !comparison.differs());
            let better = |other: &usize| {
                !self.is_unreliable(*other) && to(&compared, *other, place).is_some_and(|other| other.is_better())
            };
            let rank = if ties { 1 } else { (0..self.entrants.len()).filter(better).count() + 1 };
            let unreliable = self.is_unreliable(place);
            Entry {
                backend: backend.clone(),
                rank: (known && is_ranked && !unreliable).then_some(rank),
                to_best,
                void,
                unreliable,
                doubtful: series.doubt(self.metric) == Doubt::Other,
                busy: series.doubt(self.metric) == Doubt::Busy,
            }
        });
        MetricRanking {
            metric: self.metric,
            entries: entries.collect(),
            best: best.map(|best| self.entrants[best].0.clone()),
            ahead,
            floors: floors.into_iter().map(|(place, floor)| (self.entrants[place].0.clone(), floor)).collect(),
            distrusted,
            pairs: compared,
        }
    }

    /// The middle log ratio of one to another, whichever comes first.
    fn middle(&self, place: usize, other: usize) -> Option<f64> {
        let (first, _, sides) = self.pairs.iter().find(|(a, b, _)| (*a, *b) == (place.min(other), place.max(other)))?;
        let log = sides.middle()?;
        Some(if *first == place { log } else { -log })
    }

    fn is_unreliable(&self, place: usize) -> bool {
        self.entrants[place].1.blocks_with(self.metric) * 2 < self.blocks
    }

    /// The one that others are ahead of by the least, or not at all. Those with enough blocks come first.
    fn best(&self) -> Option<usize> {
        let lead = |place: usize, other: usize| {
            let log = self.middle(other, place)?;
            Some(if self.metric.higher_is_better() { log } else { -log })
        };
        let behind = |place: usize| {
            let leads = (0..self.entrants.len()).filter(|&other| other != place).filter_map(|other| lead(place, other));
            leads.max_by(f64::total_cmp)
        };
        let lacks_blocks = |place: usize| self.entrants[place].1.blocks_with(self.metric) < MIN_BLOCKS;
        let reliable = (0..self.entrants.len()).filter(|&place| !self.is_unreliable(place));
        let candidates = reliable.filter_map(|place| Some((lacks_blocks(place), behind(place)?, place)));
        candidates.min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))).map(|(_, _, place)| place)
    }

    /// Those whose client was the bottleneck, and who came out better even so: what they did is the least that they can.
    fn ahead_of(&self, best: usize) -> Vec<(String, f64)> {
        let middle = |series: &Series| series.middle(self.metric);
        let Some(of_best) = middle(&self.entrants[best].1) else { return Vec::new() };
        let bound = self.entrants.iter().filter(|(_, series)| series.void(self.metric) == Some(Void::Client));
        let logs = bound.filter_map(|(name, series)| Some((name.clone(), middle(series)? - of_best)));
        let ahead = logs.filter(|(_, log)| if self.metric.higher_is_better() { *log > 0.0 } else { *log < 0.0 });
        ahead.map(|(name, log)| (name, log.exp())).collect()
    }
}

/// One as a ratio to the other, whichever comes first.
fn to(compared: &[(usize, usize, Comparison)], place: usize, other: usize) -> Option<Comparison> {
    let is_of =
        |&&(first, second, _): &&(usize, usize, Comparison)| (first, second) == (place.min(other), place.max(other));
    let (first, _, comparison) = compared.iter().find(is_of)?;
    // Without an estimate there was nothing to compare.
    comparison.estimate?;
    Some(if *first == place { *comparison } else { comparison.inverted() })
}

/// The noise that a comparison of two backends has to exceed: their own, as far as one of them was there twice, and
/// else the most that was seen in the cell.
fn floor_for(first: usize, second: usize, floors: &[(usize, Comparison)]) -> Option<f64> {
    let reach = |(_, floor): &(usize, Comparison)| floor.interval().map(|interval| interval.reach());
    let own = floors.iter().filter(|(place, _)| [first, second].contains(place)).filter_map(reach);
    own.max_by(f64::total_cmp).or_else(|| floors.iter().filter_map(reach).max_by(f64::total_cmp))
}
