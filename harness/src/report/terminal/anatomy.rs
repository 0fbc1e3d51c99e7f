//! Below the table of a cell: where a request goes, so that it is seen why one backend takes less than another.

use std::fmt::Write;

use super::grid::{Column, Grid};
use super::look::Look;
use crate::figures::{self, NONE};
use crate::report::calls;
use crate::statistics::{BackendSummary, CellSummary};

/// The column of system calls takes what the others leave; so much, and others leave the table.
const CALLS_PLACES: usize = 40;
/// Before the last column of those that always stand.
const CALLS_PLACE: usize = 1;

const NOTE: &str = "where a request goes: system calls by name are those of all requests together, everything else the median of the trials; a wake-up is a return from a \
                    call that waits; copied are bytes that the server itself \
                    moved in memory, kernel bytes those received and sent; counts are scaled from the time between two looks at \
                    the server to the window, so that in short trials they can be off by some percent";
const FLOOR_NOTE: &str = "× floor: server CPU/request as a multiple of what the kernel charges here for one echo of that \
                          payload with plain calls and no waiting, each trial by the floor of its block, the median of those \
                          that have one (and so no quotient of two columns); the floor is that of 64 connections and of one CPU \
                          against another, neither of which ever rests, so that sleeping and waking are above it; several requests in flight on a connection (depth) or calls \
                          made in batches can go below 1";

/// The table of a cell; none where no server counts anything. Adds to `left_out` what there was no room for.
pub(super) fn draw(cell: &CellSummary, look: Look, left_out: &mut Vec<String>) -> Option<String> {
    if !cell.backends.iter().any(|summary| summary.anatomy.is_known()) {
        return None;
    }
    let whole = cell.backends.iter().filter_map(|summary| calls(summary, None));
    let longest = whole.map(|text| text.chars().count()).max().unwrap_or(0);
    let places = CALLS_PLACES.min(longest);
    let mut first = grid(cell, &|_| Some("…".repeat(places)));
    first.fit(look);
    let room = look.columns.map(|columns| (places + columns).saturating_sub(first.width()));
    // The same leave: what is added to the width is what was left over.
    let mut grid = grid(cell, &|summary| calls(summary, room));
    for name in grid.fit(look) {
        if !left_out.contains(&name) {
            left_out.push(name);
        }
    }
    let mut text = String::new();
    let _ = write!(text, "\n{}", grid.draw(look));
    for note in without_floor(&cell.backends) {
        let _ = writeln!(text, "{}", look.prose(&format!("  {note}"), 4));
    }
    Some(text)
}

/// How many trials are in the column of the floor where some are not, and why those are not: each reason once, with the
/// backends that it holds for.
fn without_floor(backends: &[BackendSummary]) -> Vec<String> {
    let mut notes: Vec<(&str, Vec<String>)> = Vec::new();
    for summary in backends {
        for (why, trials) in &summary.anatomy.floor_missing {
            let whose = format!("{} {trials} of {}", summary.backend, summary.measured);
            match notes.iter_mut().find(|(reason, _)| reason == why) {
                Some((_, all)) => all.push(whose),
                None => notes.push((why, vec![whose])),
            }
        }
    }
    let some = backends.iter().filter_map(|summary| {
        let trials = summary.anatomy.floor?.trials;
        (trials < summary.measured).then(|| format!("{} {trials} of {}", summary.backend, summary.measured))
    });
    let some: Vec<String> = some.collect();
    let rest = (!some.is_empty()).then(|| format!("× floor rests on some of the trials only: {}", some.join(", ")));
    let reasons = notes.into_iter().map(|(why, whose)| format!("trials without a floor: {}: {why}", whose.join(", ")));
    rest.into_iter().chain(reasons).collect()
}

/// What the columns mean, once for all cells.
pub(super) fn notes(cells: &[CellSummary]) -> Vec<&'static str> {
    let any = |holds: fn(&BackendSummary) -> bool| cells.iter().flat_map(|cell| &cell.backends).any(holds);
    let notes = [
        any(|summary| summary.anatomy.is_known()).then_some(NOTE),
        any(|summary| summary.anatomy.floor.is_some()).then_some(FLOOR_NOTE),
    ];
    notes.into_iter().flatten().collect()
}

/// In as many characters as there is `room` for.
fn calls(summary: &BackendSummary, room: Option<usize>) -> Option<String> {
    calls::text(&summary.anatomy.calls_per_request, room)
}

