//! Limits of the machine and of the user: what takes part is named, and what is too little is not fatal.

use std::process::Command;

use serde_json::Value;

use crate::confined::Group;
use crate::sandbox::keep_descriptor_limit;
use crate::support::{Ended, HARNESS, Running, has_tool, serve, serving, skipped};

/// How long a quota may stop a server before its window and after it.
const OUTSIDE_NS: u64 = 100_000_000;

const LOAD: [&str; 7] = ["--warmup", "0s", "--duration", "400ms", "--connections", "16", "--json"];

fn reasons(trial: &Value) -> Vec<&str> {
    trial["reasons"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout.concat()).unwrap()
}

#[test]
fn a_cpu_quota_that_stopped_the_server_is_named_with_how_long_it_did() {
    let directory = tempfile::tempdir().unwrap();
    let group = match Group::with("cpu").and_then(|group| {
        group.cpu_quota(100).map_err(|error| format!("no CPU quota to be had here: {error}"))?;
        Ok(group)
    }) {
        Ok(group) => group,
        Err(why) => return skipped(&why),
    };
    let mut command = group.command(HARNESS);
    let server = serving(Running::start_command(command.args(["serve", "--backend", "epoll"])));
    let target = server.address.to_string();
    let before_ns = group.stopped_ns();
    let load = [["load", "--target", &target].as_slice(), &LOAD].concat();
    let trial = json(&Running::start(&load, directory.path()).end());
    let around_ns = group.stopped_ns() - before_ns;
    let stopped_ns = trial["interference"]["server"]["control_groups"]["cpu_quota_stopped_ns"].as_u64().unwrap();
    // Connections are opened before the window, and closed after it.
    assert!(stopped_ns <= around_ns && stopped_ns + OUTSIDE_NS >= around_ns, "{stopped_ns} of {around_ns}");
    if around_ns < 2 * OUTSIDE_NS {
        return skipped("others leave the server less of the CPUs than its quota does");
    }
    let stopped = |side: &str| reasons(&trial).iter().any(|reason| reason.starts_with(side));
    assert!(stopped("the CPU quota stopped the server for "), "{trial}");
    assert!(!stopped("the CPU quota stopped the load generator"), "{trial}");
    assert_eq!(trial["verdict"], "suspect");

    let mut command = group.command(HARNESS);
    let ended = Running::start_command(command.args(["load", "--target", &target]).args(&LOAD[..6])).end();
    let text = ended.stdout.join("\n");
    assert!(text.contains("\nCPU quota      stopped the server for "), "{text}");
    drop(server);
}

#[test]
fn the_doctor_knows_what_a_control_group_leaves() {
    let directory = tempfile::tempdir().unwrap();
    for (controller, name, expected) in
        [("memory", "memory", "below the limit of the control group"), ("pids", "threads", "(pids.max)")]
    {
        let confined = Group::with(controller).and_then(|group| {
            let set = if controller == "memory" { group.memory_max(300 << 20) } else { group.set("pids.max", "60") };
            set.map_err(|error| format!("no limit on {controller} to be had here: {error}"))?;
            Ok(group)
        });
        let group = match confined {
            Ok(group) => group,
            Err(why) => {
                skipped(&why);
                continue;
            }
        };
        let mut command = group.command(HARNESS);
        let diagnosis =
            json(&Running::start_command(command.args(["doctor", "--json"]).current_dir(directory.path())).end());
        let findings = diagnosis["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["name"] == name).unwrap();
        assert!(finding["value"].as_str().unwrap().contains(expected), "{finding}");
        assert_eq!(finding["level"], "warning", "{finding}");
    }
}

#[test]
fn a_queueing_discipline_of_loopback_is_named_by_doctor_record_and_verdict() {
    let tools = ["ip", "tc", "unshare"];
    if !tools.into_iter().all(has_tool) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let shaped = "ip link set lo up && tc qdisc add dev lo root tbf rate 500mbit burst 64kb latency 50ms || exit 77; \
                  ip link set lo mtu 1500; \"$0\" doctor --json || exit 1; exec \"$0\" sweep --backends epoll --connections 4 \
                  --trials 1 --warmup 0s --duration 50ms --output run.jsonl >/dev/null";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", shaped, HARNESS]).current_dir(directory.path());
    let ended = Running::start_command(&mut command).end();
    if !matches!(ended.code(), Some(0 | 3)) && !directory.path().join("run.jsonl").exists() {
        return skipped(&format!("no network namespace with a queueing discipline to be had here: {:?}", ended.stderr));
    }
    let diagnosis: Value = serde_json::from_str(&ended.stdout.concat()).unwrap();
    let findings = diagnosis["findings"].as_array().unwrap();
    let value = |name: &str| findings.iter().find(|finding| finding["name"] == name).unwrap()["value"].clone();
    assert_eq!((value("loopback qdisc"), value("loopback MTU")), ("tbf".into(), "1,500 bytes".into()));

    let file = std::fs::read_to_string(directory.path().join("run.jsonl")).unwrap();
    let records: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records[0]["environment"]["network"]["loopback_qdiscs"][0], "tbf");
    assert_eq!(records[1]["interference"]["loopback_qdiscs"][0], "tbf");
    let named = |reason: &&str| reason.starts_with("loopback has the queueing discipline tbf");
    assert!(reasons(&records[1]).iter().any(named), "{:?}", reasons(&records[1]));
}

