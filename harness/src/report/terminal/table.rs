//! The table at the end of a sweep: one for each cell, below it everything that keeps a figure from being taken at face
//! value, and then who is best.

mod notes;

use std::fmt::Write;

use super::grid::{Column, Grid, left_out_note};
use super::look::{Look, Tone};
use super::{anatomy, bar, ranking};
use crate::figures::{self, NONE};
use crate::results::{Bottleneck, Fate};
use crate::statistics::{BackendSummary, CellSummary, Percentile, Ranking};

/// The percentiles that have a column.
const PERCENTILES: [Percentile; 3] = [Percentile::P50, Percentile::P99, Percentile::P999];

/// Where a bar stands: after the throughput that it shows.
const BAR_PLACE: usize = 2;
/// Fewer places tell backends from each other no better than the figures do; more are no clearer.
const BAR_PLACES: std::ops::RangeInclusive<usize> = 5..=16;

/// Below all tables, where any has such a figure.
const SPREAD_NOTE: &str = "spread: the largest distance of a trial from the median";
/// The same.
const PERCENTILES_NOTE: &str =
    "p50, p99: the median of each trial's own, as ranked and drawn; p99.9: of all requests of all trials together";

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
    if cells.iter().flat_map(|cell| &cell.backends).any(|summary| summary.percentile(Percentile::P50).is_ok()) {
        let _ = write!(text, "\n{}", look.prose(PERCENTILES_NOTE, 2));
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
    for note in notes::notes(&cell.backends) {
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
        let name = PERCENTILES[place].name();
        let title = if place == 0 { format!("{latency}\n{name}") } else { format!("\n{name}") };
        column(&title, &|summary| summary.percentile(PERCENTILES[place]).ok().map(figures::duration)).named(name)
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
        columns.push(column("memory\n/idle", &|summary| bytes(summary).map(figures::mean_bytes)).leaves(7));
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
    match summary.remarks.iter().any(|remark| remark.fate != Fate::Suspect) {
        true => Tone::Invalid,
        false if summary.remarks.is_empty() => Tone::Plain,
        false => Tone::Suspect,
    }
}

/// One trial has no distance from itself.
fn spread(summary: &BackendSummary) -> Option<String> {
    let spread = summary.throughput_rps.filter(|_| summary.measured > 1)?;
    Some(figures::plus_minus(spread.relative()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::plan::SweepPlan;
    use crate::results::tests::{failed_trial, trial};
    use crate::results::{TrialRecord, Verdict};
    use crate::statistics::{rank, summarise};

    pub(super) fn first_table(trials: &[TrialRecord]) -> String {
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
    fn a_backend_without_figures_stays_with_its_reason() {
        let table = first_table(&[trial("epoll"), failed_trial("poll", "it died")]);
        assert!(table.lines().any(|line| line.contains("poll") && line.contains("0 of 1 *")), "{table}");
        assert!(table.contains("* failed trials: poll 1 of 1: it died"), "{table}");
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
        let look = Look { columns: Some(200), colours: true, ..Look::PLAIN };
        let text = draw(&summarise(&plan, &trials)[..1], &rank(&plan, &trials), look);
        let row = |name| text.lines().find(|line| line.contains(name)).unwrap();
        assert!(row("epoll").starts_with(" \x1b[33mepoll") && row("epoll").contains('▒'), "{text}");
        assert!(row("poll ").contains('\x1b') || row("poll ").contains('█'), "{text}");
        assert!(!draw(&summarise(&plan, &trials)[..1], &rank(&plan, &trials), Look::PLAIN).contains('\x1b'));
    }
}
