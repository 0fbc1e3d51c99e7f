//! All outputs count the same trials, whatever rounding, or an editor, has put into their figures.

use std::collections::BTreeMap;
use std::fs;

use harness::report::terminal::look::Look;
use harness::report::terminal::table;
use harness::results::{self, TrialRecord};
use harness::statistics::{rank, summarise};
use serde_json::Value;

use crate::made::{run, write};
use crate::support::harness;

const BLOCKS: usize = 8;

/// What rounding, late readings and short windows come to, and in one trial of each backend what nothing can have.
fn odd(trial: &mut TrialRecord) {
    let measured = trial.measured.as_mut().unwrap();
    let server = measured.server.as_mut().unwrap();
    match trial.block {
        1 => server.floor_in_vain = Some(1.1e-16),
        2 => server.floor_in_vain = Some(-2.2e-16),
        3 => server.floor_in_vain = Some(1.0 + 2.2e-16),
        4 => (server.utilisation, server.busiest_thread) = (Some(2.69), Some(1.000_000_000_1)),
        5 => (server.syscalls, measured.requests) = (Some(1), 50_000_000),
        6 => measured.throughput_rps = 1e300,
        7 => (server.cpu_ns, server.wakeups) = (Some(0), Some(1)),
        _ => {}
    }
}

#[test]
fn page_tables_comparison_and_rows_count_the_same_trials() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(&path.join("run.jsonl"), &run(&[1], &["epoll", "poll"]), BLOCKS, odd);
    let usable = BLOCKS - 1;

    let recorded = results::read_kept(&path.join("run.jsonl")).unwrap();
    let plan = &recorded.run.as_ref().unwrap().plan;
    let summaries = summarise(plan, &recorded.trials);
    assert!(summaries[0].backends.iter().all(|summary| (summary.measured, summary.trials) == (usable, BLOCKS)));
    let terminal = table::draw(&summaries, &rank(plan, &recorded.trials), Look::PLAIN);
    assert_eq!(terminal.matches(&format!("{usable} of {BLOCKS} *")).count(), 2, "{terminal}");

    let ended = harness(&["report", "run.jsonl", "--json"], path);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let page: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    let verdicts: BTreeMap<&str, u64> = page["runs"][0]["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_u64().unwrap()))
        .collect();
    assert_eq!(verdicts, BTreeMap::from([("valid", 2 * usable as u64), ("invalid", 2)]));
    let reason = "throughput_rps is not plausible: 1e300";
    assert_eq!(page["runs"][0]["reasons"][0]["reason"], reason);
    let markdown = fs::read_to_string(path.join("run-report/report.md")).unwrap();
    assert_eq!(markdown.matches(&format!("{usable} of {BLOCKS}")).count(), 2, "{markdown}");

    let ended = harness(&["compare", "run.jsonl", "--baseline", "epoll", "--json"], path);
    let comparison: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    for side in ["own", "other"] {
        assert_eq!(comparison["rows"][0][side]["usable"], usable, "{comparison}");
    }
    let ended = harness(&["export", "run.jsonl", "--format", "csv"], path);
    let rows = |what: &str| ended.stdout.iter().filter(|row| row.contains(what)).count();
    assert_eq!((rows(",valid,"), rows(",invalid,"), rows(reason)), (2 * usable, 2, 2), "{ended:?}");
    let ended = harness(&["export", "run.jsonl", "--format", "hlog"], path);
    let logged = ended.stdout.iter().filter(|line| line.starts_with("Tag=")).count();
    assert_eq!(logged, 2 * usable, "{ended:?}");
}
