//! External servers that listen elsewhere, once, for one client at a time, or for requests of one length.

use std::path::Path;

use harness::results::{Outcome, TrialRecord, Verdict};

use crate::brief::recorded;
use crate::support::{Ended, ground_truth, ground_truth_server, harness, has_tool};

fn sweep(server: &str, more: &[&str], directory: &Path) -> Ended {
    let arguments = ["sweep", "--backends", "none", "--server", server, "--output", "run.jsonl", "--warmup", "0s"];
    harness(&[arguments.as_slice(), &["--duration", "50ms"], more].concat(), directory)
}

fn trials(directory: &Path) -> Vec<TrialRecord> {
    recorded(directory).trials
}

#[test]
fn a_server_on_another_address_is_named_and_given_up_after_three_trials_and_tried_again_when_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let server = format!("other='{}' --listen 127.0.0.2:{{port}}", ground_truth());
    let more = ["--connections", "1,2", "--trials", "4"];
    let ended = sweep(&server, &more, directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 2), "{ended:?}");
    let check = |trials: &[TrialRecord], run: usize| {
        assert!(trials.iter().map(|trial| trial.trial).eq(1..=run), "numbers follow the plan");
        assert!(trials.iter().all(|trial| trial.outcome == Outcome::Failed));
        for trial in trials {
            let error = trial.error.clone().unwrap();
            let places = error.strip_prefix("the server listens on 127.0.0.2:").unwrap();
            let (port, rest) = places.split_once(", not on 127.0.0.1:").unwrap();
            assert!(rest.starts_with(&format!("{port}: write {{host}} where")), "{error}");
        }
    };
    check(&trials(directory.path()), 3);
    assert!(ended.stderr[0].starts_with("note: other failed 3 times in the same way"), "{ended:?}");
    // In each table once, though each failure has a port of its own.
    let lines = ended.stdout.iter().filter(|line| line.contains("listens on 127.0.0.2")).count();
    assert!(lines <= 2, "{ended:?}");

    let resumed = sweep(&server, &[more.as_slice(), &["--resume", "--quiet"]].concat(), directory.path());
    assert_eq!((resumed.code(), resumed.progress.len()), (Some(1), 0), "{resumed:?}");
    let mut again = trials(directory.path());
    again.sort_by_key(|trial| trial.trial);
    check(&again, 6);
}

#[test]
fn a_server_with_a_port_or_a_socket_of_its_own_is_told_what_to_do() {
    if !has_tool("python3") {
        return;
    }
    let script = r#"
import socket, sys, time
port = int(sys.argv[2])
kind = sys.argv[1]
if kind == "port":
    listener = socket.create_server(("127.0.0.1", 0))
elif kind == "unix":
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("echo.sock")
    listener.listen()
elif kind == "udp":
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", port))
time.sleep(600)
"#;
    let kinds = [
        ("port", "write {port} where its command takes a port"),
        ("unix", "the server listens on the Unix socket echo.sock, not on 127.0.0.1:"),
        ("udp", " over UDP, not on 127.0.0.1:"),
    ];
    for (kind, expected) in kinds {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("server.py"), script).unwrap();
        let server = format!("other=python3 server.py {kind} {{port}}");
        sweep(&server, &["--connections", "1", "--trials", "1"], directory.path());
        let error = trials(directory.path()).remove(0).error.unwrap();
        assert!(error.starts_with("the server listens on ") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_server_that_opens_a_port_of_its_own_first_or_listens_on_any_address_is_measured() {
    if !has_tool("python3") {
        return;
    }
    // Other sockets come and go for longer than it may listen elsewhere at rest, and then it listens where it should.
    let script = r#"
import socket, sys, threading, time
held = [socket.create_server(("127.0.0.1", 0))]
for step in range(12):
    time.sleep(0.25)
    held.append(socket.create_server(("127.0.0.1", 0)))
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=64)
def serve(peer):
    while data := peer.recv(65536):
        peer.sendall(data)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("server.py"), script).unwrap();
    let ended =
        sweep("other=python3 server.py 0.0.0.0 {port}", &["--connections", "1", "--trials", "1"], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(trials(directory.path())[0].outcome, Outcome::Ok);
}

#[test]
fn a_server_that_accepts_once_is_measured() {
    let directory = tempfile::tempdir().unwrap();
    let server = ground_truth_server("once", "--once");
    let ended = sweep(&server, &["--connections", "1", "--trials", "2"], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for trial in trials(directory.path()) {
        let measured = trial.measured.unwrap();
        assert!(measured.requests > 0 && measured.errors == 0 && trial.verdict != Verdict::Invalid);
        assert!(!measured.server.unwrap().receipt.contains_key("probe"));
    }
}

#[test]
fn a_server_of_one_connection_at_a_time_is_said_to_have_answered_one() {
    let directory = tempfile::tempdir().unwrap();
    let server = ground_truth_server("one", "--iterative");
    let ended = sweep(&server, &["--connections", "4", "--trials", "1"], directory.path());
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let error = trials(directory.path()).remove(0).error.unwrap();
    let expected = "only 1 of 4 connections to 127.0.0.1:";
    assert!(
        error.starts_with(expected) && error.contains("was answered within 10 s: the server serves no more"),
        "{error}"
    );
}

#[test]
fn a_server_that_knows_one_length_of_requests_is_measured_whatever_that_is() {
    for (payload, frame_bytes) in [("16KiB", (16 << 10) + 4), ("0", 4), ("1MiB", (1 << 20) + 4)] {
        let directory = tempfile::tempdir().unwrap();
        let server = ground_truth_server("fixed", &format!("--frame-bytes {frame_bytes}"));
        let more = ["--connections", "3", "--trials", "1", "--payload", payload];
        let ended = sweep(&server, &more, directory.path());
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let measured = trials(directory.path()).remove(0).measured.unwrap();
        assert!(measured.requests > 0 && measured.mismatches == 0, "{measured:?}");
    }
}
