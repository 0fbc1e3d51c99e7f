//! Capacities as a table: what each backend sustains, how sure that is, and what it cost.

use std::fmt::Write;

use super::grid::{Column, Grid, left_out_note};
use super::look::{Look, Tone};
use crate::capacity::{BackendCapacity, LimitedBy, WhenMet};
use crate::figures::{self, NONE};
use crate::plan::{Arrivals, CapacityPlan, Cell};

/// Draws all backends of a search in `cell`.
#[must_use]
pub fn draw(plan: &CapacityPlan, cell: &Cell, capacities: &[BackendCapacity], look: Look) -> String {
    let mut grid = grid(capacities);
    let left_out = grid.fit(look);
    let heading = look.prose(&format!("goal {} · {}", plan.slo, heading(cell)), 2);
    let mut text = format!("{heading}\n{}", grid.draw(look));
    for note in arrivals_note(cell).into_iter().chain(notes(plan, capacities)).chain(left_out_note(&left_out)) {
        let _ = writeln!(text, "{}", look.prose(&format!("  {note}"), 4));
    }
    text.truncate(text.trim_end().len());
    text
}

/// The load without a rate: that is what is looked for.
fn heading(cell: &Cell) -> String {
    let connections = cell.open_connections();
    let payload = figures::bytes(cell.payload_bytes.into());
    let arrivals = cell.arrivals.map_or("closed loop".to_owned(), |arrivals| format!("{arrivals} arrivals"));
    let threads = figures::counted(cell.server_threads, "server thread");
    let depth = cell.depth;
    format!(
        "{connections} · payload {payload} · depth {depth} · {arrivals} · {threads} · {} over {}",
        cell.protocol, cell.transport
    )
}

fn arrivals_note(cell: &Cell) -> Option<String> {
    (cell.arrivals == Some(Arrivals::Constant))
        .then(|| "constant arrivals: evenly spaced requests form no bursts, which flatters every server".to_owned())
}

fn grid(capacities: &[BackendCapacity]) -> Grid {
    let column =
        |title: &str, text: &dyn Fn(&BackendCapacity) -> String| Column::plain(title, capacities.iter().map(text));
    let when_met = |title: &str, value: fn(&WhenMet) -> Option<String>| {
        column(title, &|capacity| capacity.when_met.as_ref().and_then(value).unwrap_or_else(|| NONE.to_owned()))
    };
    let mark = |capacity: &BackendCapacity| if capacity.reasons.is_empty() { "" } else { " *" };
    let toned = |text: &dyn Fn(&BackendCapacity) -> String| {
        capacities.iter().map(|capacity| (text(capacity), tone(capacity))).collect::<Vec<_>>()
    };
    Grid::new(vec![
        Column::new("\nbackend", toned(&|capacity| capacity.backend.clone())).left(),
        column("capacity\nrequests/s", &capacity_rps),
        column("\ninterval", &interval),
        when_met("when met\np50", |at| at.latency_p50_ns.map(|ns| figures::duration(ns as f64))).named("p50").leaves(2),
        when_met("\np99", |at| at.latency_p99_ns.map(|ns| figures::duration(ns as f64))).leaves(3),
        when_met("server CPU\n/request", |at| at.server_cpu_ns_per_request.map(figures::duration)).leaves(4),
        when_met("\nutilisation", |at| at.server_utilisation.map(figures::percent)).leaves(1),
        column("\nlimited by", &limited_by),
        Column::new("\ntrials", toned(&|capacity| format!("{}{}", capacity.trials, mark(capacity)))).leaves(5),
    ])
}

/// What '*' and 'not met' say.
fn tone(capacity: &BackendCapacity) -> Tone {
    match capacity.limited_by {
        Some(LimitedBy::NotMet) | None => Tone::Invalid,
        _ if capacity.reasons.is_empty() => Tone::Plain,
        _ => Tone::Suspect,
    }
}

fn capacity_rps(capacity: &BackendCapacity) -> String {
    match (capacity.capacity_rps, capacity.low_rps) {
        (Some(rps), _) => rounded(rps),
        (None, Some(low_rps)) => format!("at least {}", rounded(low_rps)),
        (None, None) => NONE.to_owned(),
    }
}

fn interval(capacity: &BackendCapacity) -> String {
    match (capacity.low_rps, capacity.high_rps) {
        (Some(low_rps), Some(high_rps)) => format!("{} to {}", rounded(low_rps), rounded(high_rps)),
        (Some(low_rps), None) => format!("from {}", rounded(low_rps)),
        (None, Some(high_rps)) => format!("below {}", rounded(high_rps)),
        (None, None) => NONE.to_owned(),
    }
}

