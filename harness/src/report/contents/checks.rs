use super::super::tests::{file, nothing, run};
use super::*;
use crate::environment::BackendFacts;
use crate::results::tests::failed_trial;
use crate::results::{EncodedHistogram, TrialRecord, Verdict};

fn text<'a>(table: &'a Table, row: usize, column: &str) -> &'a str {
    let place = table.columns.iter().position(|one| one.title == column).unwrap_or_else(|| panic!("{column}"));
    &table.rows[row][place].text
}

#[test]
fn every_backend_in_every_cell_has_a_row_of_figures() {
    let mut plan = run("2026-01-01T00:00:00Z", &[1, 64], &["epoll", "poll"]);
    plan.plan.twice = vec!["poll".to_owned()];
    let contents = Contents::of(&[file("run.jsonl", plan, 2, |trial| {
        if trial.backend == "poll" && trial.trial.is_multiple_of(2) {
            (trial.verdict, trial.reasons) = (Verdict::Suspect, vec!["odd".to_owned()]);
        }
    })]);
    let table = &contents.table;
    assert_eq!(contents.title, "2 backends on Linux 6.18");
    assert_eq!(table.rows.len(), 2 * 3);
    assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
    assert_eq!([0, 1, 2].map(|row| text(table, row, "backend")), ["epoll", "poll", "poll#2"]);
    assert_eq!((text(table, 0, "connections"), text(table, 3, "connections")), ("1", "64"));
    assert_eq!((text(table, 0, "requests/s"), text(table, 0, "spread")), ("4,000", "4,000 to 4,000"));
    assert_eq!((text(table, 0, "server CPU/request"), text(table, 0, "syscalls/request")), ("20.0 µs", "3.00"));
    // 4,000 requests have a p99 and no p99.9.
    assert_eq!((text(table, 0, "p99"), text(table, 0, "p99.9"), text(table, 0, "max")), ("1.98 ms", "–", "2.00 ms"));
    assert_eq!((text(table, 1, "trials"), text(table, 1, "verdicts")), ("2", "valid 1, suspect 1"));
    assert_eq!((text(table, 0, "bottleneck"), text(table, 0, "max RSS")), ("latency", "4.0 MiB"));
    assert!(table.rows[0].iter().zip(&table.columns).all(|(entry, column)| column.numeric || entry.value.is_none()));
}

#[test]
fn reasons_are_told_once_with_whom_they_hold_for_and_the_worst_come_first() {
    let contents = Contents::of(&[file("run.jsonl", run("", &[1], &["epoll", "poll"]), 3, |trial| {
        if trial.block == 1 {
            let (number, cell) = (trial.trial, trial.cell.clone());
            *trial = TrialRecord { trial: number, cell, ..failed_trial(&trial.backend, "it died") };
        } else {
            (trial.verdict, trial.reasons) = (Verdict::Suspect, vec!["odd".to_owned()]);
        }
    })]);
    let facts = &contents.runs[0];
    assert_eq!(facts.verdicts, [("suspect".to_owned(), 4), ("failed".to_owned(), 2)]);
    let told: Vec<(&str, &str, usize)> =
        facts.reasons.iter().map(|one| (one.kind.as_str(), one.reason.as_str(), one.backends[0].1)).collect();
    assert_eq!(told, [("failed", "it died", 1), ("suspect", "odd", 2)]);
    assert_eq!(facts.reasons[0].backends.len(), 2);
    let titles: Vec<&str> = facts.environment.iter().map(|(title, _)| title.as_str()).collect();
    assert!(titles.contains(&"machine") && titles.contains(&"run") && titles.contains(&"network"), "{titles:?}");
}

