//! `harness man`: manual pages, from the definition of the arguments.

use std::fs;
use std::process::ExitCode;

use anyhow::anyhow;
use clap_mangen::Man;

use crate::cli::{ManArguments, definition};
use crate::failure::Failure;
use crate::output;

/// Prints the page of the whole command, or writes it and that of each subcommand.
pub(crate) fn run(arguments: &ManArguments) -> Result<ExitCode, Failure> {
    let Some(directory) = &arguments.output else {
        let mut page = Vec::new();
        Man::new(definition()).render(&mut page).map_err(Failure::run)?;
        output::print(String::from_utf8_lossy(&page).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    };
    let cannot =
        |error| Failure::Run(anyhow!("cannot write to {}: {error}; name another --output", directory.display()));
    fs::create_dir_all(directory).map_err(cannot)?;
    clap_mangen::generate_to(definition(), directory).map_err(cannot)?;
    Ok(ExitCode::SUCCESS)
}
