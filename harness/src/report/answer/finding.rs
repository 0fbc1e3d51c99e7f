//! Sentences on who is ahead, by how much, and who ties or is not told apart: one for each stretch of cells that say the same.

use super::merge::{Located, Told, told};
use super::place::Places;
use super::standing::{Between, Lead, Order, Standing, TIE};
use super::words::{Wording, at_most, inverted, list, ratio, reads_alike};
use crate::figures;
use crate::plan::Cell;
use crate::statistics::{Estimate, Interval};

/// Beyond so many sentences about one metric nobody reads on: cells are then taken together wherever they are.
const MOST: usize = 6;

/// Adds what can be said of one metric.
pub(super) fn say(standings: &[Located<Standing>], places: &Places, findings: &mut Vec<String>) {
    let all = told(standings, places, MOST, |standing| Said::of(&standing.order));
    for Told { start, in_a_row, cells } in all.iter().take(MOST) {
        findings.push(sentence(start, cells, &|cell| if *in_a_row { places.short(cell) } else { places.full(cell) }));
    }
    let rest: usize = all.iter().skip(MOST).map(|told| told.cells.len()).sum();
    if rest > 0 {
        let (name, others) = (wording(&standings[0]).name, figures::counted(rest, "other cell"));
        findings.push(format!("Who is ahead in {name} in {others} stands in the table."));
    }
}

/// What is sure of a cell; cells of which the same is sure are told together.
#[derive(PartialEq)]
enum Said {
    /// That these tie.
    Tie(Vec<String>),
    /// That these are ahead.
    Ahead { leaders: Vec<String>, between: Vec<[String; 2]> },
    /// That these are behind, while it is not known which of the others is ahead.
    Behind { behind: Vec<String>, all_are_ahead: bool, between: Vec<[String; 2]> },
}

impl Said {
    fn of(order: &Order) -> Option<Self> {
        match order {
            Order::Tie { names, .. } => Some(Self::Tie(names.clone())),
            Order::Led(lead) => {
                let between = lead.between.iter().map(|one| [one.ahead.clone(), one.behind.clone()]).collect();
                Some(if lead.is_wide() {
                    let mut behind: Vec<String> = lead.behind.iter().map(|(name, _)| name.clone()).collect();
                    behind.sort();
                    Self::Behind { behind, all_are_ahead: lead.all_are_ahead, between }
                } else {
                    Self::Ahead { leaders: lead.leaders.clone(), between }
                })
            }
            _ => None,
        }
    }
}

/// Those ahead, where somebody is, and all where nobody is.
fn leaders(standing: &Standing) -> Option<&[String]> {
    match &standing.order {
        Order::Led(lead) => Some(&lead.leaders),
        Order::Tie { names, .. } => Some(names),
        _ => None,
    }
}

fn wording(at: &Located<Standing>) -> Wording {
    Wording::of(at.what.metric, &at.cell)
}

/// How one cell is told from the others of a sentence.
type Here<'a> = &'a dyn Fn(&Cell) -> String;

/// A cell and who is ahead in it.
type At<'a> = (&'a Cell, &'a Lead);

fn sentence(start: &str, stretch: &[Located<Standing>], here: Here<'_>) -> String {
    let words = wording(&stretch[0]);
    let leads: Vec<At<'_>> = stretch
        .iter()
        .filter_map(|at| if let Order::Led(lead) = &at.what.order { Some((&at.cell, lead)) } else { None })
        .collect();
    let said = match leads.as_slice() {
        [] => {
            let reach = stretch.iter().map(|at| if let Order::Tie { reach, .. } = at.what.order { reach } else { 1.0 });
            tie(&words, leaders(&stretch[0].what).unwrap_or_default(), reach.fold(1.0, f64::max))
        }
        [(_, first), ..] => {
            let order = if first.is_wide() { behind(&words, &leads, here) } else { ahead(&words, &leads, here) };
            [order].into_iter().flatten().chain(between(&words, &leads, here)).collect::<Vec<_>>().join("; ")
        }
    };
    format!("{start}, {said}{}.", caveat(stretch))
}

fn tie(words: &Wording, names: &[String], reach: f64) -> String {
    let Wording { name, .. } = words;
    if reach > TIE {
        return format!("in {name} {} are not told apart{}", list(names), by_at_most(names, reach));
    }
    let (all, if_any) = if names.len() == 2 { ("", "they") } else { ("all ", "any two") };
    format!("in {name} {} {all}tie: if {if_any} differ, then by at most {}", list(names), at_most(reach))
}

