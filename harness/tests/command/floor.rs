//! `harness floor`: prices, in an order that no machine can turn round.

use std::process::Command;

use serde_json::Value;

use crate::support::{HARNESS, Running, harness, skipped};

/// As short as still says something; the CPU time that it takes does not depend on what else runs.
const BRIEF: [&str; 7] = ["floor", "--rounds", "3", "--duration", "2ms", "--payload", "64,64KiB"];

fn floor(more: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let ended = harness(&[&BRIEF, ["--json"].as_slice(), more].concat(), directory.path());
    assert_eq!((ended.code(), ended.stdout.len(), ended.stderr.len()), (Some(0), 1, 0), "{ended:?}");
    serde_json::from_str(&ended.stdout[0]).unwrap()
}

fn least_ns(price: &Value) -> f64 {
    price["min_ns"].as_f64().unwrap_or_else(|| panic!("no price: {price}"))
}

#[test]
fn prices_are_in_the_order_of_what_they_are_paid_for() {
    let floor = floor(&[]);
    let keys: Vec<&String> = floor.as_object().unwrap().keys().collect();
    let expected = [
        "build",
        "environment",
        "server_cpu",
        "client_cpu",
        "two_cpus_missing",
        "rounds",
        "slice_ns",
        "system_call",
        "epoll_wait_ready",
        "io_uring_nop",
        "io_uring_nop_in_batch",
        "io_uring_missing",
        "eventfd_write_read",
        "context_switch",
        "cross_cpu_wake_up",
        "echoes",
    ];
    assert_eq!(keys, expected);
    assert!(floor["environment"]["kernel"].is_string() && floor["build"]["build_profile"].is_string());

    for name in ["system_call", "epoll_wait_ready", "eventfd_write_read", "context_switch"] {
        let price = &floor[name];
        assert_eq!(price["rounds_ns"].as_array().map(Vec::len), Some(3), "{name}: {price}");
        assert!(
            price["median_ns"].as_f64() >= price["min_ns"].as_f64() && price["calls"].as_u64() > Some(0),
            "{price}"
        );
        assert!(price["interval_ns"].is_null(), "three rounds are too few for one");
    }
    let bare = least_ns(&floor["system_call"]);
    assert!(bare > 0.0 && bare < least_ns(&floor["epoll_wait_ready"]), "{floor}");
    assert!(bare < least_ns(&floor["eventfd_write_read"]) && bare < least_ns(&floor["context_switch"]), "{floor}");
    if floor["io_uring_missing"].is_null() {
        assert!(least_ns(&floor["io_uring_nop_in_batch"]) < least_ns(&floor["io_uring_nop"]), "{floor}");
    } else {
        assert!(floor["io_uring_nop"].is_null() && floor["io_uring_nop_in_batch"].is_null(), "{floor}");
    }

    let [short, long] = floor["echoes"].as_array().unwrap().as_slice() else { panic!("two payloads: {floor}") };
    assert_eq!((short["payload_bytes"].as_u64(), long["payload_bytes"].as_u64()), (Some(64), Some(65_536)));
    assert!(least_ns(&short["one_cpu"]) < least_ns(&long["one_cpu"]), "{floor}");
    assert!(least_ns(&short["one_cpu"]) > bare, "an echo is two calls and more: {floor}");
    let two_cpus = floor["two_cpus_missing"].is_null();
    assert_eq!(two_cpus, floor["cross_cpu_wake_up"].is_object());
    // Another program may have kept the client's CPU from one of them.
    match (&short["two_cpus"], &long["two_cpus"]) {
        (Value::Object(short), Value::Object(long)) if two_cpus => {
            assert!(short["min_ns"].as_f64() < long["min_ns"].as_f64(), "{floor}");
            assert!(short["echoes_per_s"].as_f64() > Some(0.0) && long["echoes_per_s"].as_f64() > Some(0.0), "{floor}");
        }
        (Value::Null, Value::Null) => assert!(!two_cpus, "{floor}"),
        _ => skipped("the CPU of the client was busy"),
    }
}

#[test]
fn on_one_cpu_what_takes_two_is_null_with_the_reason() {
    let cpu = harness::cpus::cores().unwrap()[0].iter().next().unwrap().to_string();
    let floor = floor(&["--server-cpus", &cpu, "--client-cpus", &cpu]);
    assert!(floor["two_cpus_missing"].as_str().unwrap().contains("two different CPUs"), "{floor}");
    assert!(floor["client_cpu"].is_null() && floor["cross_cpu_wake_up"].is_null(), "{floor}");
    let echoes = floor["echoes"].as_array().unwrap();
    assert!(echoes.iter().all(|echo| echo["two_cpus"].is_null() && echo["one_cpu"]["min_ns"].is_f64()), "{floor}");
}

#[test]
fn the_tables_say_how_to_read_them() {
    let directory = tempfile::tempdir().unwrap();
    let ended = harness(&BRIEF, directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    for words in ["system call (getppid)", "context switch", "64.0 KiB", "how to read it: ", "can go below it"] {
        assert!(ended.prose().contains(words), "{words}: {ended:?}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (["--payload", "17MiB"], "not within 0 and 16"),
        (["--payload", "64,64"], "listed twice"),
        (["--rounds", "0"], "from 1 to"),
        (["--duration", "0s"], "not within 1ms"),
        (["--server-cpus", "1023"], "may not use CPU 1023"),
        (["--client-cpus", "1-0"], "counts down"),
    ] {
        let ended = harness(&[["floor"].as_slice(), &arguments].concat(), directory.path());
        assert_eq!((ended.code(), ended.stdout.len(), ended.stderr.len()), (Some(2), 0, 1), "{ended:?}");
        assert!(ended.stderr[0].contains(expected) && ended.stderr[0].contains("harness floor --help"), "{ended:?}");
    }
    let limited = "ulimit -n 200 && exec \"$0\" floor";
    let ended = Running::start_command(Command::new("sh").args(["-c", limited, HARNESS])).end();
    assert_eq!((ended.code(), ended.stdout.len(), ended.stderr.len()), (Some(2), 0, 1), "{ended:?}");
    assert!(ended.stderr[0].contains("may open 200; raise the hard limit"), "{ended:?}");
}
