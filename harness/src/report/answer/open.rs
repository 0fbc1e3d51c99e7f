//! What could not be concluded, why, and what to do about it.

use super::merge::{Located, Told, told};
use super::place::Places;
use super::standing::{Order, Standing};
use super::words::{Wording, at_most, list, ratio, reason};
use crate::figures;
use crate::plan::Cell;
use crate::report::selection::{Run, Speaker};
use crate::results::{Fate, TrialRecord};
use crate::statistics::{MIN_BLOCKS, Sorted};

/// Beyond so many of a kind nobody reads on.
const MOST: usize = 5;

/// Beyond so many stretches of the same kind, cells are taken together wherever they are.
const FEW: usize = 2;

/// Adds what is not known by one metric.
pub(super) fn say(standings: &[Located<Standing>], places: &Places, open: &mut Vec<String>) {
    let Some(first) = standings.first() else { return };
    let words = Wording::of(first.what.metric, &first.cell);
    let mut sentences = Vec::new();
    for Told { start, cells, .. } in told(standings, places, FEW, |standing| Unknown::of(&standing.order)) {
        sentences.extend(unknown_order(&cells, &words).map(|rest| format!("{start}, {rest}.")));
    }
    for Told { start, cells, .. } in told(standings, places, FEW, client_bound) {
        sentences.push(format!(
            "{start}, the load generator was the limit of {}, whose {} might be better: give it more CPUs (--client-cpus); \
             CPU time per request still compares.",
            list(&cells[0].what.client_bound),
            words.name
        ));
    }
    let rest = sentences.len().saturating_sub(MOST);
    open.extend(sentences.into_iter().take(MOST));
    if rest > 0 {
        open.push(format!("{} in {} {} in the table.", figures::counted(rest, "more gap"), words.name, stand(rest)));
    }
    // The trials are the same for the other metric.
    if first.what.metric.needs_an_idle_client() {
        open.extend(doubtful(standings, places));
    }
}

fn stand(things: usize) -> &'static str {
    if things == 1 { "stands" } else { "stand" }
}

/// Which kind of not knowing, and of whom.
#[derive(PartialEq)]
enum Unknown {
    Wide,
    Which(Vec<String>),
    Circle,
    TooFew,
    Held { best: String, ahead: Vec<String> },
    Distrusted(String),
}

impl Unknown {
    fn of(order: &Order) -> Option<Self> {
        Some(match order {
            Order::Wide { .. } => Self::Wide,
            Order::Led(lead) if lead.is_wide() => Self::Which(lead.leaders.clone()),
            Order::Circle => Self::Circle,
            Order::TooFew { .. } => Self::TooFew,
            Order::Held { best, ahead } => Self::Held { best: best.clone(), ahead: ahead.clone() },
            Order::Distrusted { backend, .. } => Self::Distrusted(backend.clone()),
            Order::Nothing | Order::Led(_) | Order::Tie { .. } => return None,
        })
    }
}

/// Why nobody is known to be ahead, in cells that do not know it for the same reason.
fn unknown_order(cells: &[Located<Standing>], words: &Wording) -> Option<String> {
    let (name, prize) = (words.name, &words.prize);
    let orders = || cells.iter().map(|at| &at.what.order);
    Some(match orders().next()? {
        Order::Wide { .. } => {
            let reach =
                orders().filter_map(|order| if let Order::Wide { reach } = order { Some(*reach) } else { None });
            let unseen = unseen(reach.fold(1.0, f64::max));
            format!("nobody can be told from the others by {name}, and {unseen}")
        }
        Order::Led(lead) if lead.is_wide() => {
            let reach =
                orders().filter_map(|order| if let Order::Led(lead) = order { Some(lead.tie_reach) } else { None });
            let unseen = unseen(reach.fold(1.0, f64::max));
            format!("it is not known which of {} {}: {unseen}", list(&lead.leaders), words.superlative)
        }
        Order::Circle => format!(
            "the differences in {name} contradict each other, so nobody is known to be ahead: ask for more trials \
             (--until 5), on a quieter machine"
        ),
        Order::TooFew { .. } => {
            let blocks =
                orders().filter_map(|order| if let Order::TooFew { blocks } = order { Some(*blocks) } else { None });
            let most = blocks.max().unwrap_or(0);
            format!(
                "who is ahead in {name} is not known: {} at most count for two, and an interval needs {MIN_BLOCKS} \
                 (more --trials)",
                figures::counted(most, "block")
            )
        }
        Order::Held { best, ahead } => format!(
            "nobody is known to have {prize}: the load generator was the limit of {}, which came out ahead of {best} all the \
             same; give it more CPUs (--client-cpus)",
            list(ahead)
        ),
        Order::Distrusted { backend, itself } => {
            let by = if cells.len() == 1 { format!(" by {}", ratio(itself)) } else { String::new() };
            format!(
                "{backend} differs from itself{by} in {name}, so no difference there is to be believed: ask for more trials, \
                 on a quieter machine"
            )
        }
        Order::Nothing | Order::Led(_) | Order::Tie { .. } => return None,
    })
}

/// How little can be seen, and what to do about it.
fn unseen(reach: f64) -> String {
    // Beyond a factor of ten the bound says that nothing is known, and its digits would say more.
    let size = if reach <= 10.0 { format!("up to {}", at_most(reach)) } else { "any size".to_owned() };
    format!("differences of {size} would not be seen: ask for more trials (--until 5), on a quieter machine")
}

