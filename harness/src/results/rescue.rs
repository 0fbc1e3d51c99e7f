//! What is done where a results file is taken away while it is written: nothing that was measured is lost with it.
//!
//! A file that was removed has all of its bytes for as long as it is open; one that was emptied or overwritten has not, so
//! that a copy without a name is kept beside it.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// What happened to a file, and where its records are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is.
    pub to: PathBuf,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Renamed,
    Removed,
    Replaced,
    Changed,
    /// And there was no copy.
    Lost,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.display(), self.to.display());
        match self.what {
            What::Renamed => write!(f, "{from} was renamed while it was being written; results go on in {to}"),
            What::Removed => write!(f, "{from} was removed while it was being written; all of it was saved in {to}"),
            What::Replaced => {
                write!(f, "{from} was replaced by another file while it was being written; all of it was saved in {to}")
            }
            What::Changed => {
                write!(f, "{from} was changed while it was being written; all that was measured was saved in {to}")
            }
            What::Lost => write!(
                f,
                "{from} was changed while it was being written, and what it held cannot be had back; results go on in {to}"
            ),
        }
    }
}

/// A file as it was written, and a copy of it.
#[derive(Debug)]
pub(super) struct Place {
    written_bytes: u64,
    /// None where no file without a name can be had, or it is full.
    copy: Option<File>,
}

impl Place {
    /// Of a file as it is now; none of what is no regular file. The copy is on the same disk: elsewhere it might be in memory.
    pub(super) fn of(file: &File, path: &Path) -> Option<Self> {
        let metadata = file.metadata().ok().filter(Metadata::is_file)?;
        let copy = nameless(directory_of(path)).ok();
        let copy = copy.filter(|copy| copy_bytes(file, metadata.len(), copy).is_ok());
        Some(Self { written_bytes: metadata.len(), copy })
    }

    /// This was written to the file.
    pub(super) fn wrote(&mut self, bytes: &[u8]) {
        self.written_bytes += bytes.len() as u64;
        if self.copy.as_mut().is_some_and(|copy| copy.write_all(bytes).is_err()) {
            // As good as none.
            self.copy = None;
        }
    }

    /// Sees that `file` is at `path` and has what was written; where it has not, it is another file afterwards, or elsewhere.
    pub(super) fn settle(&self, file: &mut File, path: &Path) -> io::Result<Option<Moved>> {
        let ours = file.metadata()?;
        let is_whole = ours.len() == self.written_bytes;
        let there = fs::metadata(path).ok();
        let is_there = there.as_ref().is_some_and(|there| is_same(there, &ours));
        if is_there && is_whole {
            return Ok(None);
        }
        let moved = |what, to| Some(Moved { from: path.to_owned(), to, what });
        // Where another file has taken its place, such as the new version of an editor, it will be removed soon.
        if is_whole
            && there.is_none()
            && let Some(to) = name_of(file, &ours)
        {
            return Ok(moved(What::Renamed, to));
        }
        let source = self.copy.as_ref().or_else(|| is_whole.then_some(&*file));
        let what = match (source, is_there) {
            (None, _) => What::Lost,
            (Some(_), true) => What::Changed,
            (Some(_), false) if there.is_some() => What::Replaced,
            (Some(_), false) => What::Removed,
        };
        let (saved, to) = create_near(path)?;
        if let Some(source) = source {
            copy_bytes(source, self.written_bytes, &saved)?;
        }
        // As on the first file; where that cannot be had, nothing is worse than without.
        let _ = saved.try_lock();
        *file = saved;
        Ok(moved(what, to))
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Where the file is now, if it has a name.
fn name_of(file: &File, ours: &Metadata) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    fs::metadata(&path).is_ok_and(|there| is_same(&there, ours)).then_some(path)
}

/// Of a relative path without any, the working directory.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file in `directory` that has no name, and is gone with its descriptor.
fn nameless(directory: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// Copies the first `length` bytes, and leaves `from` as it is.
fn copy_bytes(from: &File, length: u64, mut to: &File) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut at = 0;
    while at < length {
        let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
        let read = from.read_at(&mut buffer[..wanted], at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(&buffer[..read])?;
        at += read as u64;
    }
    Ok(())
}

/// A new file at `path`, or else of a like name beside it; where its directory cannot be had any more, among those that are
/// there for a while.
fn create_near(path: &Path) -> io::Result<(File, PathBuf)> {
    let here = create_in(directory_of(path), path);
    here.or_else(|error| create_in(&std::env::temp_dir(), path).map_err(|_| error))
}

fn create_in(directory: &Path, path: &Path) -> io::Result<(File, PathBuf)> {
    fs::create_dir_all(directory)?;
    let name = path.file_name().unwrap_or_default();
    let stem = path.file_stem().unwrap_or(name).to_string_lossy();
    let extension = path.extension().map_or(String::new(), |extension| format!(".{}", extension.to_string_lossy()));
    // The same path as before, as it was written, where it is free.
    let same = (directory == directory_of(path)).then(|| path.to_owned());
    let beside = (1..).map(|number: u32| {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        directory.join(format!("{stem}-saved{number}{extension}"))
    });
    for candidate in same.into_iter().chain(beside) {
        match OpenOptions::new().read(true).write(true).create_new(true).open(&candidate) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (file, candidate)),
        }
    }
    unreachable!("numbers do not end")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::Value;

