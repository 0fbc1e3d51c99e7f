//! `harness schema`: what the lines of a results file are, for programs.

use std::process::ExitCode;

use harness::results;

use crate::failure::Failure;
use crate::output;

/// Prints it.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    output::print(results::schema_text().trim_end())?;
    Ok(ExitCode::SUCCESS)
}
