//! `harness export`: a results file in the format of another program.

mod files;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use harness::export::{Export, ExportError, Exporter, Format, Piece};
use harness::figures;
use harness::plain::plain_lines;
use harness::results;

use self::files::replace;
use crate::cli::export::ExportArguments;
use crate::failure::Failure;
use crate::output;

/// Writes it to a file, to several in a folder, or to standard output. The names of the files are what is printed.
pub(crate) fn run(arguments: &ExportArguments) -> Result<ExitCode, Failure> {
    let (path, format) = (arguments.file.as_path(), Format::from(arguments.format));
    let Export { pieces, left_out, nothing_usable } = read(path, format)?;
    let output = arguments.output.as_deref().filter(|path| path.as_os_str() != "-");
    if let Some(path) = output {
        for written in write(path, format, &pieces)? {
            output::print(&written)?;
        }
    } else if let [piece] = pieces.as_slice() {
        let text = piece.text.trim_end_matches('\n');
        // A program gets it as it is; a terminal would obey what stands in a name.
        if io::stdout().is_terminal() { output::print(&plain_lines(text))? } else { output::print(text)? }
    } else {
        let files = figures::counted(pieces.len(), "file");
        return Err(usage(format!("this makes {files}; name a folder for them with --output")));
    }
    for what in left_out {
        output::say(&format!("note: left out: {what}"));
    }
    match nothing_usable {
        None => Ok(ExitCode::SUCCESS),
        Some(nothing) => Err(Failure::Run(anyhow!("{nothing}"))),
    }
}

fn read(path: &Path, format: Format) -> Result<Export, Failure> {
    // What may not be looked at may be there: to read it says why it cannot be.
    if matches!(path.try_exists(), Ok(false)) {
        return Err(usage(format!("there is no file {}", path.display())));
    }
    let (mut exporter, mut refused) = (Exporter::new(format), None);
    let read = results::read_each(path, |run, trial| {
        if refused.is_none() {
            refused = exporter.add(run, trial).err();
        }
    });
    let read = read.map_err(|error| Failure::read("export", error))?;
    let Some(run) = &read.run else {
        return Err(Failure::without_run("export", path, read.cut_off));
    };
    if read.cut_off {
        output::say(&format!("note: {} ends within a line, which is left out", path.display()));
    }
    let made = refused.map_or_else(|| exporter.finish(run), Err);
    made.map_err(|error| match error {
        ExportError::NoFigures(_) => Failure::Run(anyhow!("{} {error}", path.display())),
        error => usage(format!("{} {error}", path.display())),
    })
}

/// Writes all of it, and says which files that are. Nothing is written where one of them would replace something else.
fn write(path: &Path, format: Format, pieces: &[Piece]) -> Result<Vec<String>, Failure> {
    let paths: Vec<_> = if format.is_one_file() {
        vec![path.to_owned()]
    } else {
        std::fs::create_dir_all(path).map_err(|error| files::failed(path, &error))?;
        pieces.iter().map(|piece| path.join(&piece.name)).collect()
    };
    for path in &paths {
        files::check_replaceable(path, format)?;
    }
    for (path, piece) in paths.iter().zip(pieces) {
        replace(path, &piece.text)?;
    }
    Ok(paths.iter().map(|path| path.display().to_string()).collect())
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::usage("export", message)
}
