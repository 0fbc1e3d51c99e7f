//! What all formats have in common.

use std::collections::BTreeSet;

use super::*;
use crate::environment::{Build, Conditions, Environment};
use crate::plan;
use crate::results::tests::{failed_trial, trial};
use crate::results::{Bottleneck, EncodedHistogram, SCHEMA_VERSION, Verdict};

/// A run of the plan that tests have.
pub(crate) fn run() -> RunRecord {
    RunRecord {
        schema_version: SCHEMA_VERSION,
        started: "2026-01-02T03:04:05Z".to_owned(),
        build: Build::current(),
        plan: plan::tests::plan(),
        seed: 7,
        environment: Environment::default(),
        generator: None,
        conditions: Conditions::default(),
        capacity: None,
    }
}

/// `count` trials, of which the `n`-th has a throughput of `1000 n`.
fn trials(backend: &str, count: usize) -> Vec<TrialRecord> {
    let of = |number: usize| {
        let mut trial = TrialRecord { trial: number, ..trial(backend) };
        trial.measured.as_mut().unwrap().throughput_rps = 1000.0 * number as f64;
        trial
    };
    (1..=count).map(of).collect()
}

const ALL: [Format; 5] = [Format::Csv, Format::Hgrm, Format::Hlog, Format::GithubActionBenchmark, Format::Bmf];

fn json(format: Format, name: &str, trials: &[TrialRecord]) -> serde_json::Value {
    let export = export(format, &run(), trials).unwrap();
    let piece = export.pieces.iter().find(|piece| piece.name == name).unwrap_or_else(|| panic!("{export:?}"));
    serde_json::from_str(&piece.text).unwrap()
}

/// What other programs write in formats that we write, too.
const THEIR_BMF: &str =
    r#"{ "src/lib.rs::parse": { "latency": { "value": 88.0, "lower_value": 87.4, "upper_value": 88.9 } } }"#;
const THEIR_ENTRIES: &str = r#"[{ "name": "parse", "unit": "ns", "value": 88.0, "range": "± 3", "extra": "9 runs" }]"#;

#[test]
fn every_format_knows_its_own_files_and_no_others() {
    let results = serde_json::to_string(&run()).unwrap();
    for format in ALL {
        for piece in export(format, &run(), &trials("epoll", 6)).unwrap().pieces {
            let knows: Vec<Format> = ALL.into_iter().filter(|other| other.is_of(&piece.text)).collect();
            assert_eq!(knows, [format], "{}", piece.text);
        }
        let others = ["", "notes", "[]x", "{\"a\":1}", "{}", "[]", &results, THEIR_BMF, THEIR_ENTRIES];
        for other in others {
            assert!(!format.is_of(other), "{format:?} {other}");
        }
    }
}

#[test]
fn what_is_invalid_is_only_a_row() {
    let invalid = TrialRecord { verdict: Verdict::Invalid, trial: 2, ..trial("epoll") };
    let failed = TrialRecord { trial: 3, ..failed_trial("epoll", "it died") };
    for format in ALL {
        let exported = export(format, &run(), &[invalid.clone(), failed.clone()]);
        match format {
            Format::Csv => assert_eq!(exported.unwrap().pieces[0].text.lines().count(), 3),
            _ => assert!(matches!(exported, Err(ExportError::NoFigures(_))), "{exported:?}"),
        }
    }
    let some = [trial("epoll"), invalid, failed];
    let histograms = export(Format::Hgrm, &run(), &some).unwrap();
    assert!(histograms.pieces[0].text.contains("Total count    =         2000]"), "{histograms:?}");
    assert_eq!(histograms.left_out, ["2 of 3 trials are invalid or were not measured: in no figure"]);
    let log = export(Format::Hlog, &run(), &some).unwrap().pieces.remove(0).text;
    assert_eq!(log.lines().filter(|line| line.starts_with("Tag=epoll,")).count(), 1, "{log}");
}

