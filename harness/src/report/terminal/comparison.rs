//! What `harness compare` says, as text and as JSON.

use std::fmt::Write;

use serde::Serialize;

use super::grid::{Column, Grid, left_out_note};
use super::look::{Look, Tone};
use super::ranking::{ratio, too_few};
use crate::figures;
use crate::plan::Cell;
use crate::statistics::{CONFIDENCE, Counted, Interval, Metric, Row, RunComparison, Void, Word};

/// What is needed to say it.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// What every backend is compared with: `epoll`, or `its earlier run`.
    pub against: &'a str,
    /// The share from which on a difference matters.
    pub tolerance: f64,
    /// Whether a loss of more than that is a regression.
    pub fails: bool,
    /// Whether both sides were measured in the same blocks, or in relation to what was. Else what changed between two
    /// runs is in no interval, and how often those hold is not known.
    pub holds_together: bool,
}

/// Draws every cell.
#[must_use]
pub fn draw(comparison: &RunComparison, heading: Heading<'_>, look: Look) -> String {
    let mut text = String::new();
    let mut left_out = Vec::new();
    let mut is_short = false;
    for rows in comparison.rows.chunk_by(|a, b| a.cell == b.cell) {
        let (void, compared): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.word == Word::Void);
        let _ = writeln!(text, "{}", look.prose(&rows[0].cell.to_string(), 2));
        if !compared.is_empty() {
            let mut table = table(&compared, heading, |row| reading(row, heading));
            let mut lacking = table.fit(look);
            let is_narrow = look.columns.is_some_and(|columns| table.width() > columns);
            if is_narrow {
                // Against what is the same in every row, and said below.
                table = self::table(&compared, heading, |row| short_reading(row, heading));
                lacking = table.fit(look);
                is_short = true;
            }
            if look.columns.is_some_and(|columns| table.width() > columns) {
                text.push_str(&by_metric(&compared, heading, look));
            } else {
                text.push_str(&table.draw(look));
            }
            let remarks = if is_narrow { remark_notes(&compared, heading) } else { Vec::new() };
            for note in remarks {
                let _ = writeln!(text, "{}", look.prose(&format!("  {note}"), 4));
            }
            for name in lacking {
                if !left_out.contains(&name) {
                    left_out.push(name);
                }
            }
        }
        for note in void_notes(&void) {
            let _ = writeln!(text, "{}", look.prose(&format!("  {note}"), 4));
        }
        text.push('\n');
    }
    if is_short {
        let _ = writeln!(text, "{}", look.prose(&format!("ratios: of each to that of {}", heading.against), 2));
    }
    if let Some(note) = left_out_note(&left_out) {
        let _ = writeln!(text, "{}", look.prose(&note, 2));
    }
    if heading.holds_together {
        let comparisons = figures::counted(comparison.family, "comparison");
        let confidence = figures::percent(CONFIDENCE);
        let said = format!("intervals of all {comparisons} hold together in {confidence} of runs");
        let _ = writeln!(text, "{}", look.prose(&said, 2));
    }
    let tie = format!(
        "tie: within ±{} for sure; inconclusive: neither that nor a difference for sure",
        percent(heading.tolerance)
    );
    text.push_str(&look.prose(&tie, 2));
    text
}

/// What cannot be compared, each reason once: it is often the same for all backends.
fn void_notes(rows: &[&Row]) -> Vec<String> {
    let mut notes: Vec<(String, Vec<&str>, Vec<&str>)> = Vec::new();
    for row in rows {
        let why = reason(row).unwrap_or_default();
        let alike = |other: &&&Row| {
            other.comparison.metric == row.comparison.metric && reason(other).unwrap_or_default() == why
        };
        let backends: Vec<&str> = rows.iter().filter(alike).map(|other| other.backend.as_str()).collect();
        let metric = row.comparison.metric.name(&row.cell);
        match notes.iter_mut().find(|note| note.0 == why && note.2 == backends) {
            Some((_, metrics, _)) if metrics.contains(&metric) => {}
            Some((_, metrics, _)) => metrics.push(metric),
            None => notes.push((why, vec![metric], backends)),
        }
    }
    let note = |(reason, metrics, backends): (String, Vec<&str>, Vec<&str>)| {
        format!("{}, {reason}: {} of {}", Word::Void.text(), metrics.join(", "), backends.join(", "))
    };
    notes.into_iter().map(note).collect()
}

