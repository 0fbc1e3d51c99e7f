//! Sentences on who is ahead, by how much, and who ties: one for each stretch of cells that say the same.

use super::merge::{Located, Told, told};
use super::place::Places;
use super::standing::{Lead, Order, Standing, WIDE};
use super::words::{Wording, at_most, list, ratio};
use crate::figures;
use crate::statistics::Estimate;

/// Beyond so many sentences about one metric nobody reads on: cells are then taken together wherever they are.
const MOST: usize = 6;

/// Adds what can be said of one metric.
pub(super) fn say(standings: &[Located<Standing>], places: &Places, findings: &mut Vec<String>) {
    let all = told(standings, places, MOST, |standing| leaders(standing).map(<[String]>::to_vec));
    for Told { start, in_a_row, cells } in all.iter().take(MOST) {
        findings.push(sentence(start, cells, &|cell| if *in_a_row { places.short(cell) } else { places.full(cell) }));
    }
    let rest: usize = all.iter().skip(MOST).map(|told| told.cells.len()).sum();
    if rest > 0 {
        let (name, others) = (wording(&standings[0]).name, figures::counted(rest, "other cell"));
        findings.push(format!("Who is ahead in {name} in {others} stands in the table."));
    }
    for Told { start, cells, .. } in
        told(standings, places, MOST, |standing| some(&standing.rate_missed)).iter().take(MOST)
    {
        let names = &cells[0].what.rate_missed;
        let take = if names.len() == 1 { "does" } else { "do" };
        findings.push(format!("{start} {} {take} not take the rate.", list(names)));
    }
    findings.extend(noise(standings));
}

/// Those ahead, where somebody is, and all where nobody is.
fn leaders(standing: &Standing) -> Option<&[String]> {
    match &standing.order {
        Order::Led(lead) => Some(&lead.leaders),
        Order::Tie { names, .. } => Some(names),
        _ => None,
    }
}

fn some(names: &[String]) -> Option<Vec<String>> {
    (!names.is_empty()).then(|| names.to_vec())
}

fn wording(at: &Located<Standing>) -> Wording {
    Wording::of(at.what.metric, &at.cell)
}

/// `here` says which cell of them is meant.
fn sentence(start: &str, stretch: &[Located<Standing>], here: &dyn Fn(&crate::plan::Cell) -> String) -> String {
    let words = wording(&stretch[0]);
    let leads: Vec<(&Located<Standing>, &Lead)> = stretch
        .iter()
        .filter_map(|at| if let Order::Led(lead) = &at.what.order { Some((at, lead)) } else { None })
        .collect();
    let reach = stretch.iter().map(|at| match &at.what.order {
        Order::Led(lead) => lead.tie_reach,
        Order::Tie { reach, .. } => *reach,
        _ => 1.0,
    });
    let most_reach = reach.fold(1.0, f64::max);
    let reach = at_most(most_reach);
    let names = leaders(&stretch[0].what).unwrap_or_default();
    let mut text = match (names, leads.as_slice()) {
        (names, []) => {
            let all = if names.len() == 2 { "" } else { "all " };
            format!("{start} {} {all}tie: if they differ in {}, then by at most {reach}", list(names), words.name)
        }
        ([only], [(_, lead)]) => format!("{start} {only} {} {}", words.verb, beside(&words, lead)),
        ([only], _) => format!("{start} {only} {}: {}", words.superlative, behind(&words, &leads, here)),
        (names, leads) => {
            let tie = if most_reach > WIDE {
                format!(
                    "{start} it is not known which of {} {}, for differences of up to {reach} would not be seen",
                    list(names),
                    words.superlative
                )
            } else {
                format!("{start} {} tie for {}, within {reach}", list(names), words.prize)
            };
            match leads {
                [(_, lead)] => {
                    format!("{tie}; {}, which came out ahead, {} {}", lead.best, words.verb, beside(&words, lead))
                }
                _ => format!("{tie}; the one that came out ahead {} {}", words.verb, behind(&words, leads, here)),
            }
        }
    };
    text += &caveat(stretch);
    text.push('.');
    text
}

