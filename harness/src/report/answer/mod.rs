//! The answer in words.
//!
//! A sentence is never stronger than the data: a ratio stands with its interval, a tie with how large a difference it may
//! hide, and what cannot be said stands in [`Answer::open`] with what to do about it.

mod capacity;
mod change;
mod crossing;
mod finding;
mod lone;
mod merge;
mod open;
pub(super) mod place;
mod rate;
mod standing;
pub(super) mod words;

use serde::Serialize;

use self::merge::Located;
use self::place::Places;
use self::standing::Standing;
use super::selection::{Run, Selection};
use crate::figures;
use crate::plan::Cell;
use crate::results::TrialRecord;
use crate::statistics::{CONFIDENCE, MetricRanking, Ranking, rank_together};

/// What can be said, what changes along the way, and what cannot be concluded. Sentences, each with its full stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// Who is ahead, by how much and how sure that is.
    pub findings: Vec<String>,
    /// What a reader of the findings has to know, and no answer by itself.
    pub notes: Vec<String>,
    /// Where the order changes.
    pub crossovers: Vec<String>,
    /// What earlier runs changed; what the newest did is among the findings.
    pub changes: Vec<String>,
    /// What could not be concluded, and why.
    pub open: Vec<String>,
}

/// One metric in one cell.
struct Ranked {
    cell: Cell,
    by: MetricRanking,
}

/// Says what the runs came to.
#[must_use]
pub fn of(selection: &Selection<'_>) -> Answer {
    let mut answer = Answer::default();
    let speakers = selection.speakers();
    let places = Places::of(&speakers.iter().flat_map(|speaker| &speaker.cells));
    let cells: Vec<(Cell, Run<'_>)> =
        speakers.iter().flat_map(|one| one.cells.iter().map(|cell| (cell.clone(), one.run))).collect();
    // What is said holds together, whichever file it comes from; what is not said takes no part.
    let shown = speakers.iter().map(|speaker| (&speaker.run.record.plan, &speaker.trials, speaker.cells.as_slice()));
    let Ranking { family, cells: ranked } = rank_together(shown);
    // What is asked first comes first: how fast, and then what it costs.
    let [mut speed, mut cost] = [Vec::new(), Vec::new()];
    for ranking in ranked {
        let mut by = ranking.by.into_iter();
        let ranked = |by| Ranked { cell: ranking.cell.clone(), by };
        speed.extend(by.next().map(&ranked));
        cost.extend(by.next().map(&ranked));
    }
    for ranked in [&speed, &cost] {
        for group in by_metric(ranked) {
            say(&group, &places, &mut answer);
        }
    }
    rate::say(&cells, &places, &mut answer);
    lone::say(&speakers, &places, &mut answer.findings);
    change::say(selection, &mut answer);
    if !answer.findings.is_empty() && has_intervals(speed.iter().chain(&cost)) {
        answer.notes.push(format!(
            "The intervals of {} hold together in {} of runs.",
            if family == 1 { "the one comparison".to_owned() } else { figures::counted(family, "comparison") },
            figures::percent(CONFIDENCE)
        ));
    }
    if cells.iter().any(|(cell, run)| cell.rate_rps.is_none() && run.record.plan.backends.len() > 1) {
        answer.notes.push(SERVICE_TIMES.to_owned());
    }
    open::unmeasured(&speakers, &places, &mut answer.open);
    open::strangers(&selection.runs, &mut answer.open);
    let searched = selection.searched();
    for one in &searched {
        capacity::say(one, searched.len() > 1, &mut answer);
    }
    let is_measured = |trial: &TrialRecord| trial.measured.is_some();
    let has_figures = speakers.iter().any(|one| one.cells.iter().any(|cell| one.trials.in_cell(cell).any(is_measured)))
        || selection.searches().any(|run| run.trials.iter().any(is_measured));
    if !has_figures {
        let is_any = selection.runs.iter().any(|run| run.trials.iter().any(is_measured));
        let what = if is_any { "Nothing of the plan was measured" } else { "Nothing was measured" };
        answer.open.insert(0, format!("{what}, so nothing can be said."));
    } else if answer.findings.is_empty() && selection.runs.iter().any(|run| run.record.plan.backends.len() > 1) {
        answer.findings.push("No backend is known to be ahead.".to_owned());
    }
    answer
}

/// Of a closed loop latency is drawn and not ranked. To rank it would widen every interval, for a figure that says next to
/// nothing beside the requests: how many are in flight is set, and so the mean follows from them.
const SERVICE_TIMES: &str = "Service times of a closed loop (p50, p99) are shown and not ranked: a connection that waits for \
                             its answer asks for nothing meanwhile, so their mean follows from requests/s, and a server that \
                             stalls is asked less while it does. To compare latencies, ask for a rate (--rate).";

/// Everything about one metric.
fn say(ranked: &[&Ranked], places: &Places, answer: &mut Answer) {
    let standings: Vec<Located<Standing>> =
        ranked.iter().map(|ranked| Located { cell: ranked.cell.clone(), what: Standing::of(&ranked.by) }).collect();
    finding::say(&standings, places, &mut answer.findings);
    answer.notes.extend(finding::noise(&standings));
    crossing::say(ranked, &standings, places, &mut answer.crossovers);
    open::say(&standings, places, &mut answer.open);
}

/// Latencies of a rate are told apart from throughputs of a closed loop.
fn by_metric(ranked: &[Ranked]) -> Vec<Vec<&Ranked>> {
    let mut groups: Vec<Vec<&Ranked>> = Vec::new();
    for one in ranked {
        let is_same = |group: &&mut Vec<&Ranked>| group[0].by.metric == one.by.metric;
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

fn has_intervals<'a>(mut ranked: impl Iterator<Item = &'a Ranked>) -> bool {
    ranked.any(|ranked| ranked.by.pairs.iter().any(|(_, _, pair)| pair.interval().is_some()))
}

#[cfg(test)]
mod tests;
