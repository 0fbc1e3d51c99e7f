//! Signals in the midst of a measurement: it ends soon, and keeps what it has.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{HARNESS, Running, Served, eventually, kill_id, serve, skipped};

/// A load that goes on for an hour, and has had many answers, and its server.
fn loaded(directory: &Path, more: &[&str]) -> (Running, Served) {
    let mut served = serve(&["--backend", "epoll", "--control"], directory);
    let target = served.address.to_string();
    let arguments = ["load", "--target", &target, "--connections", "4", "--warmup", "0ms", "--duration", "1h"];
    let load = Running::start(&[arguments.as_slice(), more].concat(), directory);
    eventually("many requests are answered", || {
        served.process.say("report\n");
        let report = served.process.next_json();
        report["syscalls"].as_object().unwrap().values().map(|calls| calls.as_u64().unwrap()).sum::<u64>() > 20_000
    });
    (load, served)
}

#[test]
fn an_interrupted_load_keeps_its_figures_and_says_that_they_were_cut_short() {
    let signals = [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)];
    for ((signal, code), engine) in signals.into_iter().zip(["auto", "epoll", "auto"]) {
        let directory = tempfile::tempdir().unwrap();
        let (load, _served) = loaded(directory.path(), &["--json", "--engine", engine]);
        load.signal(signal);
        let ended = load.end();
        assert_eq!((ended.code(), ended.stdout.len(), ended.stderr.len()), (Some(code), 1, 0), "{ended:?}");
        let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
        assert!(trial["reasons"].as_array().unwrap().iter().any(|one| one.as_str().unwrap().starts_with("cut short")));
        assert_ne!(trial["verdict"], "valid");
        assert_eq!((&trial["errors"], &trial["censored"]), (&0.into(), &0.into()), "all was awaited: {trial}");
        let (requests, elapsed_ns) = (trial["requests"].as_f64().unwrap(), trial["elapsed_ns"].as_f64().unwrap());
        assert!(requests > 0.0 && elapsed_ns < 600e9, "{trial}");
        assert!((trial["throughput_rps"].as_f64().unwrap() / (requests * 1e9 / elapsed_ns) - 1.0).abs() < 1e-6);
    }
}

#[test]
fn an_interrupted_load_is_drawn_as_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let (load, _served) = loaded(directory.path(), &[]);
    load.signal(Signal::SIGINT);
    let ended = load.end();
    assert_eq!(ended.code(), Some(130), "{ended:?}");
    assert!(ended.stdout.iter().any(|line| line.starts_with("service time")), "{ended:?}");
    assert!(ended.stdout.iter().any(|line| line.contains("cut short")), "{ended:?}");
}

/// Whether a process has a thread of that name.
fn has_thread(pid: u32, name: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    threads
        .map(|thread| thread.path().join("comm"))
        .any(|comm| fs::read_to_string(comm).is_ok_and(|comm| comm.trim_end() == name))
}

#[test]
fn a_floor_whose_first_round_takes_an_hour_ends_at_a_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let directory = tempfile::tempdir().unwrap();
        let floor = Running::start(&["floor", "--duration", "1h"], directory.path());
        eventually("it measures", || has_thread(floor.id(), "floor"));
        floor.signal(signal);
        floor.end().assert_refused(1, "interrupted before the first round ended");
    }
}

/// How to start a command as the first process of a container; none where that is not allowed.
fn unshare() -> Option<Vec<&'static str>> {
    let ways = [vec!["-pf", "--mount-proc", "--kill-child"], vec!["-rpf", "--mount-proc", "--kill-child"]];
    ways.into_iter().find(|way| {
        let tried = Command::new("unshare").args(way).arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    })
}

#[test]
fn the_first_process_of_a_container_ends_at_a_signal() {
    let Some(way) = unshare() else {
        skipped("no process can be made the first of a namespace here (unshare -pf)");
        return;
    };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let load = ["load", "--target", &target, "--duration", "1h"];
    let commands: [(&[&str], &str); 2] = [(&["floor", "--duration", "1h"], "floor"), (&load, "harness")];
    for (arguments, thread) in commands {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let directory = tempfile::tempdir().unwrap();
            let mut command = Command::new("unshare");
            command.args(&way).arg(HARNESS).args(arguments).current_dir(directory.path());
            let running = Running::start_command(&mut command);
            let mut first = None;
            eventually("it runs, and listens to signals", || {
                let children = format!("/proc/{0}/task/{0}/children", running.id());
                let children = fs::read_to_string(children).unwrap_or_default();
                first = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
                first.is_some_and(|pid| has_thread(pid, thread) && catches(pid, signal))
            });
            kill_id(first.unwrap(), signal);
            let ended = running.end();
            assert!(ended.code().is_some_and(|code| code != 0), "{ended:?}");
            // Before it has begun with what it does, there is nothing to be said.
            assert!(ended.stderr.iter().all(|line| line.contains("interrupted")), "{ended:?}");
        }
    }
}

/// Whether a process has a handler for the signal.
fn catches(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (signal as i32 - 1)) != 0)
}
