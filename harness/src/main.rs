//! The `harness` command: reads arguments, hands them to the library, prints what comes back.

mod cli;
mod command;
mod failure;
mod interrupt;
mod output;

use std::process::ExitCode;

use crate::failure::Failure;

fn main() -> ExitCode {
    let result = cli::parse(std::env::args_os()).and_then(command::run);
    result.unwrap_or_else(Failure::report)
}
