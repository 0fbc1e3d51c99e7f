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
        let style = ProgressStyle::with_template("{elapsed}{prefix} · {pos} trials · {wide_msg}");
        let most = plan.budget().map_or(String::new(), |budget| format!(" of at most {:#}", HumanDuration(budget)));
        let style = style.expect("the template is a constant");
        let bar = ProgressBar::no_length().with_style(style).with_prefix(most);
        bar.enable_steady_tick(TICK);
        Self { bar, repeats: plan.repeats }
    }

    /// Removes it.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn trial_starts(&mut self, slot: &Slot, repeats: usize, left: Duration) {
        let rate =
            slot.cell.rate_rps.map_or("closed loop".to_owned(), |rps| format!("{}/s", figures::grouped(rps.round())));
        let of = format!("{repeats} of {} repeats done", self.repeats);
        let left = HumanDuration(left);
        self.bar.set_message(format!("about {left:#} left · {} · {rate} · {of}", slot.backend));
    }

    fn trial_ended(&mut self, _: &TrialRecord) {
        self.bar.inc(1);
    }
}
