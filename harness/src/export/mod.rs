//! Results in the formats of other programs: spreadsheets, the plotters of `HdrHistogram`, and what follows benchmarks over
//! time.
//!
//! Invariants: a trial that is invalid, or was not measured, is a row of `csv` that says so and in no other format; nothing
//! here says more than the file does, and what a format has no place for is said beside it; every text of a file is made
//! harmless for the format that it goes into. The histograms are read back, in tests, by two implementations of `HdrHistogram`.
//! What follows benchmarks over time runs in workflows and on servers, where tests cannot call it: those two formats are
//! checked against the rules of their readers, as a source and a schema have them.

mod bmf;
mod censored;
mod csv;
mod figures;
mod github_action_benchmark;
mod group;
mod hgrm;
mod hlog;
mod names;

use crate::figures::counted_of;
use crate::results::{KeptTrials, RunRecord, TrialRecord, nothing_usable};
use figures::Figures;
use group::Group;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A row for each trial.
    Csv,
    /// The percentiles of each backend in each cell, as `HdrHistogram` prints them.
    Hgrm,
    /// The histograms of each cell, one of each trial, as `HdrHistogram` logs them.
    Hlog,
    /// What benchmark-action/github-action-benchmark reads: a file of what is better when bigger, one of what is not.
    GithubActionBenchmark,
    /// Bencher Metric Format.
    Bmf,
}

/// One file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its name: letters, digits, `-`, `_` and `.`, at most 210 bytes; no two of an export have the same.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// What an export is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// At least one.
    pub pieces: Vec<Piece>,
    /// What was left out and why, a line each.
    pub left_out: Vec<String>,
    /// That no trial has usable figures, and why; only where the format has those that have none.
    pub nothing_usable: Option<String>,
}

/// Why a run cannot be written in a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// There is nothing that could be a figure.
    #[error("has {0}; only csv can be made of it")]
    NoFigures(String),
    /// There is no trial.
    #[error("has no trial that was measured and is not invalid; only csv can be made of it")]
    NoTrials,
    /// There are figures, and none that could stand without words.
    #[error(
        "has nothing to be followed: the load generator was the bottleneck, which this format has no place to say; export it as \
         github-action-benchmark or csv"
    )]
    ClientBound,
    /// Its cells are others each time, so nothing in them can be followed.
    #[error(
        "is of a search for a capacity, whose trials are at other rates each time: nothing in it can be followed over time; \
         export it as csv, hgrm or hlog"
    )]
    OfASearch,
    /// Histograms that do not fit together, which ours do.
    #[error("has histograms that cannot be merged: {0}")]
    Histogram(String),
}

/// The files of a run in a format.
///
/// # Errors
///
/// Why there would be none, or none that says anything.
#[cfg(test)]
pub(crate) fn export(format: Format, run: &RunRecord, trials: &[TrialRecord]) -> Result<Export, ExportError> {
    let mut exporter = Exporter::new(format);
    for trial in trials {
        exporter.add(run, trial.clone())?;
    }
    exporter.finish(run)
}

/// An export that is made of one trial after the other, of which no more is kept than the format has a place for.
#[derive(Debug)]
pub struct Exporter {
    format: Format,
    rows: csv::Rows,
    logs: hlog::Logs,
    /// Those that figures are made of, for all but rows.
    kept: KeptTrials,
}

impl Exporter {
    /// Of no trial yet.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, rows: csv::Rows::new(), logs: hlog::Logs::new(), kept: KeptTrials::new() }
    }

    /// Adds a trial, in the order in which they ended.
    ///
    /// # Errors
    ///
    /// [`ExportError::Histogram`].
    pub fn add(&mut self, run: &RunRecord, trial: TrialRecord) -> Result<(), ExportError> {
        match self.format {
            Format::Csv => self.rows.add(run, &trial),
            Format::Hlog => self.logs.add(run, &trial)?,
            Format::Hgrm | Format::GithubActionBenchmark | Format::Bmf => {}
        }
        self.kept.push(trial);
        Ok(())
    }

    /// All that was added.
    ///
    /// # Errors
    ///
    /// Why there would be nothing, or nothing that says anything.
    pub fn finish(self, run: &RunRecord) -> Result<Export, ExportError> {
        let Self { format, rows, logs, kept } = self;
        let trials = kept.as_slice();
        if format == Format::Csv {
            let nothing_usable = nothing_usable(trials);
            return Ok(Export { pieces: vec![rows.piece()], left_out: Vec::new(), nothing_usable });
        }
        let groups = Group::of(trials);
        let usable: usize = groups.iter().map(|group| group.usable.len()).sum();
        if usable == 0 {
            return Err(nothing_usable(trials).map_or(ExportError::NoTrials, ExportError::NoFigures));
        }
        let mut left_out = Vec::new();
        if usable < trials.len() {
            let without = trials.len() - usable;
            let those = counted_of(without, trials.len(), "trial");
            let are = if without == 1 { "is invalid or was" } else { "are invalid or were" };
            left_out.push(format!("{those} {are} not measured: in no figure"));
        }
        let pieces = match format {
            Format::Csv => unreachable!("it was written above"),
            Format::Hgrm | Format::Hlog => {
                left_out.extend(censored::left_out(groups.iter().flat_map(Group::measured), format));
                if format == Format::Hgrm { hgrm::pieces(&groups)? } else { logs.pieces(run)? }
            }
            Format::GithubActionBenchmark | Format::Bmf => {
                if run.capacity.is_some() {
                    return Err(ExportError::OfASearch);
                }
                let figures = Figures::of(&groups);
                left_out.extend(figures.left_out.iter().cloned());
                if figures.rows.is_empty() {
                    return Err(ExportError::NoFigures("no figure that this format has".to_owned()));
                }
                if format == Format::Bmf {
                    let (piece, without) = bmf::piece(&figures)?;
                    left_out.extend(without);
                    vec![piece]
                } else {
                    github_action_benchmark::pieces(&figures)
                }
            }
        };
        Ok(Export { pieces, left_out, nothing_usable: None })
    }
}

impl Format {
    /// Whether it is one file, whatever it is made of.
    #[must_use]
    pub fn is_one_file(self) -> bool {
        matches!(self, Self::Csv | Self::Bmf)
    }

    /// Whether `text` is an export in this format, and so may be replaced by another.
    #[must_use]
    pub fn is_of(self, text: &str) -> bool {
        match self {
            Self::Csv => csv::is_ours(text),
            Self::Hgrm => text.starts_with(hgrm::HEADING),
            Self::Hlog => text.starts_with(hlog::HEADING),
            Self::GithubActionBenchmark => github_action_benchmark::is_ours(text),
            Self::Bmf => bmf::is_ours(text),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
