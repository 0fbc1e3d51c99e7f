//! `harness sweep`: the comparison, from flags to a table.

pub(super) mod destination;
mod progress;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::anyhow;
use harness::cpus;
use harness::environment::{Build, Environment};
use harness::figures;
use harness::plan::SweepPlan;
use harness::report::table;
use harness::results::TrialRecord;
use harness::statistics::summarise;
use harness::sweep::{self, Sweep};
use rand::TryRng;
use rand::rngs::SysRng;

use self::destination::Destination;
use self::progress::Progress;
use crate::cli::SweepArguments;
use crate::cli::machine::Machine;
use crate::cli::settings::Settings;
use crate::failure::Failure;
use crate::{interrupt, output};

/// Every server is started from this file: the very one that runs, even where a new build has taken its place.
pub(super) const THIS_EXECUTABLE: &str = "/proc/self/exe";

/// Runs what is missing, then says what it came to.
pub(crate) fn run(arguments: SweepArguments) -> Result<ExitCode, Failure> {
    let settings = settings(arguments.settings, arguments.plan.as_deref())?;
    let plan = settings.plan(&Machine::this().map_err(Failure::run)?).map_err(usage)?;
    pin(&plan)?;
    let interrupted = interrupt::flag()?;

    let Destination { mut writer, seed, mut trials } =
        Destination::open(&plan, settings.seed, arguments.output, arguments.resume)?;
    let sweep = Sweep { plan: &plan, seed, server_executable: Path::new(THIS_EXECUTABLE) };
    let slots = sweep::slots(&plan, seed).len();
    let mut progress = Progress::new(&plan, slots - trials.len(), trials.len(), arguments.json);
    let written = sweep::run(sweep, &mut trials, &mut writer, &mut progress, &interrupted);
    // Looked at last: that a reader has left is no error, and must not hide one.
    let mut printed = progress.finish();

    if !arguments.json {
        printed = output::print(&summary(&plan, seed, writer.path(), &trials));
    }
    let go_on = format!("give the same arguments and --output {} --resume", writer.path().display());
    if let Err(error) = written {
        let kept = figures::counted(trials.len(), "finished trial");
        return Err(Failure::Run(anyhow!(
            "{error}; kept: {kept}; to go on, put that right (where the disk is full, make room), then {go_on}"
        )));
    }
    if interrupted.load(Ordering::Relaxed) && trials.len() < slots {
        let finished = trials.len();
        return Err(Failure::Run(anyhow!("interrupted after {finished} of {slots} trials; to go on, {go_on}")));
    }
    check_measured(&trials)?;
    printed.map(|()| ExitCode::SUCCESS)
}

/// Refuses to call it done where nothing was measured.
fn check_measured(trials: &[TrialRecord]) -> Result<(), Failure> {
    if trials.iter().any(|trial| trial.measured.is_some()) {
        return Ok(());
    }
    let of = figures::counted(trials.len(), "trial");
    let why = trials.iter().find_map(|trial| trial.error.as_deref()).unwrap_or("no reason is recorded");
    Err(Failure::Run(anyhow!("nothing was measured in {of}; put this right first: {why}")))
}

fn usage(message: String) -> Failure {
    Failure::usage("sweep", message)
}

fn settings(flags: Settings, plan: Option<&Path>) -> Result<Settings, Failure> {
    match plan {
        Some(path) => Ok(flags.or(Settings::read(path).map_err(usage)?)),
        None => Ok(flags),
    }
}

/// Keeps this process to the client's CPUs; each server moves itself to its own. That they may be used is seen here,
/// before the first trial.
pub(super) fn pin(plan: &SweepPlan) -> Result<(), Failure> {
    for (flag, cpus) in [("--server-cpus", &plan.server_cpus), ("--client-cpus", &plan.client_cpus)] {
        cpus::pin(cpus).map_err(|error| usage(format!("{flag} {cpus}: {error}")))?;
    }
    Ok(())
}

pub(super) fn random_seed() -> Result<u64, Failure> {
    // 32 bits are easier to type again, and no JSON reader rounds them.
    let seed = SysRng.try_next_u32().map_err(|error| Failure::Run(anyhow!("no randomness for a seed: {error}")))?;
    Ok(seed.into())
}

fn summary(plan: &SweepPlan, seed: u64, results: &Path, trials: &[TrialRecord]) -> String {
    format!("{}\n\n{}", heading(plan, seed, results), table::draw(&summarise(plan, trials)))
}

pub(super) fn heading(plan: &SweepPlan, seed: u64, results: &Path) -> String {
    let environment = Environment::read();
    let build = Build::current();
    let unknown = || "unknown".to_owned();
    let cpu = environment.cpu_model.unwrap_or_else(unknown);
    let memory = environment.memory_bytes.map_or_else(unknown, figures::bytes);
    let virtualised = if environment.virtualised == Some(true) { ", virtualised" } else { "" };
    let cpus = if plan.server_cpus.overlaps(&plan.client_cpus) {
        format!("server {} and client {} share some: every trial is suspect", plan.server_cpus, plan.client_cpus)
    } else {
        format!("server {}, client {}", plan.server_cpus, plan.client_cpus)
    };
    let revision = build.git_revision;
    let dirty = if build.git_dirty == Some(true) { " with changes" } else { "" };
    let unoptimised = if build.build_profile == "debug" { ", unoptimised: these figures mean little" } else { "" };
    let rows = [
        ("machine", format!("{cpu}, {memory}{virtualised}")),
        ("kernel", environment.kernel),
        ("CPUs", cpus),
        ("build", format!("{revision:.12}{dirty}, {}{unoptimised}", build.build_profile)),
        ("seed", seed.to_string()),
        ("results", results.display().to_string()),
    ];
    rows.map(|(name, value)| format!("{name:<8} {value}")).join("\n")
}