/// How much those may differ that are not told apart.
fn by_at_most(names: &[String], reach: f64) -> String {
    let any = if names.len() == 2 { "they" } else { "any two" };
    format!(" ({any} differ by at most {})", at_most(reach))
}

/// Those ahead, and by how much.
fn ahead(words: &Wording, leads: &[At<'_>], here: Here<'_>) -> Option<String> {
    let (_, first) = leads.first()?;
    let is_same = leads.iter().all(|(_, lead)| lead.best == first.best);
    let is_any_behind = leads.iter().any(|(_, lead)| !lead.behind.is_empty());
    let Wording { verb, superlative, prize, .. } = words;
    if let [only] = first.leaders.as_slice() {
        return is_any_behind.then(|| match leads {
            [(_, lead)] => format!("{only} {verb} {}", beside(words, lead)),
            _ => format!("{only} {superlative}: {}", along(words, leads, here)),
        });
    }
    let reach = leads.iter().map(|(_, lead)| lead.tie_reach).fold(1.0, f64::max);
    let tie = if reach > TIE {
        let leaders = &first.leaders;
        format!("{} lead with {prize} and are not told apart{}", list(leaders), by_at_most(leaders, reach))
    } else {
        format!("{} tie for {prize}, within {}", list(&first.leaders), at_most(reach))
    };
    Some(match leads {
        _ if !is_any_behind => tie,
        [(_, lead)] => format!("{tie}; {}, which came out ahead, {verb} {}", lead.best, beside(words, lead)),
        _ if is_same => {
            format!("{tie}; {}, which came out ahead, {verb} {}", first.best, along(words, leads, here))
        }
        // It was another one from cell to cell: each is named.
        _ => [tie].into_iter().chain(ends(words, leads, here)).collect::<Vec<_>>().join("; "),
    })
}

/// `1.31× [1.24, 1.38] the requests of epoll, the nearest, and 2.0× [1.9, 2.1] those of threads, the farthest`.
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
fn along(words: &Wording, leads: &[At<'_>], here: Here<'_>) -> String {
    type Gap<'a> = (&'a Cell, &'a (String, Estimate));
    let next: Vec<Gap<'_>> = leads.iter().filter_map(|(cell, lead)| Some((*cell, lead.behind.first()?))).collect();
    let several = leads.iter().filter(|(_, lead)| lead.behind.len() > 1);
    let last: Vec<Gap<'_>> = several.filter_map(|(cell, lead)| Some((*cell, lead.behind.last()?))).collect();
    let distance = |gap: &&Gap<'_>| gap.1.1.ratio.ln().abs();
    let again = words.again;
    let range = |of: &[Gap<'_>], place: &str| {
        let nearest = of.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let farthest = of.iter().max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let said = |gap: &Gap<'_>| format!("{} ({})", ratio(&gap.1.1), here(gap.0));
        let is_one_name = of.iter().all(|gap| gap.1.0 == nearest.1.0);
        Some(if of.len() == 1 {
            format!("{} {again} {}{place}", said(nearest), nearest.1.0)
        } else if is_one_name && reads_alike(&nearest.1.1, &farthest.1.1) {
            let whole = hull(of.iter().map(|gap| &gap.1.1));
            format!("{} {again} {}{place}", ratio(&whole.unwrap_or(nearest.1.1)), nearest.1.0)
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

/// The smallest and the largest difference where several came out ahead, each with its names.
fn ends(words: &Wording, leads: &[At<'_>], here: Here<'_>) -> Option<String> {
    let next = leads.iter().filter_map(|(cell, lead)| Some((*cell, &lead.best, lead.behind.first()?)));
    let outermost = leads.iter().filter_map(|(cell, lead)| Some((*cell, &lead.best, lead.behind.last()?)));
    let distance = |(_, _, (_, estimate)): &(&Cell, &String, &(String, Estimate))| estimate.ratio.ln().abs();
    let (cell, best, (behind, by)) = next.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let least = format!("{} ({})", difference(words, best, by, behind), here(cell));
    let (cell, best, (behind, by)) = outermost.max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let most = format!("{} ({})", difference(words, best, by, behind), here(cell));
    Some(if least == most { least } else { format!("at the least {least}, and at the most {most}") })
}

/// `epoll serves 1.31× [1.24, 1.38] the requests of poll`.
fn difference(words: &Wording, ahead: &str, by: &Estimate, behind: &str) -> String {
    format!("{ahead} {} {} {} {behind}", words.verb, ratio(by), words.of)
}

/// Those behind, where it is not known which of the others is ahead.
fn behind(words: &Wording, leads: &[At<'_>], here: Here<'_>) -> Option<String> {
    let mut names: Vec<&String> = Vec::new();
    let mut bests: Vec<&String> = Vec::new();
    let mut gaps: Vec<(&Cell, &String, &String, Estimate)> = Vec::new();
    for (cell, lead) in leads {
        let outermost = [lead.behind.first(), lead.behind.last().filter(|_| lead.behind.len() > 1)];
        gaps.extend(outermost.into_iter().flatten().map(|(name, by)| (*cell, name, &lead.best, inverted(by))));
        lead.behind.iter().for_each(|(name, _)| add(&mut names, name));
        add(&mut bests, &lead.best);
    }
    let distance = |gap: &&(&Cell, &String, &String, Estimate)| gap.3.ratio.ln().abs();
    let nearest = gaps.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let farthest = gaps.iter().max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let verb = &words.behind[usize::from(names.len() > 1)];
    let whom = if leads[0].1.all_are_ahead { "all others".to_owned() } else { list(&bests) };
    let said = |(cell, name, best, by): &(&Cell, &String, &String, Estimate)| {
        let who = if names.len() > 1 { format!("{name} ") } else { String::new() };
        let place = if leads.len() > 1 { format!(" ({})", here(cell)) } else { String::new() };
        format!("{who}{} {} {best}{place}", ratio(by), words.again)
    };
    let (low, high) = (said(nearest), said(farthest));
    let is_one = gaps.iter().all(|gap| (gap.1, gap.2) == (nearest.1, nearest.2));
    let range = if low == high {
        low
    } else if is_one && reads_alike(&nearest.3, &farthest.3) {
        let whole = hull(gaps.iter().map(|gap| &gap.3)).unwrap_or(nearest.3);
        format!("{} {} {}", ratio(&whole), words.again, nearest.2)
    } else {
        format!("{low} to {high}")
    };
    Some(format!("{} {verb} than {whom}: {range}", list(&names)))
}

fn add<'a>(names: &mut Vec<&'a String>, name: &'a String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

/// Those that are behind another one than the best, once each.
fn between(words: &Wording, leads: &[At<'_>], here: Here<'_>) -> Vec<String> {
    let Some((cell, first)) = leads.first() else { return Vec::new() };
    let place = if leads.len() > 1 { format!(" ({})", here(cell)) } else { String::new() };
    let sentence = |one: &Between| {
        format!("{}{place}, which is not told from {}", difference(words, &one.ahead, &one.by, &one.behind), first.best)
    };
    first.between.iter().map(sentence).collect()
}

/// What holds in every one of the cells, as every interval holds in its own.
fn hull<'a>(estimates: impl Iterator<Item = &'a Estimate> + Clone) -> Option<Estimate> {
    let middle = estimates.clone().next()?.ratio;
    let intervals = estimates.map(|estimate| estimate.interval).collect::<Option<Vec<Interval>>>()?;
    let low = intervals.iter().map(|interval| interval.low).fold(f64::INFINITY, f64::min);
    let high = intervals.iter().map(|interval| interval.high).fold(0.0, f64::max);
    Some(Estimate { ratio: middle, interval: Some(Interval { low, high }) })
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
        names.extend(lead.between.iter().map(|one| one.behind.clone()));
        names.extend(lead.behind.first().into_iter().chain(lead.behind.last()).map(|(name, _)| name.clone()));
    }
    names.sort();
    names.dedup();
    names
}

/// How much backends differ from themselves, over all cells that can be trusted.
pub(super) fn noise(standings: &[Located<Standing>]) -> Option<String> {
    let trusted = standings.iter().filter(|at| !matches!(at.what.order, Order::Distrusted { .. }));
    let most = trusted.filter_map(|at| at.what.noise).max_by(f64::total_cmp)?;
    let name = wording(&standings[0]).name;
    Some(format!(
        "A backend that was there twice differs from itself in {name} by at most {}: no smaller difference is called one.",
        at_most(most)
    ))
}
