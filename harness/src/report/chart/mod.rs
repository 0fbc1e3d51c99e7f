//! What is drawn, as data: one chart is one picture, whoever draws it.
//!
//! Invariants: a value that was not measured is `None` and becomes a gap, never a zero; one that may not be believed says so
//! in its [`State`]; every figure here can be traced to the trials of the files. Trials are summarised once, whatever
//! number of charts they are in.

mod distribution;
mod facet;
mod figure;
#[cfg(test)]
mod fixtures;
mod gathered;
mod group;
mod history;
mod lines;
mod look;
mod notes;
mod offered_load;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::Serialize;

use self::facet::{Along, facets};
use self::figure::Figure;
use self::gathered::Gathered;
use self::offered_load::Capacities;
use super::selection::Selection;
use crate::figures;

pub use self::look::looks;

/// Charts that differ in their cells only are chosen from a list, which nobody looks through beyond so many.
const MOST_OF_A_KIND: usize = 200;

/// Everything that has a place in the charts, in the order of the newest plan, and how it looks.
#[must_use]
pub fn entrants(selection: &Selection<'_>) -> Vec<(String, Look)> {
    gathered::entrants(selection)
}

/// All charts that there are points for; those of a kind follow each other.
#[must_use]
pub fn of(selection: &Selection<'_>) -> Vec<Chart> {
    let gathered = Gathered::of(selection);
    let shown = gathered.shown();
    let [connections, idle, rate] =
        [Along::Connections, Along::Idle, Along::Rate].map(|along| (along, facets(&shown, along)));
    let outdated = notes::outdated(&gathered.outdated(&shown));
    let capacities = Capacities::of(selection);
    let mut charts = Vec::new();
    for figure in Figure::ALL {
        if figure == Figure::ServerCpu {
            charts.extend(distribution::draw(&gathered));
        }
        for (along, facets) in [&connections, &idle, &rate] {
            if !figure.is_drawn(*along) {
                continue;
            }
            let mut drawn = lines::draw(&gathered, facets, figure, *along);
            if *along == Along::Rate && figure.percentile().is_some() {
                capacities.mark(&mut drawn, facets);
            }
            for chart in &mut drawn {
                chart.notes.extend(outdated.clone());
            }
            charts.extend(drawn);
        }
    }
    charts.extend(history::draw(&gathered, selection.history()));
    limited(charts).into_iter().map(Chart::drawable).collect()
}

/// No more than [`MOST_OF_A_KIND`]; where there are more, each of those that stay says so.
fn limited(mut charts: Vec<Chart>) -> Vec<Chart> {
    let mut all: HashMap<String, usize> = HashMap::new();
    for chart in &charts {
        *all.entry(chart.kind.clone()).or_default() += 1;
    }
    let mut kept: HashMap<String, usize> = HashMap::new();
    charts.retain_mut(|chart| {
        let place = kept.entry(chart.kind.clone()).or_default();
        *place += 1;
        if let Some(more) = all[&chart.kind].checked_sub(MOST_OF_A_KIND).filter(|&more| more > 0) {
            let charts = figures::counted(more, "more chart");
            chart.notes.push(format!("{charts} of this kind left out: report on fewer cells to see them"));
        }
        *place <= MOST_OF_A_KIND
    });
    charts
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chart {
    /// What it shows, and with several of a kind of which cells: `throughput`, `p99-16KiB-depth16`. Unique in a report, in
    /// lower case letters, digits and hyphens; the name of its file.
    pub id: String,
    /// Charts of the same kind differ in their cells only; one of them is shown at a time.
    pub kind: String,
    /// What it shows, for people: `Requests per second against connections`.
    pub title: String,
    /// What all of it has in common: `payload 64 B · depth 1 · closed loop · 1 server thread · framed over tcp`.
    pub cells: String,
    /// From left to right.
    pub x: Axis,
    /// From below.
    pub y: Axis,
    /// In the order of the plan.
    pub series: Vec<Series>,
    /// What has to be known to read it: what an interval is, what is missing and why. A sentence each, without a full stop.
    pub notes: Vec<String>,
}

impl Chart {
    /// Nothing that is not above 0 has a place on a logarithmic axis, and a file may say anything.
    fn drawable(mut self) -> Self {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let is_above = |value: &f64| *value > 0.0;
        if self.x.scale == Scale::Log && !points().all(|point| is_above(&point.x)) {
            self.x.scale = Scale::Linear;
        }
        let ends = points().flat_map(|point| point.y.into_iter().chain(point.interval.into_iter().flatten()));
        if self.y.scale == Scale::Log && !ends.into_iter().all(|value| value > 0.0) {
            self.y.scale = Scale::Linear;
        }
        self
    }
}

/// One direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Axis {
    /// What it is, without the unit: `connections`, `p99 service time`.
    pub label: String,
    /// What its numbers are.
    pub unit: Unit,
    /// How they are spread at first; a reader of the page may switch between linear and logarithmic ones.
    pub scale: Scale,
}

/// What the numbers of an axis are, and so how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A number of things: `512`.
    Count,
    /// Things a second: `118,204/s`.
    PerSecond,
    /// Written in the unit that suits them: `870 ns`, `1.20 ms`.
    Nanoseconds,
    /// Written in binary units: `5.6 MiB`.
    Bytes,
    /// 0 to 1, of samples that are not above a value; on a percentile axis.
    Quantile,
    /// Milliseconds since 1970, UTC.
    Time,
}

/// How numbers are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Evenly, from 0 where all are positive.
    Linear,
    /// By their logarithm; all are positive.
    Log,
    /// As percentile plots are: each nine takes the same room, so that `q` lies at `-log10(1 - q)`.
    Nines,
    /// Evenly, as dates.
    Time,
}

/// What one backend contributes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Which.
    pub backend: String,
    /// How it looks, the same in every chart of a report.
    pub look: Look,
    /// By `x`, ascending.
    pub points: Vec<Point>,
    /// Places to be pointed out in it.
    pub marks: Vec<Mark>,
}

/// How a backend looks. Two that have colours a colour-blind person may confuse differ in one of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Look {
    /// On a light ground: `#0072b2`.
    pub light: &'static str,
    /// On a dark one.
    pub dark: &'static str,
    /// Of its points.
    pub symbol: Symbol,
    /// Of its line: lengths drawn and left out by turns, in pixels; none for a whole line.
    pub dash: &'static [u8],
}

/// The form of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the form that its name says")]
pub enum Symbol {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
    Star,
}

/// One value and how sure it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// None where there is nothing to draw: a gap.
    pub y: Option<f64>,
    /// From where to where it may really lie; none where that is not known.
    pub interval: Option<[f64; 2]>,
    /// Whether to believe it.
    pub state: State,
    /// Said when it is pointed at, a line each: figures with units, how many trials, why it is suspect, invalid or missing.
    pub said: Vec<String>,
}

/// Whether to believe a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing speaks against it.
    Valid,
    /// Most of its trials are suspect, or it says no more than what another side could do: drawn hollow.
    Suspect,
    /// None of its trials count. Where they have a value it is drawn crossed out and joined to nothing.
    Invalid,
    /// There is nothing: not measured, or not enough for this figure.
    Missing,
}

/// A place that is pointed out in a series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// Where: a capacity, a run since which something changed.
    pub x: f64,
    /// From where to where it may really lie.
    pub interval: Option<[f64; 2]>,
    /// What it is, in a few words: `capacity 182,000/s`.
    pub label: String,
}
