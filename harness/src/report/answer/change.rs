//! Sentences on what changed from one run to the next: one for each mark in a history.

use super::Answer;
use super::words::{Wording, ratio};
use crate::figures;
use crate::report::history::{self, Compared};
use crate::report::selection::{Run, Selection, started};
use crate::statistics::{Row, Word};

/// Beyond so many nobody reads on.
const MOST: usize = 5;

/// Adds what changed, the newest first: as findings what the newest run changed, and apart from them what others did.
pub(super) fn say(selection: &Selection<'_>, answer: &mut Answer) {
    let compared = selection.history();
    let changes = compared.iter().flat_map(|compared| {
        compared.rows.iter().filter(|row| history::is_change(row)).map(move |row| (compared, row))
    });
    let (mut said, mut rest) = (0, 0);
    for (compared, row) in changes {
        if said == MOST {
            rest += 1;
            continue;
        }
        said += 1;
        let is_newest = selection.runs.first().is_some_and(|newest| std::ptr::eq(newest.record, compared.run.record));
        let to = if is_newest { &mut answer.findings } else { &mut answer.changes };
        to.push(sentence(compared, row, selection));
    }
    if rest > 0 {
        let (is, changes) = (if rest == 1 { "is" } else { "are" }, figures::counted(rest, "more change"));
        answer.changes.push(format!("There {is} {changes}; see the marks of the charts over time."));
    }
}

fn sentence(Compared { run, .. }: &Compared<'_>, row: &Row, selection: &Selection<'_>) -> String {
    let (since, backend, place) = (since(run, selection), &row.backend, place(row, run));
    let elsewhere = if selection.is_elsewhere(run.record) { ", on another machine than the newest run," } else { "" };
    let start = format!("Since {since}{elsewhere} {backend}");
    let words = Wording::of(row.comparison.metric, &row.cell);
    match (row.word, &row.comparison.estimate) {
        (Word::Lost, _) if row.lost_its_rate() => {
            format!("{start} misses the rate, which it met in the run before, {place}.")
        }
        (Word::Lost, _) => format!("{start} works no more, {place}."),
        (_, estimate) => {
            let by = estimate.as_ref().map(ratio).unwrap_or_default();
            format!("{start} {} {by} {} the run before, {place}.", words.verb, words.of)
        }
    }
}

/// `at 64 connections, payload 64 B, depth 1`: by all that a run may vary.
fn place(row: &Row, run: &Run<'_>) -> String {
    let cells = run.record.plan.cells();
    super::Places::of(&cells.iter()).full(&row.cell)
}

/// The date of a run; where another one began on the same day, with the time.
fn since(run: &Run<'_>, selection: &Selection<'_>) -> String {
    let of = |run: &Run<'_>| started(run.record).map(|started| started.to_string()).unwrap_or_default();
    let own = of(run);
    let (Some(date), Some(minute)) = (own.get(..10), own.get(11..16)) else { return run.record.started.clone() };
    let same_day = selection.all.iter().filter(|other| of(other).starts_with(date)).count();
    if same_day > 1 { format!("{date} {minute} UTC") } else { date.to_owned() }
}
