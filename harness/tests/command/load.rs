//! `harness load`, against `harness serve`.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use harness::load::Engine;
use harness::results;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Ended, HARNESS, Running, harness, has_tool, serve};

const SHORT: [&str; 6] = ["--warmup", "0s", "--duration", "100ms", "--connections", "4"];

/// The engines that this machine grants. Where `REQUIRE_BACKENDS` is set, it has to grant all of them.
fn engines() -> Vec<&'static str> {
    let required = std::env::var_os("REQUIRE_BACKENDS").is_some_and(|required| !required.is_empty());
    let granted = [Engine::Epoll, Engine::IoUring].into_iter().filter(|engine| match engine.granted(0) {
        Ok(_) => true,
        Err(refused) => {
            assert!(!required, "{refused}");
            eprintln!("not tested: {refused}");
            false
        }
    });
    granted.map(Engine::name).collect()
}

#[test]
fn a_closed_loop_is_one_trial_without_a_server() {
    engines().into_iter().for_each(closed_loop);
}

fn closed_loop(engine: &str) {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll"], directory.path());
    let target = served.address.to_string();
    let arguments = [&["load", "--target", &target, "--json", "--engine", engine], SHORT.as_slice()];
    let ended = harness(&arguments.concat(), directory.path());
    assert_eq!((ended.code(), ended.stdout.len()), (Some(0), 1), "{ended:?}");
    let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(trial["client"]["engine"], engine);
    assert_eq!((&trial["record"], &trial["outcome"]), (&"trial".into(), &"ok".into()));
    assert_eq!((&trial["connections"], &trial["errors"], &trial["mismatches"]), (&4.into(), &0.into(), &0.into()));
    assert!(trial["requests"].as_u64().unwrap() > 0);
    for unknown in ["backend", "server_threads", "server", "rate_rps", "arrivals"] {
        assert!(trial[unknown].is_null(), "{unknown} is {}", trial[unknown]);
    }
}

#[test]
fn an_interrupted_measurement_says_what_to_do() {
    engines().into_iter().for_each(interrupted);
}

fn interrupted(engine: &str) {
    let directory = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let arguments = ["load", "--target", &target, "--duration", "1m", "--engine", engine];
    let load = Running::start(&arguments, directory.path());
    let _connection = server.accept().unwrap();
    load.signal(Signal::SIGINT);
    let ended = load.end();
    assert_eq!((ended.code(), ended.stdout.len(), ended.stderr.len()), (Some(1), 0, 1), "{ended:?}");
    assert!(ended.stderr[0].contains("interrupted") && ended.stderr[0].contains("--duration"), "{ended:?}");
}

#[test]
fn an_open_loop_shows_both_views() {
    engines().into_iter().for_each(open_loop);
}

