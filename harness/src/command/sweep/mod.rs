//! `harness sweep`: the comparison, from flags to a table.

mod attainment;
mod progress;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::anyhow;
use harness::environment::Conditions;
use harness::figures;
use harness::load;
use harness::plan::SweepPlan;
use harness::report::terminal::{standings, table};
use harness::results::{TrialRecord, nothing_usable};
use harness::shell;
use harness::statistics::{rank, summarise};
use harness::sweep::{self, Sweep};

use self::attainment::Attainment;
use self::progress::{Progress, Show};
use super::destination::Destination;
use super::measuring::{THIS_EXECUTABLE, describe, pin};
use super::{heading, live};
use crate::cli::SweepArguments;
use crate::cli::machine::Machine;
use crate::cli::settings::Settings;
use crate::failure::Failure;
use crate::{interrupt, output};

/// The exit code of a sweep whose intervals stayed wider than was asked for.
const NOT_REACHED: u8 = 3;

/// Runs what is missing, then says what it came to.
pub(crate) fn run(arguments: SweepArguments) -> Result<ExitCode, Failure> {
    let settings = settings(arguments.settings, arguments.plan.as_deref())?;
    let goal = settings.goal().map_err(usage)?;
    // Before this process raises its limits and keeps to some CPUs.
    let conditions = Conditions::read();
    let plan = settings.plan(&Machine::this().map_err(Failure::run)?).map_err(usage)?;
    load::Engine::from(plan.engine).granted(0).map_err(|refused| usage(refused.to_string()))?;
    pin("sweep", &plan)?;
    let interrupted = interrupt::flag()?;

    let describe = |seed| describe(&plan, seed, conditions, &interrupted);
    let Destination { mut writer, run, mut trials } =
        Destination::open(&plan, settings.seed, arguments.output, arguments.resume, describe)?;
    let sweep = Sweep { plan: &plan, seed: run.seed, server_executable: Path::new(THIS_EXECUTABLE) };
    let show = Show { quiet: arguments.quiet, json: arguments.json };
    let mut progress = Progress::new(&plan, pending(&plan, trials.as_slice()), trials.as_slice().len(), show);
    let written = match goal {
        None => sweep::run(sweep, &mut trials, &mut writer, &mut progress, &interrupted),
        Some(goal) => sweep::run_until(sweep, goal, &mut trials, &mut writer, &mut progress, &interrupted),
    };
    // Looked at last: that a reader has left is no error, and must not hide one.
    let mut printed = progress.finish();
    let written = written.and_then(|()| live::settle(&mut writer));
    let trials = trials.into_vec();

    let ranking = rank(&plan, &trials);
    let goal = goal.map(|goal| Attainment::of(&ranking, goal));
    if !arguments.json {
        let look = output::look();
        let tables = table::draw(&summarise(&plan, &trials), &ranking, look);
        let mut text = format!("{}\n\n{tables}", heading::draw(&run, writer.path(), look));
        if let Some(goal) = &goal {
            text = format!("{text}\n{}", look.prose_lines(&goal.to_string()));
        }
        printed = output::print(&text);
    } else if printed.is_ok() {
        printed = output::print_json(&standings::Json::new(&ranking, goal.as_ref().map(Attainment::json)));
    }
    let go_on = format!("give the same arguments and {} --resume", shell::flag("--output", writer.path()));
    if let Err(error) = written {
        let kept = figures::counted(trials.len(), "finished trial");
        return Err(Failure::Run(anyhow!(
            "{error}; kept: {kept}; to go on, put that right (where the disk is full, make room), then {go_on}"
        )));
    }
    let missed = goal.as_ref().and_then(Attainment::missed);
    if interrupted.load(Ordering::Relaxed) {
        let (finished, left) = (trials.len(), pending(&plan, &trials));
        if left > 0 {
            let of = figures::counted_of(finished, finished + left, "trial");
            return Err(Failure::Run(anyhow!("interrupted after {of}; to go on, {go_on}")));
        }
        if missed.is_some() {
            let before = "before its intervals were narrow enough";
            let of = figures::counted(finished, "trial");
            return Err(Failure::Run(anyhow!("interrupted after {of}, {before}; to go on, {go_on}")));
        }
    }
    check_usable(&trials)?;
    if let Some(missed) = missed {
        output::say(&format!("not reached: {missed}; to go on, {go_on}, with a larger --budget or --until"));
        return Ok(ExitCode::from(NOT_REACHED));
    }
    printed.map(|()| ExitCode::SUCCESS)
}

/// Trials of the plan that are not there yet.
fn pending(plan: &SweepPlan, trials: &[TrialRecord]) -> usize {
    let planned = sweep::slots_count(plan);
    let finished: HashSet<usize> = trials.iter().map(|trial| trial.trial).filter(|&trial| trial <= planned).collect();
    planned - finished.len()
}

/// Refuses to call it done where no trial is usable, and says of which entrants none is.
fn check_usable(trials: &[TrialRecord]) -> Result<(), Failure> {
    if let Some(nothing) = nothing_usable(trials) {
        return Err(Failure::Run(anyhow!("{nothing}")));
    }
    let names: BTreeSet<&str> = trials.iter().map(|trial| trial.backend.as_str()).collect();
    for name in names {
        if let Some(nothing) = nothing_usable(trials.iter().filter(|trial| trial.backend == name)) {
            output::say(&format!("note: {name}: {nothing}"));
        }
    }
    Ok(())
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