    use super::*;
    use crate::results::tests::trial;
    use crate::results::{Record, TrialRecord, Writer};

    fn nth(number: usize) -> Record {
        Record::Trial(Box::new(TrialRecord { trial: number, ..trial("epoll") }))
    }

    /// The numbers of its trials.
    fn written(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["trial"].as_u64().unwrap()).collect()
    }

    /// Writes two records, has something done to the file, and writes a third. What was said, and which trials are where
    /// the writer says that they are.
    fn disturbed(name: &str, disturb: impl FnOnce(&Path)) -> (tempfile::TempDir, Option<String>, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("results").join(name);
        fs::create_dir(path.parent().unwrap()).unwrap();
        let mut writer = Writer::create(&path).unwrap();
        assert_eq!(writer.append(&nth(1)).unwrap(), None);
        assert_eq!(writer.append(&nth(2)).unwrap(), None);
        disturb(&path);
        let moved = writer.append(&nth(3)).unwrap();
        // It is said once.
        assert_eq!((writer.append(&nth(4)).unwrap(), writer.settle().unwrap()), (None, None));
        let path = writer.path().to_owned();
        assert_eq!(written(&path), [1, 2, 3, 4], "{moved:?}");
        (directory, moved.map(|moved| moved.to_string()), path)
    }

    fn said(name: &str, disturb: impl FnOnce(&Path)) -> (String, String) {
        let (_directory, moved, path) = disturbed(name, disturb);
        (moved.unwrap(), path.file_name().unwrap().to_string_lossy().into_owned())
    }

    #[test]
    fn a_file_that_is_left_alone_stays_where_it_is() {
        let (_directory, moved, path) = disturbed("run.jsonl", |_| ());
        assert_eq!((moved, path.file_name().unwrap()), (None, "run.jsonl".as_ref()));
    }

    #[test]
    fn a_file_that_was_removed_is_written_again() {
        let (said, name) = said("run.jsonl", |path| fs::remove_file(path).unwrap());
        assert!(said.contains("was removed") && name == "run.jsonl", "{said}");
        let (said, name) = self::said("run.jsonl", |path| fs::remove_dir_all(path.parent().unwrap()).unwrap());
        assert!(said.contains("was removed") && name == "run.jsonl", "{said}");
    }

    #[test]
    fn a_file_that_was_renamed_is_followed() {
        let (said, name) = said("run.jsonl", |path| fs::rename(path, path.with_file_name("mine")).unwrap());
        assert!(said.contains("was renamed") && name == "mine", "{said}");
        let moved = |path: &Path| {
            let parent = path.parent().unwrap();
            fs::rename(parent, parent.with_file_name("elsewhere")).unwrap();
        };
        assert!(self::said("run.jsonl", moved).0.contains("elsewhere/run.jsonl"));
    }

    #[test]
    fn a_file_that_was_replaced_is_saved_beside_its_successor_which_stays() {
        let replace = |path: &Path| {
            fs::rename(path, path.with_file_name("run.jsonl~")).unwrap();
            fs::write(path, "an editor's\n").unwrap();
        };
        let (directory, moved, path) = disturbed("run.jsonl", replace);
        assert!(moved.unwrap().contains("was replaced"));
        assert_eq!(path.file_name().unwrap(), "run-saved.jsonl");
        assert_eq!(fs::read_to_string(directory.path().join("results/run.jsonl")).unwrap(), "an editor's\n");
        // What was saved before is left alone.
        let replace_again = |path: &Path| {
            fs::write(path.with_file_name("run-saved.jsonl"), "").unwrap();
            replace(path);
        };
        assert_eq!(said("run.jsonl", replace_again).1, "run-saved-2.jsonl");
        // A symbolic link is another file, too.
        let link = |path: &Path| {
            fs::remove_file(path).unwrap();
            symlink("/dev/null", path).unwrap();
        };
        assert_eq!(said("run", link).1, "run-saved");
    }

    #[test]
    fn of_a_file_that_was_emptied_or_added_to_nothing_is_lost() {
        let change: [fn(&Path); 3] = [
            |path| drop(File::create(path).unwrap()),
            |path| fs::write(path, "x").unwrap(),
            |path| writeln!(OpenOptions::new().append(true).open(path).unwrap(), "a note").unwrap(),
        ];
        for change in change {
            let (_directory, moved, path) = disturbed("run.jsonl", change);
            if nameless(path.parent().unwrap()).is_ok() {
                assert!(moved.unwrap().contains("was changed"));
            }
            assert_eq!(path.file_name().unwrap(), "run-saved.jsonl");
        }
    }

    #[test]
    fn a_run_that_goes_on_is_saved_from_its_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.jsonl");
        drop(Writer::create(&path).map(|mut writer| writer.append(&nth(1)).unwrap()).unwrap());
        let mut writer = Writer::resume(&path, path.metadata().unwrap().len()).unwrap();
        File::create(&path).unwrap();
        writer.append(&nth(2)).unwrap().unwrap();
        assert_eq!(written(writer.path()), [1, 2]);
    }

    #[test]
    fn what_is_no_file_is_not_looked_after() {
        let mut writer = Writer::create(Path::new("/dev/null")).unwrap();
        assert_eq!((writer.append(&nth(1)).unwrap(), writer.settle().unwrap()), (None, None));
    }
}
