//! Runs in which nothing is usable: what was measured is printed and kept, an error says why, and the code is 1.

use std::path::Path;

use harness::results::Verdict;
use serde_json::Value;

use crate::brief::{recorded, write_trials};
use crate::support::{Ended, Running, ground_truth, ground_truth_server, harness};

const BRIEF: [&str; 12] = [
    "--connections",
    "2",
    "--warmup",
    "0s",
    "--duration",
    "50ms",
    "--trials",
    "2",
    "--output",
    "run.jsonl",
    "--seed",
    "7",
];

fn sweep(servers: &[&str], more: &[&str], directory: &Path) -> Ended {
    let servers = servers.iter().flat_map(|server| ["--server", *server]).collect::<Vec<_>>();
    harness(&[&["sweep", "--backends", "none"], servers.as_slice(), &BRIEF, more].concat(), directory)
}

/// It says so in one line, and has printed what there is.
#[track_caller]
fn is_unusable(ended: &Ended, why: &str) {
    assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr[0].starts_with("error: ") && ended.stderr[0].contains(why), "{why}: {ended:?}");
    assert!(!ended.stdout.is_empty(), "{ended:?}");
}

#[test]
fn a_sweep_without_a_usable_trial_fails_and_so_does_whatever_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let wrong = ground_truth_server("wrong", "--mangle 2");
    let why = "no usable figures in 2 trials, each time because: answers differed from what was sent";
    is_unusable(&sweep(&[&wrong], &[], directory.path()), why);
    assert!(recorded(directory.path()).trials.iter().all(|trial| trial.verdict == Verdict::Invalid));

    let resumed = sweep(&[&wrong], &["--resume", "--json"], directory.path());
    is_unusable(&resumed, why);
    is_unusable(&harness(&["report", "run.jsonl"], directory.path()), why);
    let exported = harness(&["export", "run.jsonl", "--format", "csv"], directory.path());
    is_unusable(&exported, why);
    assert_eq!(exported.stdout.len(), 3, "a header and both trials: {exported:?}");
    std::fs::remove_file(directory.path().join("run.jsonl")).unwrap();
    let json = sweep(&[&wrong], &["--json"], directory.path());
    is_unusable(&json, why);
    let trial: Value = serde_json::from_str(&json.stdout[0]).unwrap();
    assert_eq!(trial["verdict"], "invalid");
}

#[test]
fn a_comparison_of_what_is_not_usable_fails() {
    let directory = tempfile::tempdir().unwrap();
    sweep(
        &[&ground_truth_server("wrong", "--mangle 2"), &ground_truth_server("bad", "--mangle 3")],
        &[],
        directory.path(),
    );
    let ended = harness(&["compare", "run.jsonl", "--baseline", "wrong"], directory.path());
    is_unusable(&ended, "run.jsonl: no usable figures in 4 trials, each time because: answers differed");
}

#[test]
fn an_entrant_without_a_usable_trial_is_named_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let (wrong, sound) = (ground_truth_server("wrong", "--mangle 2"), ground_truth_server("sound", ""));
    let ended = sweep(&[&wrong, &sound], &[], directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 1), "{ended:?}");
    assert!(
        ended.stderr[0].starts_with("note: wrong: no usable figures in 2 trials, each time because: "),
        "{ended:?}"
    );
}

#[test]
fn a_capacity_of_nothing_but_wrong_answers_fails() {
    let directory = tempfile::tempdir().unwrap();
    let wrong = ground_truth_server("wrong", "--mangle 2");
    let slo = ["capacity", "--slo", "p99<1s", "--backends", "none", "--server", &wrong, "--repeats", "1"];
    let rest = ["--connections", "2", "--warmup", "0s", "--duration", "50ms", "--output", "run.jsonl"];
    let ended = harness(&[slo.as_slice(), &rest].concat(), directory.path());
    is_unusable(&ended, "answers differed from what was sent");
}

#[test]
fn a_load_without_usable_figures_prints_them_and_fails() {
    let directory = tempfile::tempdir().unwrap();
    for json in [&[][..], &["--json"]] {
        let served = Running::start_command(std::process::Command::new(ground_truth()).args(["--mangle", "2"]));
        let target = served.next_json()["listening"].as_str().unwrap().to_owned();
        let arguments = ["load", "--target", &target, "--warmup", "0s", "--duration", "50ms", "--connections", "2"];
        let ended = harness(&[arguments.as_slice(), json].concat(), directory.path());
        is_unusable(&ended, "no usable figures: answers differed from what was sent");
    }
}

#[test]
fn runs_that_were_cut_off_before_their_first_trial_are_no_failure_of_their_report() {
    let directory = tempfile::tempdir().unwrap();
    sweep(&[&ground_truth_server("sound", "")], &[], directory.path());
    let run = recorded(directory.path()).run.unwrap();
    write_trials(&directory.path().join("begun.jsonl"), &run, []);
    let ended = harness(&["report", "begun.jsonl"], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}
