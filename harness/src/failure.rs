//! How the command fails: with one line on standard error that says what to do, and a code that scripts rely on.

use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use harness::cpus::{CpuSet, PinError};
use harness::results::ReadError;

use crate::output;

/// Why the command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It cannot be asked for like this: code 2.
    Usage {
        /// What is wrong and what would be right.
        message: String,
        /// The subcommand whose help says more, if it is known.
        command: Option<&'static str>,
    },
    /// It could not be done: code 1.
    Run(anyhow::Error),
    /// The reader of our output has gone, which is no error.
    OutputClosed,
}

impl Failure {
    /// A mistake in the arguments of `command`.
    pub(crate) fn usage(command: &'static str, message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), command: Some(command) }
    }

    /// A results file that `command` could not read: to name a folder is a mistake in its arguments.
    pub(crate) fn read(command: &'static str, error: ReadError) -> Self {
        match error {
            ReadError::Folder(_) => Self::usage(command, error.to_string()),
            error => Self::run(error),
        }
    }

    /// A results file without so much as its first line.
    pub(crate) fn without_run(command: &'static str, path: &Path, cut_off: bool) -> Self {
        let what = if cut_off {
            "ends within its first line, so nothing is known of its run; name another file"
        } else {
            "is empty: it has not even the first line of a run"
        };
        Self::usage(command, format!("{} {what}", path.display()))
    }

    /// Threads that cannot be kept to the CPUs that `flag` of `command` names, or would name: CPUs that are not to be had are a
    /// mistake in its arguments; a refusal is none.
    pub(crate) fn pin(command: &'static str, flag: &str, cpus: &CpuSet, error: &PinError) -> Self {
        match error {
            PinError::NotGranted { .. } => Self::usage(command, format!("{flag} {cpus}: {error}")),
            PinError::Refused(error) => Self::Run(anyhow!("cannot keep threads to CPU {cpus}: {error}")),
        }
    }

    /// A failure while running.
    pub(crate) fn run(error: impl Into<anyhow::Error>) -> Self {
        Self::Run(error.into())
    }

    /// Prints it and says with which code to exit.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Usage { message, command } => {
                let command = command.map_or(String::new(), |command| format!("{command} "));
                output::say(&format!("error: {message} (see 'harness {command}--help')"));
                ExitCode::from(2)
            }
            Self::Run(error) => {
                output::say(&format!("error: {error:#}"));
                ExitCode::FAILURE
            }
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }
}
