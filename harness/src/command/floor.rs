//! `harness floor`: what the kernel charges on this machine.

use std::process::ExitCode;

use harness::descriptors;
use harness::environment::{Build, Environment};
use harness::floor::echo::DESCRIPTORS;
use harness::floor::{self, Floor, FloorPlan};
use harness::report::terminal;
use indicatif::ProgressStyle;
use serde::Serialize;

use super::live;
use super::measuring::pin_to;
use crate::cli::floor::FloorArguments;
use crate::cli::machine::Machine;
use crate::failure::Failure;
use crate::{interrupt, output};

/// Measures and prints. What this machine does not have is said, and no failure.
pub(crate) fn run(arguments: &FloorArguments) -> Result<ExitCode, Failure> {
    let machine = Machine::this().map_err(Failure::run)?;
    let (server_cpus, client_cpus) = machine.sides(arguments.server_cpus.as_ref(), arguments.client_cpus.as_ref(), 1);
    let needed = descriptors::needed(DESCRIPTORS);
    if machine.descriptors < needed {
        let open = machine.descriptors;
        let message =
            format!("this takes {needed} descriptors and a process may open {open}; raise the hard limit (ulimit -Hn)");
        return Err(Failure::usage("floor", message));
    }
    pin_to("floor", &server_cpus, &client_cpus)?;
    let interrupted = interrupt::flag()?;
    let plan = FloorPlan {
        payloads_bytes: arguments.payload.0.iter().map(|size| size.0).collect(),
        server_cpus,
        client_cpus,
        rounds: arguments.rounds.0,
        slice: arguments.duration.0,
    };
    // Drawn between two rounds only, so that it is in none of them.
    let style = ProgressStyle::with_template("{pos}/{len} {bar:24} rounds of what the kernel charges · {eta} left");
    let bar =
        live::bar(Some(plan.rounds as u64), arguments.quiet).with_style(style.expect("the template is a constant"));
    bar.tick();
    let floor = floor::survey(&plan, &interrupted, || bar.inc(1));
    bar.finish_and_clear();
    let floor = floor.map_err(Failure::run)?;
    let (taken, rounds) = (floor.rounds, plan.rounds);
    if taken < rounds {
        output::say(&format!("note: interrupted after {taken} of {rounds} rounds; figures are of those"));
    }
    if arguments.json {
        output::print_json(&Json { build: Build::current(), environment: Environment::read(), floor })?;
    } else {
        output::print(&terminal::floor::draw(&floor, &Build::current(), output::look()))?;
    }
    Ok(if taken < rounds { interrupt::exit_code() } else { ExitCode::SUCCESS })
}

/// Explained to people by `harness floor --help`.
#[derive(Serialize)]
struct Json {
    build: Build,
    environment: Environment,
    #[serde(flatten)]
    floor: Floor,
}
