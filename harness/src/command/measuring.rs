//! What the commands that start servers of their own have in common before the first trial.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;
use harness::cpus;
use harness::cpus::CpuSet;
use harness::doctor;
use harness::environment::{Build, Conditions, Environment};
use harness::plan::SweepPlan;
use harness::results::{RunRecord, SCHEMA_VERSION};
use harness::sweep;
use jiff::{Timestamp, Unit};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::failure::Failure;

/// Every server is started from this file: the very one that runs, even where a new build has taken its place.
pub(super) const THIS_EXECUTABLE: &str = "/proc/self/exe";

/// Keeps this process to the client's CPUs; each server moves itself to its own. That they may be used is seen here,
/// before the first trial. What is wrong is said for `command`.
pub(super) fn pin(command: &'static str, plan: &SweepPlan) -> Result<(), Failure> {
    check_proc()?;
    pin_to(command, &plan.server_cpus, &plan.client_cpus)
}

/// Without `/proc` servers can be neither started nor watched, and what an external one has started would be left behind.
fn check_proc() -> Result<(), Failure> {
    if Path::new(THIS_EXECUTABLE).exists() {
        return Ok(());
    }
    Err(Failure::Run(anyhow!(
        "/proc is not mounted here, and servers are started, watched and ended through it: mount it (mount -t proc proc /proc)"
    )))
}

/// The same for what needs no plan of a sweep.
pub(super) fn pin_to(command: &'static str, server_cpus: &CpuSet, client_cpus: &CpuSet) -> Result<(), Failure> {
    for (flag, cpus) in [("--server-cpus", server_cpus), ("--client-cpus", client_cpus)] {
        cpus::pin(cpus).map_err(|error| Failure::pin(command, flag, cpus, &error))?;
    }
    Ok(())
}

pub(super) fn random_seed() -> Result<u64, Failure> {
    // 32 bits are easier to type again, and no JSON reader rounds them.
    let seed = SysRng.try_next_u32().map_err(|error| Failure::Run(anyhow!("no randomness for a seed: {error}")))?;
    Ok(seed.into())
}

/// The first line of a results file. How quiet the CPUs of the plan are is looked at for it, and then what the generator
/// can do.
pub(super) fn describe(plan: &SweepPlan, seed: u64, mut conditions: Conditions, interrupted: &AtomicBool) -> RunRecord {
    let cpus: CpuSet = plan.server_cpus.iter().chain(plan.client_cpus.iter()).collect();
    doctor::look_at(&cpus, doctor::BRIEF_LOOK, &mut conditions, || !interrupted.load(Ordering::Relaxed));
    RunRecord {
        schema_version: SCHEMA_VERSION,
        started: now().to_string(),
        build: Build::current(),
        plan: plan.clone(),
        seed,
        environment: Environment::read(),
        conditions,
        generator: Some(sweep::measure_generator(plan, Path::new(THIS_EXECUTABLE), interrupted)),
        capacity: None,
    }
}

pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}