/// A table for each metric: where not even its name has room in a row.
fn by_metric(rows: &[&Row], heading: Heading<'_>, look: Look) -> String {
    let mut metrics: Vec<Metric> = Vec::new();
    for metric in rows.iter().map(|row| row.comparison.metric) {
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    let mut text = String::new();
    for metric in metrics {
        let own: Vec<&Row> = rows.iter().copied().filter(|row| row.comparison.metric == metric).collect();
        let mark = |row: &Row| if remarks(row, heading).is_empty() { "" } else { " *" };
        let grid = Grid::new(vec![
            Column::plain(metric.name(&own[0].cell), own.iter().map(|row| row.backend.clone())).left(),
            Column::new("", own.iter().map(|row| (format!("{}{}", word(row), mark(row)), tone(row, heading)))).left(),
            Column::plain("ratio [from, to]", own.iter().map(|row| ratio(&row.comparison))),
        ]);
        text.push_str(&grid.draw(look));
    }
    text
}

fn word(row: &Row) -> String {
    format!("{}{}", row.word.text(), if row.doubtful { " ?" } else { "" })
}

fn table(rows: &[&Row], heading: Heading<'_>, reading: impl Fn(&Row) -> String) -> Grid {
    let column = |text: &dyn Fn(&Row) -> String| rows.iter().map(|row| text(row)).collect::<Vec<_>>();
    let word = |row: &&Row| (word(row), tone(row, heading));
    let suspect =
        |row: &Row| format!("{} of {}, {} of {}", row.own.suspect, row.own.usable, row.other.suspect, row.other.usable);
    Grid::new(vec![
        Column::plain("backend", column(&|row| row.backend.clone())).left(),
        Column::new("", rows.iter().map(word)).left(),
        Column::plain("ratio [from, to]", column(&|row| ratio(&row.comparison))),
        Column::plain("of what", column(&reading)).left(),
        Column::plain("blocks", column(&|row| row.comparison.blocks.to_string())).leaves(2),
        Column::plain("suspect", column(&suspect)).leaves(1),
    ])
}

/// What the word and its mark say.
fn tone(row: &Row, heading: Heading<'_>) -> Tone {
    match row.word {
        Word::Lost => Tone::Invalid,
        _ if row.is_regression(heading.tolerance) => Tone::Invalid,
        _ if row.doubtful => Tone::Suspect,
        Word::Better => Tone::Best,
        _ => Tone::Plain,
    }
}

/// What the ratio is one of, and what has to be known about it.
fn reading(row: &Row, heading: Heading<'_>) -> String {
    format!("the {} of {}{}", row.comparison.metric.name(&row.cell), heading.against, remarks(row, heading))
}

/// The same where what all rows have in common and what has to be known is said below.
fn short_reading(row: &Row, heading: Heading<'_>) -> String {
    let mark = if remarks(row, heading).is_empty() { "" } else { " *" };
    format!("{}{mark}", row.comparison.metric.name(&row.cell))
}

/// What '*' stands for: each remark once, with the rows that it is about.
fn remark_notes(rows: &[&Row], heading: Heading<'_>) -> Vec<String> {
    let mut notes: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows {
        let remark = remarks(row, heading);
        let whose = format!("{} {}", row.backend, row.comparison.metric.name(&row.cell));
        match notes.iter_mut().find(|note| note.0 == remark) {
            _ if remark.is_empty() => {}
            Some((_, all)) => all.push(whose),
            None => notes.push((remark, vec![whose])),
        }
    }
    notes.into_iter().map(|(remark, whose)| format!("*{remark}: {}", whose.join(", "))).collect()
}

fn remarks(row: &Row, heading: Heading<'_>) -> String {
    let mut text = String::new();
    if let Some(reason) = reason(row) {
        let _ = write!(text, " ({reason})");
    }
    if heading.fails && row.word == Word::Worse && row.is_regression(heading.tolerance) {
        let _ = write!(text, " (regression: {}, more than {})", loss(row), percent(heading.tolerance));
    }
    text
}

/// `worse by 5.1 % [0.5, 9.0]`.
fn loss(row: &Row) -> String {
    let comparison = &row.comparison;
    let interval = comparison
        .loss_interval()
        .map_or(String::new(), |(least, most)| format!(" [{:.1}, {:.1}]", least * 100.0, most * 100.0));
    format!("worse by {:.1} %{interval}", comparison.loss() * 100.0)
}

/// Why there is no answer, or another than the interval suggests.
fn reason(row: &Row) -> Option<String> {
    let comparison = &row.comparison;
    if row.word == Word::Lost && !row.lost_its_rate() {
        let Row { own, other, .. } = row;
        return Some(format!(
            "usable trials: {} of {}, on the other side {} of {}",
            own.usable, own.trials, other.usable, other.trials
        ));
    }
    if let Some(void) = comparison.void {
        return Some(Void::text(void).to_owned());
    }
    let Some(interval) = comparison.interval() else { return Some(too_few(comparison.blocks)) };
    let below_the_floor = interval.excludes_one() && !comparison.differs();
    below_the_floor.then(|| "within the noise floor".to_owned())
}

/// A share as it was given: `5 %`, `2.5 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{} %", percentage(share))
}

fn percentage(share: f64) -> f64 {
    // 0.07 is not exactly seven hundredths.
    (share * 1e6).round() / 1e4
}

/// The same for scripts.
#[derive(Debug, Serialize)]
pub struct Json<'a> {
    against: &'a str,
    /// Null where it is not known how often intervals hold.
    confidence: Option<f64>,
    comparisons: usize,
    tolerance_percent: f64,
    regressions: usize,
    differences: &'a [String],
    absent: &'a [String],
    notes: &'a [String],
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
    own: Counted,
    other: Counted,
    doubtful: bool,
}

impl<'a> Json<'a> {
    /// Puts it together.
    #[must_use]
    pub fn new(
        comparison: &'a RunComparison,
        heading: Heading<'a>,
        differences: &'a [String],
        notes: &'a [String],
    ) -> Self {
        let row = |row: &'a Row| JsonRow {
            backend: &row.backend,
            cell: &row.cell,
            metric: row.comparison.metric,
            higher_is_better: row.comparison.metric.higher_is_better(),
            verdict: row.word,
            regression: heading.fails && row.is_regression(heading.tolerance),
            ratio: row.comparison.estimate.map(|estimate| estimate.ratio),
            interval: row.comparison.interval(),
            noise_floor: row.comparison.floor,
            blocks: row.comparison.blocks,
            reason: reason(row),
            own: row.own,
            other: row.other,
            doubtful: row.doubtful,
        };
        let rows: Vec<JsonRow<'a>> = comparison.rows.iter().map(row).collect();
        Self {
            against: heading.against,
            confidence: heading.holds_together.then_some(CONFIDENCE),
            comparisons: comparison.family,
            tolerance_percent: percentage(heading.tolerance),
            regressions: rows.iter().filter(|row| row.regression).count(),
            differences,
            absent: &comparison.absent,
            notes,
            rows,
        }
    }
}