/// Three digits are what the resolution is good for.
pub(in crate::report) fn rounded(rps: f64) -> String {
    let unit = 10_f64.powf(rps.max(1.0).log10().floor() - 2.0).max(1.0);
    figures::grouped((rps / unit).round() * unit)
}

fn limited_by(capacity: &BackendCapacity) -> String {
    match (capacity.limited_by, capacity.high_rps) {
        (Some(LimitedBy::Slo), _) => "goal".to_owned(),
        (Some(LimitedBy::Generator), _) => "load generator".to_owned(),
        (Some(LimitedBy::NotMet), Some(lowest_rps)) => format!("not met at {}", figures::grouped(lowest_rps.round())),
        (Some(LimitedBy::NotMet), None) => "not met".to_owned(),
        (None, _) => NONE.to_owned(),
    }
}

fn notes(plan: &CapacityPlan, capacities: &[BackendCapacity]) -> Vec<String> {
    let mut notes: Vec<String> = ties(capacities).into_iter().collect();
    let confidences = capacities.iter().filter_map(|capacity| capacity.confidence);
    if let Some(confidence) = confidences.clone().reduce(f64::min) {
        let all = confidences.reduce(f64::max).unwrap_or(confidence);
        let confidence = if (all - confidence).abs() < 1e-9 {
            format!("{:.0} %", 100.0 * confidence)
        } else {
            format!("{:.0} % to {:.0} % (see *)", 100.0 * confidence, 100.0 * all)
        };
        let together = together(capacities).map_or(String::new(), |(count, together)| {
            format!(" each, and all {count} together of at least {:.0} %", 100.0 * together)
        });
        notes.push(format!(
            "interval: of up to {} searches of the edge to within {}, with a confidence of {confidence}{together}",
            plan.repeats,
            figures::percent(plan.resolution)
        ));
        notes.push(
            "when met: of the trials within the interval that met the goal, without those that missed it".to_owned(),
        );
    }
    if capacities.iter().any(|capacity| capacity.limited_by == Some(LimitedBy::Generator)) {
        notes.push(
            "load generator: it was busy or late when the goal was missed, so what the server could do beyond is not known"
                .to_owned(),
        );
    }
    for capacity in capacities {
        notes.extend(capacity.reasons.iter().map(|reason| format!("* {}: {reason}", capacity.backend)));
    }
    notes
}

/// How many intervals there are, if several, and the least confidence that all of them enclose their capacity at once.
fn together(capacities: &[BackendCapacity]) -> Option<(usize, f64)> {
    let doubts: Vec<f64> = capacities.iter().filter_map(|capacity| Some(1.0 - capacity.confidence?)).collect();
    (doubts.len() > 1).then(|| (doubts.len(), (1.0 - doubts.iter().sum::<f64>()).max(0.0)))
}

