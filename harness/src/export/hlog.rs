//! The histograms of a cell as `HdrHistogram` logs them, format 1.3: a line for each trial, tagged with its backend.
//!
//! A results file says when a run began, in which order its trials ended and how long each was measured, but not when. The
//! time of an interval is therefore the earliest that it can have begun: after the start of the run and the warm-ups and
//! windows of all trials before it. Maxima are in milliseconds, as that format has it; the histograms in nanoseconds.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use jiff::Timestamp;

use super::names::{Names, words};
use super::{ExportError, Piece, censored};
use crate::plan::Cell;
use crate::results::{Measured, RunRecord, TrialRecord};

/// How every such file begins.
pub(super) const HEADING: &str = "#[Histogram log format version 1.3]\n";

/// What its columns are; readers skip it.
const LEGEND: &str = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// Nanoseconds in the unit of the maxima.
const NS_PER_MAX_UNIT: f64 = 1e6;

/// A file for each cell.
pub(super) fn pieces(run: &RunRecord, trials: &[TrialRecord]) -> Result<Vec<Piece>, ExportError> {
    let mut cells: Vec<(&Cell, Vec<Line>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut tags = Names::of_tags();
    let mut earliest = Duration::ZERO;
    for trial in trials {
        let Some(measured) = &trial.measured else { continue };
        let begins = earliest.saturating_add(run.plan.warmup());
        earliest = begins.saturating_add(Duration::from_nanos(measured.elapsed_ns));
        if !trial.is_usable() {
            continue;
        }
        let place = *places.entry(words(&trial.cell).join(".")).or_insert(cells.len());
        if place == cells.len() {
            cells.push((&trial.cell, Vec::new()));
        }
        cells[place].1.push(Line { tag: tags.harmless(&trial.backend), begins, measured });
    }
    let (mut stems, mut pieces) = (Names::of_stems(), Vec::new());
    for (cell, lines) in cells {
        let name = format!("{}.hlog", stems.harmless(&words(cell).join(".")));
        pieces.push(Piece { name, text: log(run, cell, &lines)? });
    }
    Ok(pieces)
}

/// One interval.
struct Line<'a> {
    tag: String,
    begins: Duration,
    measured: &'a Measured,
}

fn by_tag<'a>(lines: &'a [Line]) -> BTreeMap<&'a str, Vec<&'a Measured>> {
    let mut by_tag: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    for line in lines {
        by_tag.entry(&line.tag).or_default().push(line.measured);
    }
    by_tag
}

fn log(run: &RunRecord, cell: &Cell, lines: &[Line]) -> Result<String, ExportError> {
    let failed = |error: &dyn std::fmt::Display| ExportError::Histogram(error.to_string());
    let mut bytes = [HEADING, LEGEND].concat().into_bytes();
    let mut header = IntervalLogWriterBuilder::new();
    header.add_comment(&format!("[{cell}]"));
    header
        .add_comment("[Values in nanoseconds; times are the earliest possible: when each trial began is not recorded]");
    for (tag, lines) in by_tag(lines) {
        if let Some(comment) = censored::comment(lines.into_iter()) {
            header.add_comment(&format!("[{tag}: {comment}]"));
        }
    }
    header.with_max_value_divisor(NS_PER_MAX_UNIT);
    // A log without a start counts from 1970.
    if let Ok(started) = run.started.parse::<Timestamp>() {
        let started = SystemTime::from(started).max(SystemTime::UNIX_EPOCH);
        header.with_start_time(started).with_base_time(started);
    }
    let mut serializer = V2DeflateSerializer::new();
    let mut log = header.begin_log_with(&mut bytes, &mut serializer).map_err(|error| failed(&error))?;
    for Line { tag, begins, measured } in lines {
        let length = Duration::from_nanos(measured.elapsed_ns);
        let histogram = &measured.latency_hdr.0;
        log.write_histogram(histogram, *begins, length, Tag::new(tag)).map_err(|error| failed(&error))?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
