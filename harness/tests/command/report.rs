//! `harness report`: what it makes of results files, whatever is in them, and where it leaves it.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use harness::plan::SweepPlan;
use harness::results::RunRecord;
use serde_json::Value;

use crate::made::{run, write};
use crate::support::{Ended, Running, harness};

fn report(arguments: &[&str], directory: &Path) -> Ended {
    harness(&[["report"].as_slice(), arguments].concat(), directory)
}

#[track_caller]
fn fails(directory: &Path, arguments: &[&str], code: i32, expected: &str) {
    report(arguments, directory).assert_refused(code, expected);
}

#[test]
fn a_folder_with_the_answer_is_made_beside_the_file_and_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(&path.join("run.jsonl"), &run(&[1, 64], &["epoll", "io_uring"]), 8, |_| ());
    let ended = report(&["run.jsonl"], path);
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    let answer = "  From 1 to 64 connections, io_uring serves the most requests: 1.";
    assert!(ended.stdout.iter().any(|line| line.starts_with(answer)), "{ended:?}");
    let last = ended.stdout.last().unwrap();
    assert!(last.starts_with("report: run-report/report.html (report.md"), "{last}");
    let markdown = fs::read_to_string(path.join("run-report/report.md")).unwrap();
    assert!(markdown.contains("io\\_uring serves the most requests") && markdown.contains("harness sweep --backends"));
    let page = fs::read_to_string(path.join("run-report/report.html")).unwrap();
    assert!(page.contains("io_uring serves the most requests"));

    let ended = report(&["run.jsonl", "--json"], path);
    assert_eq!((ended.code(), ended.stdout.len()), (Some(0), 1), "{ended:?}");
    let contents: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(contents["tables"][0]["rows"].as_array().unwrap().len(), 4);
    assert_eq!(contents["runs"][0]["file"], "run.jsonl");
    let names = fs::read_dir(path.join("run-report")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().ends_with(".part")));
}

#[test]
fn a_chart_that_is_not_drawn_any_more_goes_and_what_somebody_put_there_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let charts = || {
        let entries = fs::read_dir(path.join("out/charts")).unwrap();
        let names: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names
    };
    write(&path.join("large.jsonl"), &run(&[1, 64], &["epoll", "io_uring"]), 8, |_| ());
    write(&path.join("small.jsonl"), &run(&[1], &["epoll"]), 0, |_| ());
    assert_eq!(report(&["large.jsonl", "--output", "out"], path).code(), Some(0));
    let drawn = charts();
    assert!(drawn.contains("throughput.svg"), "{drawn:?}");
    for mine in ["out/mine.txt", "out/charts/mine.svg", "out/charts/throughput-64.png"] {
        fs::write(path.join(mine), "").unwrap();
    }
    assert_eq!(report(&["small.jsonl", "--output", "out"], path).code(), Some(0));
    assert_eq!(charts(), ["mine.svg", "throughput-64.png"].map(str::to_owned).into());
    assert!(path.join("out/mine.txt").exists());
}

#[test]
fn files_of_the_same_name_are_told_apart_by_their_folders() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (folder, started) in [("a", "2026-01-01T00:00:00Z"), ("b", "2026-01-02T00:00:00Z")] {
        fs::create_dir(path.join(folder)).unwrap();
        let run = RunRecord { started: started.to_owned(), ..run(&[1, 64], &["epoll", "poll"]) };
        write(&path.join(folder).join("run.jsonl"), &run, 8, |_| ());
    }
    let ended = report(&["a/run.jsonl", "b/run.jsonl", "--json"], path);
    let contents: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    let names: Vec<&Value> = contents["runs"].as_array().unwrap().iter().map(|run| &run["file"]).collect();
    assert_eq!(names, ["b/run.jsonl", "a/run.jsonl"]);
    let rows = contents["tables"][0]["rows"].as_array().unwrap();
    assert!(rows.len() == 4 && rows.iter().all(|row| row.as_array().unwrap().last().unwrap()["text"] == "b/run.jsonl"));
}

