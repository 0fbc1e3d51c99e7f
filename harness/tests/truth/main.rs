//! What is measured, against what is true: servers whose response times are known, and faults that are there on purpose.
//!
//! One test at a time: each needs the CPUs for itself. What depends on there being nothing else on them is behind
//! `needs_quiet_machine`. What a verdict says of lateness is held against what the timers of this machine do, measured in the
//! same test.
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

#[path = "../command/quiet.rs"]
mod quiet;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use harness::cpus::{self, CpuSet};
use harness::load::{self, Engine, LoadOutcome, LoadPlan, Pace};
use harness::results::{TrialRecord, Verdict, read};
use rustix::thread::{clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde_json::Value;

use quiet::needs_quiet_machine;
use support::{HARNESS, Running, Served, harness, serving, skipped};

/// To be held by each test.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Windows of a load in which something shows as soon as it has come to anything, the shortest first: on a machine that is
/// slow, or busy, a longer one.
const WINDOWS: [&str; 4] = ["300ms", "1s", "3s", "10s"];

/// Tries longer and longer windows until `check` has nothing to complain about.
#[track_caller]
fn in_time(mut check: impl FnMut(&str) -> Result<(), String>) {
    let complaints: Vec<String> = WINDOWS.iter().map_while(|window| check(window).err()).collect();
    assert!(complaints.len() < WINDOWS.len(), "{complaints:#?}");
}

/// How late nine in ten sleeps end at most on this machine, on that CPU or any: what timers do here, whatever the harness says.
fn timers_p90_ns(cpu: Option<usize>) -> f64 {
    const SLEEP_NS: u64 = 500_000;
    let sleep = move || {
        if let Some(cpu) = cpu {
            cpus::pin(&CpuSet::from_iter([cpu])).unwrap();
        }
        set_current_timer_slack(NonZeroU64::new(1)).unwrap();
        let now_ns = || {
            let now = clock_gettime(ClockId::Monotonic);
            now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
        };
        let mut late_ns: Vec<u64> = (0..200)
            .map(|_| {
                let due_ns = now_ns() + SLEEP_NS;
                let (s, ns) = ((due_ns / 1_000_000_000).cast_signed(), (due_ns % 1_000_000_000).cast_signed());
                clock_nanosleep_absolute(ClockId::Monotonic, &Timespec { tv_sec: s, tv_nsec: ns }).unwrap();
                now_ns() - due_ns
            })
            .collect();
        late_ns.sort_unstable();
        late_ns[late_ns.len() * 9 / 10] as f64
    };
    std::thread::spawn(sleep).join().unwrap()
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
    let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(ended.code(), Some(i32::from(trial["verdict"] == "invalid")), "{ended:?}");
    trial
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

#[test]
fn a_test_that_needs_a_quiet_machine_says_so_and_passes_where_it_is_not_required() {
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "machine::a_trial_that_is_left_alone_is_valid"])
        .env_remove("REQUIRE_QUIET")
        .env_remove("RUST_TEST_NOCAPTURE")
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
    let said = "needs a quiet machine; run with REQUIRE_QUIET=all";
    let one_cpu = "there is only one CPU";
    assert!(
        stderr.lines().any(|line| line.starts_with("skipped: ") && (line.ends_with(said) || line.ends_with(one_cpu)))
    );
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