#[test]
fn requests_that_were_never_answered_are_told_where_no_histogram_has_them() {
    let mut trials = trials("epoll", 3);
    trials.push(TrialRecord { trial: 4, ..trial("poll") });
    let whole = [Format::Hgrm, Format::Hlog].map(|format| export(format, &run(), &trials).unwrap());
    assert!(whole.iter().all(|export| export.left_out.is_empty() && !export.pieces[0].text.contains("never answered")));
    for (trial, censored) in trials.iter_mut().zip([4000, 500]) {
        let measured = trial.measured.as_mut().unwrap();
        (measured.censored, measured.unanswered) = (censored, Some(censored));
    }
    let [histograms, log] = [Format::Hgrm, Format::Hlog].map(|format| export(format, &run(), &trials).unwrap());
    let left_out = "4,500 of 12,500 requests, which were never answered: percentiles";
    for export in [&histograms, &log] {
        assert!(export.left_out.len() == 1 && export.left_out[0].starts_with(left_out), "{:?}", export.left_out);
    }
    let lines = |export: &Export| export.pieces[0].text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(lines(&log), lines(&whole[1]), "only comments are added");
    assert!(lines(&histograms) < lines(&whole[0]), "no percentile is of the answers alone");
    let comment = "4,500 requests were never answered and are in no line";
    let ends = format!("]\n#[{comment}: slower than any answer, so percentiles end before them]\n");
    assert!(histograms.pieces[0].text.ends_with(&ends), "{histograms:?}");
    assert!(!histograms.pieces[1].text.contains("never answered"), "all of poll were: {histograms:?}");
    let comments = log.pieces[0].text.lines().filter(|line| line.contains("never answered"));
    assert_eq!(comments.collect::<Vec<_>>(), [format!("#[epoll: {comment}]")]);
}

#[test]
fn requests_that_were_not_sent_in_time_are_not_called_never_answered() {
    let mut trials = trials("epoll", 2);
    for (trial, unanswered) in trials.iter_mut().zip([0, 500]) {
        let measured = trial.measured.as_mut().unwrap();
        (measured.censored, measured.unanswered) = (4000, Some(unanswered));
    }
    let exported = |trials: &[TrialRecord]| {
        let Export { pieces, left_out, .. } = export(Format::Hgrm, &run(), trials).unwrap();
        (left_out[0].clone(), pieces[0].text.lines().last().unwrap().to_owned())
    };
    let (left_out, comment) = exported(&trials[..1]);
    assert!(
        left_out.starts_with("4,000 of 6,000 requests, which were not sent in time: percentiles end"),
        "{left_out}"
    );
    assert!(comment.starts_with("#[4,000 requests were not sent in time and are in no line: "), "{comment}");
    let (_, comment) = exported(&trials);
    let said = "#[8,000 requests were not sent in time (7,500) or never answered (500) and are in no line: ";
    assert!(comment.starts_with(said), "{comment}");
}

