//! What keeps a server from being started or reached: the cause is named, and what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::brief::recorded;
use crate::support::{Ended, HARNESS, Running, ground_truth_server, harness, has_tool, skipped};

const BRIEF: [&str; 8] = ["--trials", "1", "--connections", "1", "--duration", "20ms", "--output", "run.jsonl"];

fn sweep(server: &str, directory: &Path) -> Ended {
    harness(&[&["sweep", "--backends", "none", "--server", server], BRIEF.as_slice()].concat(), directory)
}

#[test]
fn a_program_that_is_there_and_cannot_be_started_is_told_from_one_that_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("echo");
    let write = |text: &[u8], mode| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write(b"#!/bin/sh\n", 0o644);
    sweep("other=./echo {port}", directory.path())
        .assert_refused(2, "'./echo' is not executable; make it so (chmod +x");
    write(b"#!/absent/interpreter\n", 0o755);
    sweep("other=./echo {port}", directory.path()).assert_refused(2, "asks for the interpreter '/absent/interpreter'");
    sweep("other=./ {port}", directory.path()).assert_refused(2, "'./' is a directory");
    sweep("other=./absent {port}", directory.path()).assert_refused(2, "there is no program './absent'");
    // A header of ELF, and nothing that any machine could run.
    write(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xff\xff", 0o755);
    let ended = sweep("other=./echo {port}", directory.path());
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let error = recorded(directory.path()).trials.remove(0).error.unwrap();
    let expected = "it is neither a script that begins with #! nor built for this machine";
    assert!(error.starts_with("cannot start './echo': ") && error.contains(expected), "{error}");
}

#[test]
fn the_line_of_a_stack_that_says_what_went_wrong_is_shown() {
    if !has_tool("python3") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("server.py"), "def start():\n    raise RuntimeError('out of cheese')\nstart()\n")
        .unwrap();
    sweep("other=python3 server.py {port}", directory.path());
    let error = recorded(directory.path()).trials.remove(0).error.unwrap();
    assert_eq!(error, "the server ended before it listened (exit status: 1): RuntimeError: out of cheese");
}

#[test]
fn a_port_that_another_process_has_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let ended = harness(&["serve", "--backend", "epoll", "--listen", &taken], directory.path());
    ended.assert_refused(1, "another process listens there: name another port, or 0 for a free one");
    drop(held);
}

#[test]
fn a_load_on_the_wrong_address_names_the_one_that_has_the_port() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let elsewhere = listener.local_addr().unwrap();
    let target = format!("127.0.0.1:{}", elsewhere.port());
    let ended = harness(&["load", "--target", &target], directory.path());
    ended.assert_refused(1, &format!("nothing listens on {target}, but something does on {elsewhere}: give --target"));
    drop(listener);
}

/// Runs a script in namespaces of its own; none where they are not to be had.
fn in_namespaces(script: &str, arguments: &[&str], directory: &Path) -> Option<Ended> {
    if !has_tool("unshare") {
        return None;
    }
    let namespaces = ["--user", "--map-root-user", "--mount", "--net"];
    let granted = Command::new("unshare").args(namespaces).arg("true").stdin(Stdio::null()).output();
    if !granted.is_ok_and(|granted| granted.status.success()) {
        skipped("namespaces are not to be had here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(namespaces).args(["sh", "-c", script, HARNESS]).args(arguments).current_dir(directory);
    let ended = Running::start_command(&mut command).end();
    if ended.code() == Some(77) {
        skipped("the namespaces cannot be prepared here");
        return None;
    }
    Some(ended)
}

#[test]
fn a_sweep_without_proc_says_that_it_is_to_be_mounted() {
    let directory = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs none /proc 2>/dev/null || exit 77; exec \"$0\" \"$@\"";
    let arguments = [&["sweep", "--backends", "epoll"], BRIEF.as_slice()].concat();
    let Some(ended) = in_namespaces(script, &arguments, directory.path()) else { return };
    ended.assert_refused(1, "/proc is not mounted here");
    assert!(!directory.path().join("run.jsonl").exists());
}

#[test]
fn an_address_that_no_interface_has_is_no_lack_of_ports() {
    let directory = tempfile::tempdir().unwrap();
    // The loopback interface of a new namespace is down, and has neither address.
    let run = |arguments: &[&str]| in_namespaces("exec \"$0\" \"$@\"", arguments, directory.path());
    let Some(ended) = run(&["load", "--target", "[::1]:9"]) else { return };
    ended.assert_refused(1, "IPv6 is disabled");
    let Some(ended) = run(&["load", "--target", "127.0.0.1:9"]) else { return };
    ended.assert_refused(1, "127.0.0.1:9 cannot be reached: the loopback interface is down");
    let Some(ended) = run(&["serve", "--backend", "epoll", "--listen", "[::1]:0"]) else { return };
    ended.assert_refused(1, "or IPv6 is disabled");
}

#[test]
fn where_the_kernel_does_not_show_its_listeners_the_connection_that_replaces_it_is_mentioned() {
    let hidden =
        "ip link set lo up 2>/dev/null && mount -t tmpfs none /proc/$$/net 2>/dev/null || exit 77; exec \"$0\" \"$@\"";
    for (flags, code) in [("", 0), ("--once", 1)] {
        let directory = tempfile::tempdir().unwrap();
        let server = ground_truth_server("other", flags);
        let arguments = [&["sweep", "--backends", "none", "--server", &server], BRIEF.as_slice()].concat();
        let Some(ended) = in_namespaces(hidden, &arguments, directory.path()) else { return };
        assert_eq!(ended.code(), Some(code), "{ended:?}");
        let trial = recorded(directory.path()).trials.remove(0);
        if let Some(measured) = trial.measured {
            let probe = measured.server.unwrap().receipt["probe"].as_str().unwrap().to_owned();
            assert!(probe.contains("/proc/net/tcp"), "{probe}");
        } else {
            let error = trial.error.unwrap();
            assert!(error.contains("a first connection, made to see whether it listens"), "{error}");
        }
    }
}
