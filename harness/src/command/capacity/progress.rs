//! A search that is under way: how much of its time is spent, and what is tried.

use std::time::Duration;

use harness::capacity::Observer;
use harness::figures;
use harness::plan::CapacityPlan;
use harness::results::TrialRecord;
use harness::sweep::Slot;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(500);

/// Says how a search gets on; draws nothing where standard error is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    repeats: usize,
}

impl Progress {
    pub(super) fn new(plan: &CapacityPlan) -> Self {
        let style = ProgressStyle::with_template("{elapsed} of at most {prefix} · {pos} trials · {wide_msg}");
        let bar = ProgressBar::no_length()
            .with_style(style.expect("the template is a constant"))
            .with_prefix(format!("{:#}", HumanDuration(plan.budget())));
        bar.enable_steady_tick(TICK);
        Self { bar, repeats: plan.repeats }
    }

    /// Removes it.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn trial_starts(&mut self, slot: &Slot, repeats: usize) {
        let rate =
            slot.cell.rate_rps.map_or("closed loop".to_owned(), |rps| format!("{}/s", figures::grouped(rps.round())));
        let of = format!("{repeats} of {} repeats done", self.repeats);
        self.bar.set_message(format!("{} · {rate} · {of}", slot.backend));
    }

    fn trial_ended(&mut self, _: &TrialRecord) {
        self.bar.inc(1);
    }
}
