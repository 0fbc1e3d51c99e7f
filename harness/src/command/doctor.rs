//! `harness doctor`: what on this machine takes part in figures, and what to do about it.

use std::process::ExitCode;

use harness::doctor::{self, Diagnosis};
use harness::environment::{Build, Conditions, Environment};
use harness::report::terminal::diagnosis;
use indicatif::ProgressBar;

use crate::cli::DoctorArguments;
use crate::failure::Failure;
use crate::output;

/// Reads, looks, and judges. Warnings are an answer, and no failure.
pub(crate) fn run(arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    // Before this process adds to the load.
    let mut conditions = Conditions::read();
    // Draws nothing where standard error is no terminal.
    let bar = ProgressBar::new_spinner().with_message("measuring how quiet the CPUs are, for a second");
    doctor::look(&mut conditions, || bar.tick());
    bar.finish_and_clear();

    let diagnosis = Diagnosis::new(Build::current(), Environment::read(), conditions);
    if arguments.json {
        output::print_json(&diagnosis)?;
    } else {
        output::print(&diagnosis::draw(&diagnosis))?;
    }
    Ok(ExitCode::SUCCESS)
}