#[test]
fn what_the_load_generator_bounds_is_in_no_format_without_words() {
    let bound = |count: usize| {
        let mut trials = trials("epoll", 8);
        trials[..count].iter_mut().for_each(|trial| trial.bottleneck = Some(Bottleneck::Client));
        trials
    };
    let name = "epoll/framed/tcp/connections-1/payload-64/depth-1/closed-loop/server-threads-1";
    let measures = |trials: &[TrialRecord]| {
        let benchmarks = json(Format::Bmf, "benchmarks.json", trials);
        benchmarks[name].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(measures(&bound(4)).len(), 5, "half of them are enough, as in comparisons");
    assert_eq!(measures(&bound(8)), ["server-cpu-per-request", "syscalls-per-request"]);
    let left_out = export(Format::Bmf, &run(), &bound(8)).unwrap().left_out;
    assert_eq!(left_out.len(), 1);
    assert!(left_out[0].starts_with("throughput and latencies of 1 pair of backend and cell where"), "{left_out:?}");
    // The other format tells it of each figure.
    assert!(export(Format::GithubActionBenchmark, &run(), &bound(8)).unwrap().left_out.is_empty());

    let mut foreign = bound(8);
    for trial in &mut foreign {
        trial.measured.as_mut().unwrap().server = None;
    }
    assert_eq!(export(Format::Bmf, &run(), &foreign), Err(ExportError::ClientBound));
}

#[test]
fn the_name_of_a_file_is_never_too_long_for_one() {
    let mut all = Vec::new();
    for (number, (backend, rate_rps)) in [("a", 1e-300), ("a", 2e-300), ("b", f64::MAX)].into_iter().enumerate() {
        let mut trial = TrialRecord { trial: number + 1, ..trial(&backend.repeat(300)) };
        trial.cell.rate_rps = Some(rate_rps);
        (trial.cell.connections, trial.cell.payload_bytes) = (usize::MAX, u32::MAX);
        (trial.cell.depth, trial.cell.idle_connections) = (usize::MAX, usize::MAX);
        all.push(trial);
    }
    for format in [Format::Hgrm, Format::Hlog] {
        let pieces = export(format, &run(), &all).unwrap().pieces;
        let names: BTreeSet<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
        assert_eq!((pieces.len(), names.len()), (3, 3), "{names:?}");
        assert!(names.iter().all(|name| name.len() <= 210), "{names:?}");
    }
}

#[test]
fn a_search_has_nothing_to_be_followed() {
    let mut run = run();
    let goal = serde_json::json!({ "slo": "p99<1ms", "resolution": 0.05, "repeats": 1, "budget_ns": 1 });
    run.capacity = Some(serde_json::from_value(goal).unwrap());
    for format in ALL {
        let exported = export(format, &run, &[trial("epoll")]);
        let is_followed = matches!(format, Format::GithubActionBenchmark | Format::Bmf);
        assert_eq!(exported.err(), is_followed.then_some(ExportError::OfASearch));
    }
}

#[test]
fn names_from_a_file_do_no_harm_and_stay_different() {
    let hostile = ["<script>", "../../etc", "=1+1", "a b", "a,b", "a_b", "", "x\ny", "_script_"];
    let trials: Vec<TrialRecord> = hostile.iter().map(|name| trial(name)).collect();
    for format in ALL {
        let pieces = export(format, &run(), &trials).unwrap().pieces;
        let names: BTreeSet<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
        assert_eq!(names.len(), pieces.len());
        let is_safe = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        assert!(names.iter().all(|name| name.chars().all(is_safe) && !name.starts_with('.')), "{names:?}");
    }
    assert_eq!(export(Format::Hgrm, &run(), &trials).unwrap().pieces.len(), hostile.len());
    let log = export(Format::Hlog, &run(), &trials).unwrap().pieces.remove(0).text;
    let tags: BTreeSet<&str> = log.lines().filter_map(|line| line.strip_prefix("Tag=")?.split(',').next()).collect();
    assert_eq!(tags.len(), hostile.len(), "{tags:?}");
    let benchmarks = json(Format::Bmf, "benchmarks.json", &trials);
    assert_eq!(benchmarks.as_object().unwrap().len(), hostile.len());
}

#[test]
fn a_figure_is_a_median_with_the_interval_that_encloses_it() {
    let benchmarks = json(Format::Bmf, "benchmarks.json", &trials("epoll", 9));
    let name = "epoll/framed/tcp/connections-1/payload-64/depth-1/closed-loop/server-threads-1";
    let expected = serde_json::json!({ "value": 5000.0, "lower_value": 2000.0, "upper_value": 8000.0 });
    assert_eq!(benchmarks[name]["throughput"], expected);
    assert_eq!(benchmarks[name]["server-cpu-per-request"]["value"], 20_000.0);
    assert_eq!(benchmarks[name]["syscalls-per-request"]["value"], 3.0);
    // The 1,000th of 2,000 requests that took 1 µs more each.
    let p50 = benchmarks[name]["latency"]["value"].as_f64().unwrap();
    assert!((p50 - 1e6).abs() < 1e3, "{p50}");
    let few = json(Format::Bmf, "benchmarks.json", &trials("epoll", 5));
    assert_eq!(few[name]["throughput"], serde_json::json!({ "value": 3000.0 }));
}

#[test]
fn bigger_and_smaller_have_a_file_each_and_say_what_they_are_worth() {
    let mut trials = trials("epoll", 9);
    for trial in &mut trials[..2] {
        (trial.verdict, trial.bottleneck) = (Verdict::Suspect, Some(Bottleneck::Client));
    }
    let bigger = json(Format::GithubActionBenchmark, "bigger-is-better.json", &trials);
    assert_eq!(bigger.as_array().unwrap().len(), 1);
    let name = "epoll/framed/tcp/connections-1/payload-64/depth-1/closed-loop/server-threads-1: throughput";
    let extra = "95 % interval 2000 to 8000; median of 9 trials; 2 of them suspect; 2 where the load generator was the \
                 bottleneck and the server might have done more";
    let expected =
        serde_json::json!({ "name": name, "unit": "requests/s", "value": 5000.0, "range": "± 3000", "extra": extra });
    assert_eq!(bigger[0], expected);
    let smaller = json(Format::GithubActionBenchmark, "smaller-is-better.json", &trials);
    let units: Vec<&str> = smaller.as_array().unwrap().iter().map(|entry| entry["unit"].as_str().unwrap()).collect();
    assert_eq!(units, ["ns", "ns", "ns", "calls"]);
}

#[test]
fn latencies_of_a_rate_that_was_not_taken_are_no_figures() {
    let missing = |missed: usize| {
        let mut trials = trials("epoll", 8);
        for trial in &mut trials {
            trial.cell.rate_rps = Some(1000.0);
        }
        for trial in &mut trials[..missed] {
            trial.measured.as_mut().unwrap().censored = 100;
        }
        export(Format::GithubActionBenchmark, &run(), &trials).unwrap()
    };
    let (taken, not_taken) = (missing(2), missing(3));
    let name = |piece: &Piece| piece.name.clone();
    assert_eq!(
        taken.pieces.iter().map(name).collect::<Vec<_>>(),
        ["smaller-is-better.json"],
        "with a rate, no throughput"
    );
    assert!(taken.pieces[0].text.contains(": p50\""));
    assert!(taken.left_out[0].starts_with("p99 of 1 pair"), "two trials have none: {:?}", taken.left_out);
    assert!(!not_taken.pieces[0].text.contains(": p50\"") && not_taken.pieces[0].text.contains("CPU/request"));
    assert!(not_taken.left_out[0].starts_with("latencies of 1 pair of backend and cell"), "{:?}", not_taken.left_out);
}

#[test]
fn a_percentile_that_a_trial_lacks_is_no_figure() {
    let mut trials = trials("epoll", 8);
    for trial in &mut trials[..2] {
        trial.measured.as_mut().unwrap().latency_hdr = EncodedHistogram::of(999);
    }
    let exported = export(Format::GithubActionBenchmark, &run(), &trials).unwrap();
    let smaller = &exported.pieces[1].text;
    assert!(!smaller.contains(": p99\"") && smaller.contains(": p50\""), "{smaller}");
    let left_out = "p99 of 1 pair of backend and cell where a trial has too few answers for it, mostly a slow one";
    assert_eq!(exported.left_out, [left_out]);
}

#[test]
fn what_is_said_of_a_figure_counts_only_the_trials_that_it_is_of() {
    let mut trials = trials("epoll", 8);
    for trial in &mut trials[..3] {
        trial.verdict = Verdict::Suspect;
        trial.measured.as_mut().unwrap().server.as_mut().unwrap().syscalls = None;
    }
    trials[3].verdict = Verdict::Suspect;
    let smaller = json(Format::GithubActionBenchmark, "smaller-is-better.json", &trials);
    let calls = smaller.as_array().unwrap().iter().find(|entry| entry["unit"] == "calls").unwrap();
    let extra = calls["extra"].as_str().unwrap();
    assert!(extra.ends_with("median of 5 trials; 3 more without this figure; 1 of them suspect"), "{extra}");
}

#[test]
fn times_in_a_log_are_the_earliest_possible_and_a_start_that_is_none_is_left_out() {
    let mut run = run();
    run.plan.warmup_ns = 200_000_000;
    let failed = TrialRecord { trial: 3, ..failed_trial("epoll", "it died") };
    let trials = [trial("epoll"), failed, trial("poll")];
    let log = export(Format::Hlog, &run, &trials).unwrap().pieces.remove(0).text;
    assert!(log.contains("#[StartTime: 1767323045.000 (seconds since epoch)]\n"), "{log}");
    assert!(log.contains("\nTag=epoll,0.200,0.500,2.001,HISTFA"), "{log}");
    assert!(log.contains("\nTag=poll,0.900,0.500,2.001,HISTFA"), "{log}");
    run.started = "yesterday".to_owned();
    let log = export(Format::Hlog, &run, &trials).unwrap().pieces.remove(0).text;
    assert!(!log.contains("StartTime:") && log.contains("\nTag=epoll,0.200,"), "{log}");
}