fn client_bound(standing: &Standing) -> Option<Vec<String>> {
    let is_said = standing.client_bound.is_empty() || matches!(standing.order, Order::Held { .. });
    (!is_said).then(|| standing.client_bound.clone())
}

/// Whose trials are mostly suspect, in one sentence: where it differs from cell to cell, in how many.
fn doubtful(standings: &[Located<Standing>], places: &Places) -> Option<String> {
    let names = |standing: &Standing| (!standing.doubtful.is_empty()).then(|| standing.doubtful.clone());
    let all = told(standings, places, 1, names);
    let so = "so that what is said of them may not hold: see the verdicts";
    match all.as_slice() {
        [] => None,
        [Told { start, cells, .. }] => {
            let names = list(&cells[0].what.doubtful);
            Some(format!("{start}, most trials of {names} are suspect, {so}."))
        }
        _ => {
            let mut counts: Vec<(&String, usize)> = Vec::new();
            for name in standings.iter().flat_map(|at| &at.what.doubtful) {
                match counts.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((name, 1)),
                }
            }
            let of: Vec<String> = counts.iter().map(|(name, count)| format!("{name} in {count}")).collect();
            let cells = figures::counted(standings.len(), "cell");
            Some(format!("Of {cells}, most trials of {} are suspect, {so}.", list(&of)))
        }
    }
}

/// Adds which backends have no figures where others have, and why.
pub(super) fn unmeasured(speakers: &[Speaker<'_>], places: &Places, open: &mut Vec<String>) {
    let mut entrants: Vec<String> = Vec::new();
    for backend in speakers.iter().flat_map(|speaker| &speaker.run.record.plan.backends) {
        if !entrants.contains(backend) {
            entrants.push(backend.clone());
        }
    }
    // Once, not for each gap: a plan may have thousands of cells.
    let ended: Vec<bool> = speakers.iter().map(|speaker| lacks_its_end(&speaker.run)).collect();
    let mut sentences = Vec::new();
    for backend in &entrants {
        let mut gaps: Vec<Located<Option<String>>> = Vec::new();
        for (Speaker { run, cells, trials }, ended) in speakers.iter().zip(&ended) {
            let is_planned = run.record.plan.backends.contains(backend);
            let what = |cell: &Cell| match trials.of_backend(backend, cell) {
                _ if !is_planned => None,
                [] if *ended && nobody_had_two_turns(run, trials, cell) => {
                    Some(format!("{backend} was not measured: the run ended before it"))
                }
                [] => Some(format!("{backend} was not measured: no trial of it is in the file")),
                own => gap(backend, own),
            };
            gaps.extend(cells.iter().map(|cell| Located { cell: cell.clone(), what: what(cell) }));
        }
        let everywhere = gaps.iter().all(|gap| gap.what == gaps[0].what);
        if let (true, Some(Some(why))) = (everywhere, gaps.first().map(|gap| &gap.what)) {
            sentences.push(format!("{why}."));
            continue;
        }
        for Told { start, cells, .. } in told(&gaps, places, FEW, Clone::clone) {
            sentences.extend(cells[0].what.as_ref().map(|why| format!("{start}, {why}.")));
        }
    }
    let rest = sentences.len().saturating_sub(2 * MOST);
    open.extend(sentences.into_iter().take(2 * MOST));
    if rest > 0 {
        open.push(format!("{} {} in the table.", figures::counted(rest, "more gap"), stand(rest)));
    }
}

/// Whether trials are missing at its end.
fn lacks_its_end(run: &Run<'_>) -> bool {
    run.trials.iter().map(|trial| trial.trial).max().unwrap_or(0) < run.planned()
}

/// Before the second turn of anybody in a cell, everybody has a first.
fn nobody_had_two_turns(run: &Run<'_>, trials: &Sorted<'_>, cell: &Cell) -> bool {
    run.record.plan.entrants().iter().all(|entrant| trials.of_backend(entrant, cell).len() < 2)
}

/// Adds which runs have trials that are in no figure.
pub(super) fn strangers(runs: &[Run<'_>], open: &mut Vec<String>) {
    let all: Vec<(&Run<'_>, usize)> =
        runs.iter().map(|run| (run, run.strangers())).filter(|(_, count)| *count > 0).collect();
    let said = |(run, count): &(&Run<'_>, usize)| {
        let whose = if runs.len() > 1 { format!("{}: ", run.file) } else { String::new() };
        let (trials, are) = (figures::counted(*count, "trial"), if *count == 1 { "is" } else { "are" });
        format!("{whose}{trials} {are} of no cell or backend of the plan and {are} left out.")
    };
    open.extend(all.iter().take(MOST).map(said));
    if all.len() > MOST {
        open.push(format!("So it is in {}.", figures::counted(all.len() - MOST, "more file")));
    }
}

/// Why a backend has too little to be judged by; none where it has enough.
fn gap(backend: &str, own: &[&TrialRecord]) -> Option<String> {
    let why = reason(own.iter().find(|trial| !trial.is_usable())?.first_reason());
    if own.iter().all(|trial| trial.fate() == Fate::Unavailable) {
        return Some(format!("{backend} cannot run there: {why}"));
    }
    let usable = own.iter().filter(|trial| trial.is_usable()).count();
    if usable == 0 {
        return Some(format!("no trial of {backend} counts: {why}"));
    }
    (usable * 2 < own.len()).then(|| format!("fewer than half of the trials of {backend} count: {why}"))
}
