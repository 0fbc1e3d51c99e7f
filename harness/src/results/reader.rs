//! Reads a results file, whole or cut off at any point.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Record, RunRecord, SCHEMA_VERSION, TrialRecord};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What a results file holds.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What all trials have in common; `None` where the file was cut off before the end of its first line.
    pub run: Option<RunRecord>,
    /// In the order in which they ended.
    pub trials: Vec<TrialRecord>,
    /// Length of all complete lines, of which the last may lack the newline behind it.
    pub intact_bytes: u64,
    /// Whether something followed them: the beginning of a line that was never finished.
    pub cut_off: bool,
}

/// Why a results file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There are files in it, perhaps, and it is none.
    #[error("{} is a folder; name a results file", .0.display())]
    Folder(PathBuf),
    /// The system refused.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// A later version of this program wrote it.
    #[error("{} has schema version {version}, this build reads up to {SCHEMA_VERSION}: use a newer one", path.display())]
    TooNew {
        /// Which file.
        path: PathBuf,
        /// What it says it is.
        version: u64,
    },
    /// A complete line is not what it should be.
    #[error("{} line {line}: {what}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// Reads a results file. Nothing but its end may be missing, and no trial may be there twice: it would count twice.
pub fn read(path: &Path) -> Result<Recorded, ReadError> {
    read_with(path, |_| ())
}

/// The same for whoever needs less of each trial than there is: `lighten` may take from it what would stay in memory, where
/// ten thousand trials are gigabytes.
pub fn read_with(path: &Path, mut lighten: impl FnMut(&mut TrialRecord)) -> Result<Recorded, ReadError> {
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory => ReadError::Folder(path.to_owned()),
        _ => ReadError::Io { path: path.to_owned(), error },
    })?;
    // What some programs put in front of UTF-8 says nothing.
    let begins = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let after_newline = bytes.iter().rposition(|&byte| byte == b'\n').map_or(begins, |newline| newline + 1);
    // No part of an object is one: a line that is lacks nothing but its newline.
    let intact_bytes = if is_object(&bytes[after_newline..]) { bytes.len() } else { after_newline };
    if intact_bytes == begins && !may_begin_a_run(&bytes[begins..]) {
        let what = "this is no results file; name another one".to_owned();
        return Err(ReadError::Line { path: path.to_owned(), line: 1, what });
    }
    let mut recorded = Recorded {
        run: None,
        trials: Vec::new(),
        intact_bytes: intact_bytes as u64,
        cut_off: intact_bytes < bytes.len(),
    };
    let mut numbers = HashSet::new();
    for (index, line) in bytes[begins..intact_bytes].split_inclusive(|&byte| byte == b'\n').enumerate() {
        let fail = |what: String| {
            let what = if index == 0 { format!("{what}; name a results file") } else { what };
            ReadError::Line { path: path.to_owned(), line: index + 1, what }
        };
        let broken = |what: String| {
            fail(if index == 0 { what } else { format!("{what}; remove the line, and the others can be read") })
        };
        match (parse(line, path, broken)?, &recorded.run) {
            (Record::Run(run), None) => recorded.run = Some(*run),
            (Record::Trial(trial), Some(_)) if !numbers.insert(trial.trial) => {
                return Err(fail(format!("trial {} for the second time; remove one of the two", trial.trial)));
            }
            (Record::Trial(mut trial), Some(_)) => {
                trial.judge_plausibility();
                lighten(&mut trial);
                recorded.trials.push(*trial);
            }
            (Record::Run(_), Some(_)) => return Err(fail("a second run; give each run a file of its own".to_owned())),
            (Record::Trial(_), None) => return Err(fail("a trial before the run it belongs to".to_owned())),
        }
    }
    Ok(recorded)
}

/// Whether a first line that was never finished can be one of ours. To resume is to cut it away, so it must not be
/// somebody else's text.
fn may_begin_a_run(unfinished: &[u8]) -> bool {
    const BEGINNING: &[u8] = br#"{"record":"run""#;
    unfinished.starts_with(BEGINNING) || BEGINNING.starts_with(unfinished)
}

fn is_object(line: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).is_ok()
}

