//! Data for standard output, where a reader that leaves early (`harness list | head -1`) is no error; and words for
//! standard error.

use std::env;
use std::io::{self, IsTerminal, Write};

use harness::plain::plain;
use harness::report::terminal::look::Look;

use crate::failure::Failure;

/// What text on standard output may look like.
pub(crate) fn look() -> Look {
    // One that says how wide it is and not how high has a width all the same.
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let columns = size.map(|size| size.ws_col.into()).filter(|columns| *columns > 0);
    Look::of(io::stdout().is_terminal(), columns, |name| env::var(name).ok())
}

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

/// Says one line on standard error, whatever is in `message`. Where that cannot be written, nobody could be told.
pub(crate) fn say(message: &str) {
    // A message may quote what stands in a file, or in an argument.
    let lines: Vec<String> =
        message.lines().map(|line| plain(line).trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let _ = writeln!(io::stderr().lock(), "{}", lines.join("; "));
}
