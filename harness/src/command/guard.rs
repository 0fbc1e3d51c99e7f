//! `harness guard`: what a sweep puts between itself and a program that is not ours.

use std::process::ExitCode;

use anyhow::anyhow;
use harness::guard::{self, Program};
use harness::{cpus, descriptors};

use crate::cli::GuardArguments;
use crate::failure::Failure;
use crate::interrupt;

/// Starts the program and ends with it, at the end of standard input, or at a signal.
pub(crate) fn run(arguments: GuardArguments) -> Result<ExitCode, Failure> {
    let GuardArguments { cpus, descriptors, keep_output, directory, words } = arguments;
    interrupt::hand_over();
    // For the program: what it inherits is not the limit that the sweep has raised for itself.
    if let Some(soft) = descriptors {
        descriptors::lower_limit(soft).map_err(Failure::run)?;
    }
    let env = guard::told_env().map_err(Failure::run)?;
    // What the program starts inherits it.
    cpus::pin(&cpus).map_err(|error| Failure::Run(anyhow!("cannot keep the server to CPU {cpus}: {error}")))?;
    let program = Program { words, env, directory, keeps_output: keep_output };
    guard::run(&program).map_err(Failure::run)?;
    Ok(ExitCode::SUCCESS)
}
