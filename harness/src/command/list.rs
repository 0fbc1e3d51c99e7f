//! `harness list`: which backends there are and whether this machine can run them.

use std::fmt::Write;
use std::process::ExitCode;

use backends::{BACKENDS, Backend, Isolation, Threading, Waiting};
use harness::control::receipt_json;
use harness::report::terminal::look::Look;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::ListArguments;
use crate::failure::Failure;
use crate::output;

/// Asks the kernel about every backend.
pub(crate) fn run(arguments: &ListArguments) -> Result<ExitCode, Failure> {
    let entries: Vec<Entry> = BACKENDS.iter().map(|backend| Entry::of(*backend)).collect();
    if arguments.json {
        output::print_json(&entries)?;
    } else {
        output::print(&blocks(&entries, width(output::look().columns)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One backend. The fields are explained to people by `harness list --help`.
#[derive(Serialize)]
struct Entry {
    name: &'static str,
    /// Whether it takes part where no backends are named.
    main: bool,
    summary: &'static str,
    use_when: &'static str,
    avoid_when: &'static str,
    model: String,
    threading: String,
    /// `sleeps` or `spins` while nothing is to be done.
    waiting: &'static str,
    /// How many peers that do not read their answers stop everybody; none where no number of them does.
    stopped_by_unread_peers: Option<usize>,
    available: bool,
    /// Why it is not available.
    reason: Option<String>,
    /// What the kernel would grant it.
    receipt: Option<Map<String, Value>>,
}

impl Entry {
    fn of(backend: &dyn Backend) -> Self {
        let info = backend.info();
        let (receipt, reason) = match backend.probe() {
            Ok(receipt) => (Some(receipt_json(&receipt)), None),
            Err(unavailable) => (None, Some(unavailable.reason)),
        };
        Self {
            name: info.name,
            main: info.is_main,
            summary: info.summary,
            use_when: info.use_when,
            avoid_when: info.avoid_when,
            model: info.model.to_string(),
            threading: match info.threading {
                Threading::LoopPerThread => "loop per thread".to_owned(),
                Threading::ThreadPerConnection => "thread per connection".to_owned(),
                Threading::Pool { workers } => format!("{workers} workers per thread"),
            },
            waiting: match info.waiting {
                Waiting::Sleeps => "sleeps",
                Waiting::Spins => "spins",
                Waiting::KernelSpins => "sleeps while the kernel spins",
            },
            stopped_by_unread_peers: match info.isolation {
                Isolation::Full => None,
                Isolation::Places(places) => Some(places),
            },
            available: reason.is_none(),
            reason,
            receipt,
        }
    }
}

/// A block for each backend: the lines are sentences, and side by side none of them would have room.
fn blocks(entries: &[Entry], width: usize) -> String {
    let mut text = String::new();
    for (main, heading) in
        [(true, "compared where none is named:"), (false, "variants, compared where they are named:")]
    {
        let _ = writeln!(text, "{heading}");
        for entry in entries.iter().filter(|entry| entry.main == main) {
            let _ = writeln!(text, "\n  {}", entry.name);
            let what = format!("{} ({}, {})", entry.summary, entry.model, entry.threading);
            let lines = [("what", what.as_str()), ("when", entry.use_when), ("when not", entry.avoid_when)];
            let here = entry.reason.as_ref().map(|reason| format!("no: {reason}"));
            for (name, line) in lines.into_iter().chain(here.iter().map(|here| ("here", here.as_str()))) {
                write_wrapped(&mut text, name, line, width);
            }
        }
        text.push('\n');
    }
    let here = entries.iter().filter(|entry| entry.available).count();
    let _ = write!(text, "{here} of {} run on this machine", entries.len());
    text
}

/// How wide lines are where there is no screen.
const WIDTH: usize = 80;
/// No line is easy to read that is longer.
const MOST: usize = 120;

fn width(columns: Option<usize>) -> usize {
    columns.unwrap_or(WIDTH).min(MOST)
}

/// Where the text of a line begins, after its name.
const INDENT: usize = 14;

/// Writes a line with its name before it, broken between words where the screen ends.
fn write_wrapped(text: &mut String, name: &str, line: &str, screen: usize) {
    let look = Look { columns: Some(screen), ..Look::PLAIN };
    let line = format!("    {name:<width$}{line}", width = INDENT - 4);
    let _ = writeln!(text, "{}", look.prose(&line, INDENT));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_a_screen_and_no_word_is_lost() {
        let entries: Vec<Entry> = BACKENDS.iter().map(|backend| Entry::of(*backend)).collect();
        let text = blocks(&entries, WIDTH);
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(WIDTH), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for entry in &entries {
            for line in [entry.summary, entry.use_when, entry.avoid_when] {
                assert!(words.contains(line), "{line}");
            }
        }
    }

    #[test]
    fn why_a_backend_cannot_run_is_said_in_its_block() {
        let mut entry = Entry::of(BACKENDS[0]);
        (entry.available, entry.reason) = (false, Some("the kernel refuses it".to_owned()));
        let text = blocks(&[entry], WIDTH);
        assert!(text.contains("here      no: the kernel refuses it"), "{text}");
        assert!(text.ends_with("0 of 1 run on this machine"), "{text}");
    }
}
