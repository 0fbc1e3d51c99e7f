//! What is measured, against what is true: servers whose response times are known, and faults that are there on purpose.
//!
//! One test at a time: each needs the CPUs for itself. Where a test depends on there being nothing else on them, a
//! failure counts only while there is not: a busy machine disturbs measurements, which is what verdicts are for. Such a test
//! is skipped, and says so; with `REQUIRE_QUIET=all` in the environment it fails instead.
#![allow(clippy::disallowed_methods)]

mod bottlenecks;
mod capacity;
mod faults;
mod machine;
mod sent;
mod times;

#[path = "../command/support.rs"]
#[expect(dead_code, reason = "the other tests of the command use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use harness::cpus::{self, CpuSet};
use harness::load::{self, Engine, LoadOutcome, LoadPlan, Pace};
use harness::results::{TrialRecord, Verdict, read};
use serde_json::Value;

use support::{HARNESS, Running, Served, harness, serving, skipped};

const TRIES: usize = 6;
/// Complaints from moments in which nothing else was going on.
const ENOUGH_COMPLAINTS: usize = 3;

/// To be held by each test.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tries until `check` has nothing to complain about. Complaints count while the rest of the machine is idle.
fn on_a_quiet_machine(mut check: impl FnMut() -> Result<(), String>) {
    let mut complaints = Vec::new();
    for _ in 0..TRIES {
        let quiet_before = becomes_quiet();
        let Err(complaint) = check() else { return };
        if quiet_before && is_quiet() {
            complaints.push(complaint);
        }
        assert!(complaints.len() < ENOUGH_COMPLAINTS, "{complaints:#?}");
    }
    assert!(std::env::var("REQUIRE_QUIET").as_deref() != Ok("all"), "this machine is too busy for it: {complaints:#?}");
    skipped("this machine is too busy for it");
}

fn becomes_quiet() -> bool {
    (0..5).any(|_| is_quiet())
}

/// Whether its CPUs have hardly anything to do.
fn is_quiet() -> bool {
    let (idle_before, all_before) = ticks();
    std::thread::sleep(Duration::from_millis(100));
    let (idle, all) = ticks();
    (idle - idle_before) as f64 >= 0.9 * (all - all_before) as f64
}

/// Ticks in which all CPUs were idle, and all ticks.
fn ticks() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let ticks: Vec<u64> = stat.lines().next().unwrap().split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    (ticks[3] + ticks[4], ticks[..8].iter().sum())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Where cargo puts examples.
fn ground_truth_executable() -> PathBuf {
    let path = Path::new(HARNESS).with_file_name("examples").join("ground_truth");
    assert!(path.exists(), "{} is missing: cargo build --example ground_truth", path.display());
    path
}

/// A server that does what these arguments say.
fn ground_truth(arguments: &[&str]) -> Served {
    serving(Running::start_command(std::process::Command::new(ground_truth_executable()).args(arguments)))
}

/// Load on a server in this process.
fn load(served: &Served, plan: &LoadPlan) -> LoadOutcome {
    let plan = LoadPlan { target: served.address, ..plan.clone() };
    let outcome = load::run(&plan, &mut (), &AtomicBool::new(false)).unwrap();
    assert_eq!((outcome.first_error.as_deref(), outcome.mismatches), (None, 0));
    outcome
}

/// Four connections, a closed loop, half a second.
fn plan() -> LoadPlan {
    LoadPlan {
        target: ([127, 0, 0, 1], 0).into(),
        connections: 4,
        payload_bytes: 64,
        depth: 1,
        pace: Pace::Closed,
        warmup: Duration::from_millis(20),
        duration: Duration::from_millis(500),
        threads: 1,
        cpus: Vec::new(),
        seed: 5,
        engine: Engine::Auto,
        idle_connections: 0,
    }
}

/// `harness load --json` on a server.
fn loaded(served: &Served, arguments: &str) -> Value {
    let target = served.address.to_string();
    let arguments = ["load", "--json", "--target", &target].into_iter().chain(arguments.split_whitespace());
    let ended = harness(&arguments.collect::<Vec<_>>(), &std::env::temp_dir());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout[0]).unwrap()
}

fn has_reason(trial: &Value, beginning: &str) -> bool {
    trial["reasons"].as_array().unwrap().iter().any(|reason| reason.as_str().unwrap().starts_with(beginning))
}

/// The only trial of `harness sweep` with one backend.
fn swept(arguments: &str) -> TrialRecord {
    let directory = tempfile::tempdir().unwrap();
    let fixed = "sweep --trials 1 --output run.jsonl";
    let arguments: Vec<&str> = fixed.split(' ').chain(arguments.split_whitespace()).collect();
    let ended = harness(&arguments, directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    read(&directory.path().join("run.jsonl")).unwrap().trials.remove(0)
}

fn says(trial: &TrialRecord, beginning: &str) -> bool {
    assert_eq!(trial.reasons.is_empty(), trial.verdict == Verdict::Valid);
    trial.reasons.iter().any(|reason| reason.starts_with(beginning))
}

/// A CPU for the server and one for the load generator; `None` where there is only one.
fn two_cpus() -> Option<(usize, usize)> {
    let (server, client) = cpus::split(&cpus::cores().unwrap(), 1);
    if server.overlaps(&client) {
        skipped("there is only one CPU");
        return None;
    }
    let first = |cpus: &CpuSet| cpus.iter().next().unwrap();
    Some((first(&server), first(&client)))
}
