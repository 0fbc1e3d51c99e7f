//! The table at the end of a sweep: one for each cell, below it everything that keeps a figure from being taken at face
//! value, and then who is best.

use std::fmt::Write;

use super::grid::{Column, Grid, left_out_note};
use super::look::{Look, Tone};
use super::{anatomy, bar, ranking};
use crate::figures::{self, NONE};
use crate::results::Bottleneck;
use crate::statistics::{
    BackendSummary, CellSummary, Ranking, Remark, RemarkKind, ThreadSpread, enough_samples, percentile_of_all,
};

/// The percentiles that have a column.
const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")];

/// Where a bar stands: after the throughput that it shows.
const BAR_PLACE: usize = 2;
/// Fewer places tell backends from each other no better than the figures do; more are no clearer.
const BAR_PLACES: std::ops::RangeInclusive<usize> = 5..=16;

/// Below all tables, where any has such a figure.
const SPREAD_NOTE: &str = "spread: the largest distance of a trial from the median";

/// Draws every cell, and its ranking.
#[must_use]
pub fn draw(cells: &[CellSummary], ranking: &Ranking, look: Look) -> String {
    let mut left_out = Vec::new();
    let mut texts = Vec::new();
    for cell in cells {
        let ranking = ranking.cells.iter().find(|ranking| ranking.cell == cell.cell);
        let mut text = draw_cell(cell, look, &mut left_out);
        text.extend(anatomy::draw(cell, look, &mut left_out));
        text.extend(ranking.map(|ranking| ranking::draw(ranking, look)));
        texts.push(text);
    }
    let mut text = texts.join("\n");
    if cells.iter().flat_map(|cell| &cell.backends).any(|summary| spread(summary).is_some()) {
        if !left_out.iter().any(|name| name == "spread") {
            let _ = write!(text, "\n{}", look.prose(SPREAD_NOTE, 0));
        }
        if cells.iter().any(|cell| cell.backends.len() > 1) {
            for line in ranking::note(ranking).lines() {
                let _ = write!(text, "\n{}", look.prose(line, 2));
            }
        }
    }
    for note in anatomy::notes(cells) {
        let _ = write!(text, "\n{}", look.prose(note, 2));
    }
    if let Some(note) = left_out_note(&left_out) {
        let _ = write!(text, "\n{}", look.prose(&note, 2));
    }
    text
}

/// Adds to `left_out` what there was no room for.
fn draw_cell(cell: &CellSummary, look: Look, left_out: &mut Vec<String>) -> String {
    let mut grid = grid(cell);
    let lacking = grid.fit(look);
    if lacking.is_empty()
        && let Some(room) = look.columns.map(|columns| columns - grid.width())
        && let Some(places) = room.checked_sub(2).map(|room| room.min(*BAR_PLACES.end()))
        && BAR_PLACES.contains(&places)
    {
        grid.insert(BAR_PLACE, bars(&cell.backends, places, look));
    }
    for name in lacking {
        if !left_out.contains(&name) {
            left_out.push(name);
        }
    }
    let mut text = format!("{}\n{}", look.prose(&cell.cell.to_string(), 2), grid.draw(look));
    for note in notes(&cell.backends).into_iter().chain(thread_notes(&cell.backends)) {
        let _ = writeln!(text, "{}", look.prose(&format!("  {note}"), 4));
    }
    text
}

