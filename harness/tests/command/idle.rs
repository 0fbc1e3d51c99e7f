//! Idle connections beside the load.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Ended, HARNESS, Running, eventually, harness, serve};

/// What is promised of the memory in user space that a server holds for each idle connection.
const MOST_BYTES_EACH: f64 = 256.0;

#[test]
fn an_idle_connection_costs_a_server_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = "sweep --backends poll,epoll,io_uring --idle 0,4000 --connections 2 --trials 1 --warmup 0s \
                     --duration 20ms --output idle.jsonl --json";
    let ended = harness(&arguments.split_whitespace().collect::<Vec<_>>(), directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let records = ended.stdout.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let trials: Vec<Value> = records.filter(|record| record["record"] == "trial").collect();
    assert_eq!(trials.len(), 6, "{ended:?}");
    for trial in trials {
        if trial["outcome"] == "unavailable" {
            continue;
        }
        assert_eq!((&trial["outcome"], &trial["errors"]), (&"ok".into(), &0.into()), "{trial}");
        assert_eq!(trial["server"]["receipt"]["descriptors"], "own table");
        let bytes_each = trial["server"]["memory_bytes_per_idle_connection"].as_f64();
        if trial["idle_connections"] == 0 {
            assert_eq!(bytes_each, None);
        } else {
            // Less than a descriptor and a time would mean that it was not measured.
            let range = 16.0..=MOST_BYTES_EACH;
            assert!(
                bytes_each.is_some_and(|bytes| range.contains(&bytes)),
                "{} holds {bytes_each:?}",
                trial["backend"]
            );
        }
    }
}

#[test]
fn idle_connections_that_the_server_closes_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll", "--idle-timeout", "100ms"], directory.path());
    let target = served.address.to_string();
    let arguments = ["load", "--target", &target, "--idle", "50", "--duration", "500ms", "--json"];
    let ended = harness(&arguments, directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!((&trial["idle_connections"], &trial["errors"]), (&50.into(), &50.into()), "{trial}");
    assert_eq!(trial["verdict"], "suspect");
    assert!(trial["reasons"].to_string().contains("50 idle connections were closed"), "{trial}");
}

#[test]
fn idle_connections_stay_open_to_the_end_and_are_then_reset() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = serve(&["--backend", "epoll", "--control"], directory.path());
    let target = served.address.to_string();
    let arguments = ["load", "--target", &target, "--idle", "500", "--duration", "50ms", "--json"];
    let ended = harness(&arguments, directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!((&trial["errors"], &trial["idle_connections"]), (&0.into(), &500.into()), "{trial}");
    eventually("all are closed", || {
        served.process.say("report\n");
        served.process.next_json()["closed"] == 501
    });
    served.process.say("report\n");
    // The busy one may have been reset, too, with an answer under way.
    let resets = served.process.next_json()["connection_errors"].as_u64();
    assert!(resets.is_some_and(|resets| resets >= 500), "{resets:?}: resets leave no port in TIME_WAIT");
}

/// Runs the command where a descriptor table has room for 300, which nobody can change.
fn harness_within_300(arguments: &str, directory: &Path) -> Ended {
    let line = format!("ulimit -n 300 && exec {HARNESS} {arguments}");
    Running::start_command(Command::new("sh").args(["-c", &line]).current_dir(directory)).end()
}

#[test]
fn the_limit_on_open_files_is_one_of_each_thread_that_holds_connections() {
    let directory = tempfile::tempdir().unwrap();
    // 1,000 in one table of the load generator would be too many, and so would 410 in one of the server.
    let served = serve(&["--backend", "epoll"], directory.path());
    let load = format!("load --target {} --idle 1000 --duration 20ms --json", served.address);
    let ended = harness_within_300(&load, directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!((&trial["idle_connections"], &trial["errors"]), (&1000.into(), &0.into()), "{trial}");

    let sweep = "sweep --backends epoll --idle 400 --connections 10 --trials 1 --warmup 0s --duration 20ms --json \
                 --output limited.jsonl --server-threads";
    let ended = harness_within_300(&format!("{sweep} 4"), directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!((&trial["outcome"], &trial["errors"]), (&"ok".into(), &0.into()), "{trial}");

    // What is said of the spread is said of those that work.
    let spread: Option<Vec<u64>> = serde_json::from_value(trial["server"]["connections_per_thread"].clone()).unwrap();
    assert_eq!(spread.map(|spread| (spread.len(), spread.iter().sum())), Some((4, 10)), "{trial}");

    let ended = harness_within_300(&format!("{sweep} 1"), directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(2), 1), "{ended:?}");
    assert!(ended.stderr[0].contains("ask for --server-threads 4, or raise the limit"), "{ended:?}");
}