#[test]
fn what_is_no_report_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(&path.join("run.jsonl"), &run(&[1], &["epoll"]), 1, |_| ());
    fs::create_dir(path.join("full")).unwrap();
    fs::write(path.join("full/thesis.tex"), "").unwrap();
    fails(path, &["run.jsonl", "--output", "full"], 2, "full is no report, and not empty; name another folder");
    fails(path, &["run.jsonl", "--output", "run.jsonl"], 2, "run.jsonl is no folder");
    fails(path, &["run.jsonl", "--output", ""], 2, "a value is required for '--output <DIR>'");
    fails(path, &["run.jsonl", "--output", "run.jsonl/below"], 2, "run.jsonl/below is no folder");
    fails(path, &["run.jsonl", "--output", "/proc/below"], 1, "cannot make the folder /proc/below");
    assert_eq!(fs::read_dir(path.join("full")).unwrap().count(), 1);
    // A page of that name is not enough: it may be of another program.
    fs::create_dir_all(path.join("theirs/charts")).unwrap();
    for file in ["theirs/report.html", "theirs/report.md", "theirs/charts/precious.svg"] {
        fs::write(path.join(file), "<html><head><title>harness report</title></head></html>").unwrap();
    }
    fails(path, &["run.jsonl", "--output", "theirs"], 2, "theirs has a report.html that is none of harness; name");
    assert!(path.join("theirs/charts/precious.svg").exists());
    assert!(fs::read_to_string(path.join("theirs/report.md")).unwrap().starts_with("<html>"));
    fs::create_dir(path.join("empty")).unwrap();
    assert_eq!(report(&["run.jsonl", "--output", "empty"], path).code(), Some(0));
    assert_eq!(report(&["run.jsonl", "--output", "a/b/c"], path).code(), Some(0), "folders are made");

    // Where a file cannot be written, the one before it stays, and nothing half-written is left.
    let page = path.join("empty/report.html");
    let before = fs::read_to_string(&page).unwrap();
    fs::create_dir(path.join("empty/.report.html.part")).unwrap();
    fails(path, &["run.jsonl", "--output", "empty"], 1, "cannot write empty/report.html");
    assert_eq!(fs::read_to_string(&page).unwrap(), before);
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(&path.join("run.jsonl"), &run(&[1], &["epoll"]), 1, |_| ());
    fs::create_dir(path.join("locked")).unwrap();
    fs::set_permissions(path.join("locked"), Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere.
    if fs::write(path.join("locked/probe"), "").is_err() {
        fails(path, &["run.jsonl", "--output", "locked"], 1, "cannot write locked/report.html");
    }
}

#[test]
fn of_files_that_hold_one_run_the_one_that_goes_further_counts_and_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let of_run = run(&[1], &["epoll", "poll"]);
    write(&path.join("run.jsonl"), &of_run, 8, |_| ());
    write(&path.join("earlier.jsonl"), &of_run, 3, |_| ());
    fs::copy(path.join("run.jsonl"), path.join("copy.jsonl")).unwrap();
    for (files, left_out, kept) in [
        (["run.jsonl", "./run.jsonl"], "./run.jsonl", "run.jsonl"),
        (["run.jsonl", "copy.jsonl"], "copy.jsonl", "run.jsonl"),
        (["run.jsonl", "earlier.jsonl"], "earlier.jsonl", "run.jsonl"),
        (["earlier.jsonl", "run.jsonl"], "earlier.jsonl", "run.jsonl"),
    ] {
        let ended = report(&[files[0], files[1], "--json", "--output", "out"], path);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert_eq!(ended.stderr, [format!("note: {left_out} holds the run of {kept} and is left out")]);
        let contents: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
        assert_eq!(contents["runs"].as_array().unwrap().len(), 1);
        assert_eq!(contents["runs"][0]["verdicts"][0][1], 16);
    }
}

#[test]
fn what_is_no_results_file_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fails(path, &[], 2, "<FILE.jsonl>");
    fails(path, &["absent.jsonl"], 2, "there is no file absent.jsonl");
    fs::write(path.join("text"), "hello\n").unwrap();
    fails(path, &["text"], 1, "text line 1: ");
    fails(path, &["."], 2, ". is a folder; name a results file");
    fs::write(path.join("empty"), "").unwrap();
    fs::write(path.join("begun"), "{\"record\":\"run\",").unwrap();
    fails(path, &["empty"], 2, "empty is empty: it has not even the first line of a run");
    fails(path, &["begun"], 2, "begun ends within its first line, so nothing is known of its run");
    write(&path.join("run.jsonl"), &run(&[1], &["epoll"]), 1, |_| ());
    let text = fs::read_to_string(path.join("run.jsonl")).unwrap();
    fs::write(path.join("newer"), text.replace("\"schema_version\":1", "\"schema_version\":99")).unwrap();
    fails(path, &["newer"], 1, "schema version 99");
    let large = RunRecord {
        plan: SweepPlan { payload_bytes: vec![1; 2000], depth: vec![1; 2000], ..run(&[1], &["epoll"]).plan },
        ..run(&[1], &["epoll"])
    };
    write(
        &path.join("large"),
        &RunRecord { plan: SweepPlan { connections: Vec::new(), ..large.plan.clone() }, ..large.clone() },
        0,
        |_| (),
    );
    let text = fs::read_to_string(path.join("large")).unwrap();
    fs::write(path.join("large"), text.replace("\"connections\":[]", "\"connections\":[1,2]")).unwrap();
    fails(path, &["large"], 1, "large: its plan has more than 10000 combinations");
    fs::write(
        path.join("nan"),
        fs::read_to_string(path.join("run.jsonl")).unwrap().replace("\"seed\":7", "\"seed\":1e999"),
    )
    .unwrap();
    fails(path, &["nan"], 1, "nan line 1: ");
}

