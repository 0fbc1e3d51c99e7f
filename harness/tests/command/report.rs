//! `harness report`: what it makes of results files, whatever is in them, and where it leaves it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use harness::environment::{Build, Conditions, Environment};
use harness::plan::{Arrivals, Engine, Protocol, Spread, SweepPlan, Transport};
use harness::results::{
    Bottleneck, ClientMeasured, EncodedHistogram, LatencySummary, Measured, Outcome, Record, RunRecord, SCHEMA_VERSION,
    SendLagSummary, ServerMeasured, TrialRecord, Verdict, Writer,
};
use hdrhistogram::Histogram;
use serde_json::Value;

use crate::support::{Ended, Running, harness};

/// Of so many connections on so many backends; nothing of it was ever measured.
fn run(connections: &[usize], backends: &[&str]) -> RunRecord {
    RunRecord {
        schema_version: SCHEMA_VERSION,
        started: "2026-01-02T03:04:05Z".to_owned(),
        build: Build { git_revision: "c0ffee".to_owned(), git_dirty: Some(false), build_profile: "release".to_owned() },
        plan: SweepPlan {
            backends: backends.iter().map(|&name| name.to_owned()).collect(),
            protocol: Protocol::Framed,
            transport: Transport::Tcp,
            connections: connections.to_vec(),
            payload_bytes: vec![64],
            depth: vec![1],
            rate_rps: vec![None],
            arrivals: Arrivals::Constant,
            server_threads: vec![1],
            trials: 8,
            warmup_ns: 100_000_000,
            duration_ns: 200_000_000,
            server_cpus: [0].into_iter().collect(),
            client_cpus: [1].into_iter().collect(),
            servers: Vec::new(),
            engine: Engine::Auto,
            twice: Vec::new(),
            idle_connections: vec![0],
            spread: Spread::Reuseport,
        },
        seed: 7,
        environment: Environment { kernel: "6.18".to_owned(), ..Environment::default() },
        conditions: Conditions::default(),
        generator: None,
        capacity: None,
    }
}

/// A sound trial, with its rate of answers.
fn trial(backend: &str, throughput_rps: f64) -> TrialRecord {
    let mut histogram = Histogram::new(3).unwrap();
    (1..=1000_u64).for_each(|step| histogram.record(20_000 + step * step).unwrap());
    let summary = LatencySummary::of(&histogram);
    TrialRecord {
        trial: 1,
        block: 1,
        backend: backend.to_owned(),
        cell: run(&[1], &[]).plan.cells().remove(0),
        outcome: Outcome::Ok,
        error: None,
        measured: Some(Measured {
            requests: 1000,
            errors: 0,
            mismatches: 0,
            censored: 0,
            elapsed_ns: 200_000_000,
            throughput_rps,
            latency_ns: summary.clone(),
            latency_hdr: EncodedHistogram(histogram.clone()),
            service_ns: summary,
            service_hdr: EncodedHistogram(histogram),
            send_lag_ns: SendLagSummary { p50: 0, p99: 0, max: 0 },
            server: Some(ServerMeasured { cpu_ns: Some(5_000_000), ..ServerMeasured::default() }),
            client: ClientMeasured {
                engine: "epoll".to_owned(),
                threads: 1,
                cpu_ns: 1,
                cpu_ns_per_request: None,
                utilisation: 0.5,
                involuntary_switches: None,
                clock_step_ns: None,
            },
            slices: Vec::new(),
            in_flight_mean: None,
            in_flight_edges: None,
            silent_connections: None,
            interference: harness::interference::Interference::default(),
            unanswered: None,
            slice_service_ns: Vec::new(),
        }),
        verdict: Verdict::Valid,
        reasons: Vec::new(),
        bottleneck: Some(Bottleneck::Server),
    }
}

/// Writes so many blocks of what `run` plans, where each backend serves a tenth more than the one before it.
fn write(path: &Path, run: &RunRecord, blocks: usize, change: impl Fn(&mut TrialRecord)) {
    let mut writer = Writer::create(path).unwrap();
    writer.append(&Record::Run(Box::new(run.clone()))).unwrap();
    let mut number = 0;
    for cell in run.plan.cells() {
        for block in 1..=blocks {
            for (place, backend) in run.plan.backends.iter().enumerate() {
                number += 1;
                let noise = 1.0 + 0.001 * (number * number % 7) as f64;
                let throughput_rps = 10_000.0 * 1.1_f64.powi(i32::try_from(place).unwrap()) * noise;
                let mut trial =
                    TrialRecord { trial: number, block, cell: cell.clone(), ..trial(backend, throughput_rps) };
                change(&mut trial);
                writer.append(&Record::Trial(Box::new(trial))).unwrap();
            }
        }
    }
}

