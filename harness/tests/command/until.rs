//! Sweeps that go on until their intervals are narrow, and backends that are in every block twice.

use std::collections::BTreeMap;
use std::path::Path;

use harness::results::Recorded;
use nix::sys::signal::Signal;

use crate::brief::{brief_sweep, recorded};
use crate::support::{Ended, Running, harness};

/// Two backends in one cell.
const SWEEP: [&str; 13] = brief_sweep("2", "2", "run.jsonl");

fn sweep(more: &[&str], directory: &Path) -> Ended {
    harness(&[SWEEP.as_slice(), more].concat(), directory)
}

/// How many trials each block has.
fn blocks(recorded: &Recorded) -> BTreeMap<usize, usize> {
    let mut blocks = BTreeMap::new();
    recorded.trials.iter().for_each(|trial| *blocks.entry(trial.block).or_default() += 1);
    blocks
}

#[test]
fn a_sweep_adds_blocks_until_its_intervals_are_narrow_enough() {
    let directory = tempfile::tempdir().unwrap();
    // Anything is narrow enough, once there are blocks for an interval at all.
    let ended = sweep(&["--until", "100", "--seed", "1"], directory.path());
    let recorded = recorded(directory.path());
    let blocks = blocks(&recorded);
    assert!(blocks.len() >= 7 && blocks.values().all(|trials| *trials == 2), "{blocks:?}");
    assert!(recorded.trials.iter().enumerate().all(|(index, trial)| trial.trial == index + 1));
    assert_eq!(recorded.run.unwrap().plan.trials, 2, "what was planned is what was asked for");
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    assert!(ended.prose().contains(": reached, ±"), "{ended:?}");
    let ended = sweep(&["--until", "100", "--seed", "1", "--resume", "--json"], directory.path());
    let ranking: serde_json::Value = serde_json::from_str(ended.stdout.last().unwrap()).unwrap();
    let until = &ranking["until"];
    assert_eq!((until["reached"].as_bool(), until["half_width"].as_f64()), (Some(true), Some(1.0)), "{ranking}");
    assert!(until["cells"][0]["half_width"].as_f64().unwrap() <= 1.0, "{ranking}");
}

#[test]
fn a_budget_that_ends_first_is_said_and_has_a_code() {
    let directory = tempfile::tempdir().unwrap();
    let ended = sweep(&["--until", "0.001", "--budget", "1s"], directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(3), 1), "{ended:?}");
    assert!(ended.stderr[0].starts_with("not reached: intervals within ±0.001 % in 1 of 1 cell"), "{ended:?}");
    assert!(ended.prose().contains("not reached"), "{ended:?}");
    assert!(blocks(&recorded(directory.path())).len() >= 2, "what was planned is done in any case");
}

#[test]
fn a_cell_without_any_interval_is_not_reached() {
    let directory = tempfile::tempdir().unwrap();
    let alone = [&["sweep", "--backends", "epoll"], &SWEEP[3..], &["--until", "100"]].concat();
    let ended = harness(&alone, directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(3), 1), "{ended:?}");
    assert!(ended.prose().contains("not reached, there is nothing to compare"), "{ended:?}");
}

#[test]
fn an_interrupted_search_for_narrow_intervals_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let endless = [SWEEP.as_slice(), &["--until", "0.001", "--budget", "1h", "--seed", "3", "--json"]].concat();
    let running = Running::start(&endless, directory.path());
    // Into the rounds after the plan, and into the middle of a block.
    (0..7).for_each(|_| drop(running.next_json()));
    running.signal(Signal::SIGINT);
    let ended = running.end();
    assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr[0].contains("--output run.jsonl --resume"), "{ended:?}");
    let before = recorded(directory.path());
    assert!(before.trials.len() >= 7);

    let ended = sweep(&["--until", "100", "--seed", "3", "--resume"], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let after = recorded(directory.path());
    assert!(after.trials.iter().enumerate().all(|(index, trial)| trial.trial == index + 1), "none is missing");
    assert!(blocks(&after).values().all(|trials| *trials == 2), "{:?}", blocks(&after));
    // Without the goal there is nothing left to do, and its trials are no strangers.
    assert_eq!(sweep(&["--resume"], directory.path()).code(), Some(0));
    assert_eq!(recorded(directory.path()).trials.len(), after.trials.len());
}

#[test]
fn a_backend_that_is_there_twice_measures_the_noise_of_its_run() {
    let directory = tempfile::tempdir().unwrap();
    let ended = sweep(&["--trials", "8", "--twice", "ep*"], directory.path());
    assert_eq!(ended.code(), Some(2), "a flag is given once");
    let eight = brief_sweep("2", "8", "run.jsonl");
    let twice = [eight.as_slice(), &["--twice", "ep*"]].concat();
    let ended = harness(&twice, directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    let recorded = recorded(directory.path());
    assert!(blocks(&recorded).values().all(|trials| *trials == 3));
    let twin = recorded.trials.iter().find(|trial| trial.backend == "epoll#2").unwrap();
    let own = recorded.trials.iter().find(|trial| trial.backend == "epoll").unwrap();
    let receipt = |trial: &harness::results::TrialRecord| {
        trial.measured.as_ref().unwrap().server.as_ref().unwrap().receipt.clone()
    };
    assert_eq!(receipt(twin), receipt(own), "the same server under another name");
    assert!(ended.prose().contains("noise floor of epoll"), "{ended:?}");
    assert_eq!(harness(&[twice.as_slice(), &["--resume"]].concat(), directory.path()).code(), Some(0));
    let other = harness(&[eight.as_slice(), &["--resume"]].concat(), directory.path());
    assert_eq!(other.code(), Some(2), "{other:?}");
    assert!(other.stderr[0].contains("twice was [\"epoll\"] and is null"), "{other:?}");
}
