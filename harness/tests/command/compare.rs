//! `harness compare`: what it says of files that a sweep left, and of files that it cannot compare.

use std::fs;
use std::path::Path;

use harness::results::{Bottleneck, Recorded, RunRecord, TrialRecord, Verdict};
use serde_json::{Value, json};

use crate::brief::{brief_sweep, recorded, write_trials};
use crate::made;
use crate::support::{Ended, harness};

/// Two backends in one cell, with as many blocks as an interval needs.
const SWEEP: [&str; 13] = brief_sweep("2", "8", "run.jsonl");

/// A recorded run whose figures are replaced: what is measured in a moment may be anything, and what is said of it may not.
struct Fixture {
    directory: tempfile::TempDir,
    recorded: Recorded,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The noise below follows the order of the trials, and with this seed it is the same in every run.
        let sweep = [SWEEP.as_slice(), &["--seed", "7"]].concat();
        assert_eq!(harness(&sweep, directory.path()).code(), Some(0));
        let recorded = recorded(directory.path());
        Self { directory, recorded }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a run that began at another time, with the throughput of each backend as given and one percent of noise.
    fn write(&self, name: &str, throughput: impl Fn(&str) -> f64, change: impl Fn(&mut TrialRecord)) {
        let mut run = self.recorded.run.clone().unwrap();
        run.started = format!("the time of {name}");
        let sound = self.recorded.trials.iter().find(|trial| trial.measured.is_some()).unwrap();
        let trials = self.recorded.trials.iter().map(|trial| {
            let (number, block, backend) = (trial.trial, trial.block, trial.backend.clone());
            let mut trial = TrialRecord { trial: number, block, backend, ..sound.clone() };
            (trial.verdict, trial.bottleneck) = (Verdict::Valid, None);
            let noise = 1.0 + 0.002 * (trial.trial * trial.trial % 7) as f64;
            trial.measured.as_mut().unwrap().throughput_rps = throughput(&trial.backend) * noise;
            change(&mut trial);
            trial
        });
        write_trials(&self.path().join(name), &run, trials);
    }

    fn compare(&self, arguments: &[&str]) -> Ended {
        harness(&[["compare"].as_slice(), arguments].concat(), self.path())
    }

    /// The throughput row of `backend`.
    fn row(&self, arguments: &[&str], backend: &str) -> Value {
        let ended = self.compare(&[arguments, &["--json"]].concat());
        let answer: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
        let of = |row: &&Value| row["backend"] == backend && row["metric"] == "throughput";
        answer["rows"].as_array().unwrap().iter().find(of).unwrap_or_else(|| panic!("{answer}")).clone()
    }
}

fn with_epoll_at(rps: f64) -> impl Fn(&str) -> f64 {
    move |backend| if backend == "epoll" { rps } else { 1000.0 }
}

#[test]
fn a_backend_is_compared_with_the_baseline_of_its_file() {
    let fixture = Fixture::new();
    fixture.write("a.jsonl", with_epoll_at(1300.0), |_| ());
    let row = fixture.row(&["a.jsonl", "--baseline", "poll"], "epoll");
    assert_eq!((row["verdict"].as_str(), row["blocks"].as_u64()), (Some("better"), Some(8)), "{row}");
    let low = row["interval"]["low"].as_f64().unwrap();
    assert!((1.2..1.3).contains(&low) && row["interval"]["high"].as_f64().unwrap() > 1.3, "{row}");
    // The other way round it is the inverse.
    let inverse = fixture.row(&["a.jsonl", "--baseline", "epoll"], "poll");
    assert_eq!(inverse["verdict"], "worse");
    assert!((inverse["interval"]["high"].as_f64().unwrap() * low - 1.0).abs() < 1e-9, "{inverse}");

    let ended = fixture.compare(&["a.jsonl", "--baseline", "poll"]);
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    assert!(
        ended.stdout.iter().any(|line| line.contains("better") && line.contains("the requests/s of poll")),
        "{ended:?}"
    );
}

