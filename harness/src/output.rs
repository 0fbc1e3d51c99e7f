//! Data for standard output. That its reader leaves early (`harness list | head -1`) is no error.

use std::io::{self, Write};

use crate::failure::Failure;

/// Writes `text` and a newline.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::OutputClosed),
        Err(error) => Err(Failure::run(anyhow::Error::new(error).context("cannot write to standard output"))),
    }
}

/// Writes `value` as one line of JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(&serde_json::to_string(value).map_err(Failure::run)?)
}
