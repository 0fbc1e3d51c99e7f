//! Programs that nobody here wrote, against our servers: a client, and an observer of system calls.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use backends::{BACKENDS, Waiting};
use serde_json::Value;

use crate::support::{HARNESS, Running, Served, harness, has_tool, serve, serving};

/// System calls of the process that belong to no request: starting, probing, ending.
const CALLS_BESIDE: u64 = 100;

/// The names of all backends that run here.
fn available() -> impl Iterator<Item = &'static str> {
    let available = BACKENDS.iter().filter(|backend| backend.probe().is_ok());
    available.map(|backend| backend.info().name)
}

/// Its `PING`, sent as an array, comes back as the array that it is, which is a complete reply to it.
#[test]
fn redis_benchmark_completes_against_every_backend() {
    if !has_tool("redis-benchmark") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for backend in available() {
        let served = serve(&["--backend", backend, "--protocol", "raw", "--control"], directory.path());
        let port = served.address.port().to_string();
        let mut client = Command::new("redis-benchmark");
        client.args(["-h", "127.0.0.1", "-p", &port, "-t", "ping_mbulk", "-n", "5000", "-c", "20", "-P", "4", "--csv"]);
        let ended = Running::start_command(&mut client).end();
        let measured = ended.stdout.iter().find(|line| line.starts_with("\"PING_MBULK\""));
        assert!(ended.status.success() && measured.is_some(), "{backend}: {ended:?}");
    }
}

/// What a server reports is what the kernel was asked for: by name, and nothing beside it per request.
#[test]
fn strace_counts_the_system_calls_that_every_backend_reports() {
    if !has_tool("strace") {
        return;
    }
    for backend in available() {
        let directory = tempfile::tempdir().unwrap();
        let summary = directory.path().join("summary");
        let mut traced = Command::new("strace");
        traced.args(["-f", "-c", "-o"]).arg(&summary).arg(HARNESS);
        traced.args(["serve", "--control", "--backend", backend]);
        let mut served = serving(Running::start_command(&mut traced));
        let target = served.address.to_string();
        // One that spins has its many calls that find nothing traced as well.
        let duration = match backends::backend(backend).unwrap().info().waiting {
            Waiting::Sleeps => "300ms",
            Waiting::Spins => "1500ms",
        };
        let load = ["load", "--target", &target, "--connections", "8", "--warmup", "0s", "--duration", duration];
        let loaded = harness(&load, directory.path());
        assert_eq!(loaded.code(), Some(0), "{backend}: {loaded:?}");

        served.process.close_stdin();
        let report = served.process.next_json();
        assert_eq!(end_of(served), Some(0), "{backend}");
        let requests = report["requests"].as_u64().unwrap();
        assert!(requests > 4 * CALLS_BESIDE, "{backend} answered only {requests} requests");
        let claimed = claimed(&report);
        let seen = seen(&fs::read_to_string(&summary).unwrap());
        for (name, claim) in &claimed {
            let calls = seen.get(name).copied().unwrap_or(0);
            let beside = calls.checked_sub(*claim);
            assert!(
                beside.is_some_and(|beside| beside <= CALLS_BESIDE),
                "{backend} claims {claim} of {name}, strace saw {calls}"
            );
        }
        let unclaimed = seen.iter().find(|(name, calls)| **calls > CALLS_BESIDE && !claimed.contains_key(*name));
        assert_eq!(unclaimed, None, "{backend} in {requests} requests");
    }
}

fn end_of(served: Served) -> Option<i32> {
    served.process.end().code()
}

fn claimed(report: &Value) -> BTreeMap<String, u64> {
    let syscalls = report["syscalls"].as_object().unwrap();
    syscalls.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect()
}

/// The counts of `strace -c`: a table whose fourth column is the number of calls and whose last is their name.
fn seen(summary: &str) -> BTreeMap<String, u64> {
    let rows = summary.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let calls = columns.get(3)?.parse().ok()?;
        Some(((*columns.last()?).to_owned(), calls))
    });
    rows.filter(|(name, _)| name != "total").collect()
}