#[test]
fn a_regression_outside_the_noise_fails_and_one_within_what_is_allowed_does_not() {
    let fixture = Fixture::new();
    fixture.write("old.jsonl", with_epoll_at(1000.0), |_| ());
    fixture.write("new.jsonl", with_epoll_at(900.0), |_| ());
    let fails_above = |percent: &str| fixture.compare(&["old.jsonl", "new.jsonl", "--fail-above", percent]);
    let ended = fails_above("5");
    assert_eq!((ended.code(), ended.stderr.len()), (Some(3), 1), "{ended:?}");
    assert!(ended.stderr[0].starts_with("regression: 1 of "), "{ended:?}");
    assert!(ended.stdout.iter().any(|line| line.contains("worse") && line.contains("more than 5 %)")));
    assert!(ended.stdout.iter().any(|line| line.contains("(regression: worse by 10.0 % [")), "{ended:?}");
    assert!(
        !ended.stdout.iter().any(|line| line.contains("hold together")),
        "nobody knows that of two runs: {ended:?}"
    );
    assert!(fails_above("7").stderr[0].contains("most likely by more than 7 %"), "as it was given");
    assert_eq!(fails_above("20").code(), Some(0));
    assert_eq!(fixture.compare(&["old.jsonl", "new.jsonl"]).code(), Some(0), "nobody asked");
    assert_eq!(fixture.compare(&["new.jsonl", "old.jsonl", "--fail-above", "5"]).code(), Some(0), "it got better");
}

#[test]
fn a_change_that_broke_the_server_fails() {
    let fixture = Fixture::new();
    fixture.write("old.jsonl", |_| 1000.0, |_| ());
    let breaks = |trial: &mut TrialRecord| {
        if trial.backend == "epoll" {
            (trial.verdict, trial.measured) = (Verdict::Invalid, None);
        }
    };
    fixture.write("new.jsonl", |_| 1000.0, breaks);
    let ended = fixture.compare(&["old.jsonl", "new.jsonl", "--fail-above", "5"]);
    assert_eq!((ended.code(), ended.stderr.len()), (Some(3), 1), "{ended:?}");
    assert!(ended.stderr[0].contains("4 lost"), "{ended:?}");
    let why = "usable trials: 0 of 8, on the other side 8 of 8";
    assert!(ended.stdout.iter().any(|line| line.contains("lost") && line.contains(why)), "{ended:?}");
    let row = fixture.row(&["old.jsonl", "new.jsonl", "--fail-above", "5"], "epoll");
    assert_eq!((row["verdict"].as_str(), row["regression"].as_bool()), (Some("lost"), Some(true)), "{row}");
    assert_eq!(fixture.compare(&["new.jsonl", "--baseline", "poll", "--fail-above", "5"]).code(), Some(3));
    assert_eq!(fixture.compare(&["old.jsonl", "new.jsonl"]).code(), Some(0), "nobody asked");
}

#[test]
fn suspect_trials_are_counted_on_both_sides_and_explained() {
    let fixture = Fixture::new();
    fixture.write("old.jsonl", |_| 1000.0, |_| ());
    let doubt = |trial: &mut TrialRecord| {
        (trial.verdict, trial.reasons) = (Verdict::Suspect, vec!["odd".to_owned()]);
    };
    fixture.write("new.jsonl", |_| 1000.0, doubt);
    let row = fixture.row(&["old.jsonl", "new.jsonl"], "epoll");
    assert_eq!((row["own"]["suspect"].as_u64(), row["other"]["suspect"].as_u64()), (Some(8), Some(0)), "{row}");
    assert_eq!(row["doubtful"], true);
    let ended = fixture.compare(&["old.jsonl", "new.jsonl"]);
    assert!(ended.stdout.iter().any(|line| line.contains(" ? ") && line.contains("8 of 8, 0 of 8")), "{ended:?}");
    let ended = fixture.compare(&["old.jsonl", "new.jsonl", "--json"]);
    let answer: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    let notes = answer["notes"].as_array().unwrap();
    assert!(notes.iter().any(|note| note.as_str().unwrap().starts_with("suspect trials count")), "{answer}");
    assert!(notes.iter().any(|note| note.as_str().unwrap().starts_with("two runs share no blocks")), "{answer}");
    assert!(answer["confidence"].is_null(), "{answer}");
}