/// `1.31× [1.24, 1.38] the requests of epoll, the nearest, and 2.00× [1.90, 2.10] those of threads, the farthest`.
fn beside(words: &Wording, lead: &Lead) -> String {
    let [(next, nearest), rest @ ..] = lead.behind.as_slice() else { return String::new() };
    let nearest = format!("{} {} {next}", ratio(nearest), words.of);
    match rest.last() {
        None => nearest,
        Some((last, farthest)) => {
            format!("{nearest}, the nearest, and {} {} {last}, the farthest", ratio(farthest), words.again)
        }
    }
}

/// The same of several cells: from the nearest to the farthest.
fn behind(
    words: &Wording,
    leads: &[(&Located<Standing>, &Lead)],
    here: &dyn Fn(&crate::plan::Cell) -> String,
) -> String {
    type At<'a> = (&'a Located<Standing>, &'a (String, Estimate));
    let next: Vec<At<'_>> = leads.iter().filter_map(|(at, lead)| Some((*at, lead.behind.first()?))).collect();
    let several = leads.iter().filter(|(_, lead)| lead.behind.len() > 1);
    let last: Vec<At<'_>> = several.filter_map(|(at, lead)| Some((*at, lead.behind.last()?))).collect();
    let distance = |at: &&At<'_>| at.1.1.ratio.ln().abs();
    let range = |of: &[At<'_>], place: &str| {
        let nearest = of.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let farthest = of.iter().max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let said = |at: &At<'_>| format!("{} ({})", ratio(&at.1.1), here(&at.0.cell));
        let again = words.again;
        Some(if of.len() == 1 {
            format!("{} {again} {}{place}", said(nearest), nearest.1.0)
        } else if nearest.1.0 == farthest.1.0 {
            format!("{} to {} {again} {}{place}", said(nearest), said(farthest), nearest.1.0)
        } else {
            format!("{} {again} {} to {} {again} {}{place}", said(nearest), nearest.1.0, said(farthest), farthest.1.0)
        })
    };
    let place = |place| if last.is_empty() { "" } else { place };
    let parts: Vec<String> =
        [range(&next, place(", the nearest")), range(&last, ", the farthest")].into_iter().flatten().collect();
    parts.join(", and ")
}

/// What keeps a sentence from being taken at face value.
fn caveat(stretch: &[Located<Standing>]) -> String {
    let union = |names: &dyn Fn(&Standing) -> Vec<String>| {
        let mut all: Vec<String> = Vec::new();
        for name in stretch.iter().flat_map(|at| names(&at.what)) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    };
    let mut parts = Vec::new();
    let (doubtful, busy) = (union(&|standing| standing.doubtful.clone()), union(&|standing| standing.busy.clone()));
    let involved = union(&involved);
    // All of those that the sentence speaks of need no names.
    let whose = |names: &[String]| {
        let of_these: Vec<&String> = names.iter().filter(|name| involved.contains(name)).collect();
        let all = of_these.len() == involved.len();
        (!of_these.is_empty()).then(|| if all { String::new() } else { format!(" of {}", list(&of_these)) })
    };
    parts.extend(whose(&doubtful).map(|whose| format!("most trials{whose} are suspect")));
    parts.extend(whose(&busy).map(|whose| format!("although the load generator was busy in most trials{whose}")));
    let left_out = union(&|standing| standing.left_out().cloned().collect());
    if !left_out.is_empty() {
        parts.push(format!("not compared: {}", list(&left_out)));
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}

/// Everybody that the order speaks of.
fn involved(standing: &Standing) -> Vec<String> {
    let mut names = leaders(standing).unwrap_or_default().to_vec();
    if let Order::Led(lead) = &standing.order {
        names.extend(lead.behind.first().into_iter().chain(lead.behind.last()).map(|(name, _)| name.clone()));
    }
    names.sort();
    names.dedup();
    names
}

/// How much backends differ from themselves, over all cells that can be trusted.
fn noise(standings: &[Located<Standing>]) -> Option<String> {
    let trusted = standings.iter().filter(|at| !matches!(at.what.order, Order::Distrusted { .. }));
    let most = trusted.filter_map(|at| at.what.noise).max_by(f64::total_cmp)?;
    let name = wording(&standings[0]).name;
    Some(format!(
        "A backend that was there twice differs from itself in {name} by at most {}: no smaller difference is called one.",
        at_most(most)
    ))
}
