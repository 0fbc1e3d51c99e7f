//! `harness report`: results files as a folder to look at, mail or publish, and its answer in the terminal.

mod folder;
#[cfg(test)]
mod repeated;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use harness::figures;
use harness::report::contents::Contents;
use harness::report::{FileRun, markdown, names, page, selection, svg};
use harness::results::nothing_usable;
use indicatif::ProgressBar;

use self::folder::Folder;
use crate::cli::ReportArguments;
use crate::failure::Failure;
use crate::output;

/// The folder, in the working directory, of a report on what has no folder of its own.
const PIPED: &str = "harness-report";

/// Reads, says and draws.
pub(crate) fn run(arguments: &ReportArguments) -> Result<ExitCode, Failure> {
    // Nothing is shown where standard error is no terminal.
    let progress = ProgressBar::new_spinner();
    let mut files: Vec<(&Path, FileRun)> = Vec::new();
    let mut doubled = Vec::new();
    for path in &arguments.files {
        progress.set_message(format!("reading {}", path.display()));
        progress.tick();
        let file = read(path)?;
        match files.iter_mut().find(|(other, known)| is_same(other, known, path, &file)) {
            None => files.push((path, file)),
            // As far as it went: one of the two may be a copy that was made meanwhile.
            Some(same) => {
                let is_longer = same.1.recorded.trials.len() < file.recorded.trials.len();
                let (kept, left_out) = if is_longer { (path.as_path(), same.0) } else { (same.0, path.as_path()) };
                doubled.push(format!(
                    "note: {} holds the run of {} and is left out",
                    left_out.display(),
                    kept.display()
                ));
                if is_longer {
                    *same = (path, file);
                }
            }
        }
    }
    let directory = arguments.output.clone().or_else(|| beside(&arguments.files[0])).unwrap_or_else(|| {
        let shown = arguments.files[0].display();
        output::say(&format!(
            "note: {shown} is no file to put a report beside: it goes to {PIPED}; name another folder with --output"
        ));
        PathBuf::from(PIPED)
    });
    let folder = Folder::at(&directory).map_err(usage)?;
    for note in &doubled {
        output::say(note);
    }
    for (path, file) in &files {
        if file.recorded.cut_off {
            output::say(&format!("note: {} ends within a line, which is left out", path.display()));
        }
    }

    progress.set_message("comparing");
    progress.tick();
    let names = names::apart(&files.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    let called = files.into_iter().zip(names).map(|((_, file), name)| FileRun { name, ..file });
    let files: Vec<FileRun> = called.collect();
    let contents = Contents::of(&files);
    progress.set_message("drawing");
    progress.tick();
    let charts = contents.charts.iter().map(|chart| (chart.id.as_str(), svg::draw(chart))).collect::<Vec<_>>();
    folder.write(&page::draw(&contents), &markdown::draw(&contents), &charts).map_err(Failure::Run)?;
    progress.finish_and_clear();

    if arguments.json {
        output::print_json(&contents)?;
    } else {
        output::print(&text(&contents, &directory, charts.len()))?;
    }
    match nothing_usable(files.iter().flat_map(|file| &file.recorded.trials)) {
        None => Ok(ExitCode::SUCCESS),
        Some(nothing) => Err(Failure::Run(anyhow!("{nothing}"))),
    }
}

fn read(path: &Path) -> Result<FileRun, Failure> {
    // What may not be looked at may be there: to read it says why it cannot be.
    if matches!(path.try_exists(), Ok(false)) {
        return Err(usage(format!("there is no file {}", path.display())));
    }
    let file = FileRun::read(path).map_err(|error| Failure::read("report", error))?;
    let Some(run) = &file.recorded.run else {
        return Err(Failure::without_run("report", path, file.recorded.cut_off));
    };
    selection::check_plan(&run.plan).map_err(|what| Failure::Run(anyhow!("{}: {what}", path.display())))?;
    Ok(file)
}

/// One run must not count twice. A run is what began then, with that seed and that plan.
fn is_same(path: &Path, file: &FileRun, other_path: &Path, other: &FileRun) -> bool {
    let same_file = match (fs::canonicalize(path), fs::canonicalize(other_path)) {
        (Ok(path), Ok(other)) => path == other,
        _ => false,
    };
    same_file || (file.recorded.run.is_some() && file.recorded.run == other.recorded.run)
}

/// `results/run.jsonl` → `results/run-report`; none of a pipe, or of one that is open already and named by its descriptor.
fn beside(file: &Path) -> Option<PathBuf> {
    let is_descriptor = ["/dev", "/proc"].iter().any(|folder| file.starts_with(folder));
    if is_descriptor || !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push("-report");
    Some(file.with_file_name(name))
}

/// The answer, and where the rest is.
fn text(contents: &Contents, directory: &Path, charts: usize) -> String {
    let look = output::look();
    let mut parts = vec![contents.title.clone()];
    for (title, sentences) in [
        ("", &contents.answer.findings),
        ("notes\n", &contents.answer.notes),
        ("where the order changes\n", &contents.answer.crossovers),
        ("what changed before\n", &contents.answer.changes),
        ("what could not be concluded\n", &contents.answer.open),
    ] {
        if !sentences.is_empty() {
            let lines: Vec<String> = sentences.iter().map(|one| look.prose(&format!("  {one}"), 4)).collect();
            parts.push(format!("{title}{}", lines.join("\n")));
        }
    }
    let pictures = if charts == 0 { String::new() } else { format!(", {}", figures::counted(charts, "chart")) };
    parts.push(format!("report: {} (report.md{pictures} beside it)", directory.join(folder::PAGE).display()));
    parts.join("\n\n")
}

fn usage(message: String) -> Failure {
    Failure::usage("report", message)
}
