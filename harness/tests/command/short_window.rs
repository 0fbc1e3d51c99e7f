//! Windows that are too short for what is read of a server, and what is reported of them.

use harness::results::{Verdict, read};

use crate::support::{harness, serve, skipped};

/// A generator that comes to such a window late has sent nothing in it; it is tried again.
const TRIES: usize = 20;

#[test]
fn a_window_of_a_millisecond_is_too_short_for_cpu_time_and_no_cpu_is_more_than_busy() {
    let directory = tempfile::tempdir().unwrap();
    let sweep = ["sweep", "--backends", "epoll", "--connections", "4", "--trials", "1", "--warmup", "20ms"];
    for number in 0..TRIES {
        let file = format!("{number}.jsonl");
        let ended = harness(&[sweep.as_slice(), &["--duration", "1ms", "--output", &file]].concat(), directory.path());
        let trial = read(&directory.path().join(&file)).unwrap().trials.remove(0);
        let Some(measured) = trial.measured.filter(|measured| measured.requests > 0) else { continue };
        assert_eq!(trial.verdict, Verdict::Suspect, "{:?}", trial.reasons);
        let server = measured.server.unwrap();
        assert!(server.cpu_clock_step_ns >= Some(900_000) && server.readings_late_ns.is_some(), "{server:?}");
        let said = "the window is too short for the CPU time of the server: it is read to ± ";
        assert!(trial.reasons.iter().any(|reason| reason.starts_with(said)), "{:?}", trial.reasons);
        assert!(ended.stdout.iter().any(|line| line.contains("the window is too short for the")), "{ended:?}");
        for share in [server.utilisation, server.busiest_thread, Some(measured.client.utilisation)] {
            assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)), "{share:?}");
        }
        return;
    }
    skipped("nothing was sent within a millisecond, over and over");
}

#[test]
fn a_window_of_a_few_round_trips_is_too_short_for_the_throughput() {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "epoll"], directory.path());
    let target = served.address.to_string();
    // More is in flight than any server answers in a millisecond.
    let load = ["load", "--target", &target, "--connections", "64", "--depth", "64", "--warmup", "20ms"];
    for _ in 0..TRIES {
        let ended = harness(&[load.as_slice(), &["--duration", "1ms"]].concat(), directory.path());
        if ended.code() != Some(0) || ended.stdout.iter().any(|line| line.contains("no request was answered")) {
            continue;
        }
        let verdict = ended.stdout.iter().find(|line| line.starts_with("verdict")).unwrap();
        let said = "the window is too short for the throughput: fewer than 5 answers for each request in flight";
        assert!(verdict.contains("suspect") && verdict.contains(said), "{verdict}");
        return;
    }
    skipped("nothing was sent within a millisecond, over and over");
}
