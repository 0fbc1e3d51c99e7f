//! What is said below a bar of the trials that have ended.

use std::time::{Duration, Instant};

use harness::figures;
use harness::plan::Cell;
use harness::results::{Moved, TrialRecord, WriteError, Writer};
use harness::statistics::Spread;
use indicatif::{ProgressBar, ProgressDrawTarget};

use crate::output;

/// A line for what runs and one for what ended.
pub(super) const TEMPLATE_BELOW: &str = "{wide_msg}\n{prefix}";

/// Of `length` trials, if that is known. It is drawn nowhere where that is asked for, or standard error is no terminal.
pub(super) fn bar(length: Option<u64>, is_quiet: bool) -> ProgressBar {
    let target = if is_quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    ProgressBar::with_draw_target(length, target)
}

/// How often a line is written where no bar can be drawn: a log is not to be filled, nor its reader left to wonder.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Lines on standard error in place of a bar, each of which begins with `progress: `.
#[derive(Debug)]
pub(super) struct Lines {
    is_on: bool,
    last: Instant,
}

impl Lines {
    /// None are written where the bar is drawn, or where quiet is asked for.
    pub(super) fn beside(bar: &ProgressBar, is_quiet: bool) -> Self {
        Self { is_on: bar.is_hidden() && !is_quiet, last: Instant::now() }
    }

    /// Says how it gets on, unless that was said not long ago.
    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        if self.is_due(Instant::now()) {
            output::say(&format!("progress: {}", text()));
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.is_on && now.saturating_duration_since(self.last) >= LINE_INTERVAL;
        if is_due {
            self.last = now;
        }
        is_due
    }
}

/// `text`, as much of it as fits in a line of the terminal.
pub(super) fn fitted(text: &str) -> String {
    let columns = console::Term::stderr().size().1;
    console::truncate_str(text, columns.into(), "…").into_owned()
}

/// Says where the results are now, above the bar.
pub(super) fn say_moved(bar: &ProgressBar, moved: &Moved) {
    bar.suspend(|| output::say(&format!("warning: {moved}")));
}

/// Sees that what was written is in a file, before it is named for the last time.
pub(super) fn settle(writer: &mut Writer) -> Result<(), WriteError> {
    if let Some(moved) = writer.settle()? {
        output::say(&format!("warning: {moved}"));
    }
    Ok(())
}

/// Figures of the trials so far.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Of each backend in each cell: cells take turns.
    throughputs_rps: Vec<(Cell, String, Vec<f64>)>,
}

impl Live {
    /// What to say when `trial` has ended: its figures, and the median of its backend in this cell so far.
    pub(super) fn ended(&mut self, trial: &TrialRecord) -> String {
        let Some(measured) = &trial.measured else {
            let why = trial.first_reason().replace('\n', " ");
            return format!("last: {} without figures: {why}", trial.backend);
        };
        let mut parts = vec![format!("last: {} {}/s", trial.backend, figures::grouped(measured.throughput_rps))];
        parts.extend(self.median(trial, measured.throughput_rps));
        if let Some(ns) = measured.server.as_ref().and_then(|server| server.cpu_ns_per_request) {
            parts.push(format!("{} CPU/request", figures::duration(ns)));
        }
        parts.push(trial.verdict.to_string());
        parts.join(" · ")
    }

    /// Of what the table will be made of; nothing before the second.
    fn median(&mut self, trial: &TrialRecord, throughput_rps: f64) -> Option<String> {
        let is_same = |(cell, backend, _): &(Cell, String, _)| *cell == trial.cell && *backend == trial.backend;
        let place = self.throughputs_rps.iter().position(is_same).unwrap_or_else(|| {
            self.throughputs_rps.push((trial.cell.clone(), trial.backend.clone(), Vec::new()));
            self.throughputs_rps.len() - 1
        });
        let seen = &mut self.throughputs_rps[place].2;
        if trial.is_usable() {
            seen.push(throughput_rps);
        }
        let median = Spread::of(seen.clone()).filter(|_| seen.len() > 1)?.median;
        Some(format!("median {}/s of {}", figures::grouped(median), seen.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_now_and_then_and_none_where_quiet_is_asked_for() {
        let bar = ProgressBar::hidden();
        let mut lines = Lines::beside(&bar, false);
        let begun = lines.last;
        let due = |lines: &mut Lines, s| lines.is_due(begun + Duration::from_secs(s));
        assert_eq!([4, 5, 9, 10, 60].map(|s| due(&mut lines, s)), [false, true, false, true, true]);
        let mut quiet = Lines::beside(&bar, true);
        assert!(!due(&mut quiet, 3600));
    }
}
