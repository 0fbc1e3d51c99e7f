//! The folder of a report. Files in it are whole or not there, and what is no report is never written over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What makes a folder a report; written first, so that one that was interrupted is known again.
pub(super) const PAGE: &str = "report.html";
const MARKDOWN: &str = "report.md";
const CHARTS: &str = "charts";

/// A folder that may be written to.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Nothing is made yet.
    ///
    /// # Errors
    ///
    /// What is in the way there, and what to do.
    pub(super) fn at(path: &Path) -> Result<Self, String> {
        let elsewhere = "name another folder with --output";
        let shown = path.display();
        match fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() && !path.join(PAGE).is_file() {
                    return Err(format!("{shown} is no report, and not empty; {elsewhere}"));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(format!("{shown} is no folder; {elsewhere}"));
            }
            Err(error) => return Err(format!("cannot look into {shown}: {error}; {elsewhere}")),
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Writes everything, and takes away the charts of an earlier report that this one does not have.
    pub(super) fn write(&self, page: &str, markdown: &str, charts: &[(String, String)]) -> Result<()> {
        make(&self.path)?;
        write(&self.path, PAGE, page)?;
        write(&self.path, MARKDOWN, markdown)?;
        let folder = self.path.join(CHARTS);
        if !charts.is_empty() {
            make(&folder)?;
        }
        for (name, chart) in charts {
            write(&folder, name, chart)?;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_picture = Path::new(&name).extension().is_some_and(|ending| ending == "svg");
            if is_picture && charts.iter().all(|(kept, _)| name != kept.as_str()) {
                fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
            }
        }
        Ok(())
    }
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