/// What is left out first where there is no room: what explains a figure before what is asked about most.
fn grid(cell: &CellSummary) -> Grid {
    let latency = if cell.cell.rate_rps.is_some() { "latency" } else { "service" };
    let column = |title: &str, text: &dyn Fn(&BackendSummary) -> Option<String>| {
        Column::plain(title, cell.backends.iter().map(|summary| or_none(text(summary))))
    };
    let percentile = |place: usize| {
        let (q, name) = QUANTILES[place];
        let title = if place == 0 { format!("{latency}\n{name}") } else { format!("\n{name}") };
        column(&title, &|summary| quantile(summary, q).map(|ns| figures::duration(ns as f64))).named(name)
    };
    let toned = |text: &dyn Fn(&BackendSummary) -> String| {
        cell.backends.iter().map(|summary| (text(summary), tone(summary))).collect::<Vec<_>>()
    };
    let mut columns = vec![
        Column::new("\nbackend", toned(&|summary| summary.backend.clone())).left(),
        column("requests/s\nmedian", &|summary| Some(figures::grouped(summary.throughput_rps?.median))),
        column("\nspread", &spread).leaves(6),
        percentile(0).leaves(4),
        percentile(1).leaves(8),
        percentile(2).leaves(5),
        column("server CPU\n/request", &|summary| summary.server_cpu_ns_per_request.map(figures::duration)).leaves(9),
        column("syscalls\n/request", &|summary| summary.syscalls_per_request.map(figures::three_digits)).leaves(2),
        column("\nmax RSS", &|summary| summary.max_rss_bytes.map(figures::bytes)).leaves(1),
    ];
    if cell.cell.idle_connections > 0 {
        let bytes = |summary: &BackendSummary| summary.memory_bytes_per_idle_connection;
        columns.push(column("memory\n/idle", &|summary| bytes(summary).map(|bytes| format!("{bytes:.0} B"))).leaves(7));
    }
    columns.extend([
        column("\nbottleneck", &|summary| bottlenecks(&summary.bottlenecks)).leaves(3),
        Column::new("\ntrials", toned(&trials)),
    ]);
    Grid::new(columns)
}

/// Throughputs in relation to the highest of the cell.
fn bars(backends: &[BackendSummary], places: usize, look: Look) -> Column {
    let median = |summary: &BackendSummary| summary.throughput_rps.map(|spread| spread.median);
    let best = backends.iter().filter_map(median).fold(0.0, f64::max);
    let bar = |summary: &BackendSummary| {
        let share = median(summary).filter(|_| best > 0.0).map(|median| median / best);
        let bar = share.map(|share| bar::draw(share, places, !summary.remarks.is_empty(), look));
        (or_none(bar), tone(summary))
    };
    Column::new("", backends.iter().map(bar)).left()
}

/// The worst that the mark beside the trials stands for.
fn tone(summary: &BackendSummary) -> Tone {
    match summary.remarks.iter().any(|remark| remark.kind != RemarkKind::Suspect) {
        true => Tone::Invalid,
        false if summary.remarks.is_empty() => Tone::Plain,
        false => Tone::Suspect,
    }
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
        draw(&summarise(&plan, trials)[..1], &rank(&plan, trials), Look::PLAIN)
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
        let text = draw(&summarise(&plan, &[trial("epoll"), among_idle]), &rank(&plan, &[]), Look::PLAIN);
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

    #[test]
    fn a_narrow_screen_has_fewer_columns_and_a_wide_one_bars() {
        let plan = plan::tests::plan();
        let trials = [trial("epoll"), trial("epoll"), failed_trial("poll", "it died of something that takes words")];
        let text = |columns, blocks| {
            let look = Look { columns, blocks, ..Look::PLAIN };
            draw(&summarise(&plan, &trials)[..1], &rank(&plan, &trials), look)
        };
        let all = text(None, true);
        for columns in [60, 80, 120, 200] {
            let text = text(Some(columns), true);
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}: {text}");
            assert!(text.contains("4,000") && text.contains("0 of 1 *"), "{text}");
            assert_eq!(text.contains("no room for max RSS, syscalls/request"), columns <= 80, "{text}");
            assert_eq!(text.contains('█'), columns > 80, "{text}");
        }
        assert!(!all.contains('█') && !all.contains("no room"), "{all}");
        assert!(text(Some(200), false).contains("################"));
    }

    #[test]
    fn what_is_suspect_is_hatched_and_coloured() {
        let plan = plan::tests::plan();
        let suspect = TrialRecord { verdict: Verdict::Suspect, reasons: vec!["odd".to_owned()], ..trial("epoll") };
        let trials = [suspect, trial("poll"), failed_trial("threads", "it died")];
        let look = Look { columns: Some(200), colours: true, blocks: true };
        let text = draw(&summarise(&plan, &trials)[..1], &rank(&plan, &trials), look);
        let row = |name| text.lines().find(|line| line.contains(name)).unwrap();
        assert!(row("epoll").starts_with(" \x1b[33mepoll") && row("epoll").contains('▒'), "{text}");
        assert!(row("poll ").contains('\x1b') || row("poll ").contains('█'), "{text}");
        assert!(!draw(&summarise(&plan, &trials)[..1], &rank(&plan, &trials), Look::PLAIN).contains('\x1b'));
    }
}
