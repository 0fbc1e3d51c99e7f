//! What users get wrong: one line on standard error that says what to do, and the right code.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use crate::support::{HARNESS, harness};

/// Runs the command in an empty directory and checks how it fails.
#[track_caller]
fn fails(code: i32, arguments: &[&str], expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    harness(arguments, directory.path()).assert_refused(code, expected);
}

#[test]
fn nonsense_arguments_are_refused() {
    let target = ["load", "--target", "127.0.0.1:9"];
    let load = |more: &[&'static str]| [target.as_slice(), more].concat();
    for (arguments, expected) in [
        (vec![], "requires a subcommand"),
        (vec!["swep"], "unrecognized subcommand 'swep'"),
        (vec!["serve", "--backend", "kqueue"], "there is no backend 'kqueue'; there are threads, "),
        (vec!["serve", "--backend", "epoll", "--threads", "0"], "from 1 to 1024"),
        (vec!["serve", "--backend", "epoll", "--listen", "localhost"], "such as 127.0.0.1:9000"),
        (vec!["serve", "--backend", "epoll", "--cpus", "1023"], "may not use CPU 1023"),
        (vec!["serve", "--backend", "epoll", "--cpus", "3-1"], "counts down"),
        (vec!["serve", "--backend", "epoll", "--max-frame", "0"], "not within 1"),
        (vec!["serve", "--backend", "epoll", "--protocol", "raw", "--max-frame", "1KiB"], "means nothing"),
        (vec!["serve", "--backend", "epoll", "--spread", "shared"], "--spread means nothing with one thread"),
        (load(&["--connections", "-1"]), "from 1 to"),
        (load(&["--connections", "2", "--threads", "3"]), "3 threads"),
        (load(&["--connections", "512", "--depth", "65536"]), "33554432 requests in flight"),
        (load(&["--idle", "1000001"]), "from 0 to 1000000"),
        (load(&["--rate", "0"]), "not a rate"),
        (load(&["--rate", "NaN"]), "not a rate"),
        (load(&["--rate", "inf"]), "not a rate"),
        (load(&["--arrivals", "poisson"]), "--rate"),
        (load(&["--duration", "0s"]), "not within 1ms"),
        (load(&["--duration", "5"]), "such as 500ms"),
        (load(&["--engine", "select"]), "[possible values: auto, epoll, io_uring]"),
        (vec!["load", "--target", "192.0.2.1:9"], "only loopback"),
        (vec!["sweep", "--backends", "epoll,kqueue"], "there is no backend 'kqueue'"),
        (vec!["sweep", "--backends", "epoll,epoll"], "listed twice"),
        (vec!["sweep", "--connections", ""], "not a whole number"),
        (vec!["sweep", "--connections", "1,1"], "listed twice"),
        (vec!["sweep", "--payload", "17MiB"], "not within 0 and 16"),
        (vec!["sweep", "--trials", "0"], "from 1 to"),
        (vec!["sweep", "--seed", "-1"], "--seed"),
        (vec!["sweep", "--server-cpus", "1023"], "may not use CPU 1023"),
        (vec!["sweep", "--arrivals", "poisson"], "closed loop"),
        (vec!["sweep", "--plan", "absent.toml"], "cannot read absent.toml"),
        (vec!["sweep", "--until", "0"], "not a percentage"),
        (vec!["sweep", "--budget", "1m"], "a budget means nothing without until"),
        (vec!["sweep", "--backends", "epoll", "--twice", "poll"], "'poll' is to be there twice and is none of epoll"),
        (vec!["sweep", "--spread", "shared"], "a spread means nothing with one server thread"),
        (vec!["sweep", "--server-threads", "2", "--spread", "evenly"], "[possible values: reuseport, shared]"),
        (vec!["capacity", "--slo", "p99<1ms", "--spread", "shared"], "a spread means nothing with one server thread"),
        (vec!["sweep", "--resume"], "--output"),
        (vec!["sweep", "--resume", "--output", "absent.jsonl"], "no absent.jsonl to resume"),
    ] {
        fails(2, &arguments, expected);
    }
}

#[test]
fn where_a_mistake_cannot_be_said_its_code_still_is() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = Command::new(HARNESS).args(["list", "--bogus"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn too_few_descriptors_name_the_limit_to_raise() {
    let load = "ulimit -n 64 && exec \"$0\" load --target 127.0.0.1:9 --connections 1000";
    let ended = Command::new("sh").args(["-c", load, HARNESS]).output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("ulimit -Hn"), "{ended:?}");
}

#[test]
fn connections_that_are_allowed_have_their_descriptors() {
    let directory = tempfile::tempdir().unwrap();
    let sweep = "sweep --backends epoll --connections 64 --trials 1 --warmup 0s --duration 20ms";
    for (limit, code) in [(128 + 63, 2), (128 + 64, 0)] {
        let limited = format!("ulimit -n {limit} && exec \"$0\" {sweep}");
        let ended = Command::new("sh").args(["-c", &limited, HARNESS]).current_dir(directory.path()).output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(1, &["serve", "--backend", "epoll", "--listen", &address], &format!("cannot listen on {address}: Address"));
}

#[test]
fn an_unreachable_target_is_named() {
    // Bound and not listening: nobody else can take the port, and nobody answers on it.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap().to_string();
    fails(1, &["load", "--target", &address], &format!("nothing listens on {address}"));
}

#[test]
fn unwritable_output_is_found_before_the_first_trial() {
    fails(1, &["sweep", "--output", "absent/run.jsonl"], "cannot write absent/run.jsonl: No such file");
    fails(1, &["sweep", "--output", "."], "cannot write .: Is a directory");
    fails(1, &["sweep", "--output", "/dev/full"], "cannot write /dev/full: No space left");
}

#[test]
fn where_no_directory_can_be_made_another_file_can_be_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("results"), "in the way").unwrap();
    let ended = harness(&["sweep"], directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr[0].contains("cannot make the directory results: "), "{ended:?}");
    assert!(ended.stderr[0].contains("--output"), "{ended:?}");
}

#[test]
fn a_file_that_exists_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.jsonl");
    fs::write(&path, "precious").unwrap();
    let ended = harness(&["sweep", "--output", "run.jsonl"], directory.path());
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr[0].contains("run.jsonl exists already; continue it with --resume"), "{ended:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn resuming_a_file_that_is_not_ours_leaves_it_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    for text in ["no newline", "{\"record\": 1", "two\nlines"] {
        fs::write(&path, text).unwrap();
        let ended = harness(&["sweep", "--output", "notes.txt", "--resume"], directory.path());
        assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
        assert!(ended.stderr[0].starts_with("error: notes.txt line 1: "), "{ended:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_broken_results_file_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("run.jsonl"), "{\"record\":\"run\"}\n").unwrap();
    let ended = harness(&["sweep", "--output", "run.jsonl", "--resume"], directory.path());
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr[0].contains("run.jsonl line 1: missing field"), "{ended:?}");
}

#[test]
fn a_mistake_in_a_plan_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("plan.toml"), "trials = 1\nconections = [1]\n").unwrap();
    let ended = harness(&["sweep", "--plan", "plan.toml"], directory.path());
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert_eq!(ended.stderr.len(), 1, "{ended:?}");
    assert!(ended.stderr[0].contains("plan.toml line 2: unknown field `conections`"), "{ended:?}");
}
