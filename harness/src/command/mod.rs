//! One module for each subcommand, and what several of them have in common.

mod capacity;
mod compare;
mod completions;
mod destination;
mod doctor;
mod export;
mod floor;
mod guard;
mod heading;
mod list;
mod live;
mod load;
mod man;
mod measuring;
mod report;
mod schema;
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
        Command::Sweep(arguments) => sweep::run(*arguments),
        Command::Capacity(arguments) => capacity::run(*arguments),
        Command::Floor(arguments) => floor::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Guard(arguments) => guard::run(arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Schema => schema::run(),
    }
}