#[test]
fn what_a_plan_does_not_have_and_what_is_missing_is_noted() {
    let mut planned = run("2026-01-01T00:00:00Z", &[1], &["epoll", "poll"]);
    planned.build.build_profile = "debug".to_owned();
    let mut odd = file("run.jsonl", planned, 2, |_| ());
    odd.recorded.trials[0].cell.connections = 3;
    odd.recorded.trials[1].backend = "<script>".to_owned();
    let mut elsewhere = file("old.jsonl", run("2025-01-01T00:00:00Z", &[1], &["epoll"]), 2, |_| ());
    elsewhere.recorded.run.as_mut().unwrap().environment.kernel = "5.0".to_owned();
    let cut_off = FileRun { name: "cut.jsonl".to_owned(), recorded: nothing() };
    let contents = Contents::of(&[cut_off, elsewhere, odd]);
    let notes: Vec<String> =
        contents.runs.iter().map(|run| format!("{}: {}", run.file, run.notes.join("; "))).collect();
    assert!(notes[0].starts_with("run.jsonl: the build was a debug build"), "{notes:#?}");
    assert!(notes[0].contains("2 trials are of a cell or a backend that the plan does not have"), "{notes:#?}");
    assert!(notes[0].contains("the run ended after 2 of 4 trials"), "{notes:#?}");
    assert!(notes[1].starts_with("old.jsonl: ") && notes[1].contains("history only"), "{notes:#?}");
    assert_eq!(notes[2], "cut.jsonl: the file ends within its first line, so nothing is known of it");
}

#[test]
fn absurd_figures_are_no_reason_to_give_up() {
    let absurd = file("run.jsonl", run("2026-01-01T00:00:00Z", &[1, 64], &["epoll", "<script>"]), 8, |trial| {
        let measured = trial.measured.as_mut().unwrap();
        measured.throughput_rps = [0.0, f64::MAX, 1e-300, -1.0][trial.block % 4];
        measured.requests = [0, u64::MAX][trial.block % 2];
        measured.censored = u64::MAX;
        let server = measured.server.as_mut().unwrap();
        (server.cpu_ns, server.syscalls, server.max_rss_bytes) = (Some(u64::MAX), Some(u64::MAX), Some(u64::MAX));
        // Of other ranges than ours, and of no more than one value.
        let mut histogram =
            hdrhistogram::Histogram::new_with_bounds(1 << 20, u64::MAX / 2, [1, 2, 4, 5][trial.block % 4]).unwrap();
        histogram.record(u64::MAX / 2).unwrap();
        measured.latency_hdr = EncodedHistogram(histogram);
    });
    let contents = Contents::of(&[absurd]);
    assert_eq!(contents.table.rows.len(), 4);
    let json = serde_json::to_string(&contents).unwrap();
    assert!(!json.contains("NaN"), "{json}");
    assert!(crate::report::markdown::draw(&contents).contains("&lt;script&gt;"));
}

/// A run of two backends that are called so, where the second serves twice as much.
fn named(names: [&str; 2]) -> Contents {
    Contents::of(&[file("run\u{202e}.jsonl", run("2026-01-01T00:00:00Z", &[1], &names), 8, |trial| {
        trial.verdict = Verdict::Suspect;
        trial.reasons = vec!["odd\u{202e}\u{1b}[2J\nand so on".to_owned()];
        if trial.backend == names[1] {
            trial.measured.as_mut().unwrap().throughput_rps *= 2.0 + 0.001 * trial.block as f64;
        }
    })])
}

#[test]
fn nothing_turns_or_hides_what_is_said_and_names_that_were_different_stay_so() {
    let is_hidden = |c: &char| plain::plain(&c.to_string()) != c.to_string();
    for (names, shown) in [
        (["epoll", "\u{202e}epoll"], ["epoll", "epoll-2"]),
        (["e\u{200b}poll", "epoll"], ["epoll-2", "epoll"]),
        (["\u{202e}", ""], ["(unnamed)", "(unnamed)-2"]),
        (["line\nbreak\u{1b}[31m", "epoll#2\u{2066}"], ["line break[31m", "epoll#2-2"]),
    ] {
        let contents = named(names);
        assert_eq!([0, 1].map(|row| text(&contents.table, row, "backend")), shown);
        let drawn: Vec<&str> = contents.backends.iter().map(|backend| backend.name.as_str()).collect();
        assert_eq!(drawn, shown);
        assert!(contents.answer.findings[0].contains(&format!("{} serves", shown[1])), "{:?}", contents.answer);
        let commands = contents.runs.iter().map(|run| run.command.clone()).collect::<String>();
        let json = serde_json::to_string(&contents).unwrap();
        assert!(!commands.chars().filter(|c| *c != '\n').any(|c| is_hidden(&c)), "{commands:?}");
        for hidden in ["\u{202e}", "\u{200b}", "\u{2066}", "\\u001b"] {
            assert!(!json.contains(hidden), "{hidden:?} in {json}");
        }
        assert_eq!(contents.runs[0].reasons[0].reason, "odd[2J and so on");
    }
}

