//! Sentences on a search for capacities.

use super::Answer;
use super::words::{list, ratio, reason};
use crate::capacity::{BackendCapacity, LimitedBy};
use crate::figures;
use crate::plan::{Cell, SweepPlan};
use crate::report::selection::Searched;
use crate::report::terminal::capacity::rounded;
use crate::statistics::{Estimate, Interval};

/// Adds what a search came to; each sentence names its file where several searches speak.
pub(super) fn say(searched: &Searched<'_>, is_named: bool, answer: &mut Answer) {
    let mut own = Answer::default();
    say_plainly(searched, &mut own);
    let named = |sentence| if is_named { format!("{}: {sentence}", searched.run.file) } else { sentence };
    answer.findings.extend(own.findings.into_iter().map(named));
    answer.open.extend(own.open.into_iter().map(named));
}

fn say_plainly(searched: &Searched<'_>, answer: &mut Answer) {
    let run = &searched.run;
    let Some(plan) = &run.record.capacity else { return };
    let Some(capacities) = &searched.found else {
        answer.open.push(
            "The trials of the search for capacities do not follow from its plan and seed, so nothing is said of it."
                .to_owned(),
        );
        return;
    };
    let goal = plan.slo.to_string();
    let start =
        SweepPlan { rate_rps: vec![None], ..run.record.plan.clone() }.cells().first().map(place).unwrap_or_default();
    answer.findings.extend(first(capacities, &goal, &start));
    let sustained: Vec<String> = capacities.iter().filter_map(sustained).collect();
    if !sustained.is_empty() {
        let capital = start[..1].to_uppercase() + &start[1..];
        answer.findings.push(format!("{capital}, with {goal}, {}.", list(&sustained)));
    }
    answer.findings.extend(confidence(capacities));
    for capacity in capacities {
        answer.open.extend(unknown(capacity, &goal));
    }
}

fn place(cell: &Cell) -> String {
    format!("at {}, payload {} and depth {}", cell.open_connections(), cell.payload(), cell.depth)
}

/// Who sustains the most, and how much more than the others.
fn first(capacities: &[BackendCapacity], goal: &str, start: &str) -> Option<String> {
    let mut known: Vec<(&BackendCapacity, f64, f64)> =
        capacities.iter().filter_map(|one| Some((one, one.low_rps?, one.high_rps.unwrap_or(f64::INFINITY)))).collect();
    known.sort_by(|a, b| middle(b.0).total_cmp(&middle(a.0)));
    let [(best, low, high), others @ ..] = known.as_slice() else { return None };
    // Where the generator was the limit, another one may sustain any rate.
    let best_low = known.iter().map(|(_, low, _)| *low).fold(*low, f64::max);
    let ties: Vec<&str> =
        known.iter().filter(|(_, _, high)| *high >= best_low).map(|(one, ..)| one.backend.as_str()).collect();
    let capital = start[..1].to_uppercase() + &start[1..];
    if ties.len() > 1 {
        return Some(format!(
            "{capital}, {} tie for the highest rate with {goal}: their intervals overlap.",
            list(&ties)
        ));
    }
    let than = |(other, other_low, other_high): &(&BackendCapacity, f64, f64)| {
        // Both intervals holding, the ratio lies between their farthest ends.
        let interval =
            Some(Interval { low: low / other_high, high: high / other_low }).filter(|one| one.high.is_finite());
        let estimate = Estimate { ratio: best.capacity_rps? / other.capacity_rps?, interval };
        Some(format!("{} that of {}", ratio(&estimate), other.backend))
    };
    let next =
        others.first().and_then(than).map(|text| if others.len() > 1 { format!("{text}, the nearest") } else { text });
    let last = others.iter().skip(1).next_back().and_then(than).map(|text| format!("{text}, the farthest"));
    let compared: Vec<String> = next.into_iter().chain(last).collect();
    (!compared.is_empty()).then(|| {
        format!("{capital}, {} sustains the highest rate with {goal}: {}.", best.backend, compared.join(", and "))
    })
}

fn middle(capacity: &BackendCapacity) -> f64 {
    capacity.capacity_rps.or(capacity.low_rps.map(|low_rps| low_rps * 2.0)).unwrap_or(0.0)
}

/// `epoll sustains 182,000/s [175,000, 190,000]`.
fn sustained(capacity: &BackendCapacity) -> Option<String> {
    let (rps, low, high) = (capacity.capacity_rps?, capacity.low_rps?, capacity.high_rps);
    let high = high.map_or("?".to_owned(), rounded);
    Some(format!("{} sustains {}/s [{}, {high}]", capacity.backend, rounded(rps), rounded(low)))
}

fn confidence(capacities: &[BackendCapacity]) -> Option<String> {
    let all: Vec<f64> = capacities.iter().filter_map(|capacity| capacity.confidence).collect();
    let least = all.iter().copied().reduce(f64::min)?;
    let each = figures::percent(least);
    let together = (1.0 - all.iter().map(|one| 1.0 - one).sum::<f64>()).max(0.0);
    Some(match all.len() {
        1 => format!("That interval holds with a confidence of {each}."),
        count => format!(
            "Each interval holds with a confidence of at least {each}, and all {count} together with at least {}.",
            figures::percent(together)
        ),
    })
}

/// What is not known of a backend, and why.
fn unknown(capacity: &BackendCapacity, goal: &str) -> Vec<String> {
    let name = &capacity.backend;
    let mut open = Vec::new();
    match (capacity.limited_by, capacity.low_rps) {
        (Some(LimitedBy::Generator), Some(low_rps)) => open.push(format!(
            "{name} sustains at least {}/s with {goal}; beyond that the load generator was the limit: give it more CPUs \
             (--client-cpus).",
            rounded(low_rps)
        )),
        (Some(LimitedBy::Generator), None) => {
            open.push(format!("What {name} sustains is not known: the load generator was the limit from the beginning."));
        }
        (Some(LimitedBy::NotMet), _) => open.push(format!("{name} does not meet {goal} at any rate that was tried.")),
        (None, _) => {
            let why: Vec<String> = capacity.reasons.iter().map(|why| reason(why)).collect();
            let colon = if why.is_empty() { "" } else { ": " };
            return vec![format!("What {name} sustains is not known{colon}{}.", why.join("; "))];
        }
        (Some(LimitedBy::Slo), _) => {}
    }
    open.extend(capacity.reasons.iter().map(|why| format!("{name}: {}.", reason(why))));
    open
}
