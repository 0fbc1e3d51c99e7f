//! `harness load`, against `harness serve`.

use std::net::TcpListener;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Running, harness, serve};

const SHORT: [&str; 6] = ["--warmup", "0s", "--duration", "100ms", "--connections", "4"];

#[test]
fn a_closed_loop_is_one_trial_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll"], directory.path());
    let target = served.address.to_string();
    let ended = harness(&[&["load", "--target", &target, "--json"], SHORT.as_slice()].concat(), directory.path());
    assert_eq!((ended.code(), ended.stdout.len()), (Some(0), 1), "{ended:?}");
    let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!((&trial["record"], &trial["outcome"]), (&"trial".into(), &"ok".into()));
    assert_eq!((&trial["connections"], &trial["errors"], &trial["mismatches"]), (&4.into(), &0.into(), &0.into()));
    assert!(trial["requests"].as_u64().unwrap() > 0);
    for unknown in ["backend", "server_threads", "server", "rate_rps", "arrivals"] {
        assert!(trial[unknown].is_null(), "{unknown} is {}", trial[unknown]);
    }
}

#[test]
fn an_interrupted_measurement_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let load = Running::start(&["load", "--target", &target, "--duration", "1m"], directory.path());
    let _connection = server.accept().unwrap();
    load.signal(Signal::SIGINT);
    let ended = load.end();
    assert_eq!((ended.code(), ended.stdout.len(), ended.stderr.len()), (Some(1), 0, 1), "{ended:?}");
    assert!(ended.stderr[0].contains("interrupted") && ended.stderr[0].contains("--duration"), "{ended:?}");
}

#[test]
fn an_open_loop_shows_both_views() {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll"], directory.path());
    let target = served.address.to_string();
    let arguments = [&["load", "--target", &target, "--rate", "2000", "--arrivals", "poisson"], SHORT.as_slice()];
    let ended = harness(&arguments.concat(), directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for row in ["target", "load", "requests", "latency", "service time", "sent late by", "censored", "verdict"] {
        assert!(ended.stdout.iter().any(|line| line.starts_with(row)), "{row} in {ended:?}");
    }
}