#[test]
fn what_changed_for_the_baseline_too_is_no_regression() {
    let fixture = Fixture::new();
    fixture.write("old.jsonl", |_| 1000.0, |_| ());
    fixture.write("new.jsonl", |_| 700.0, |_| ());
    assert_eq!(fixture.row(&["old.jsonl", "new.jsonl"], "epoll")["verdict"], "worse");
    let row = fixture.row(&["old.jsonl", "new.jsonl", "--baseline", "poll"], "epoll");
    assert_eq!(row["verdict"], "tie", "{row}");
}

#[test]
fn what_cannot_be_told_has_words_of_its_own() {
    let fixture = Fixture::new();
    // Half of the blocks have a usable trial.
    let few = |trial: &mut TrialRecord| {
        if trial.block.is_multiple_of(2) {
            trial.verdict = Verdict::Invalid;
        }
    };
    fixture.write("few.jsonl", with_epoll_at(500.0), few);
    let row = fixture.row(&["few.jsonl", "--baseline", "poll"], "epoll");
    assert_eq!((row["verdict"].as_str(), row["blocks"].as_u64()), (Some("inconclusive"), Some(4)), "{row}");
    assert_eq!(row["reason"], "too few blocks: 4, at least 7");
    assert!(row["interval"].is_null());

    fixture.write("void.jsonl", with_epoll_at(500.0), |trial| {
        trial.bottleneck = Some(Bottleneck::Client);
    });
    let arguments = ["void.jsonl", "--baseline", "poll"];
    let row = fixture.row(&arguments, "epoll");
    assert_eq!((row["verdict"].as_str(), row["ratio"].is_null()), (Some("void"), true), "{row}");
    let ended = fixture.compare(&[arguments.as_slice(), &["--fail-above", "5"]].concat());
    assert!(ended.stdout.iter().any(|line| line.contains("void") && line.contains("the client was the bottleneck")));
}

