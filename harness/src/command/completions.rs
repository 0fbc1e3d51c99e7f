//! `harness completions`: what a shell completes, from the definition of the arguments.

use std::process::ExitCode;

use clap_complete::generate;

use crate::cli::{CompletionsArguments, definition};
use crate::failure::Failure;
use crate::output;

/// Prints the script of a shell.
pub(crate) fn run(arguments: &CompletionsArguments) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut definition(), "harness", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
