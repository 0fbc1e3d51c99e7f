//! The table at the end of a sweep: one for each cell, below it everything that keeps a figure from being taken at face
//! value, and then who is best.

use std::fmt::Write;

use comfy_table::{Cell, CellAlignment, ContentLineStyle, LineStyle, Table, TableStyle};

use crate::figures::{self, NONE};
use crate::report::terminal::ranking;
use crate::results::Bottleneck;
use crate::statistics::{
    BackendSummary, CellSummary, Ranking, Remark, RemarkKind, ThreadSpread, enough_samples, percentile_of_all,
};

/// A line below the header and no other: rows are compared with each other.
pub const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('─'))
    .content_lines(ContentLineStyle::none());

/// The percentiles that have a column.
const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")];

/// Where the memory of idle connections stands, if there are any: after the most memory of all.
const MEMORY_COLUMN: usize = 9;

/// Below all tables, where any has such a figure.
const SPREAD_NOTE: &str = "spread: the largest distance of a trial from the median";

/// Draws every cell, and its ranking.
#[must_use]
pub fn draw(cells: &[CellSummary], ranking: &Ranking) -> String {
    let rankings = cells.iter().map(|cell| ranking.cells.iter().find(|ranking| ranking.cell == cell.cell));
    let draw =
        |(cell, ranking): (&CellSummary, Option<_>)| draw_cell(cell) + &ranking.map_or(String::new(), ranking::draw);
    let mut text = cells.iter().zip(rankings).map(draw).collect::<Vec<_>>().join("\n");
    if cells.iter().flat_map(|cell| &cell.backends).any(|summary| spread(summary).is_some()) {
        let _ = write!(text, "\n{SPREAD_NOTE}");
        if cells.iter().any(|cell| cell.backends.len() > 1) {
            let _ = write!(text, "\n{}", ranking::note(ranking));
        }
    }
    text
}

fn draw_cell(cell: &CellSummary) -> String {
    let latency = if cell.cell.rate_rps.is_some() { "latency" } else { "service" };
    let mut table = Table::new();
    let is_among_idle = cell.cell.idle_connections > 0;
    let mut header = vec![
        "\nbackend".to_owned(),
        "requests/s\nmedian".to_owned(),
        "\nspread".to_owned(),
        format!("{latency}\n{}", QUANTILES[0].1),
        format!("\n{}", QUANTILES[1].1),
        format!("\n{}", QUANTILES[2].1),
        "server CPU\n/request".to_owned(),
        "syscalls\n/request".to_owned(),
        "\nmax RSS".to_owned(),
        "\nbottleneck".to_owned(),
        "\ntrials".to_owned(),
    ];
    if is_among_idle {
        header.insert(MEMORY_COLUMN, "memory\n/idle".to_owned());
    }
    table.load_style(STYLE).set_header(header);
    table.add_rows(cell.backends.iter().map(|summary| {
        let mut row = row(summary);
        if is_among_idle {
            let bytes = summary.memory_bytes_per_idle_connection;
            row.insert(MEMORY_COLUMN, Cell::new(or_none(bytes.map(|bytes| format!("{bytes:.0} B")))));
        }
        row
    }));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{}\n{}\n", cell.cell, table.trim_fmt());
    for note in notes(&cell.backends).into_iter().chain(thread_notes(&cell.backends)) {
        let _ = writeln!(text, "  {note}");
    }
    text
}

fn row(summary: &BackendSummary) -> Vec<Cell> {
    let throughput = summary.throughput_rps;
    let mut row = vec![
        summary.backend.clone(),
        or_none(throughput.map(|spread| figures::grouped(spread.median))),
        or_none(spread(summary)),
    ];
    for (q, _) in QUANTILES {
        row.push(or_none(quantile(summary, q).map(|ns| figures::duration(ns as f64))));
    }
    row.extend([
        or_none(summary.server_cpu_ns_per_request.map(figures::duration)),
        or_none(summary.syscalls_per_request.map(figures::three_digits)),
        or_none(summary.max_rss_bytes.map(figures::bytes)),
        or_none(bottlenecks(&summary.bottlenecks)),
        trials(summary),
    ]);
    row.into_iter().map(Cell::new).collect()
}

/// Of all requests, answered or not.
fn quantile(summary: &BackendSummary, q: f64) -> Option<u64> {
    percentile_of_all(&summary.latency, summary.unanswered, q)
}

