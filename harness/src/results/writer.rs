//! Appends records to a results file, each in one write, so that what was finished stays whatever happens next: also where
//! the file is removed, renamed, replaced or emptied meanwhile.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Record;
use super::rescue::{Moved, Place};

/// A results file that is being written.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    /// Where it has its records, and a copy of them; none for what is no regular file.
    place: Option<Place>,
}

/// Why a results file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A new file was asked for and there is one already.
    #[error("{} exists already; continue it with --resume or name another file with --output", .0.display())]
    Exists(PathBuf),
    /// Another process has it.
    #[error("{} is being written by another sweep", .0.display())]
    Busy(PathBuf),
    /// The system refused.
    #[error("cannot write {}: {error}", path.display())]
    Io {
        /// To which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl Writer {
    /// Starts a new file. What is no regular file (a pipe, a device) may exist already.
    pub fn create(path: &Path) -> Result<Self, WriteError> {
        let special = path.metadata().is_ok_and(|metadata| !metadata.is_file());
        // What was written may have to be read again.
        let opened = OpenOptions::new().read(!special).write(true).create_new(!special).open(path);
        match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(WriteError::Exists(path.to_owned())),
            opened => Self::own(opened, path),
        }
    }

    /// Continues a file after its first `intact_bytes`; what follows them is cut away. Where they end without a newline,
    /// there is one then.
    pub fn resume(path: &Path, intact_bytes: u64) -> Result<Self, WriteError> {
        let mut writer = Self::own(OpenOptions::new().read(true).write(true).open(path), path)?;
        writer.cut(intact_bytes).map_err(|error| writer.failed(error))?;
        writer.place = Place::of(&writer.file, path);
        Ok(writer)
    }

    /// Leaves so many bytes, as whole lines.
    fn cut(&mut self, intact_bytes: u64) -> io::Result<()> {
        self.file.set_len(intact_bytes)?;
        if intact_bytes == 0 {
            return Ok(());
        }
        let mut last = [0];
        self.file.seek(SeekFrom::End(-1))?;
        self.file.read_exact(&mut last)?;
        if last == *b"\n" { Ok(()) } else { self.file.write_all(b"\n") }
    }

    /// Appends one line. Where the file was not any more what it had become, that is put right before, and what was done is
    /// returned.
    pub fn append(&mut self, record: &Record) -> Result<Option<Moved>, WriteError> {
        let mut line = serde_json::to_vec(record).map_err(|error| self.failed(error.into()))?;
        line.push(b'\n');
        let moved = self.settle()?;
        self.file.write_all(&line).map_err(|error| self.failed(error))?;
        if let Some(place) = &mut self.place {
            place.wrote(&line);
        }
        Ok(moved)
    }

    /// Sees that all that was written is in the file at [`path`](Self::path). Where it was taken away meanwhile, it is written
    /// anew, there or beside it; where it was renamed, the path is another.
    pub fn settle(&mut self) -> Result<Option<Moved>, WriteError> {
        let Some(place) = &mut self.place else { return Ok(None) };
        let moved = place.settle(&mut self.file, &self.path).map_err(|error| self.failed(error))?;
        if let Some(moved) = &moved {
            self.path.clone_from(&moved.to);
        }
        Ok(moved)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn own(opened: io::Result<File>, path: &Path) -> Result<Self, WriteError> {
        let path = path.to_owned();
        let file = match opened {
            Ok(file) => file,
            Err(error) => return Err(WriteError::Io { path, error }),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(WriteError::Busy(path)),
            // A file system without locks is no reason not to write.
            Ok(()) | Err(TryLockError::Error(_)) => {
                let place = Place::of(&file, &path);
                Ok(Self { file, path, place })
            }
        }
    }

    fn failed(&self, error: io::Error) -> WriteError {
        WriteError::Io { path: self.path.clone(), error }
    }
}