#[test]
fn figures_that_nothing_can_have_are_in_no_sentence_and_no_chart() {
    let absurd = file("run.jsonl", run("2026-01-01T00:00:00Z", &[1], &["epoll", "poll", "select"]), 8, |trial| {
        let measured = trial.measured.as_mut().unwrap();
        match trial.backend.as_str() {
            "poll" => measured.throughput_rps = 1.7e308,
            "select" => measured.throughput_rps = 1e-300,
            _ => {}
        }
    });
    let contents = Contents::of(&[absurd]);
    let said = serde_json::to_string(&contents.answer).unwrap();
    assert!(!said.contains("inf") && said.contains("no trial of poll counts: throughput_rps is not"), "{said}");
    assert_eq!(text(&contents.table, 1, "verdicts"), "invalid 8");
    assert_eq!(contents.runs[0].reasons[0].reason, "throughput_rps is not plausible: 1.7e308");
    let largest = contents.charts.iter().flat_map(|chart| &chart.series).flat_map(|series| &series.points);
    assert!(largest.filter_map(|point| point.y).all(|y| y < 1e15));
}

#[test]
fn a_file_of_another_machine_is_said_to_take_no_part_in_the_answer() {
    let newest = file("new.jsonl", run("2026-01-02T00:00:00Z", &[1], &["epoll", "poll"]), 8, |_| ());
    let mut old = file("old.jsonl", run("2026-01-01T00:00:00Z", &[1], &["epoll", "poll"]), 8, |_| ());
    old.recorded.run.as_mut().unwrap().environment.kernel = "5.0".to_owned();
    let open = Contents::of(&[old, newest.clone()]).answer.open;
    assert!(open.contains(&"old.jsonl is of another machine: it is in the history only.".to_owned()), "{open:?}");
    assert!(Contents::of(&[newest]).answer.open.iter().all(|line| !line.contains("machine")));
}

#[test]
fn verdicts_stand_beside_the_names_and_a_spread_is_from_where_to_where() {
    let contents = named(["epoll", "poll"]);
    let titles: Vec<&str> = contents.table.columns.iter().map(|column| column.title.as_str()).collect();
    assert_eq!(titles[..5], ["backend", "connections", "verdicts", "requests/s", "spread"]);
    assert_eq!(text(&contents.table, 1, "spread"), "8,004 to 8,032");
    assert!(contents.table.legend().is_some_and(|legend| legend.starts_with("spread: ")));
    assert!(crate::report::markdown::draw(&contents).contains("\n\nspread: requests/s of the slowest"));
    assert!(crate::report::page::draw(&contents).contains("spread: requests/s of the slowest"));
}

#[test]
fn what_the_kernel_grants_is_told_of_those_that_took_part() {
    let mut own = run("2026-01-01T00:00:00Z", &[1], &["epoll"]);
    let of = |name: &str| BackendFacts { name: name.to_owned(), receipt: None, reason: Some("no".to_owned()) };
    own.environment.backends = Some(vec![of("epoll"), of("io_uring")]);
    let contents = Contents::of(&[file("run.jsonl", own, 1, |_| ())]);
    let granted = contents.runs[0].environment.iter().find(|(title, _)| title == "what the kernel grants").unwrap();
    let names: Vec<&str> = granted.1.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["epoll"]);
}
