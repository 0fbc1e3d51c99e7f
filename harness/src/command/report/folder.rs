//! The folder of a report. Files in it are whole or not there, and what is no report is never written over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use harness::report::page;

/// What makes a folder a report, if it says that it is one; written first, so that one that was interrupted is known again.
pub(super) const PAGE: &str = "report.html";
const MARKDOWN: &str = "report.md";
const CHARTS: &str = "charts";

/// A folder that may be written to.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The charts of the report that is there, by the names of their files: nothing else in it is ours to take away.
    drawn_before: Vec<String>,
}

impl Folder {
    /// Nothing is made yet.
    ///
    /// # Errors
    ///
    /// What is in the way there, and what to do.
    pub(super) fn at(path: &Path) -> Result<Self, String> {
        let elsewhere = "name another folder with --output";
        let empty = || Self { path: path.to_owned(), drawn_before: Vec::new() };
        let shown = path.display();
        match fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_none() {
                    return Ok(empty());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(format!("{shown} is no folder; {elsewhere}"));
            }
            Err(error) => return Err(format!("cannot look into {shown}: {error}; {elsewhere}")),
        }
        match fs::read(path.join(PAGE)) {
            Ok(bytes) => match page::charts_of(&String::from_utf8_lossy(&bytes)) {
                Some(ids) => Ok(Self { drawn_before: ids.iter().map(|id| file_of(id)).collect(), ..empty() }),
                None => Err(format!("{shown} has a {PAGE} that is none of harness; {elsewhere}")),
            },
            Err(_) => Err(format!("{shown} is no report, and not empty; {elsewhere}")),
        }
    }

    /// Writes everything, each chart under its id, and takes away the charts of the report before it that this one does not
    /// have.
    pub(super) fn write(&self, page: &str, markdown: &str, charts: &[(&str, String)]) -> Result<()> {
        make(&self.path)?;
        write(&self.path, PAGE, page)?;
        write(&self.path, MARKDOWN, markdown)?;
        let folder = self.path.join(CHARTS);
        if !charts.is_empty() {
            make(&folder)?;
        }
        for (id, chart) in charts {
            write(&folder, &file_of(id), chart)?;
        }
        // Only what is in the folder is looked for: a name in a page may lead anywhere.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let was_drawn = self.drawn_before.iter().any(|drawn| name == drawn.as_str());
            if was_drawn && charts.iter().all(|(id, _)| name != file_of(id).as_str()) {
                fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
            }
        }
        Ok(())
    }
}

/// Under which name a chart is kept.
fn file_of(id: &str) -> String {
    format!("{id}.svg")
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}; name another one with --output", folder.display()))
}

/// Under another name first: a reader never meets half a file, and a full disk leaves the old one as it was.
fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let (path, part) = (folder.join(name), folder.join(format!(".{name}.part")));
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, &path));
    written.or_else(|error| {
        // Where it cannot be removed either, there is nothing to be done about it.
        let _ = fs::remove_file(&part);
        Err(error).with_context(|| {
            format!("cannot write {}; put that right or name another folder with --output", path.display())
        })
    })
}