/// A command that may lock so many KiB, and no more by privilege.
fn may_lock(kib: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script =
        format!("ulimit -l {kib} || exit 77; exec setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock \"$0\" \"$@\"");
    command.args(["-c", &script, HARNESS]).args(arguments);
    command
}

#[test]
fn a_generator_that_may_not_lock_a_ring_does_without_and_says_why() {
    if !has_tool("setpriv") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let server = serve(&["--backend", "epoll"], directory.path());
    let target = server.address.to_string();
    // A ring for so many connections takes more than one that is made to see whether there is one.
    let load = ["load", "--target", &target, "--connections", "600", "--warmup", "0s", "--duration", "50ms", "--json"];
    let ended = Running::start_command(&mut may_lock(32, &load)).end();
    if ended.code() != Some(0) && ended.stdout.is_empty() && !ended.stderr.concat().contains("error: ") {
        return skipped(&format!("no lower limit on locked memory to be had here: {:?}", ended.stderr));
    }
    let trial = json(&ended);
    if trial["client"]["engine"] == "io_uring" {
        return skipped("this kernel locks no memory for a ring, or not by that limit");
    }
    assert!(trial["requests"].as_u64() > Some(0), "{trial}");
    let because = trial["client"]["engine_because"].as_str().unwrap();
    if !because.contains("os error 12") {
        return skipped(&format!("no ring to be had here: {because}"));
    }
    assert!(because.contains("RLIMIT_MEMLOCK") && because.contains("ulimit -l"), "{because}");

    // An engine that is asked for by name is not replaced.
    let named = [&load[..9], &["--engine", "io_uring"]].concat();
    let ended = Running::start_command(&mut may_lock(32, &named)).end();
    assert_ne!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.concat().contains("RLIMIT_MEMLOCK"), "{ended:?}");
    let ended = Running::start_command(&mut may_lock(8, &["serve", "--backend", "io_uring"])).end();
    assert!(ended.code() == Some(1) && ended.stderr.concat().contains("RLIMIT_MEMLOCK allows 8 KiB"), "{ended:?}");
}

#[test]
fn a_limit_on_open_files_that_cannot_be_raised_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(&["--backend", "epoll"], directory.path());
    let target = server.address.to_string();
    let limited = |arguments: &[&str]| {
        let mut command = Command::new(HARNESS);
        keep_descriptor_limit(&mut command, 300);
        Running::start_command(command.args(arguments).current_dir(directory.path())).end()
    };
    let quick = ["--warmup", "0s", "--duration", "20ms"];
    let ended = limited(&[["load", "--target", &target, "--connections", "4"].as_slice(), &quick].concat());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    let ended = limited(&[["load", "--target", &target, "--connections", "500"].as_slice(), &quick].concat());
    ended.assert_refused(2, "a process may open 300");
    let ended = limited(&["floor", "--rounds", "1"]);
    assert!(!ended.stderr.concat().contains("cannot raise"), "{ended:?}");
}
