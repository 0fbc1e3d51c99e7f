//! A search that is under way: how much of its time is spent, and what is tried.

use std::time::{Duration, Instant};

use harness::capacity::Observer;
use harness::figures;
use harness::plan::CapacityPlan;
use harness::results::{Moved, TrialRecord};
use harness::sweep::Slot;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::super::live::{self, Lines, Live};

/// Says how a search gets on, between trials only; draws nothing where standard error is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    lines: Lines,
    repeats: usize,
    live: Live,
    /// Of at most so long.
    most: String,
    since: Instant,
}

impl Progress {
    pub(super) fn new(plan: &CapacityPlan, is_quiet: bool) -> Self {
        let style = ProgressStyle::with_template(live::TEMPLATE_BELOW).expect("the template is a constant");
        let most = plan.budget().map_or(String::new(), |budget| format!(" of at most {:#}", HumanDuration(budget)));
        let bar = live::bar(None, is_quiet).with_style(style);
        Self {
            lines: Lines::beside(&bar, is_quiet),
            bar,
            repeats: plan.repeats,
            live: Live::default(),
            most,
            since: Instant::now(),
        }
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
        let (spent, left) = (HumanDuration(self.since.elapsed()), HumanDuration(left));
        let text = format!(
            "{spent:#}{} · about {left:#} left · {} · {rate} · {of} · {} trials",
            self.most,
            slot.backend,
            self.bar.position()
        );
        self.bar.set_message(text.clone());
        self.bar.tick();
        self.lines.say(|| text);
    }

    fn file_moved(&mut self, moved: &Moved) {
        live::say_moved(&self.bar, moved);
    }

    fn trial_ended(&mut self, trial: &TrialRecord) {
        self.bar.set_prefix(live::fitted(&self.live.ended(trial)));
        self.bar.inc(1);
    }
}
