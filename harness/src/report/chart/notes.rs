//! What has to be known to read a chart, a sentence each.

use super::gathered::{Gathered, GatheredRun};
use super::{Series, State};
use crate::figures;

/// More reasons than this are counted and not told.
const MOST_REASONS: usize = 12;

/// What the looks of points mean, as far as there are such points, and where bars are missing.
pub(super) fn of(series: &[Series]) -> Vec<String> {
    let points = || series.iter().flat_map(|series| &series.points);
    let has = |state| points().any(|point| point.state == state);
    let mut notes = Vec::new();
    let lacks_bar = |state| matches!(state, State::Valid | State::Suspect);
    if points().any(|point| lacks_bar(point.state) && point.interval.is_none()) {
        notes.push("no bar: fewer than 6 trials have this figure, or one of them lacks it".to_owned());
    }
    if has(State::Suspect) {
        notes.push("hollow: most trials are suspect, or the load generator was the bottleneck".to_owned());
    }
    if has(State::Invalid) {
        notes.push("crossed out: the trials do not count for this figure".to_owned());
    }
    notes
}

/// What is missing, each reason once and before whom it holds for; `place` says where along the x axis, and nothing of what is
/// no place of a measurement.
pub(super) fn missing(series: &[Series], place: impl Fn(f64) -> Option<String>) -> Vec<String> {
    let mut notes: Vec<(String, Whose)> = Vec::new();
    for series in series {
        let points: Vec<_> = series.points.iter().filter_map(|point| Some((point, place(point.x)?))).collect();
        let mut places: Vec<(String, Vec<String>)> = Vec::new();
        for (point, place) in points.iter().filter(|(point, _)| point.state == State::Missing) {
            let reason = point.said.first().cloned().unwrap_or_else(|| "no reason is recorded".to_owned());
            push(&mut places, reason, place.clone());
        }
        for (reason, places) in places {
            let all = places.len() == points.len();
            let at = if all { String::new() } else { format!(" at {}", joined(&places, ", ")) };
            let known = notes.iter().position(|note| note.0 == reason).unwrap_or_else(|| {
                notes.push((reason, Vec::new()));
                notes.len() - 1
            });
            push(&mut notes[known].1, at, series.backend.clone());
        }
    }
    let whose = |(at, backends): &(String, Vec<String>)| match backends.len() {
        all if all > 1 && all == series.len() => format!("all {all}{at}"),
        _ => joined(backends, ", ") + at,
    };
    let more = notes.len().saturating_sub(MOST_REASONS);
    let mut told: Vec<String> = notes
        .into_iter()
        .take(MOST_REASONS)
        .map(|(reason, all)| {
            format!("missing: {reason} ({})", joined(&all.iter().map(whose).collect::<Vec<_>>(), "; "))
        })
        .collect();
    if more > 0 {
        told.push(format!("{} more why something is missing", figures::counted(more, "reason")));
    }
    told
}

/// Who, by where.
type Whose = Vec<(String, Vec<String>)>;

fn push(notes: &mut Vec<(String, Vec<String>)>, reason: String, item: String) {
    match notes.iter_mut().find(|note| note.0 == reason) {
        Some((_, items)) => items.push(item),
        None => notes.push((reason, vec![item])),
    }
}

fn joined(items: &[String], between: &str) -> String {
    const MOST: usize = 8;
    let told = items.iter().take(MOST).cloned().collect::<Vec<_>>().join(between);
    match items.len().saturating_sub(MOST) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// Who is in none of the charts, although a file has it.
pub(super) fn outdated(names: &[String]) -> Option<String> {
    let of = "only older runs, or runs on another machine, have it";
    (!names.is_empty()).then(|| format!("not drawn: {}: {of}", joined(names, ", ")))
}

/// Which runs the points are of, where that is not one only.
pub(super) fn runs(shown: &[&GatheredRun<'_>], gathered: &Gathered<'_>) -> Option<String> {
    let is_shown = |run: &&GatheredRun<'_>| shown.iter().any(|other| std::ptr::eq(*run, *other));
    let names: Vec<String> = gathered.runs.iter().rev().filter(is_shown).map(|run| run.name.to_owned()).collect();
    (names.len() > 1)
        .then(|| format!("points come from {} runs, each of one cell from one: {}", names.len(), joined(&names, ", ")))
}
