//! `harness list`: which backends there are and whether this machine can run them.

use std::process::ExitCode;

use backends::{BACKENDS, Backend, Threading};
use comfy_table::Table;
use harness::control::receipt_json;
use harness::report::table::STYLE;
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
        output::print(&table(&entries))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    /// Whether it takes part where no backends are named.
    main: bool,
    summary: &'static str,
    use_when: &'static str,
    avoid_when: &'static str,
    model: String,
    threading: &'static str,
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
                Threading::LoopPerThread => "loop per thread",
                Threading::ThreadPerConnection => "thread per connection",
                Threading::Pool { .. } => "pool of workers per thread",
            },
            available: reason.is_none(),
            reason,
            receipt,
        }
    }
}

fn table(entries: &[Entry]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(["backend", "I/O model", "here", "how it works", "use it when", "not when"]);
    for entry in entries {
        let here = entry.reason.as_ref().map_or("yes".to_owned(), |reason| format!("no: {reason}"));
        table.add_row([
            entry.name,
            entry.model.as_str(),
            here.as_str(),
            entry.summary,
            entry.use_when,
            entry.avoid_when,
        ]);
    }
    table.trim_fmt()
}
