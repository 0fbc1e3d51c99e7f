//! `harness capacity`: what it finds, what it leaves in its file, and how it ends.

use std::fs;
use std::path::Path;

use harness::results::{Recorded, TrialRecord, read};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::brief::recorded;
use crate::support::{Ended, Running, harness};

/// Trials of a moment each, and few of them.
const TINY: [&str; 15] = [
    "capacity",
    "--connections",
    "4",
    "--warmup",
    "0s",
    "--duration",
    "20ms",
    "--resolution",
    "50",
    "--repeats",
    "2",
    "--seed",
    "7",
    "--output",
    "run.jsonl",
];

/// Every answer is that fast, and what limits the rate is whether it is reached.
const EASY: &str = "p50<10s";

fn tiny(more: &[&str], directory: &Path) -> Ended {
    harness(&[TINY.as_slice(), more].concat(), directory)
}

fn of<'a>(recorded: &'a Recorded, backend: &'a str) -> impl Iterator<Item = &'a TrialRecord> {
    recorded.trials.iter().filter(move |trial| trial.backend == backend)
}

fn lines_of_json(ended: &Ended) -> Vec<Value> {
    ended.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether somebody else needed this machine for so long that nothing could be found out; then it has to be said.
fn was_disturbed(ended: &Ended) -> bool {
    let refused = ended.code() == Some(1) && ended.stderr[0].contains("search again when the machine is quiet");
    if refused {
        eprintln!("refused: {ended:?}");
    }
    refused
}

#[test]
fn the_capacity_lies_between_rates_that_were_tried() {
    let directory = tempfile::tempdir().unwrap();
    let ended = tiny(&["--slo", EASY, "--backends", "epoll,poll", "--budget", "1m", "--json"], directory.path());
    let recorded = recorded(directory.path());
    let capacities = lines_of_json(&ended);
    assert_eq!(capacities.iter().map(|one| one["backend"].as_str().unwrap()).collect::<Vec<_>>(), ["epoll", "poll"]);
    if was_disturbed(&ended) {
        return;
    }
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    for capacity in &capacities {
        let backend = capacity["backend"].as_str().unwrap();
        assert_eq!(capacity["slo"], EASY);
        assert_eq!(capacity["trials"], of(&recorded, backend).count());
        if capacity["limited_by"].is_null() {
            assert!(!capacity["reasons"].as_array().unwrap().is_empty(), "{capacity}");
            continue;
        }
        let low_rps = capacity["low_rps"].as_f64().unwrap();
        let tried = |rps: f64| of(&recorded, backend).any(|trial| trial.cell.rate_rps == Some(rps));
        assert!(low_rps > 0.0 && tried(low_rps), "{capacity}");
        match capacity["limited_by"].as_str().unwrap() {
            "slo" => {
                let capacity_rps = capacity["capacity_rps"].as_f64().unwrap();
                assert!(low_rps < capacity_rps, "{capacity}");
                let high_rps = capacity["high_rps"].as_f64();
                assert!(high_rps.is_none_or(|high_rps| capacity_rps < high_rps && tried(high_rps)), "{capacity}");
            }
            "generator" => assert!(capacity["capacity_rps"].is_null(), "{capacity}"),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_file_says_what_was_searched_for_and_each_trial_its_rate() {
    let directory = tempfile::tempdir().unwrap();
    tiny(&["--slo", "max<1ns", "--backends", "epoll"], directory.path());
    let recorded = recorded(directory.path());
    let run = recorded.run.as_ref().unwrap();
    let capacity = run.capacity.as_ref().unwrap();
    assert_eq!((capacity.slo.to_string().as_str(), capacity.repeats, run.seed), ("max<1ns", 2, 7));
    assert!((capacity.resolution - 0.5).abs() < 1e-12);
    assert_eq!((run.plan.rate_rps.as_slice(), run.plan.connections.as_slice()), (&[][..], &[4][..]));
    let (first, rest) = recorded.trials.split_first().unwrap();
    assert_eq!((first.cell.rate_rps, first.cell.depth), (None, 1), "a closed loop says where to begin");
    assert!(!rest.is_empty());
    for trial in rest {
        assert_eq!((trial.cell.depth, trial.cell.connections, trial.cell.payload_bytes), (16, 4, 64));
        assert_eq!(trial.cell.arrivals.map(|arrivals| arrivals.to_string()).as_deref(), Some("poisson"));
        assert!(trial.cell.rate_rps.is_some());
    }
    assert!(recorded.trials.iter().map(|trial| trial.trial).eq(1..=recorded.trials.len()));
}

#[test]
fn a_goal_that_nothing_can_meet_is_answered_with_no() {
    let directory = tempfile::tempdir().unwrap();
    let ended = tiny(&["--slo", "max<1ns", "--backends", "epoll", "--json"], directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(3), 0), "{ended:?}");
    let capacity = &lines_of_json(&ended)[0];
    assert_eq!(capacity["limited_by"], "not met at any rate tried");
    assert!(capacity["capacity_rps"].is_null() && capacity["low_rps"].is_null(), "{capacity}");
    // Down to the rate that brings 1,000 answers in the longest trial, 20 times 20 ms.
    let lowest_rps = recorded(directory.path()).trials.iter().filter_map(|trial| trial.cell.rate_rps).reduce(f64::min);
    assert_eq!(lowest_rps, Some(3000.0));
}

#[test]
fn by_itself_it_prints_a_table_and_makes_a_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let ended = harness(&[&TINY[..13], &["--slo", "max<1ns", "--backends", "epoll"]].concat(), directory.path());
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    assert!(ended.stdout.iter().any(|line| line.starts_with("seed ") && line.ends_with(" 7")), "{ended:?}");
    for part in ["goal max<1ns · 4 connections · payload 64 B · depth 16 · poisson arrivals", " epoll  "] {
        assert!(ended.stdout.iter().any(|line| line.starts_with(part)), "{part} in {ended:?}");
    }
    assert!(ended.prose().contains("* epoll: missed at 3,000/s too"), "{ended:?}");
    let files: Vec<_> =
        fs::read_dir(directory.path().join("results")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert!(read(&files[0]).unwrap().run.unwrap().capacity.is_some());
}

#[test]
fn an_interrupted_search_keeps_its_trials_and_says_what_is_known() {
    let directory = tempfile::tempdir().unwrap();
    // More repeats than anybody waits for.
    let arguments = ["capacity", "--slo", EASY, "--backends", "epoll", "--repeats", "1000", "--resolution", "0.1"];
    let rest = ["--warmup", "0s", "--duration", "20ms", "--budget", "1h", "--output", "run.jsonl", "--json"];
    let search = Running::start(&[arguments.as_slice(), &rest].concat(), directory.path());
    let file = directory.path().join("run.jsonl");
    crate::support::eventually("some trials have ended", || {
        fs::read_to_string(&file).is_ok_and(|text| text.lines().count() > 3)
    });
    search.signal(Signal::SIGINT);
    let ended = search.end();
    assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
    let recorded = recorded(directory.path());
    assert!(recorded.trials.len() >= 3 && !recorded.cut_off);
    let kept = format!("{} finished trials kept in run.jsonl", recorded.trials.len());
    assert!(ended.stderr[0].contains("interrupted") && ended.stderr[0].contains(&kept), "{ended:?}");
    let capacity = &lines_of_json(&ended)[0];
    assert_eq!(capacity["trials"], recorded.trials.len());
    assert!(!capacity["reasons"].as_array().unwrap().is_empty(), "{capacity}");
}

#[test]
fn the_budget_ends_a_search() {
    let directory = tempfile::tempdir().unwrap();
    let ended = tiny(&["--slo", EASY, "--backends", "epoll", "--budget", "1ms"], directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr[0].contains("give a longer --budget"), "{ended:?}");
    assert!(recorded(directory.path()).trials.is_empty());
}

#[test]
fn a_search_is_no_sweep_that_could_be_resumed() {
    let directory = tempfile::tempdir().unwrap();
    tiny(&["--slo", "max<1ns", "--backends", "epoll"], directory.path());
    let before = fs::read(directory.path().join("run.jsonl")).unwrap();
    let ended = harness(&["sweep", "--output", "run.jsonl", "--resume"], directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(2), 1), "{ended:?}");
    let again = tiny(&["--slo", "max<1ns", "--backends", "epoll"], directory.path());
    assert_eq!((again.code(), again.stderr.len()), (Some(2), 1), "{again:?}");
    assert!(again.stderr[0].contains("run.jsonl exists already; name another file with --output"), "{again:?}");
    assert_eq!(fs::read(directory.path().join("run.jsonl")).unwrap(), before);
}

#[test]
fn mistakes_are_one_line_and_leave_no_file() {
    for (arguments, expected) in [
        (vec![], "--slo <GOAL>"),
        (vec!["--slo", "p99"], "'p99' is not a goal; expected one such as p99<1ms"),
        (vec!["--slo", "p98<1ms"], "'p98' cannot be limited; there are p50, "),
        (vec!["--slo", "p99<1parsec"], "'1parsec' is not a duration"),
        (vec!["--slo", "p99<1ms", "--backends", "kqueue"], "there is no backend 'kqueue'"),
        (vec!["--slo", "p99<1ms", "--resolution", "0"], "'0' is not a percentage"),
        (vec!["--slo", "p99<1ms", "--repeats", "0"], "from 1 to"),
        (vec!["--slo", "p99<1ms", "--connections", "1,2"], "'1,2' is not a whole number"),
        (vec!["--slo", "p99<1ms", "--budget", "0s"], "not within 1ms"),
        (vec!["--slo", "p99<1ms", "--rate", "5"], "unexpected argument '--rate'"),
        (vec!["--slo", "p99<1ms", "--client-cpus", "1023"], "may not use CPU 1023"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let ended = harness(&[&["capacity"], arguments.as_slice()].concat(), directory.path());
        ended.assert_refused(2, expected);
        assert!(ended.stderr[0].contains("'harness capacity --help'"), "{arguments:?}: {ended:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