#[test]
fn runs_that_were_made_differently_are_compared_after_saying_how() {
    let fixture = Fixture::new();
    fixture.write("old.jsonl", |_| 1000.0, |_| ());
    let longer = ["--duration", "25ms", "--output", "new.jsonl"];
    let arguments = [&SWEEP[..9], &longer].concat();
    assert_eq!(harness(&arguments, fixture.path()).code(), Some(0));
    let ended = fixture.compare(&["old.jsonl", "new.jsonl"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(ended.stdout[0], "the runs differ in more than time:");
    assert_eq!(ended.stdout[1].trim(), "duration_ns was 20000000 and is 25000000");
    assert!(ended.stdout.iter().any(|line| line.starts_with("two runs share no blocks")), "{ended:?}");
}

#[test]
fn what_cannot_be_compared_is_refused_in_one_line() {
    let fixture = Fixture::new();
    let bytes = fs::read(fixture.path().join("run.jsonl")).unwrap();
    let run_line = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    fs::write(fixture.path().join("copy.jsonl"), &bytes).unwrap();
    fs::write(fixture.path().join("empty.jsonl"), "").unwrap();
    fs::write(fixture.path().join("begun.jsonl"), &bytes[..run_line]).unwrap();
    fs::write(fixture.path().join("first.jsonl"), &bytes[..run_line / 2]).unwrap();
    fs::write(fixture.path().join("notes.txt"), "to do\n").unwrap();
    let mut searched = fixture.recorded.run.clone().unwrap();
    let goal = json!({ "slo": "p99<1ms", "resolution": 0.05, "repeats": 1, "budget_ns": 1 });
    searched.capacity = Some(serde_json::from_value(goal).unwrap());
    write_trials(&fixture.path().join("capacity.jsonl"), &searched, []);
    let elsewhere = brief_sweep("3", "8", "other.jsonl");
    assert_eq!(harness(&elsewhere, fixture.path()).code(), Some(0));
    for (code, arguments, expected) in [
        (2, vec!["run.jsonl", "--baseline", "kqueue"], "no backend 'kqueue'; it has epoll, poll"),
        (2, vec!["absent.jsonl", "--baseline", "epoll"], "there is no file absent.jsonl"),
        (2, vec!["empty.jsonl", "--baseline", "epoll"], "empty.jsonl is empty"),
        (2, vec!["first.jsonl", "--baseline", "epoll"], "first.jsonl ends within its first line"),
        (2, vec!["begun.jsonl", "--baseline", "epoll"], "begun.jsonl has no trial that was measured"),
        (2, vec!["capacity.jsonl", "--baseline", "epoll"], "capacity.jsonl is of a search for a capacity"),
        (1, vec!["notes.txt", "--baseline", "epoll"], "notes.txt line 1: "),
        (2, vec!["run.jsonl", "run.jsonl"], "holds the run of the other file"),
        (2, vec!["run.jsonl", "copy.jsonl"], "holds the run of the other file"),
        (2, vec!["run.jsonl", "other.jsonl"], "nothing to compare"),
        (2, vec!["run.jsonl", "--baseline", "epoll", "--fail-above", "0"], "not a percentage"),
    ] {
        fixture.compare(&arguments).assert_refused(code, expected);
    }
    // A file that was cut off is a shorter run, and that is said.
    fs::write(fixture.path().join("cut.jsonl"), &bytes[..bytes.len() - 7]).unwrap();
    let ended = fixture.compare(&["cut.jsonl", "--baseline", "epoll"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stderr[0].contains("cut.jsonl ends within a line"), "{ended:?}");
}

#[test]
fn no_name_or_text_of_a_file_commands_the_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let name = "x\x1b[31m\u{202e}evil";
    // Two names that look alike stay two.
    let mut before = made::run(&[1], &["epoll", name, "x[31mevil"]);
    before.environment.cpu_model = Some("\x1b[2J\u{202e}old".to_owned());
    let after =
        RunRecord { started: "2026-02-02T03:04:05Z".to_owned(), ..made::run(&[1], &["epoll", "x[31mevil", name]) };
    made::write(&path.join("before.jsonl"), &before, 8, |_| ());
    made::write(&path.join("after.jsonl"), &after, 8, |_| ());
    for arguments in [
        vec!["before.jsonl", "--baseline", "epoll"],
        vec!["before.jsonl", "--baseline", "x[31mevil-2"],
        vec!["before.jsonl", "after.jsonl"],
        vec!["before.jsonl", "after.jsonl", "--fail-above", "1"],
        vec!["before.jsonl", "--baseline", "nope"],
        vec!["before.jsonl", "--baseline", "\x1b[31mnope"],
    ] {
        let ended = harness(&[["compare"].as_slice(), &arguments].concat(), path);
        let is_refused = arguments.iter().any(|argument| argument.ends_with("nope"));
        assert_eq!(ended.code() == Some(2), is_refused, "{ended:?}");
        let said = ended.stdout.iter().chain(&ended.stderr);
        assert!(said.clone().all(|line| !line.contains(['\x1b', '\u{202e}'])), "{ended:?}");
        for name in ["x[31mevil", "x[31mevil-2"] {
            let is_there = |line: &String| line.split([' ', ',']).any(|word| word == name);
            assert!(said.clone().any(is_there), "{name} in {ended:?}");
        }
    }
}
