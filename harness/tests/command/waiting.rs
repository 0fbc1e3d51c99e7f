//! Windows in which nothing can be answered: why is said.

use serde_json::Value;

use crate::brief::recorded;
use crate::support::{Running, ground_truth, ground_truth_server, harness, serve};

#[test]
fn a_rate_at_which_no_request_falls_due_in_the_window_is_refused_before_the_first_trial() {
    let directory = tempfile::tempdir().unwrap();
    let why = "no request falls due in a window of 200 ms at 1/s; ask for --duration 10s, or for a higher --rate";
    harness(&["sweep", "--backends", "epoll", "--rate", "1000,1"], directory.path()).assert_refused(2, why);
    let served = serve(&["--backend", "epoll"], directory.path());
    let target = served.address.to_string();
    let window = ["--rate", "1", "--warmup", "100ms", "--duration", "200ms"];
    harness(&[&["load", "--target", &target], window.as_slice()].concat(), directory.path()).assert_refused(2, why);
    assert!(!directory.path().join("results").exists());
}

#[test]
fn random_arrivals_that_leave_a_window_empty_are_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll"], directory.path());
    let target = served.address.to_string();
    let window = ["--rate", "0.001", "--arrivals", "poisson", "--warmup", "0s", "--duration", "50ms", "--json"];
    let ended = harness(&[&["load", "--target", &target], window.as_slice()].concat(), directory.path());
    assert_eq!((ended.code(), ended.stdout.len(), ended.stderr.len()), (Some(1), 1, 1), "{ended:?}");
    let why = "no request falls due in a window of 50.0 ms at 0.001/s; ask for --duration";
    assert!(ended.stderr[0].contains(why), "{ended:?}");
    let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!((&trial["requests"], &trial["verdict"]), (&0.into(), &"invalid".into()));
}

#[test]
fn answers_that_take_longer_than_the_window_are_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let why = "answers take longer than the window of 50.0 ms (the oldest request had waited ";
    for pace in [&[][..], &["--rate", "100"]] {
        let served = Running::start_command(std::process::Command::new(ground_truth()).args(["--fixed", "600ms"]));
        let target = served.next_json()["listening"].as_str().unwrap().to_owned();
        let window = ["--warmup", "20ms", "--duration", "50ms", "--connections", "2"];
        let arguments = [&["load", "--target", &target], window.as_slice(), pace].concat();
        let ended = harness(&arguments, directory.path());
        assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
        assert!(ended.stderr[0].contains(why) && ended.stderr[0].contains("--duration"), "{ended:?}");
    }
    let slow = ground_truth_server("slow", "--fixed 600ms");
    let sweep = ["sweep", "--backends", "none", "--server", &slow, "--trials", "1", "--connections", "1"];
    let window = ["--warmup", "20ms", "--duration", "50ms", "--output", "run.jsonl"];
    let ended = harness(&[sweep.as_slice(), &window].concat(), directory.path());
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(recorded(directory.path()).trials[0].reasons[0].starts_with(why));
}

#[test]
fn a_server_that_falls_silent_after_the_greeting_is_said_to() {
    let directory = tempfile::tempdir().unwrap();
    let served = Running::start_command(std::process::Command::new(ground_truth()).args(["--mute", "1"]));
    let target = served.next_json()["listening"].as_str().unwrap().to_owned();
    let window = ["--warmup", "0s", "--duration", "50ms", "--connections", "2"];
    let ended = harness(&[&["load", "--target", &target], window.as_slice()].concat(), directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
    let why = "no request was answered in the window of 50.0 ms (the oldest had waited ";
    assert!(ended.stderr[0].contains(why), "{ended:?}");
}