#[test]
fn a_file_that_says_little_makes_a_page_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(&path.join("run.jsonl"), &run(&[1], &["epoll", "poll"]), 8, |_| ());
    let whole = fs::read(path.join("run.jsonl")).unwrap();
    let first_line = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for (name, bytes, warned, said) in [
        ("planned", first_line, 0, "Nothing was measured"),
        ("cut", whole.len() - 7, 1, "At 1 connection, poll serves 1."),
    ] {
        fs::write(path.join(name), &whole[..bytes]).unwrap();
        let ended = report(&[name, "--output", &format!("{name}-out")], path);
        assert_eq!((ended.code(), ended.stderr.len()), (Some(0), warned), "{name}: {ended:?}");
        assert!(ended.stdout.iter().any(|line| line.contains(said)), "{name}: {ended:?}");
        assert!(path.join(format!("{name}-out/report.html")).is_file());
        let markdown = fs::read_to_string(path.join(format!("{name}-out/report.md"))).unwrap();
        let is_noted = markdown.contains("the file ends within");
        assert_eq!(is_noted, warned == 1, "{markdown}");
    }
}

#[test]
fn names_that_would_do_harm_are_only_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let names = ["<script>alert(1)</script>", "a|b\u{1b}]0;x\u{7}\n# @all"];
    write(&path.join("run.jsonl"), &run(&[1], &names), 8, |trial| trial.reasons.push("`odd`".to_owned()));
    let ended = report(&["run.jsonl"], path);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.iter().all(|line| !line.contains(char::is_control)), "{ended:?}");
    let markdown = fs::read_to_string(path.join("run-report/report.md")).unwrap();
    // But for the command, which stands in a fence.
    let (said, command) = markdown.split_once("```").unwrap();
    assert!(!said.contains("<script") && !said.contains("@all"), "{markdown}");
    assert!(
        !markdown.contains('\u{1b}') && command.lines().any(|line| line.contains("'<script>alert(1)")),
        "{markdown}"
    );
    let page = fs::read_to_string(path.join("run-report/report.html")).unwrap();
    assert!(!page.contains("<script>alert(1)"));
}

/// Takes long where nothing is optimised.
#[test]
#[cfg_attr(debug_assertions, ignore = "of release builds")]
fn ten_thousand_trials_take_in_proportion_to_a_thousand() {
    let backends: Vec<String> = (0..10).map(|number| format!("backend-{number}")).collect();
    let backends: Vec<&str> = backends.iter().map(String::as_str).collect();
    let of = |trials: usize| reported_on(&run(&[1, 8, 64, 512, 4000], &backends), trials);
    is_in_proportion(of(20), of(200));
}

/// The same of a plan that is as large as a plan may be, with one trial for each of its cells.
#[test]
#[cfg_attr(debug_assertions, ignore = "of release builds")]
fn thousands_of_cells_take_in_proportion_to_hundreds() {
    let of = |payloads: u32| {
        let mut wide = run(&[1, 2, 4, 8, 16, 32, 64, 128], &["a", "b", "c", "d", "e", "f"]);
        wide.plan.payload_bytes = (0..payloads).map(|step| 1 << step).collect();
        wide.plan.depth = (1..=10).collect();
        assert_eq!(wide.plan.cells().len(), 80 * payloads as usize);
        reported_on(&wide, 1)
    };
    is_in_proportion(of(2), of(20));
}

/// CPU time of a report on so many trials of each cell.
fn reported_on(run: &RunRecord, trials: usize) -> Duration {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("run.jsonl"), run, trials, |_| ());
    let (ended, took) = Running::start(&["report", "run.jsonl"], directory.path()).end_timed();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    took
}

/// Ten times as much takes ten times as long, and a hundred times where something grows with the square: what a machine can do
/// is not known.
#[track_caller]
fn is_in_proportion(tenth: Duration, whole: Duration) {
    // CPU time is told in ticks of 10 ms.
    let tenth = tenth.max(Duration::from_millis(50));
    assert!(whole < 30 * tenth, "{whole:?} of CPU time, and {tenth:?} for a tenth");
}