fn parse(line: &[u8], path: &Path, fail: impl Fn(String) -> ReadError) -> Result<Record, ReadError> {
    /// Looked at first: the other fields of a later version may be of other types.
    #[derive(Deserialize)]
    struct Version {
        schema_version: Option<u64>,
    }

    let line = str::from_utf8(line).map_err(|error| fail(error.to_string()))?;
    let Version { schema_version } = serde_json::from_str(line).map_err(|error| fail(error.to_string()))?;
    match schema_version {
        Some(version) if version > u64::from(SCHEMA_VERSION) => {
            Err(ReadError::TooNew { path: path.to_owned(), version })
        }
        _ => serde_json::from_str(line).map_err(|error| fail(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{Build, Conditions, Environment};
    use crate::plan;
    use crate::results::record::tests::{failed_trial, trial};
    use crate::results::{WriteError, Writer};

    fn run() -> Record {
        Record::Run(Box::new(RunRecord {
            schema_version: SCHEMA_VERSION,
            started: "2026-01-02T03:04:05Z".to_owned(),
            build: Build::current(),
            plan: plan::tests::plan(),
            seed: 7,
            environment: Environment::read(),
            generator: None,
            conditions: Conditions::read(),
            capacity: None,
        }))
    }

    fn written(directory: &tempfile::TempDir) -> PathBuf {
        let path = directory.path().join("run.jsonl");
        let mut writer = Writer::create(&path).unwrap();
        writer.append(&run()).unwrap();
        writer.append(&Record::Trial(Box::new(trial("epoll")))).unwrap();
        writer.append(&second_trial()).unwrap();
        path
    }

    fn second_trial() -> Record {
        Record::Trial(Box::new(TrialRecord { trial: 2, ..failed_trial("poll", "it died") }))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let recorded = read(&path).unwrap();
        assert_eq!(recorded.run.unwrap().plan, plan::tests::plan());
        assert_eq!(recorded.trials.len(), 2);
        assert!(!recorded.cut_off);
        assert_eq!(recorded.intact_bytes, path.metadata().unwrap().len());
    }

    #[test]
    fn a_file_cut_off_at_any_point_is_a_shorter_run() {
        let directory = tempfile::tempdir().unwrap();
        let whole = fs::read(written(&directory)).unwrap();
        let path = directory.path().join("cut.jsonl");
        fs::write(&path, &whole).unwrap();
        // Shorter and shorter: a file that is written anew each time goes to the disk each time.
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for length in (0..whole.len()).rev() {
            file.set_len(length as u64).unwrap();
            let recorded = read(&path).unwrap();
            // Where only its newline is missing, a line is whole.
            let lacks_newline = whole[length] == b'\n';
            let newlines = whole[..length].split(|&byte| byte == b'\n').count() - 1;
            assert_eq!(
                usize::from(recorded.run.is_some()) + recorded.trials.len(),
                newlines + usize::from(lacks_newline)
            );
            assert_eq!(recorded.cut_off, !(length == 0 || whole[length - 1] == b'\n' || lacks_newline));
        }
    }

    #[test]
    fn a_last_line_without_its_newline_counts_and_gets_one_when_resumed() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let whole = fs::read(&path).unwrap();
        let newlines = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place);
        // The run alone, with its first trial, and all of it.
        for (trials, place) in newlines.enumerate() {
            fs::write(&path, &whole[..place]).unwrap();
            let recorded = read(&path).unwrap();
            assert!(recorded.run.is_some() && recorded.trials.len() == trials && !recorded.cut_off);
            assert_eq!(recorded.intact_bytes, place as u64);
            let mut writer = Writer::resume(&path, recorded.intact_bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole[..=place]);
            writer.append(&Record::Trial(Box::new(TrialRecord { trial: 9, ..trial("epoll") }))).unwrap();
            let resumed = read(&path).unwrap();
            assert_eq!((resumed.trials.len(), resumed.cut_off), (trials + 1, false));
        }
        // What is whole and not one of ours is told, and not cut away.
        fs::write(&path, "{\"record\":\"run\",\"schema_version\":99}").unwrap();
        assert!(matches!(read(&path), Err(ReadError::TooNew { version: 99, .. })));
    }

    #[test]
    fn a_byte_order_mark_before_a_run_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let marked = [BYTE_ORDER_MARK, &fs::read(&path).unwrap()].concat();
        fs::write(&path, &marked).unwrap();
        let recorded = read(&path).unwrap();
        assert!(recorded.run.is_some() && recorded.trials.len() == 2);
        assert_eq!(recorded.intact_bytes, marked.len() as u64);
        for length in 0..20 {
            fs::write(&path, &marked[..length]).unwrap();
            let recorded = read(&path);
            assert!(length == 1 || length == 2 || recorded.unwrap().run.is_none(), "{length}");
        }
    }

    #[test]
    fn an_error_in_a_line_says_what_to_do_about_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let text = fs::read_to_string(&path).unwrap();
        let says = |text: &str, expected: &str| {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let (start, rest) = text.split_once("HISTFA").unwrap();
        let damaged = format!("{start}HISTFA{}", &rest[4..]);
        says(&damaged, " line 2: a histogram is damaged or cut off");
        says(&damaged, "; remove the line, and the others can be read");
        says(&text.repeat(2), " line 4: a second run; give each run a file of its own");
    }

    #[test]
    fn a_folder_is_no_file_and_the_error_says_what_to_name() {
        let directory = tempfile::tempdir().unwrap();
        let error = read(directory.path()).unwrap_err().to_string();
        assert!(error.ends_with(" is a folder; name a results file"), "{error}");
    }

    #[test]
    fn resuming_cuts_the_unfinished_line_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let recorded = read(&path).unwrap();
        assert!(recorded.cut_off);
        let mut writer = Writer::resume(&path, recorded.intact_bytes).unwrap();
        writer.append(&second_trial()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_broken_line_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("\"trial\":1", "\"trial\":\"one\"", 1)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("run.jsonl line 2: invalid type"), "{error}");
    }

    #[test]
    fn a_trial_is_not_counted_twice() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let mut writer = Writer::resume(&path, path.metadata().unwrap().len()).unwrap();
        writer.append(&second_trial()).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("run.jsonl line 4: trial 2 for the second time"), "{error}");
    }

    #[test]
    fn a_newer_schema_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new.jsonl");
        fs::write(&path, "{\"record\":\"run\",\"schema_version\":99,\"plan\":\"of another kind\"}\n").unwrap();
        assert!(matches!(read(&path), Err(ReadError::TooNew { version: 99, .. })));
    }

    #[test]
    fn an_existing_file_is_neither_overwritten_nor_shared() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        assert!(matches!(Writer::create(&path), Err(WriteError::Exists(_))));
        let _writer = Writer::resume(&path, path.metadata().unwrap().len()).unwrap();
        assert!(matches!(Writer::resume(&path, 0), Err(WriteError::Busy(_))));
        assert!(fs::metadata(&path).unwrap().len() > 0, "a refusal changes nothing");
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let mut writer = Writer::create(Path::new("/dev/full")).unwrap();
        let error = writer.append(&run()).unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/full: "), "{error}");
    }
}
