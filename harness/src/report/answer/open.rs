//! What could not be concluded, why, and what to do about it.

use super::merge::{Located, neighbours};
use super::place::Places;
use super::standing::{Order, Standing};
use super::words::{Wording, at_most, list, ratio, reason};
use crate::figures;
use crate::plan::Cell;
use crate::report::selection::Run;
use crate::results::{Outcome, TrialRecord, Verdict};
use crate::statistics::MIN_BLOCKS;

/// Beyond so many of a kind nobody reads on.
const MOST: usize = 5;

/// Adds what is not known by one metric.
pub(super) fn say(standings: &[Located<Standing>], places: &Places, open: &mut Vec<String>) {
    let Some(first) = standings.first() else { return };
    let words = Wording::of(first.what.metric, &first.cell);
    let mut sentences = Vec::new();
    for why in [unknown_order as fn(&Standing, &Wording) -> Option<String>, client_bound, doubtful] {
        let stretches = neighbours(standings, places, |standing| why(standing, &words));
        let said = stretches.iter().filter_map(|stretch| {
            let start = places.sentence_start(&stretch[0].cell, &stretch[stretch.len() - 1].cell);
            why(&stretch[0].what, &words).map(|rest| format!("{start} {rest}."))
        });
        let said: Vec<String> = said.collect();
        let rest = said.len().saturating_sub(MOST);
        sentences.extend(said.into_iter().take(MOST));
        if rest > 0 {
            sentences.push(format!("{} of the kind in {}: see the table.", figures::counted(rest, "more gap"), words.name));
        }
    }
    open.extend(sentences);
}

/// Why nobody is known to be ahead.
fn unknown_order(standing: &Standing, words: &Wording) -> Option<String> {
    let (name, prize) = (words.name, &words.prize);
    match &standing.order {
        Order::Wide { reach } => Some(format!(
            "nobody can be told from the others by {name}, and differences of up to {} would not be seen: ask for more \
             trials (--until 5), on a quieter machine",
            at_most(*reach)
        )),
        Order::TooFew { blocks } => Some(format!(
            "who is ahead in {name} is not known: {}, and an interval needs at least {MIN_BLOCKS} (--trials {MIN_BLOCKS})",
            figures::counted(*blocks, "block")
        )),
        Order::Held { best, ahead } => Some(format!(
            "nobody is known to have {prize}: the load generator was the limit of {}, which came out ahead of {best} all the \
             same; give it more CPUs (--client-cpus)",
            list(ahead)
        )),
        Order::Distrusted { backend, itself } => Some(format!(
            "{backend} differs from itself by {} in {name}, so no difference there is to be believed: ask for more trials, \
             on a quieter machine",
            ratio(itself)
        )),
        Order::Nothing | Order::Led(_) | Order::Tie { .. } => None,
    }
}

fn client_bound(standing: &Standing, words: &Wording) -> Option<String> {
    if standing.client_bound.is_empty() || matches!(standing.order, Order::Held { .. }) {
        return None;
    }
    Some(format!(
        "the load generator was the limit of {}, whose {} might be better: give it more CPUs (--client-cpus); CPU time per \
         request still compares",
        list(&standing.client_bound),
        words.name
    ))
}

/// Said of the first metric only: the trials are the same.
fn doubtful(standing: &Standing, _: &Wording) -> Option<String> {
    let is_first = standing.metric.needs_an_idle_client();
    (is_first && !standing.doubtful.is_empty()).then(|| {
        let names = list(&standing.doubtful);
        format!("most trials of {names} are suspect, so that what is said of them may not hold: see the verdicts")
    })
}

/// Adds which backends have no figures where others have, and why.
pub(super) fn unmeasured(cells: &[(Cell, Run<'_>)], places: &Places, open: &mut Vec<String>) {
    let mut entrants: Vec<String> = Vec::new();
    for backend in cells.iter().flat_map(|(_, run)| &run.record.plan.backends) {
        if !entrants.contains(backend) {
            entrants.push(backend.clone());
        }
    }
    let mut sentences = Vec::new();
    for backend in &entrants {
        let of = |(cell, run): &(Cell, Run<'_>)| {
            let what = gap(backend, cell, run).filter(|_| run.record.plan.backends.contains(backend));
            Located { cell: cell.clone(), what }
        };
        let gaps: Vec<Located<Option<String>>> = cells.iter().map(of).collect();
        let everywhere = gaps.iter().all(|gap| gap.what == gaps[0].what);
        if let (true, Some(Some(why))) = (everywhere, gaps.first().map(|gap| &gap.what)) {
            sentences.push(format!("{why}."));
            continue;
        }
        for stretch in neighbours(&gaps, places, Clone::clone) {
            let start = places.sentence_start(&stretch[0].cell, &stretch[stretch.len() - 1].cell);
            sentences.extend(stretch[0].what.as_ref().map(|why| format!("{start} {why}.")));
        }
    }
    let rest = sentences.len().saturating_sub(2 * MOST);
    open.extend(sentences.into_iter().take(2 * MOST));
    if rest > 0 {
        open.push(format!("{} stand in the table.", figures::counted(rest, "more gap")));
    }
}

/// Why a backend has too little to be judged by; none where it has enough.
fn gap(backend: &str, cell: &Cell, run: &Run<'_>) -> Option<String> {
    let own: Vec<&TrialRecord> =
        run.trials.iter().filter(|trial| trial.backend == backend && trial.cell == *cell).collect();
    let counts = |trial: &&&TrialRecord| trial.verdict != Verdict::Invalid && trial.measured.is_some();
    let usable = own.iter().filter(counts).count();
    let why = || {
        let failed = own.iter().find(|trial| trial.verdict == Verdict::Invalid || trial.measured.is_none());
        let text = failed.and_then(|trial| trial.error.as_ref().or(trial.reasons.first()));
        text.map_or("no reason is recorded".to_owned(), |text| reason(text))
    };
    if own.is_empty() {
        return Some(format!("{backend} was not measured: the run ended before it"));
    }
    if own.iter().all(|trial| trial.outcome == Outcome::Unavailable) {
        return Some(format!("{backend} cannot run there: {}", why()));
    }
    if usable == 0 {
        return Some(format!("no trial of {backend} counts: {}", why()));
    }
    (usable * 2 < own.len()).then(|| format!("fewer than half of the trials of {backend} count: {}", why()))
}
