//! `harness capacity`: the highest rate under a latency goal, from flags to a table.

mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::anyhow;
use harness::capacity::{BackendCapacity, CapacityRun, CapacitySearch, LimitedBy, lowest_rate_rps};
use harness::environment::Conditions;
use harness::figures;
use harness::load::{self, LoadPlan};
use harness::plan::{CapacityPlan, Cell, SweepPlan};
use harness::report::terminal;
use harness::results::{Record, RunRecord, WriteError, Writer};

use self::progress::Progress;
use super::measuring::{THIS_EXECUTABLE, describe, pin, random_seed};
use super::{destination, heading, live};
use crate::cli::capacity::CapacityArguments;
use crate::cli::machine::Machine;
use crate::failure::Failure;
use crate::{interrupt, output};

/// The answer is no: a backend meets the goal at no rate.
const NOT_MET: u8 = 3;

/// Trials differ from each other by more than this.
const LEAST_RESOLUTION_PERCENT: f64 = 0.1;

/// Searches, then says what was found.
pub(crate) fn run(arguments: CapacityArguments) -> Result<ExitCode, Failure> {
    // Before this process raises its limits and keeps to some CPUs.
    let conditions = Conditions::read();
    let (plan, capacity) = plans(&arguments, &Machine::this().map_err(Failure::run)?)?;
    load::Engine::from(plan.engine).granted(0).map_err(|refused| usage(refused.to_string()))?;
    pin("capacity", &plan)?;
    let interrupted = interrupt::flag()?;

    let seed = arguments.seed.map_or_else(random_seed, Ok)?;
    let mut writer = create(arguments.output)?;
    let run = RunRecord { capacity: Some(capacity.clone()), ..describe(&plan, seed, conditions, &interrupted) };
    writer.append(&Record::Run(Box::new(run.clone()))).map_err(Failure::run)?;
    let server_executable = Path::new(THIS_EXECUTABLE);
    let mut search = CapacitySearch::new(CapacityRun { plan: &plan, capacity: &capacity, seed, server_executable });
    let mut progress = Progress::new(&capacity, arguments.quiet);
    let written = search.search(&mut writer, &mut progress, &interrupted);
    progress.finish();
    let written = written.and_then(|()| live::settle(&mut writer));

    let capacities = search.capacities();
    // Looked at last: that a reader has left is no error, and must not hide one.
    let printed = if arguments.json {
        capacities.iter().try_for_each(output::print_json)
    } else {
        let look = output::look();
        let heading = heading::draw(&run, writer.path(), look);
        let table = terminal::capacity::draw(&capacity, &cell(&plan), &capacities, look);
        output::print(&format!("{heading}\n\n{table}"))
    };
    let kept = format!("{} kept in {}", figures::counted(search.trials(), "finished trial"), writer.path().display());
    if let Err(error) = written {
        return Err(Failure::Run(anyhow!("{error}; {kept}; put that right and search again")));
    }
    if interrupted.load(Ordering::Relaxed) && !search.is_complete() {
        return Err(Failure::Run(anyhow!("interrupted before all was known; {kept}; search again to know more")));
    }
    check_found(&capacities)?;
    printed.map(|()| answer(&capacities))
}

fn answer(capacities: &[BackendCapacity]) -> ExitCode {
    if capacities.iter().any(|capacity| capacity.limited_by == Some(LimitedBy::NotMet)) {
        return ExitCode::from(NOT_MET);
    }
    ExitCode::SUCCESS
}

/// Refuses to call it done where nothing was found out.
fn check_found(capacities: &[BackendCapacity]) -> Result<(), Failure> {
    if capacities.iter().any(|capacity| capacity.limited_by.is_some()) {
        return Ok(());
    }
    let why = capacities.iter().flat_map(|capacity| &capacity.reasons).next().map_or("", String::as_str);
    Err(Failure::Run(anyhow!("no capacity was found; put this right first, or give a longer --budget: {why}")))
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::usage("capacity", message)
}

/// What is asked for comes to this on that machine.
pub(super) fn plans(arguments: &CapacityArguments, machine: &Machine) -> Result<(SweepPlan, CapacityPlan), Failure> {
    let plan = arguments.settings().plan(machine).map_err(usage)?;
    // The rates are what is searched for.
    let plan = SweepPlan { rate_rps: Vec::new(), arrivals: arguments.arrivals, ..plan };
    if lowest_rate_rps(&arguments.slo, plan.duration()) > LoadPlan::MAX_RATE_RPS {
        return Err(usage(format!(
            "{} needs more answers than any trial brings; give a longer --duration",
            arguments.slo
        )));
    }
    if arguments.resolution.0 < LEAST_RESOLUTION_PERCENT {
        return Err(usage(format!(
            "no two rates {} % apart can be told from each other; ask for more",
            arguments.resolution.0
        )));
    }
    let capacity = CapacityPlan {
        slo: arguments.slo.clone(),
        resolution: arguments.resolution.0 / 100.0,
        repeats: arguments.repeats.0,
        budget_ns: arguments.budget.map(|budget| u64::try_from(budget.0.as_nanos()).unwrap_or(u64::MAX)),
    };
    Ok((plan, capacity))
}

/// What all trials but the first of each backend have in common.
fn cell(plan: &SweepPlan) -> Cell {
    let mut cells = SweepPlan { rate_rps: vec![None], ..plan.clone() }.cells();
    Cell { arrivals: Some(plan.arrivals), ..cells.swap_remove(0) }
}

/// A new file. One that cannot be written to is found out before the first trial.
fn create(output: Option<PathBuf>) -> Result<Writer, Failure> {
    let Some(path) = output else { return destination::new_file() };
    Writer::create(&path).map_err(|error| match error {
        WriteError::Exists(path) => {
            usage(format!("{} exists already; name another file with --output", path.display()))
        }
        error => Failure::run(error),
    })
}