/// Which backends may be the best; none are told apart where their intervals overlap.
fn ties(capacities: &[BackendCapacity]) -> Option<String> {
    let bounded = |capacity: &BackendCapacity| Some((capacity.low_rps?, capacity.high_rps.unwrap_or(f64::INFINITY)));
    let best_low_rps = capacities.iter().filter_map(bounded).map(|(low_rps, _)| low_rps).reduce(f64::max)?;
    let known: Vec<&BackendCapacity> = capacities.iter().filter(|capacity| capacity.low_rps.is_some()).collect();
    let best: Vec<&str> = known
        .iter()
        .filter(|capacity| bounded(capacity).is_some_and(|(_, high_rps)| high_rps >= best_low_rps))
        .map(|capacity| capacity.backend.as_str())
        .collect();
    match best.as_slice() {
        _ if known.len() < 2 => None,
        [only] => Some(format!("highest: {only}; the intervals of all others end below its own")),
        several => Some(format!("highest: a tie of {}; their intervals overlap", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    fn capacity(backend: &str, low_rps: f64, high_rps: f64) -> BackendCapacity {
        BackendCapacity {
            backend: backend.to_owned(),
            slo: "p99<1ms".parse().unwrap(),
            capacity_rps: Some((low_rps * high_rps).sqrt()),
            low_rps: Some(low_rps),
            high_rps: Some(high_rps),
            confidence: Some(0.96875),
            estimates: Vec::new(),
            limited_by: Some(LimitedBy::Slo),
            trials: 24,
            suspect: 0,
            when_met: Some(WhenMet {
                latency_p50_ns: Some(123_000),
                latency_p99_ns: Some(870_000),
                server_cpu_ns_per_request: Some(6120.0),
                server_utilisation: Some(0.87),
            }),
            reasons: Vec::new(),
        }
    }

    fn limited(backend: &str, low_rps: f64) -> BackendCapacity {
        BackendCapacity {
            capacity_rps: None,
            high_rps: None,
            limited_by: Some(LimitedBy::Generator),
            ..capacity(backend, low_rps, low_rps)
        }
    }

    fn not_met(backend: &str) -> BackendCapacity {
        BackendCapacity {
            capacity_rps: None,
            low_rps: None,
            high_rps: Some(120.0),
            confidence: None,
            limited_by: Some(LimitedBy::NotMet),
            when_met: None,
            reasons: vec!["missed at 120/s too".to_owned()],
            ..capacity(backend, 1.0, 1.0)
        }
    }

    fn table(capacities: &[BackendCapacity]) -> String {
        let slo = "p99<1ms".parse().unwrap();
        let plan = CapacityPlan { slo, resolution: 0.05, repeats: 6, budget_ns: None };
        draw(&plan, &plan::tests::plan().cells()[3], capacities, Look::PLAIN)
    }

    fn line<'a>(table: &'a str, start: &str) -> &'a str {
        table.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_else(|| panic!("{start} in {table}"))
    }

    #[test]
    fn figures_stand_beside_their_backend() {
        let table = table(&[capacity("epoll", 97_000.0, 103_000.0)]);
        let heading = "goal p99<1ms · 64 connections · payload 64 B · depth 1 · poisson arrivals · 1 server thread · \
                       framed over tcp\n";
        assert!(table.starts_with(heading), "{table}");
        let row = line(&table, "epoll");
        for figure in ["100,000", "97,000 to 103,000", "123 µs", "870 µs", "6.12 µs", "87 %", "goal", "24"] {
            assert!(row.contains(figure), "{figure} in {row}");
        }
        assert!(table.contains("within 5 %, with a confidence of 97 %\n") && !table.contains('*'), "{table}");
    }

    #[test]
    fn a_limit_of_the_generator_names_no_capacity() {
        let table = table(&[limited("epoll", 97_123.0)]);
        let row = line(&table, "epoll");
        assert!(row.contains("at least 97,100") && row.contains("from 97,100"), "{row}");
        assert!(table.contains("what the server could do beyond is not known"), "{table}");
    }

    #[test]
    fn a_goal_that_is_never_met_has_a_reason() {
        let table = table(&[not_met("epoll")]);
        let row = line(&table, "epoll");
        assert!(row.contains("below 120") && row.contains("not met at 120") && row.contains("24 *"), "{row}");
        assert!(table.ends_with("* epoll: missed at 120/s too"), "{table}");
    }

    #[test]
    fn backends_whose_intervals_overlap_tie() {
        let (slow, fast) = (capacity("poll", 80.0, 90.0), capacity("epoll", 91.0, 99.0));
        assert!(table(&[slow.clone(), fast.clone()]).contains("highest: epoll; the intervals of all others end below"));
        let third = capacity("io_uring", 95.0, 120.0);
        let tied = table(&[slow.clone(), fast, third, not_met("select")]);
        assert!(tied.contains("highest: a tie of epoll, io_uring; their intervals overlap"), "{tied}");
        let open = table(&[slow, limited("epoll", 70.0)]);
        assert!(open.contains("highest: a tie of poll, epoll"), "{open}");
        assert!(!table(&[capacity("epoll", 91.0, 99.0)]).contains("highest"));
    }

    #[test]
    fn several_intervals_hold_together_less_often_than_each() {
        let four = table(&["poll", "epoll", "io_uring", "threads"].map(|backend| capacity(backend, 1.0, 2.0)));
        assert!(four.contains("with a confidence of 97 % each, and all 4 together of at least 88 %\n"), "{four}");
    }

    #[test]
    fn confidences_that_differ_are_both_said() {
        let short = BackendCapacity { confidence: Some(0.5), ..capacity("poll", 1.0, 2.0) };
        assert!(table(&[capacity("epoll", 1.0, 2.0), short]).contains("of 50 % to 97 % (see *)"));
    }

    #[test]
    fn evenly_spaced_requests_are_said_to_flatter() {
        let (slo, cell) = ("p99<1ms".parse().unwrap(), &plan::tests::plan().cells()[3]);
        let plan = CapacityPlan { slo, resolution: 0.05, repeats: 6, budget_ns: None };
        let text = |arrivals| draw(&plan, &Cell { arrivals: Some(arrivals), ..cell.clone() }, &[], Look::PLAIN);
        assert!(text(Arrivals::Constant).contains("flatters every server"));
        assert!(!text(Arrivals::Poisson).contains("flatters"));
    }

    #[test]
    fn rates_have_three_digits() {
        let texts: Vec<String> = [0.0, 7.4, 999.4, 1234.0, 97_654.0, 123_456.0].map(rounded).into();
        assert_eq!(texts, ["0", "7", "999", "1,230", "97,700", "123,000"]);
    }
}
