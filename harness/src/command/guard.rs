//! `harness guard`: what a sweep puts between itself and a program that is not ours.

use std::process::ExitCode;

use harness::cpus;
use harness::guard::{self, Program};

use crate::cli::GuardArguments;
use crate::failure::Failure;

/// Starts the program and ends with it, at the end of standard input, or at a signal.
pub(crate) fn run(arguments: GuardArguments) -> Result<ExitCode, Failure> {
    let GuardArguments { cpus, keep_output, directory, words } = arguments;
    let env = guard::told_env().map_err(Failure::run)?;
    // What the program starts inherits it.
    cpus::pin(&cpus).map_err(|error| Failure::usage("guard", format!("--cpus {cpus}: {error}")))?;
    let program = Program { words, env, directory, keeps_output: keep_output };
    guard::run(&program).map_err(Failure::run)?;
    Ok(ExitCode::SUCCESS)
}
