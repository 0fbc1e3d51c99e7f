//! Where two backends change places: each is ahead for sure somewhere along the way.

use super::Ranked;
use super::merge::Located;
use super::place::Places;
use super::standing::{Order, Standing};
use super::words::{Wording, inverted, ratio};
use crate::figures;
use crate::plan::Cell;
use crate::statistics::Comparison;

/// Beyond so many nobody reads on.
const MOST: usize = 4;

/// Two cells between which the order of two backends changes.
struct Crossing<'a> {
    /// The one that is ahead before, and the other; each by its name.
    first: &'a str,
    second: &'a str,
    before: (&'a Cell, Comparison),
    after: (&'a Cell, Comparison),
    /// Whether either leads anywhere.
    leads: bool,
}

/// Adds where places are changed by one metric.
pub(super) fn say(ranked: &[&Ranked], standings: &[Located<Standing>], places: &Places, crossovers: &mut Vec<String>) {
    let mut crossings = Vec::new();
    for row in places.rows(ranked, |ranked| &ranked.cell) {
        crossings.extend(along(&row, standings));
    }
    // Those of the leaders are what a reader has to choose by.
    crossings.sort_by_key(|crossing| !crossing.leads);
    let Some(first) = ranked.first() else { return };
    let words = Wording::of(first.by.metric, &first.cell);
    crossovers.extend(crossings.iter().take(MOST).map(|crossing| sentence(crossing, &words, places)));
    if let Some(rest) = crossings.len().checked_sub(MOST).filter(|rest| *rest > 0) {
        let (are, changes) = (if rest == 1 { "is" } else { "are" }, figures::counted(rest, "more change"));
        crossovers.push(format!("There {are} {changes} of places in {}; see the charts.", words.name));
    }
}

/// Between neighbours at which the order of a pair is known; those in between, where it is not, are passed over.
fn along<'a>(row: &[&'a Ranked], standings: &[Located<Standing>]) -> Vec<Crossing<'a>> {
    let mut crossings = Vec::new();
    let is_trusted = |ranked: &&&Ranked| !ranked.by.distrusted;
    for ranked in row.first().into_iter().filter(is_trusted) {
        for (first, second, _) in &ranked.by.pairs {
            let names = (ranked.by.entries[*first].backend.as_str(), ranked.by.entries[*second].backend.as_str());
            let known: Vec<(&Cell, Comparison)> =
                row.iter().filter(is_trusted).filter_map(|at| known(at, names)).collect();
            for pair in known.windows(2) {
                let [before, after] = pair else { continue };
                if before.1.is_better() == after.1.is_better() {
                    continue;
                }
                let turn = |(cell, comparison): (&'a Cell, Comparison)| {
                    (cell, if before.1.is_better() { comparison } else { comparison.inverted() })
                };
                let (first, second) = if before.1.is_better() { names } else { (names.1, names.0) };
                let leads = standings.iter().any(|at| leads(&at.what, first) || leads(&at.what, second));
                crossings.push(Crossing { first, second, before: turn(*before), after: turn(*after), leads });
            }
        }
    }
    crossings
}

/// The pair, where there is a difference for sure and nothing speaks against it.
fn known<'a>(ranked: &'a Ranked, names: (&str, &str)) -> Option<(&'a Cell, Comparison)> {
    let place = |name: &str| ranked.by.entries.iter().position(|entry| entry.backend == name && !entry.unreliable);
    let (a, b) = (place(names.0)?, place(names.1)?);
    let (first, _, pair) =
        ranked.by.pairs.iter().find(|(first, second, _)| (*first, *second) == (a.min(b), a.max(b)))?;
    let pair = if *first == a { *pair } else { pair.inverted() };
    pair.differs().then_some((&ranked.cell, pair))
}

fn leads(standing: &Standing, name: &str) -> bool {
    matches!(&standing.order, Order::Led(lead) if lead.leaders.iter().any(|leader| leader == name))
}

fn sentence(crossing: &Crossing<'_>, words: &Wording, places: &Places) -> String {
    let Crossing { first, second, before, after, .. } = crossing;
    let said = |comparison: &Comparison| comparison.estimate.as_ref().map(ratio).unwrap_or_default();
    let turned =
        |comparison: &Comparison| comparison.estimate.as_ref().map(|one| ratio(&inverted(one))).unwrap_or_default();
    let verb = words.verb;
    format!(
        "{}, {first} {verb} {} {} {second}; {}, {second} {verb} {} {} {first}.",
        places.sentence_start(before.0, before.0),
        said(&before.1),
        words.of,
        places.short(after.0),
        turned(&after.1),
        words.again,
    )
}