fn open_loop(engine: &str) {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll"], directory.path());
    let target = served.address.to_string();
    let arguments = ["load", "--target", &target, "--engine", engine, "--rate", "2000", "--arrivals", "poisson"];
    let ended = harness(&[arguments.as_slice(), SHORT.as_slice()].concat(), directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for row in ["target", "load", "requests", "latency", "service time", "sent late by", "censored", "verdict"] {
        assert!(ended.stdout.iter().any(|line| line.starts_with(row)), "{row} in {ended:?}");
    }
}

/// Runs the command with every `io_uring_setup` refused.
fn without_io_uring(arguments: &[&str], directory: &Path) -> Ended {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-o", "/dev/null", "-e", "trace=io_uring_setup", "-e", "inject=io_uring_setup:error=EPERM"]);
    traced.arg(HARNESS).args(arguments).current_dir(directory);
    Running::start_command(&mut traced).end()
}

#[test]
fn an_engine_that_is_refused_is_named_and_never_replaced() {
    if !has_tool("strace") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll"], directory.path());
    let target = served.address.to_string();
    let load = |engine| {
        let arguments = ["load", "--target", &target, "--json", "--engine", engine];
        without_io_uring(&[arguments.as_slice(), SHORT.as_slice()].concat(), directory.path())
    };
    let sweep = without_io_uring(&["sweep", "--backends", "epoll", "--engine", "io_uring"], directory.path());
    for refused in [load("io_uring"), sweep] {
        assert_eq!((refused.code(), refused.stdout.len(), refused.stderr.len()), (Some(2), 0, 1), "{refused:?}");
        let expected = "the engine io_uring is refused here: io_uring is not to be had here";
        assert!(refused.stderr[0].contains(expected), "{refused:?}");
    }
    assert!(!directory.path().join("results").exists());
    // Left to choose, it takes what there is.
    let chosen = load("auto");
    assert_eq!(chosen.code(), Some(0), "{chosen:?}");
    let trial: Value = serde_json::from_str(&chosen.stdout[0]).unwrap();
    assert_eq!(trial["client"]["engine"], "epoll");
}

#[test]
fn a_percentile_that_lies_among_requests_that_were_never_answered_has_no_value() {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll"], directory.path());
    let target = served.address.to_string();
    // More than any server takes.
    let load = [["load", "--target", &target, "--rate", "1e7"].as_slice(), &SHORT].concat();
    let text = harness(&load, directory.path());
    let latency = text.stdout.iter().find(|line| line.starts_with("latency ")).unwrap();
    assert!(latency.contains("p50 –") && latency.contains("p99.99 –  max –"), "{text:?}");
    assert!(text.stdout.iter().any(|line| line.contains("(slower than any answer:")), "{text:?}");

    let json = harness(&[load.as_slice(), &["--json"]].concat(), directory.path());
    let trial: Value = serde_json::from_str(&json.stdout[0]).unwrap();
    assert!(trial["requests"].as_u64().unwrap() > 0, "{trial}");
    assert!(trial["censored"].as_u64() > trial["requests"].as_u64(), "{trial}");
    for field in ["latency_ns", "latency_of_all_ns"] {
        for figure in ["p50", "p90", "p99", "p999", "p9999", "mean", "max"] {
            assert!(trial[field][figure].is_null(), "{field}.{figure}: {}", trial[field]);
        }
        assert!(trial[field]["min"].is_u64());
    }
}

/// A difference of CPU time for a request that is smaller than this can be the other way round in the next run.
const NEAR: f64 = 1.1;

/// What a request costs the servers must not depend on who asks. What else runs here disturbs short trials, so that only
/// what shows every time counts.
#[test]
fn both_engines_rank_the_backends_alike() {
    let mut swapped = swapped();
    for _ in 0..2 {
        if swapped.is_empty() {
            return;
        }
        let again = self::swapped();
        swapped.retain(|pair, _| again.contains_key(pair));
    }
    assert!(swapped.is_empty(), "{swapped:#?}");
}

/// Pairs of backends that one engine clearly ranks in one order and the other in the other, with what they cost.
fn swapped() -> BTreeMap<(String, String), String> {
    let costs: Vec<(&str, BTreeMap<String, f64>)> =
        engines().into_iter().map(|engine| (engine, costs(engine))).collect();
    for (engine, of_engine) in &costs {
        // Each request wakes and puts to sleep a thread of its own, where epoll takes many at a time.
        assert!(of_engine["threads"] > NEAR * of_engine["epoll"], "{engine}: {of_engine:?}");
    }
    let mut swapped = BTreeMap::new();
    let [(_, by_epoll), (_, by_io_uring)] = costs.as_slice() else { return swapped };
    assert_eq!(by_epoll.len(), by_io_uring.len());
    for (cheap, cheap_ns) in by_epoll {
        for (dear, _) in by_epoll.iter().filter(|(_, dear_ns)| **dear_ns > NEAR * cheap_ns) {
            if by_io_uring[cheap] > NEAR * by_io_uring[dear] {
                swapped.insert((cheap.clone(), dear.clone()), format!("{costs:?}"));
            }
        }
    }
    swapped
}

/// CPU time that a request costs each of the main backends, in ns.
fn costs(engine: &str) -> BTreeMap<String, f64> {
    let directory = tempfile::tempdir().unwrap();
    let sweep = [
        &["sweep", "--connections", "64", "--trials", "3", "--engine", engine],
        ["--warmup", "20ms", "--duration", "80ms", "--output", "run.jsonl"].as_slice(),
    ];
    let ended = harness(&sweep.concat(), directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let mut costs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for trial in results::read(&directory.path().join("run.jsonl")).unwrap().trials {
        let Some(measured) = trial.measured else { continue };
        assert_eq!(measured.client.engine, engine);
        costs.entry(trial.backend).or_default().extend(measured.server.and_then(|server| server.cpu_ns_per_request));
    }
    let median = |mut costs: Vec<f64>| {
        costs.sort_by(f64::total_cmp);
        costs[costs.len() / 2]
    };
    costs.into_iter().map(|(backend, costs)| (backend, median(costs))).collect()
}