/// One trial has no distance from itself.
fn spread(summary: &BackendSummary) -> Option<String> {
    let spread = summary.throughput_rps.filter(|_| summary.measured > 1)?;
    Some(format!("±{:.1} %", spread.relative() * 100.0))
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| NONE.to_owned())
}

fn bottlenecks(bottlenecks: &[Bottleneck]) -> Option<String> {
    let names: Vec<String> = bottlenecks.iter().map(Bottleneck::to_string).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// How many trials the figures are made of, and whether there is a note about any of them.
fn trials(summary: &BackendSummary) -> String {
    let mark = if summary.remarks.is_empty() { "" } else { " *" };
    if summary.measured == summary.trials {
        format!("{}{mark}", summary.trials)
    } else {
        format!("{} of {}{mark}", summary.measured, summary.trials)
    }
}

fn notes(backends: &[BackendSummary]) -> Vec<String> {
    let mut notes = remark_notes(backends);
    let unprinted = |because: &dyn Fn(&BackendSummary, f64) -> bool| {
        let lacks =
            |summary: &BackendSummary, q| summary.measured > 0 && quantile(summary, q).is_none() && because(summary, q);
        let names = QUANTILES.iter().filter(|(q, _)| backends.iter().any(|summary| lacks(summary, *q)));
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    let is_enough = |summary: &BackendSummary, q| enough_samples(summary.latency.len() + summary.unanswered, q);
    let (short, unanswered) = (unprinted(&|summary, q| !is_enough(summary, q)), unprinted(&is_enough));
    if !short.is_empty() {
        notes.push(format!(
            "{NONE} {short}: too few requests for this percentile, at least 10 must lie above it; measure longer"
        ));
    }
    if !unanswered.is_empty() {
        notes.push(format!("{NONE} {unanswered}: so many requests were never answered that it is one of them"));
    }
    notes
}

/// How the load was spread over the server's threads, where there were several: throughput follows that as it follows the
/// interface.
fn thread_notes(backends: &[BackendSummary]) -> Vec<String> {
    let note = |what: &str, of: &dyn Fn(&ThreadSpread) -> Option<String>| {
        let told = |summary: &BackendSummary| Some(format!("{} {}", summary.backend, of(&summary.thread_spread?)?));
        let each: Vec<String> = backends.iter().filter_map(told).collect();
        (!each.is_empty()).then(|| format!("{what}: {}", each.join(", ")))
    };
    let connections = |spread: &ThreadSpread| {
        let (fewest, most) = spread.middle;
        let (fewest_ever, most_ever) = spread.most_uneven;
        Some(format!("{fewest}–{most} ({fewest_ever}–{most_ever})"))
    };
    let busy = |spread: &ThreadSpread| {
        let (least, most) = spread.busy?;
        Some(format!("{:.0}–{:.0} %", least * 100.0, most * 100.0))
    };
    let connections = note("connections per server thread, in the middle (most uneven) trial", &connections);
    connections.into_iter().chain(note("time that a server thread ran, in the middle trial", &busy)).collect()
}

/// Each reason once, with the backends that it holds for: it is often the same for all of them.
fn remark_notes(backends: &[BackendSummary]) -> Vec<String> {
    let mut notes: Vec<(RemarkKind, &str, Vec<String>)> = Vec::new();
    for summary in backends {
        for Remark { kind, reason, trials } in &summary.remarks {
            let whose = match kind {
                RemarkKind::Unavailable => summary.backend.clone(),
                _ => format!("{} {trials} of {}", summary.backend, summary.trials),
            };
            match notes.iter_mut().find(|note| (note.0, note.1) == (*kind, reason)) {
                Some((_, _, backends)) => backends.push(whose),
                None => notes.push((*kind, reason, vec![whose])),
            }
        }
    }
    let note = |(kind, reason, backends): (RemarkKind, &str, Vec<String>)| {
        let backends = backends.join(", ");
        match kind {
            RemarkKind::Unavailable => format!("* unavailable: {backends}: {reason}"),
            RemarkKind::Failed => format!("* failed trials: {backends}: {reason}"),
            RemarkKind::Invalid => format!("* invalid trials: {backends}: {reason}"),
            RemarkKind::Suspect => format!("* suspect trials: {backends}: {reason}"),
        }
    };
    notes.into_iter().map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::plan::SweepPlan;
    use crate::results::tests::{failed_trial, trial};
    use crate::results::{TrialRecord, Verdict};
    use crate::statistics::{rank, summarise};

    fn first_table(trials: &[TrialRecord]) -> String {
        let plan = plan::tests::plan();
        draw(&summarise(&plan, trials)[..1], &rank(&plan, trials))
    }

    #[test]
    fn figures_stand_beside_their_backend() {
        let table = first_table(&[trial("epoll"), trial("epoll")]);
        assert!(table.starts_with("1 connection · payload 64 B"), "{table}");
        let row = table.lines().find(|line| line.contains("epoll")).unwrap();
        for figure in ["4,000", "1.00 ms", "1.98 ms", "20.0 µs", "3.00", "4.0 MiB", "latency", "2"] {
            assert!(row.contains(figure), "{figure} in {row}");
        }
    }

    #[test]
    fn memory_for_an_idle_connection_stands_there_only_if_there_are_any() {
        let plan = SweepPlan {
            idle_connections: vec![0, 1000],
            connections: vec![1],
            rate_rps: vec![None],
            ..plan::tests::plan()
        };
        let mut among_idle = trial("epoll");
        among_idle.cell.idle_connections = 1000;
        let server = among_idle.measured.as_mut().unwrap().server.as_mut().unwrap();
        server.memory_bytes_per_idle_connection = Some(151.6);
        let text = draw(&summarise(&plan, &[trial("epoll"), among_idle]), &rank(&plan, &[]));
        let tables: Vec<&str> = text.split("server thread").collect();
        assert!(!tables[1].contains("/idle") && tables[2].contains("/idle") && tables[2].contains("152 B"), "{text}");
    }

    #[test]
    fn a_single_trial_has_no_spread() {
        let single = first_table(&[trial("epoll"), trial("poll")]);
        assert!(!single.contains('±'), "{single}");
        let double = first_table(&[trial("epoll"), trial("epoll")]);
        assert!(double.contains("±0.0 %") && double.contains(SPREAD_NOTE), "{double}");
    }

    #[test]
    fn a_percentile_without_enough_samples_is_a_gap_with_a_reason() {
        let table = first_table(&[trial("epoll")]);
        assert!(table.contains("– p99.9: too few requests"), "{table}");
    }

    #[test]
    fn a_percentile_among_requests_without_an_answer_is_not_that_of_the_others() {
        let mut trial = trial("epoll");
        trial.measured.as_mut().unwrap().censored = 100;
        let table = first_table(&[trial]);
        assert!(table.contains("– p99: so many requests were never answered that it is one of them"), "{table}");
        assert!(!table.contains("1.98 ms"), "{table}");
    }

    #[test]
    fn how_connections_were_spread_over_several_threads_is_said() {
        let spread = |backend, connections: &[u64], busy: &[f64]| {
            let mut trial = trial(backend);
            let server = trial.measured.as_mut().unwrap().server.as_mut().unwrap();
            server.connections_per_thread = Some(connections.to_vec());
            server.busy_per_thread = Some(busy.to_vec());
            trial
        };
        let trials =
            [spread("epoll", &[37, 27], &[0.6, 0.449]), spread("epoll", &[20, 44], &[0.3, 0.7]), trial("poll")];
        let table = first_table(&trials);
        let notes = "  connections per server thread, in the middle (most uneven) trial: epoll 27–37 (20–44)\n  \
                     time that a server thread ran, in the middle trial: epoll 45–60 %\n";
        assert!(table.contains(notes), "{table}");
        assert!(!first_table(&[spread("epoll", &[64], &[0.9])]).contains("server thread, in"));
    }

    #[test]
    fn a_backend_without_figures_stays_with_its_reason() {
        let table = first_table(&[trial("epoll"), failed_trial("poll", "it died")]);
        assert!(table.lines().any(|line| line.contains("poll") && line.contains("0 of 1 *")), "{table}");
        assert!(table.contains("* failed trials: poll 1 of 1: it died"), "{table}");
    }

    #[test]
    fn a_reason_that_holds_for_several_backends_is_said_once() {
        let suspect =
            |backend| TrialRecord { verdict: Verdict::Suspect, reasons: vec!["odd".to_owned()], ..trial(backend) };
        let table = first_table(&[suspect("epoll"), suspect("poll"), trial("poll")]);
        assert!(table.contains("* suspect trials: poll 1 of 2, epoll 1 of 1: odd\n"), "{table}");
    }
}
