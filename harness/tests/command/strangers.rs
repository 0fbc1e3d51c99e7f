//! Programs that nobody here wrote, against our servers: a client, and an observer of system calls.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use backends::BACKENDS;
use serde_json::Value;

use crate::support::{HARNESS, Running, Served, eventually, harness, has_tool, serve, serving};

/// By so much the number of times may differ that rings are entered to end them, and those that were only tried out.
const ENTERED_TO_END: i64 = 8;
/// And by so much how often the thread that waits for signals receives from the socket that wakes it.
const RECEIVED_TO_END: i64 = 2;

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

/// What a server reports is what the kernel was asked for: every call by name, and to the last one.
///
/// Beside those for connections and requests a process makes calls to start, to probe and to end. They are as many without
/// any load, which is seen first; so the rest has to be equal. Only what opens a file of the system, as a thread that starts
/// may do, reads and closes it, too; and how often a ring is entered to end it, or the thread that waits for signals is woken,
/// depends on who is quicker.
#[test]
fn strace_counts_the_system_calls_that_every_backend_reports() {
    if !has_tool("strace") {
        return;
    }
    for backend in available() {
        let idle = Traced::of(backend, |_| ());
        let traced = Traced::of(backend, |target| load(backend, target));
        let opened = traced.beside("openat") - idle.beside("openat");
        for name in traced.claimed.keys().chain(idle.claimed.keys()) {
            let expected = idle.beside(name) + if name == "close" || name == "read" { opened } else { 0 };
            let off = traced.beside(name) - expected;
            let most = match name.as_str() {
                "io_uring_enter" => ENTERED_TO_END,
                "recvfrom" => RECEIVED_TO_END,
                _ => 0,
            };
            let (seen, claim) = (traced.seen.get(name), traced.claimed.get(name));
            assert!(off.abs() <= most, "{backend} claims {claim:?} of {name}, {seen:?} were seen: {off} too many");
        }
        // Nothing is made per request that it does not claim.
        let most = most_beside(traced.connections);
        assert!(traced.requests > 3 * most, "{backend} answered only {} requests", traced.requests);
        let unclaimed = traced.seen.keys().find(|name| {
            !traced.claimed.contains_key(*name) && traced.beside(name) > idle.beside(name) + most.cast_signed()
        });
        assert_eq!(unclaimed, None, "{backend} in {} requests", traced.requests);
    }
}

/// Calls of one name that start and end connections and their threads, at the most, and what threads wait for each other.
fn most_beside(connections: u64) -> u64 {
    64 + 6 * connections
}

fn load(backend: &str, target: &str) {
    let directory = tempfile::tempdir().unwrap();
    let connections = 4;
    let (mut answered, mut connected) = (0, 0);
    // As often as it takes, for a server that is traced may answer slowly.
    eventually("enough was answered", || {
        let load =
            ["load", "--json", "--target", target, "--warmup", "0s", "--duration", "200ms", "--connections", "4"];
        let loaded = harness(&load, directory.path());
        assert_eq!(loaded.code(), Some(0), "{backend}: {loaded:?}");
        answered += serde_json::from_str::<Value>(&loaded.stdout[0]).unwrap()["requests"].as_u64().unwrap();
        connected += connections;
        answered > 3 * most_beside(connected)
    });
}

/// What a server said of itself, and what strace said of it.
struct Traced {
    requests: u64,
    connections: u64,
    claimed: BTreeMap<String, i64>,
    seen: BTreeMap<String, i64>,
}

impl Traced {
    fn of(backend: &str, load: impl FnOnce(&str)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let summary = directory.path().join("summary");
        let mut traced = Command::new("strace");
        traced.args(["-f", "-c", "-o"]).arg(&summary).arg(HARNESS);
        traced.args(["serve", "--control", "--backend", backend]);
        let mut served = serving(Running::start_command(&mut traced));
        load(&served.address.to_string());
        served.process.close_stdin();
        let report = served.process.next_json();
        assert_eq!(end_of(served), Some(0), "{backend}");
        let count = |name: &str| report[name].as_u64().unwrap();
        let seen = seen(&fs::read_to_string(&summary).unwrap());
        Self { requests: count("requests"), connections: count("accepted"), claimed: claimed(&report), seen }
    }

    /// Calls that were seen and not claimed; fewer than none where more are claimed than were made.
    fn beside(&self, name: &str) -> i64 {
        let of = |counts: &BTreeMap<String, i64>| counts.get(name).copied().unwrap_or(0);
        of(&self.seen) - of(&self.claimed)
    }
}

fn end_of(served: Served) -> Option<i32> {
    served.process.end().code()
}

fn claimed(report: &Value) -> BTreeMap<String, i64> {
    let syscalls = report["syscalls"].as_object().unwrap();
    syscalls.iter().map(|(name, count)| (name.clone(), count.as_i64().unwrap())).collect()
}

/// The counts of `strace -c`: a table whose fourth column is the number of calls and whose last is their name.
fn seen(summary: &str) -> BTreeMap<String, i64> {
    let rows = summary.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let calls = columns.get(3)?.parse().ok()?;
        Some(((*columns.last()?).to_owned(), calls))
    });
    rows.filter(|(name, _)| name != "total").collect()
}
