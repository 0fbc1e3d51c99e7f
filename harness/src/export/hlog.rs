//! The histograms of a cell as `HdrHistogram` logs them, format 1.3: a line for each trial, tagged with its backend.
//!
//! A results file says when a run began, in which order its trials ended and how long each was measured, but not when. The
//! time of an interval is therefore the earliest that it can have begun: after the start of the run and the warm-ups and
//! windows of all trials before it. Maxima are in milliseconds, as that format has it; the histograms in nanoseconds.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use jiff::Timestamp;

use super::names::{Names, words};
use super::{ExportError, Piece, censored};
use crate::plan::Cell;
use crate::results::{RunRecord, TrialRecord};
use crate::statistics::Censored;

/// How every such file begins.
pub(super) const HEADING: &str = "#[Histogram log format version 1.3]\n";

/// What its columns are; readers skip it.
const LEGEND: &str = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// Nanoseconds in the unit of the maxima.
const NS_PER_MAX_UNIT: f64 = 1e6;

/// The logs of all cells, as trials are added.
#[derive(Debug)]
pub(super) struct Logs {
    cells: Vec<(Cell, Vec<Line>)>,
    places: HashMap<String, usize>,
    tags: Names,
    /// When the next trial can have begun, after the start of the run.
    earliest: Duration,
}

/// One interval.
#[derive(Debug)]
struct Line {
    tag: String,
    begins: Duration,
    length: Duration,
    /// As it is written: a hundredth of what it is to be worked with.
    histogram: Vec<u8>,
    censored: Censored,
}

impl Logs {
    pub(super) fn new() -> Self {
        Self { cells: Vec::new(), places: HashMap::new(), tags: Names::of_tags(), earliest: Duration::ZERO }
    }

    pub(super) fn add(&mut self, run: &RunRecord, trial: &TrialRecord) -> Result<(), ExportError> {
        let Some(measured) = &trial.measured else { return Ok(()) };
        let begins = self.earliest.saturating_add(run.plan.warmup());
        let length = Duration::from_nanos(measured.elapsed_ns);
        self.earliest = begins.saturating_add(length);
        if !trial.is_usable() {
            return Ok(());
        }
        let place = *self.places.entry(words(&trial.cell).join(".")).or_insert(self.cells.len());
        if place == self.cells.len() {
            self.cells.push((trial.cell.clone(), Vec::new()));
        }
        let mut histogram = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&*measured.latency_hdr.0, &mut histogram)
            .map_err(|error| failed(&error))?;
        histogram.shrink_to_fit();
        let tag = self.tags.harmless(&trial.backend);
        let censored = Censored::of(std::iter::once(measured));
        self.cells[place].1.push(Line { tag, begins, length, histogram, censored });
        Ok(())
    }

    /// A file for each cell.
    pub(super) fn pieces(self, run: &RunRecord) -> Result<Vec<Piece>, ExportError> {
        let (mut stems, mut pieces) = (Names::of_stems(), Vec::new());
        for (cell, lines) in self.cells {
            let name = format!("{}.hlog", stems.harmless(&words(&cell).join(".")));
            pieces.push(Piece { name, text: log(run, &cell, &lines)? });
        }
        Ok(pieces)
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExportError {
    ExportError::Histogram(error.to_string())
}

fn by_tag(lines: &[Line]) -> BTreeMap<&str, Vec<Censored>> {
    let mut by_tag: BTreeMap<&str, Vec<Censored>> = BTreeMap::new();
    for line in lines {
        by_tag.entry(&line.tag).or_default().push(line.censored);
    }
    by_tag
}

fn log(run: &RunRecord, cell: &Cell, lines: &[Line]) -> Result<String, ExportError> {
    let mut bytes = [HEADING, LEGEND].concat().into_bytes();
    let mut header = IntervalLogWriterBuilder::new();
    header.add_comment(&format!("[{cell}]"));
    header
        .add_comment("[Values in nanoseconds; times are the earliest possible: when each trial began is not recorded]");
    for (tag, censored) in by_tag(lines) {
        if let Some(comment) = censored::comment(Censored::sum(censored.into_iter())) {
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
    let mut deserializer = Deserializer::new();
    for Line { tag, begins, length, histogram, .. } in lines {
        let histogram: Histogram<u64> =
            deserializer.deserialize(&mut histogram.as_slice()).map_err(|error| failed(&error))?;
        log.write_histogram(&histogram, *begins, *length, Tag::new(tag)).map_err(|error| failed(&error))?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
