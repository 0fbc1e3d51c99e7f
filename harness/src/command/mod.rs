//! One module for each subcommand.

mod capacity;
mod list;
mod load;
mod serve;
mod sweep;

use std::process::ExitCode;

use crate::cli::Command;
use crate::failure::Failure;

/// Does what was asked.
pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List(arguments) => list::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Sweep(arguments) => sweep::run(arguments),
        Command::Capacity(arguments) => capacity::run(arguments),
    }
}
