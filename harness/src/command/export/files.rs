//! Files of an export: each is there as a whole or not at all, and nothing that is not an export is replaced.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use harness::export::Format;

use super::usage;
use crate::failure::Failure;

/// Refuses to write where something else is than an earlier export. What is no regular file (a pipe, a device) is only
/// written to, and an empty file holds nothing to be lost.
pub(super) fn check_replaceable(path: &Path, format: Format) -> Result<(), Failure> {
    if path.is_dir() {
        return Err(usage(format!("{} is a folder; name a file with --output", path.display())));
    }
    if is_special(path) {
        return Ok(());
    }
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path, &error)),
        Ok(bytes) if bytes.is_empty() || str::from_utf8(&bytes).is_ok_and(|text| format.is_of(text)) => Ok(()),
        Ok(_) => Err(usage(format!(
            "{} exists already and is no export in this format; remove it or name another with --output",
            path.display()
        ))),
    }
}

/// Writes it beside its place and then moves it there.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    if is_special(path) {
        let written = OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
        return written.map_err(|error| failed(path, &error));
    }
    let beside = beside(path);
    let written = OpenOptions::new().write(true).create_new(true).open(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        fs::rename(&beside, path)
    });
    written.map_err(|error| {
        // It is ours if it is there: no other process has this one's number.
        let _ = fs::remove_file(&beside);
        failed(path, &error)
    })
}

/// What could not be written and why.
pub(super) fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Run(anyhow!("cannot write {}: {error}", path.display()))
}

fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}