fn report(arguments: &[&str], directory: &Path) -> Ended {
    harness(&[["report"].as_slice(), arguments].concat(), directory)
}

#[track_caller]
fn fails(directory: &Path, arguments: &[&str], code: i32, expected: &str) {
    let ended = report(arguments, directory);
    assert_eq!((ended.code(), ended.stderr.len(), ended.stdout.len()), (Some(code), 1, 0), "{arguments:?}: {ended:?}");
    assert!(ended.stderr[0].starts_with("error: ") && ended.stderr[0].contains(expected), "{ended:?}");
}

#[test]
fn a_folder_with_the_answer_is_made_beside_the_file_and_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(&path.join("run.jsonl"), &run(&[1, 64], &["epoll", "io_uring"]), 8, |_| ());
    let ended = report(&["run.jsonl"], path);
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    let answer = "  From 1 to 64 connections io_uring serves the most requests: 1.";
    assert!(ended.stdout.iter().any(|line| line.starts_with(answer)), "{ended:?}");
    let last = ended.stdout.last().unwrap();
    assert!(last.starts_with("report: run-report/report.html (report.md"), "{last}");
    let markdown = fs::read_to_string(path.join("run-report/report.md")).unwrap();
    assert!(markdown.contains("io\\_uring serves the most requests") && markdown.contains("harness sweep --backends"));
    let page = fs::read_to_string(path.join("run-report/report.html")).unwrap();
    assert!(page.contains("io_uring serves the most requests"));

    // A chart that is not drawn any more goes, and what somebody put there stays.
    fs::create_dir_all(path.join("run-report/charts")).unwrap();
    fs::write(path.join("run-report/charts/gone.svg"), "").unwrap();
    fs::write(path.join("run-report/mine.txt"), "").unwrap();
    let ended = report(&["run.jsonl", "--json"], path);
    assert_eq!((ended.code(), ended.stdout.len()), (Some(0), 1), "{ended:?}");
    let contents: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(contents["table"]["rows"].as_array().unwrap().len(), 4);
    assert_eq!(contents["runs"][0]["file"], "run.jsonl");
    assert!(!path.join("run-report/charts/gone.svg").exists() && path.join("run-report/mine.txt").exists());
    let names = fs::read_dir(path.join("run-report")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().ends_with(".part")));
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
fn what_is_no_results_file_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fails(path, &[], 2, "<FILE.jsonl>");
    fails(path, &["absent.jsonl"], 2, "there is no file absent.jsonl");
    fs::write(path.join("text"), "hello\n").unwrap();
    fails(path, &["text"], 1, "text line 1: ");
    fails(path, &["."], 1, "cannot read .");
    write(&path.join("run.jsonl"), &run(&[1], &["epoll"]), 1, |_| ());
    fails(path, &["run.jsonl", "./run.jsonl"], 2, "./run.jsonl holds the run of run.jsonl; name it once");
    fs::copy(path.join("run.jsonl"), path.join("copy.jsonl")).unwrap();
    fails(path, &["run.jsonl", "copy.jsonl"], 2, "copy.jsonl holds the run of run.jsonl");
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
        ("begun", 20, 1, "Nothing was measured"),
        ("cut", whole.len() - 7, 1, "At 1 connection poll serves 1."),
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

/// Takes seconds where nothing is optimised, and what it demands is about builds that are.
#[test]
#[cfg_attr(debug_assertions, ignore = "of release builds")]
fn ten_thousand_trials_are_reported_on_in_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let backends: Vec<String> = (0..10).map(|number| format!("backend-{number}")).collect();
    let backends: Vec<&str> = backends.iter().map(String::as_str).collect();
    write(&path.join("run.jsonl"), &run(&[1, 8, 64, 512, 4000], &backends), 200, |_| ());
    is_reported_on_within(Duration::from_secs(5), path);
}

/// The same of a plan that is as large as a plan may be, with one trial for each of its cells.
#[test]
#[cfg_attr(debug_assertions, ignore = "of release builds")]
fn thousands_of_cells_are_reported_on_in_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut wide = run(&[1, 2, 4, 8, 16, 32, 64, 128], &["a", "b", "c", "d", "e", "f"]);
    wide.plan.payload_bytes = (0..20).map(|step| 1 << step).collect();
    wide.plan.depth = (1..=10).collect();
    assert_eq!(wide.plan.cells().len(), 1600);
    write(&path.join("run.jsonl"), &wide, 1, |_| ());
    is_reported_on_within(Duration::from_secs(4), path);
}

#[track_caller]
fn is_reported_on_within(most: Duration, directory: &Path) {
    let (ended, took) = Running::start(&["report", "run.jsonl"], directory).end_timed();
    eprintln!("{took:?} of CPU time");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(took < most, "{took:?} of CPU time");
}
