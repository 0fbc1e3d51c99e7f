//! A results file that is taken away while a sweep writes it.

use std::fs;
use std::path::Path;

use crate::support::{Ended, Running};

/// Runs a sweep of four trials, does something to its file when the first is written, and says how it ended.
fn disturbed(directory: &Path, disturb: impl FnOnce(&Path)) -> Ended {
    let sweep = ["sweep", "--backends", "epoll,poll", "--connections", "2", "--trials", "2", "--json"];
    let brief = ["--payload", "64", "--warmup", "10ms", "--duration", "100ms", "--output", "run.jsonl"];
    let running = Running::start(&[sweep, brief].concat(), directory);
    assert_eq!(running.next_json()["record"], "trial");
    disturb(&directory.join("run.jsonl"));
    running.end()
}

fn trials(path: &Path) -> usize {
    harness::results::read(path).unwrap().trials.len()
}

#[test]
fn a_results_file_that_is_removed_in_mid_run_is_written_again_and_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let ended = disturbed(directory.path(), |path| fs::remove_file(path).unwrap());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let said: Vec<&String> = ended.stderr.iter().filter(|line| line.contains("run.jsonl was removed")).collect();
    assert!(said.len() == 1 && said[0].starts_with("warning: "), "{ended:?}");
    assert_eq!(trials(&directory.path().join("run.jsonl")), 4);
}

#[test]
fn a_results_file_that_is_renamed_or_emptied_in_mid_run_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ended = disturbed(directory.path(), |path| fs::rename(path, path.with_file_name("mine.jsonl")).unwrap());
    assert!(ended.code() == Some(0) && ended.stderr.iter().any(|line| line.contains("was renamed")), "{ended:?}");
    assert_eq!(trials(&directory.path().join("mine.jsonl")), 4);

    let directory = tempfile::tempdir().unwrap();
    let ended = disturbed(directory.path(), |path| fs::write(path, "").unwrap());
    assert!(ended.code() == Some(0) && ended.stderr.iter().any(|line| line.contains("run-saved.jsonl")), "{ended:?}");
    assert_eq!(trials(&directory.path().join("run-saved.jsonl")), 4);
}
