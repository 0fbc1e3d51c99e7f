//! Servers with several threads: what is said of them on the way from `serve` to `compare`.

use std::path::Path;

use harness::plan::Spread;
use harness::results::{Bottleneck, Outcome, Recorded, read};
use serde_json::Value;

use crate::support::{Ended, harness, serve};

/// Every main backend with one thread and with two.
const SWEEP: [&str; 11] =
    ["sweep", "--server-threads", "1,2", "--connections", "8", "--trials", "1", "--warmup", "0s", "--duration", "20ms"];

fn sweep(more: &[&str], directory: &Path) -> (Ended, Recorded) {
    let file = format!("{}.jsonl", more.last().unwrap_or(&"run"));
    let ended = harness(&[SWEEP.as_slice(), &["--output", &file], more].concat(), directory);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    (ended, read(&directory.join(file)).unwrap())
}

#[test]
fn every_backend_is_measured_with_several_threads_and_says_what_each_of_them_got() {
    let directory = tempfile::tempdir().unwrap();
    for (spread, flags, receipt) in [
        (Spread::Reuseport, ["--spread", "reuseport"], "SO_REUSEPORT"),
        (Spread::Shared, ["--spread", "shared"], "shared listener"),
    ] {
        let (ended, recorded) = sweep(&flags, directory.path());
        assert_eq!(recorded.run.as_ref().unwrap().plan.spread, spread);
        for trial in &recorded.trials {
            let name = format!("{} with {}", trial.backend, trial.cell.server_threads);
            assert_eq!(trial.outcome, Outcome::Ok, "{name}: {:?}", trial.error);
            let server = trial.measured.as_ref().unwrap().server.as_ref().unwrap();
            let expected = if trial.cell.server_threads == 1 { "one thread accepts all" } else { receipt };
            assert_eq!(server.receipt["spread"], expected, "{name}");
            if trial.backend == "threads" {
                assert!(server.connections_per_thread.is_none() && server.busy_per_thread.is_none(), "{name}");
                continue;
            }
            let connections = server.connections_per_thread.as_ref().unwrap();
            assert_eq!((connections.len(), connections.iter().sum::<u64>()), (trial.cell.server_threads, 8), "{name}");
            // Not every kernel counts how long threads ran.
            if let Some(busy) = &server.busy_per_thread {
                assert!(
                    busy.len() == connections.len() && busy.iter().all(|share| (0.0..=1.0).contains(share)),
                    "{name}"
                );
            }
            let uneven = trial.reasons.iter().any(|reason| reason.contains("1.5 × its share"));
            let expected = connections.len() == 2 && connections.iter().any(|&one| one > 6);
            // Of a trial without an answer nothing more is said.
            assert!(uneven == expected || trial.measured.as_ref().unwrap().requests == 0, "{name}: {connections:?}");
        }
        let prose = ended.prose();
        let notes: Vec<&str> = prose.split("connections per server thread, ").skip(1).collect();
        let note = notes[0].split(" time that").next().unwrap();
        assert!(notes.len() == 1 && note.contains("io_uring ") && !note.contains("threads "), "{notes:?}");
    }
    let compared = harness(&["compare", "reuseport.jsonl", "shared.jsonl"], directory.path());
    assert_eq!(compared.code(), Some(0), "{compared:?}");
    let said = compared.prose().contains(r#"spread was "reuseport" and is "shared""#);
    assert!(said, "{compared:?}");
}

#[test]
fn a_server_says_who_accepted_while_it_serves() {
    let directory = tempfile::tempdir().unwrap();
    let mut served =
        serve(&["--backend", "poll", "--threads", "2", "--spread", "shared", "--control"], directory.path());
    assert_eq!(served.first_line["receipt"]["woken_by_listener"], "all that wait");
    served.process.say("report\n");
    let report = served.process.next_json();
    assert_eq!(report["accepted_per_thread"], serde_json::json!([0, 0]));
    let ids: Vec<u64> = report["thread_ids"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{report}");
    served.process.close_stdin();
    assert_eq!(served.process.end().code(), Some(0));
}

#[test]
fn a_thread_of_the_kernel_that_spins_is_not_taken_for_work() {
    let directory = tempfile::tempdir().unwrap();
    let rate = ["--backends", "io_uring-sqpoll", "--rate", "5000"];
    let (_, recorded) = sweep(&rate, directory.path());
    for trial in recorded.trials {
        if trial.outcome == Outcome::Unavailable {
            continue;
        }
        let server = trial.measured.as_ref().unwrap().server.as_ref().unwrap();
        assert!(server.cpu_ns.is_some_and(|cpu_ns| cpu_ns > 0), "{trial:?}");
        assert_eq!((server.utilisation, server.busiest_thread), (None, None), "how busy it is says nothing");
        assert_ne!(trial.bottleneck, Some(Bottleneck::Server));
    }
}
