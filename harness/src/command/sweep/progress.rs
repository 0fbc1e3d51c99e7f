//! A sweep that is under way: a bar on a terminal, and with `--json` each trial as it ends.

use std::time::Duration;

use harness::results::{Record, TrialRecord};
use harness::sweep::{Observer, Slot};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::output;

/// How often the time left is brought up to date; redrawing costs the client's CPU next to nothing.
const TICK: Duration = Duration::from_millis(500);

/// Says how a sweep gets on.
pub(super) struct Progress {
    /// Draws nothing where standard error is no terminal.
    bar: ProgressBar,
    json: bool,
    /// The first failure to write a trial to standard output; there was no other after it.
    failure: Option<Failure>,
}

impl Progress {
    pub(super) fn new(trials: usize, finished: usize, json: bool) -> Self {
        let style = ProgressStyle::with_template("{pos}/{len} {wide_bar} {eta} left · {msg}");
        let bar = ProgressBar::new(trials as u64)
            .with_style(style.expect("the template is a constant"))
            .with_position(finished as u64);
        bar.reset_eta();
        bar.enable_steady_tick(TICK);
        Self { bar, json, failure: None }
    }

    /// Removes the bar.
    pub(super) fn finish(self) -> Option<Failure> {
        self.bar.finish_and_clear();
        self.failure
    }
}

impl Observer for Progress {
    fn trial_starts(&mut self, slot: &Slot) {
        self.bar.set_message(format!("{} · {}", slot.backend, slot.cell.load()));
    }

    fn trial_ended(&mut self, trial: &TrialRecord) {
        self.bar.inc(1);
        if self.json && self.failure.is_none() {
            // The trial is in the file; a reader who has left is no reason to stop measuring.
            self.failure = output::print_json(&Record::Trial(Box::new(trial.clone()))).err();
        }
    }
}