fn grid(cell: &CellSummary, calls: &dyn Fn(&BackendSummary) -> Option<String>) -> Grid {
    let known = || cell.backends.iter().filter(|summary| summary.measured > 0);
    let column = |title: &str, text: &dyn Fn(&BackendSummary) -> Option<String>| {
        Column::plain(title, known().map(|summary| text(summary).unwrap_or_else(|| NONE.to_owned())))
    };
    let number = |title: &str, value: &dyn Fn(&BackendSummary) -> Option<f64>| {
        column(title, &|summary| value(summary).map(figures::three_digits))
    };
    let mut columns = vec![
        column("\nbackend", &|summary| Some(summary.backend.clone())).left(),
        number("requests\n/wake-up", &|summary| summary.anatomy.requests_per_wakeup).leaves(7),
        number("switches\n/request", &|summary| summary.anatomy.switches_per_request()).leaves(6),
        number("of which\ninvoluntary", &|summary| summary.anatomy.involuntary_switches_per_request)
            .leaves(1)
            .named("involuntary switches/request"),
        column("copied\n/request", &|summary| summary.anatomy.copied_bytes_per_request.map(figures::mean_bytes))
            .leaves(5),
        column("kernel bytes\n/request", &|summary| summary.anatomy.kernel_bytes_per_request.map(figures::mean_bytes))
            .leaves(2),
        column("server CPU\n/request", &|summary| summary.server_cpu_ns_per_request.map(figures::duration)).leaves(3),
    ];
    columns.insert(CALLS_PLACE, column("system calls\n/request", calls).left());
    if known().any(|summary| summary.anatomy.floor.is_some()) {
        columns.push(number("\n× floor", &|summary| summary.anatomy.floor.map(|floor| floor.median)));
    }
    let interval = |summary: &BackendSummary| summary.anatomy.floor.and_then(|floor| floor.interval);
    if known().any(|summary| interval(summary).is_some()) {
        let text = |summary: &BackendSummary| {
            interval(summary).map(|ends| format!("[{}]", ends.map(figures::three_digits).join(", ")))
        };
        columns.push(column("× floor,\n95 % interval", &text).leaves(4).named("the interval of × floor"));
    }
    Grid::new(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::results::TrialRecord;
    use crate::results::tests::trial;
    use crate::statistics::{counted, summarise};

    fn drawn(trials: &[TrialRecord], columns: Option<usize>) -> (Option<String>, Vec<String>) {
        let cells = summarise(&plan::tests::plan(), trials);
        let mut left_out = Vec::new();
        let look = Look { columns, ..Look::PLAIN };
        (draw(&cells[0], look, &mut left_out), left_out)
    }

    #[test]
    fn a_row_says_where_a_request_goes_and_how_far_it_is_from_the_floor() {
        let (text, _) = drawn(&[counted("epoll", Some(8000.0))], None);
        let text = text.unwrap();
        let row = text.lines().find(|line| line.contains("epoll")).unwrap();
        for figure in
            ["recvfrom 1.00 sendto 1.00 epoll_pwait 0.25 …", "4.00", "0.25", "1.50 B", "136 B", "20.0 µs", "2.50"]
        {
            assert!(row.contains(figure), "{figure} in {row}");
        }
        assert!(text.contains("× floor") && !text.contains("interval"), "{text}");
        let six: Vec<TrialRecord> = (0..6).map(|_| counted("epoll", Some(8000.0))).collect();
        assert!(drawn(&six, None).0.unwrap().contains("[2.50, 2.50]"));
    }

    #[test]
    fn without_anything_counted_there_is_no_table_and_without_a_floor_no_multiple() {
        assert_eq!(drawn(&[trial("epoll")], None), (None, Vec::new()));
        let without = drawn(&[counted("epoll", None)], None).0.unwrap();
        assert!(!without.contains("floor"), "{without}");
        let cells = |trial| summarise(&plan::tests::plan(), &[trial]);
        assert!(notes(&cells(trial("epoll"))).is_empty());
        assert_eq!(notes(&cells(counted("epoll", None))), [NOTE]);
        assert_eq!(notes(&cells(counted("epoll", Some(1.0)))), [NOTE, FLOOR_NOTE]);
    }

    #[test]
    fn how_many_trials_have_no_floor_is_said_with_each_reason_once() {
        let missing = || {
            let mut trial = counted("epoll", None);
            let server = trial.measured.as_mut().unwrap().server.as_mut().unwrap();
            server.floor_missing = Some("it was busy".to_owned());
            trial
        };
        let with_gaps = [counted("epoll", Some(8000.0)), missing(), missing(), counted("epoll", None)];
        let text = drawn(&with_gaps, None).0.unwrap();
        for note in [
            "× floor rests on some of the trials only: epoll 1 of 4",
            "trials without a floor: epoll 2 of 4: it was busy",
        ] {
            assert_eq!(text.matches(note).count(), 1, "{note} in {text}");
        }
        let whole = drawn(&[counted("epoll", Some(8000.0))], None).0.unwrap();
        assert!(!whole.contains("rests on") && !whole.contains("without a floor"), "{whole}");
    }

    #[test]
    fn it_fits_the_terminal_and_calls_take_what_others_leave() {
        let trials: Vec<TrialRecord> = (0..6).map(|_| counted("epoll", Some(8000.0))).collect();
        let whole = drawn(&trials, None).0.unwrap().lines().map(|line| line.chars().count()).max().unwrap();
        for columns in 40..whole + 10 {
            let (text, left_out) = drawn(&trials, Some(columns));
            let text = text.unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}: {text}");
            assert!(text.contains("2.50") && text.contains("recvfrom 1.00"), "{columns}: {text}");
            let is_whole = left_out.is_empty() && text.contains("epoll_pwait 0.25 …");
            assert_eq!(is_whole, columns >= whole, "{columns}: {left_out:?}\n{text}");
        }
    }
}
