//! The ranking of a sweep for scripts: the last line that `harness sweep --json` prints. It follows from the trials, so it
//! is in no file.

use serde::Serialize;

use super::ranking::is_best_known;
use crate::plan::Cell;
use crate::statistics::{CONFIDENCE, CellRanking, Comparison, Entry, Metric, MetricRanking, Ranking, Void};

/// A ranking, and what came of `--until`.
#[derive(Debug, Serialize)]
pub struct Json<'a> {
    record: &'static str,
    comparisons: usize,
    confidence: f64,
    cells: Vec<JsonCell<'a>>,
    until: Option<Until>,
}

/// What came of `--until`.
#[derive(Debug, Serialize)]
pub struct Until {
    /// What was asked for.
    pub half_width: f64,
    /// Whether it was reached in every cell.
    pub reached: bool,
    /// In the order of the cells.
    pub cells: Vec<UntilCell>,
}

/// The same of one cell.
#[derive(Debug, Serialize)]
pub struct UntilCell {
    /// Whether it was reached.
    pub reached: bool,
    /// Half of the width of the widest interval; null where one is missing.
    pub half_width: Option<f64>,
    /// What that does not speak of, and why.
    pub left_out: Vec<String>,
}

#[derive(Debug, Serialize)]
struct JsonCell<'a> {
    #[serde(flatten)]
    cell: &'a Cell,
    by: Vec<JsonMetric<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonMetric<'a> {
    metric: Metric,
    higher_is_better: bool,
    /// Null where who is best is not known.
    best: Option<&'a str>,
    /// What the ratios are ratios to.
    reference: Option<&'a str>,
    distrusted: bool,
    ahead: Vec<Ahead<'a>>,
    entries: Vec<JsonEntry<'a>>,
    floors: Vec<Floor<'a>>,
}

/// Limited by the client, and ahead nevertheless.
#[derive(Debug, Serialize)]
struct Ahead<'a> {
    backend: &'a str,
    ratio: f64,
}

#[derive(Debug, Serialize)]
struct JsonEntry<'a> {
    backend: &'a str,
    rank: Option<usize>,
    #[serde(flatten)]
    compared: Compared,
    void: Option<Void>,
    unreliable: bool,
    doubtful: bool,
}

#[derive(Debug, Serialize)]
struct Floor<'a> {
    backend: &'a str,
    #[serde(flatten)]
    compared: Compared,
}

#[derive(Debug, Default, Serialize)]
struct Compared {
    ratio: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    blocks: Option<usize>,
}

impl<'a> Json<'a> {
    /// Puts it together.
    #[must_use]
    pub fn new(ranking: &'a Ranking, until: Option<Until>) -> Self {
        let cell = |cell: &'a CellRanking| JsonCell { cell: &cell.cell, by: cell.by.iter().map(metric).collect() };
        let cells = ranking.cells.iter().map(cell).collect();
        Self { record: "ranking", comparisons: ranking.family, confidence: CONFIDENCE, cells, until }
    }
}

fn metric(by: &MetricRanking) -> JsonMetric<'_> {
    let reference = by.best.as_deref();
    JsonMetric {
        metric: by.metric,
        higher_is_better: by.metric.higher_is_better(),
        best: reference.filter(|_| is_best_known(by)),
        reference,
        distrusted: by.distrusted,
        ahead: by.ahead.iter().map(|(backend, ratio)| Ahead { backend, ratio: *ratio }).collect(),
        entries: by.entries.iter().map(entry).collect(),
        floors: by.floors.iter().map(|(backend, floor)| Floor { backend, compared: Compared::of(floor) }).collect(),
    }
}

fn entry(entry: &Entry) -> JsonEntry<'_> {
    JsonEntry {
        backend: &entry.backend,
        rank: entry.rank,
        compared: entry.to_best.as_ref().map_or_else(Compared::default, Compared::of),
        void: entry.void,
        unreliable: entry.unreliable,
        doubtful: entry.doubtful,
    }
}

impl Compared {
    fn of(comparison: &Comparison) -> Self {
        let interval = comparison.interval();
        Self {
            ratio: comparison.estimate.map(|estimate| estimate.ratio),
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            blocks: Some(comparison.blocks),
        }
    }
}
