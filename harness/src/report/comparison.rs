//! What `harness compare` says, as text and as JSON.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::ranking::{ratio, too_few};
use super::table::STYLE;
use crate::figures;
use crate::plan::Cell;
use crate::statistics::{CONFIDENCE, Interval, Metric, Row, RunComparison, Word};

/// What is needed to say it.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// What every backend is compared with: `epoll`, or `its earlier run`.
    pub against: &'a str,
    /// The share from which on a difference matters.
    pub tolerance: f64,
    /// Whether a loss of more than that is a regression.
    pub fails: bool,
}

/// Whether a row is a loss outside the noise, and of more than what matters.
#[must_use]
pub fn is_regression(row: &Row, tolerance: f64) -> bool {
    row.word == Word::Worse && row.comparison.loss() > tolerance
}

/// Draws every cell.
#[must_use]
pub fn draw(comparison: &RunComparison, heading: Heading<'_>) -> String {
    let mut text = String::new();
    for rows in comparison.rows.chunk_by(|a, b| a.cell == b.cell) {
        let _ = writeln!(text, "{}\n{}\n", rows[0].cell, table(rows, heading).trim_fmt());
    }
    let comparisons = figures::counted(comparison.family, "comparison");
    let _ = write!(
        text,
        "intervals of all {comparisons} hold together in {} of runs\n\
         tie: within ±{} % for sure; inconclusive: neither that nor a difference for sure",
        figures::percent(CONFIDENCE),
        percent(heading.tolerance)
    );
    text
}

fn table(rows: &[Row], heading: Heading<'_>) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(["backend", "", "ratio [from, to]", "of what", "blocks"]);
    for row in rows {
        table.add_row([
            row.backend.clone(),
            row.word.text().to_owned(),
            ratio(&row.comparison),
            reading(row, heading),
            row.comparison.blocks.to_string(),
        ]);
    }
    for column in [2, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What the ratio is one of, and what has to be known about it.
fn reading(row: &Row, heading: Heading<'_>) -> String {
    let mut text = format!("the {} of {}", row.comparison.metric.name(&row.cell), heading.against);
    if let Some(reason) = reason(row) {
        let _ = write!(text, " ({reason})");
    }
    if heading.fails && is_regression(row, heading.tolerance) {
        let _ = write!(text, " (regression of more than {} %)", percent(heading.tolerance));
    }
    text
}

/// Why there is no answer, or another than the interval suggests.
fn reason(row: &Row) -> Option<String> {
    let comparison = &row.comparison;
    if comparison.void {
        return Some("the client was the bottleneck".to_owned());
    }
    let Some(interval) = comparison.interval() else { return Some(too_few(comparison.blocks)) };
    let below_the_floor = interval.excludes_one() && !comparison.differs();
    below_the_floor.then(|| "within the noise floor".to_owned())
}

fn percent(share: f64) -> f64 {
    // 0.07 is not exactly seven hundredths.
    (share * 1e6).round() / 1e4
}

/// The same for scripts.
#[derive(Debug, Serialize)]
pub struct Json<'a> {
    against: &'a str,
    confidence: f64,
    comparisons: usize,
    tolerance_percent: f64,
    regressions: usize,
    differences: &'a [String],
    rows: Vec<JsonRow<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonRow<'a> {
    backend: &'a str,
    #[serde(flatten)]
    cell: &'a Cell,
    metric: Metric,
    higher_is_better: bool,
    verdict: Word,
    regression: bool,
    ratio: Option<f64>,
    interval: Option<Interval>,
    noise_floor: Option<f64>,
    blocks: usize,
    reason: Option<String>,
}

impl<'a> Json<'a> {
    /// Puts it together.
    #[must_use]
    pub fn new(comparison: &'a RunComparison, heading: Heading<'a>, differences: &'a [String]) -> Self {
        let row = |row: &'a Row| JsonRow {
            backend: &row.backend,
            cell: &row.cell,
            metric: row.comparison.metric,
            higher_is_better: row.comparison.metric.higher_is_better(),
            verdict: row.word,
            regression: heading.fails && is_regression(row, heading.tolerance),
            ratio: row.comparison.estimate.map(|estimate| estimate.ratio),
            interval: row.comparison.interval(),
            noise_floor: row.comparison.floor,
            blocks: row.comparison.blocks,
            reason: reason(row),
        };
        let rows: Vec<JsonRow<'a>> = comparison.rows.iter().map(row).collect();
        Self {
            against: heading.against,
            confidence: CONFIDENCE,
            comparisons: comparison.family,
            tolerance_percent: percent(heading.tolerance),
            regressions: rows.iter().filter(|row| row.regression).count(),
            differences,
            rows,
        }
    }
}
