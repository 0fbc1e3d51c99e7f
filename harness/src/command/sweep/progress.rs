//! A sweep that is under way: a bar on a terminal, and with `--json` each trial as it ends.

use std::fmt::Write;
use std::time::Duration;

use harness::plan::SweepPlan;
use harness::results::{Moved, Record, TrialRecord};
use harness::sweep::{Observer, Slot};
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use super::super::live::{self, Lines, Live};
use crate::failure::Failure;
use crate::output;

/// What is said while trials run.
#[derive(Clone, Copy)]
pub(super) struct Show {
    /// No bar.
    pub(super) quiet: bool,
    /// Each trial when it has ended, on standard output.
    pub(super) json: bool,
}

/// Says how a sweep gets on.
///
/// The bar is drawn between trials only, by the thread that runs them: whatever draws while a window is open does so with
/// CPU time of the load generator.
pub(super) struct Progress {
    /// Draws nothing where standard error is no terminal.
    bar: ProgressBar,
    /// What is said then.
    lines: Lines,
    /// The block that runs.
    block: usize,
    planned: Duration,
    /// Trials that were there before.
    finished: u64,
    json: bool,
    /// The trial that runs.
    trial: String,
    /// What is said of the widest interval.
    widest: String,
    live: Live,
    /// Whether every trial could be written to standard output; after the first that could not, none was tried.
    printed: Result<(), Failure>,
}

impl Progress {
    pub(super) fn new(plan: &SweepPlan, pending: usize, finished: usize, show: Show) -> Self {
        let planned = plan.warmup() + plan.duration();
        let left = move |state: &ProgressState, text: &mut dyn Write| {
            let done = state.pos().saturating_sub(finished as u64);
            // More may have been added since.
            let pending = state.len().unwrap_or(0).saturating_sub(finished as u64);
            let left = time_left(planned, pending, done, state.elapsed());
            // Nothing can be done about a bar that cannot be drawn.
            let _ = write!(text, "{:#}", HumanDuration(left));
        };
        let style = ProgressStyle::with_template("{pos}/{len} {bar:24} {left} left · {wide_msg}\n{prefix}");
        let bar = live::bar(Some((finished + pending) as u64), show.quiet)
            .with_style(style.expect("the template is a constant").with_key("left", left))
            .with_position(finished as u64);
        Self {
            lines: Lines::beside(&bar, show.quiet),
            block: 0,
            planned,
            finished: finished as u64,
            bar,
            json: show.json,
            trial: String::new(),
            widest: String::new(),
            live: Live::default(),
            printed: Ok(()),
        }
    }

    /// Removes the bar, and says whether all that was to be printed was.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        self.printed
    }
}

impl Observer for Progress {
    fn trial_starts(&mut self, slot: &Slot) {
        self.trial = format!("{}{} · {}", self.widest, slot.backend, slot.cell.load());
        self.bar.set_message(self.trial.clone());
        self.bar.tick();
        if self.block != slot.block {
            self.block = slot.block;
            let (ended, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let (pending, done) = (all.saturating_sub(self.finished), ended.saturating_sub(self.finished));
            // No trial is under way.
            let each = if done == 0 { self.planned } else { self.bar.elapsed().div_f64(done as f64).max(self.planned) };
            let left = HumanDuration(each.mul_f64(pending.saturating_sub(done) as f64));
            let load = slot.cell.load();
            self.lines.say(|| format!("{ended} of {all} trials ended, about {left:#} left; next: {load}"));
        }
    }

    fn gives_up(&mut self, trial: &TrialRecord) {
        let (name, why) = (&trial.backend, trial.first_reason());
        let given_up = format!("{name} failed 3 times in the same way and is not tried again before --resume: {why}");
        self.bar.suspend(|| output::say(&format!("note: {given_up}")));
    }

    fn trial_left_out(&mut self) {
        self.bar.inc(1);
    }

    fn idle_connections(&mut self, open: usize, all: usize) {
        let open = if open < all { format!(" · {open} of {all} idle connections open") } else { String::new() };
        self.bar.set_message(format!("{}{open}", self.trial));
    }

    fn round_starts(&mut self, trials: usize, half_width: f64) {
        self.bar.inc_length(trials as u64);
        if half_width.is_finite() {
            self.widest = format!("widest {} · ", harness::figures::plus_minus(half_width));
        }
    }

    fn file_moved(&mut self, moved: &Moved) {
        live::say_moved(&self.bar, moved);
    }

    fn trial_ended(&mut self, trial: &TrialRecord) {
        self.bar.set_prefix(live::fitted(&self.live.ended(trial)));
        self.bar.inc(1);
        if self.json && self.printed.is_ok() {
            // The trial is in the file; a reader who has left is no reason to stop measuring.
            self.printed = output::print_json(&Record::Trial(Box::new(trial.clone())));
        }
    }
}

/// What `pending` trials need from here on, `done` of them being over after `elapsed`: as long as planned, or as long as
/// those before them took.
fn time_left(planned: Duration, pending: u64, done: u64, elapsed: Duration) -> Duration {
    let each = planned.as_secs_f64().max(elapsed.as_secs_f64() / (done + 1) as f64);
    Duration::from_secs_f64((each * pending as f64 - elapsed.as_secs_f64()).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_known_before_the_first_trial_has_ended() {
        let second = Duration::from_secs(1);
        assert_eq!(time_left(second, 10, 0, Duration::ZERO), 10 * second);
        assert_eq!(time_left(second, 10, 4, 4 * second), 6 * second);
    }

    #[test]
    fn trials_that_take_longer_than_planned_are_expected_to_go_on_so() {
        let second = Duration::from_secs(1);
        assert_eq!(time_left(second, 10, 4, 10 * second), 10 * second);
        assert_eq!(time_left(second, 1, 1, 5 * second), Duration::ZERO);
    }
}
