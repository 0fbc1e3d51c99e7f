//! The `harness` command: reads arguments, hands them to the library, prints what comes back.

mod cli;
mod command;
mod failure;
mod fault;
mod interrupt;
mod output;

use std::panic;
use std::process::ExitCode;

use crate::failure::Failure;

fn main() -> ExitCode {
    fault::hook();
    let run = || interrupt::begin().and_then(|()| cli::parse(std::env::args_os())).and_then(command::run);
    // A panic was reported by the hook.
    let ended = panic::catch_unwind(|| run().unwrap_or_else(Failure::report));
    ended.unwrap_or(ExitCode::FAILURE)
}
