use super::super::tests::{file, nothing, run};
use super::*;
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
    let table = &contents.tables[0];
    assert_eq!(contents.title, "2 backends on Linux 6.18");
    assert_eq!(table.rows.len(), 2 * 3);
    assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
    assert_eq!([0, 1, 2].map(|row| text(table, row, "backend")), ["epoll", "poll", "poll#2"]);
    assert_eq!((text(table, 0, "connections"), text(table, 3, "connections")), ("1", "64"));
    assert_eq!((text(table, 0, "requests/s"), text(table, 0, "spread")), ("4,000", "±0.0 %"));
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
    assert_eq!(contents.tables[0].rows.len(), 4);
    let json = serde_json::to_string(&contents).unwrap();
    assert!(!json.contains("NaN"), "{json}");
    assert!(crate::report::markdown::draw(&contents).contains("&lt;script&gt;"));
}
