//! What a backend did in a cell, as a point: its figure, whether to believe it, and what there is to be said of it.

use super::Figure;
use crate::figures;
use crate::report::chart::group::{Group, Standing};
use crate::report::chart::{Point, State};
use crate::results::{Fate, is_plausible};
use crate::statistics::{Remark, Void};

impl Figure {
    /// What a backend did in a cell, at `x`.
    pub(in crate::report::chart) fn point(self, group: &Group<'_>, x: f64) -> Point {
        let missing = |mut said: Vec<String>| {
            said.extend(remarks(group));
            Point { x, y: None, interval: None, state: State::Missing, said }
        };
        if group.standing == Standing::Missing {
            let said = if group.summary.trials == 0 { vec!["not measured".to_owned()] } else { Vec::new() };
            return missing(said);
        }
        let value = match self.of_group(group) {
            Ok(value) => value,
            Err(reason) => return missing(vec![format!("{}: {reason}", self.label(&group.cell))]),
        };
        if !is_plausible(value) {
            return missing(vec![format!("{}: what the file says is not plausible", self.label(&group.cell))]);
        }
        let (state, reasons) = self.judged(group);
        let interval = if state == State::Invalid { None } else { self.interval(group) };
        let bar = interval.map_or(String::new(), |ends| format!(" [{}]", ends.map(|end| self.text(end)).join(", ")));
        let mut said = vec![format!("{} {}{bar}", self.label(&group.cell), self.text(value))];
        said.push(match group.standing {
            Standing::Invalid => format!("none of {} counts", figures::counted(group.summary.trials, "trial")),
            _ if group.measured.len() == group.summary.trials => figures::counted(group.summary.trials, "trial"),
            _ => format!("{} of {}", group.measured.len(), figures::counted(group.summary.trials, "trial")),
        });
        said.extend(reasons);
        said.extend(remarks(group));
        Point { x, y: Some(value), interval, state, said }
    }

    fn judged(self, group: &Group<'_>) -> (State, Option<String>) {
        let is_latency = self.percentile().is_some();
        if group.standing == Standing::Invalid {
            return (State::Invalid, None);
        }
        if is_latency && group.bounds.rate {
            return (
                State::Invalid,
                Some(format!("{}: how late answers were says how long it was watched", Void::Rate.text())),
            );
        }
        if self.needs_an_idle_client() && group.bounds.client {
            return (State::Suspect, Some(format!("{}: the server might have done more", Void::Client.text())));
        }
        (if group.is_doubtful(self.needs_an_idle_client()) { State::Suspect } else { State::Valid }, None)
    }
}

/// Why trials are not what they should be, a line each.
fn remarks(group: &Group<'_>) -> impl Iterator<Item = String> {
    let all = group.summary.trials;
    group.summary.remarks.iter().map(move |Remark { fate, reason, trials }| match fate {
        Fate::Unavailable => format!("{fate}: {reason}"),
        _ => format!("{fate}, {trials} of {all}: {reason}"),
    })
}
