//! Reads a results file line by line, whole or cut off at any point.
//!
//! What editors, git and `cat` do to a file of lines changes nothing that it says: blank lines, CRLF, a byte order mark, blanks
//! around a record, a newline that is missing between two. What a power cut leaves, zeros at the end or within, is no record.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{KeptTrials, Record, RunRecord, SCHEMA_VERSION, TrialRecord, foreign};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// No record is nearly so long: what is, is no results file, and may never end.
const LONGEST_LINE_BYTES: u64 = 256 << 20;

/// What a results file holds.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What all trials have in common; `None` where the file was cut off before the end of its first line.
    pub run: Option<RunRecord>,
    /// In the order in which they ended.
    pub trials: Vec<TrialRecord>,
    /// Length up to the end of the last record, which may lack the newline behind it.
    pub intact_bytes: u64,
    /// Whether something followed it: the beginning of a line that was never finished.
    pub cut_off: bool,
}

/// What a results file holds beside its trials.
#[derive(Clone, Debug)]
pub struct Read {
    /// As in [`Recorded`].
    pub run: Option<RunRecord>,
    /// The same.
    pub intact_bytes: u64,
    /// The same.
    pub cut_off: bool,
}

impl Recorded {
    /// What was read, and what of the trials was kept.
    #[must_use]
    pub fn of(Read { run, intact_bytes, cut_off }: Read, trials: Vec<TrialRecord>) -> Self {
        Self { run, trials, intact_bytes, cut_off }
    }
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
    /// It is a file of another kind, which has a name.
    #[error("cannot read {}: {what}", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it is, and what to do.
        what: &'static str,
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
    let mut trials = Vec::new();
    let read = read_each(path, |_, trial| trials.push(trial))?;
    Ok(Recorded::of(read, trials))
}

/// The same, and keeps of each trial what statistics need of it: of ten thousand, all would be gigabytes.
pub fn read_kept(path: &Path) -> Result<Recorded, ReadError> {
    let mut trials = KeptTrials::new();
    let read = read_each(path, |_, trial| trials.push(trial))?;
    Ok(Recorded::of(read, trials.into_vec()))
}

/// The same, one trial after the other: no more of the file is in memory than a line of it.
pub fn read_each(path: &Path, take: impl FnMut(&RunRecord, TrialRecord)) -> Result<Read, ReadError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::IsADirectory => ReadError::Folder(path.to_owned()),
        _ => ReadError::Io { path: path.to_owned(), error },
    };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let read = Read { run: None, intact_bytes: 0, cut_off: false };
    let mut reading = Reading { path, line: 0, numbers: HashSet::new(), read, take };
    let (mut line, mut offset) = (Vec::new(), 0);
    loop {
        line.clear();
        let length = io::Read::take(&mut file, LONGEST_LINE_BYTES).read_until(b'\n', &mut line).map_err(failed)?;
        if length == 0 {
            return Ok(reading.read);
        }
        reading.line += 1;
        reading.take_line(&line, offset)?;
        offset += length as u64;
    }
}

/// A file that is being read.
struct Reading<'a, T> {
    path: &'a Path,
    /// From 1.
    line: usize,
    /// Of the trials that were there.
    numbers: HashSet<usize>,
    read: Read,
    take: T,
}

impl<T: FnMut(&RunRecord, TrialRecord)> Reading<'_, T> {
    /// The line that begins at `offset`, with its newline if it has one.
    fn take_line(&mut self, line: &[u8], offset: u64) -> Result<(), ReadError> {
        let is_ended = line.ends_with(b"\n");
        if line.len() as u64 == LONGEST_LINE_BYTES && !is_ended {
            return Err(self.fail("a line longer than any record; name a results file".to_owned()));
        }
        let mut at = 0;
        if offset == 0 {
            if let Some(what) = foreign::named(line) {
                return Err(ReadError::Foreign { path: self.path.to_owned(), what });
            }
            // What some programs put in front of UTF-8 says nothing.
            at = if line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        }
        let mut has_record = false;
        loop {
            at += line[at..].iter().take_while(|byte| is_blank(**byte)).count();
            let rest = &line[at..];
            if rest.is_empty() {
                break;
            }
            if let Some(what) = foreign::stray(rest.trim_ascii_end(), is_ended) {
                return Err(self.fail(what.to_owned()));
            }
            // No part of an object is one: a line that is lacks nothing but its newline.
            let Some(length) = object_length(rest).or(is_ended.then_some(rest.len())) else {
                return self.end_within(rest);
            };
            self.take_record(&rest[..length])?;
            has_record = true;
            at += length;
            self.read.intact_bytes = offset + at as u64;
        }
        if has_record && is_ended {
            self.read.intact_bytes = offset + line.len() as u64;
        }
        // Zeros are what a file system leaves where there was no time to write.
        self.read.cut_off = !is_ended && line.ends_with(b"\0");
        Ok(())
    }

    /// The last line was never finished. To resume is to cut it away, so it must not be the text of another program.
    fn end_within(&mut self, unfinished: &[u8]) -> Result<(), ReadError> {
        if self.read.run.is_none() && !may_begin_a_run(unfinished) {
            return Err(self.fail("this is no results file; name another one".to_owned()));
        }
        self.read.cut_off = true;
        Ok(())
    }

    fn take_record(&mut self, record: &[u8]) -> Result<(), ReadError> {
        let record = self.parse(record)?;
        match (record, &self.read.run) {
            (Record::Run(run), None) => self.read.run = Some(*run),
            (Record::Trial(trial), Some(_)) if !self.numbers.insert(trial.trial) => {
                return Err(self.fail(format!("trial {} for the second time; remove one of the two", trial.trial)));
            }
            (Record::Trial(mut trial), Some(run)) => {
                trial.judge_plausibility();
                (self.take)(run, *trial);
            }
            (Record::Run(_), Some(_)) => {
                return Err(self.fail("a second run; give each run a file of its own".to_owned()));
            }
            (Record::Trial(_), None) => {
                let what =
                    "a trial before the run it belongs to; put the line that begins with {\"record\":\"run\" first";
                return Err(self.fail(what.to_owned()));
            }
        }
        Ok(())
    }

    fn parse(&self, record: &[u8]) -> Result<Record, ReadError> {
        /// Looked at first: the other fields of a later version may be of other types.
        #[derive(Deserialize)]
        struct Version {
            schema_version: Option<u64>,
        }

        let broken = |what: String| match self.read.run {
            None => self.fail(format!("{what}; name a results file")),
            Some(_) => self.fail(format!("{what}; remove the line, and the others can be read")),
        };
        let record = str::from_utf8(record).map_err(|error| broken(error.to_string()))?;
        let Version { schema_version } = serde_json::from_str(record).map_err(|error| broken(error.to_string()))?;
        match schema_version {
            Some(version) if version > u64::from(SCHEMA_VERSION) => {
                Err(ReadError::TooNew { path: self.path.to_owned(), version })
            }
            _ => serde_json::from_str(record).map_err(|error| broken(error.to_string())),
        }
    }

    fn fail(&self, what: String) -> ReadError {
        ReadError::Line { path: self.path.to_owned(), line: self.line, what }
    }
}

/// A zero within a line is as good as nothing: what was to be there was never written.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\0'
}

/// How long the object is that `text` begins with, if it is whole: `cat` puts the first record of a file behind the last one of
/// another that does not end with a newline.
fn object_length(text: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    let is_whole = text.starts_with(b"{") && values.next()?.is_ok();
    is_whole.then(|| values.byte_offset())
}

/// Whether a first line that was never finished can be one of ours.
fn may_begin_a_run(unfinished: &[u8]) -> bool {
    const BEGINNING: &[u8] = br#"{"record":"run""#;
    unfinished.starts_with(BEGINNING) || BEGINNING.starts_with(unfinished)
}

#[cfg(test)]
mod tests {
    use std::fs;

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

    /// What a file says, whatever was done to its lines.
    fn told(path: &Path) -> (bool, Vec<usize>, bool) {
        let recorded = read(path).unwrap();
        (recorded.run.is_some(), recorded.trials.iter().map(|trial| trial.trial).collect(), recorded.cut_off)
    }

    #[test]
    fn what_editors_git_and_cat_do_to_lines_changes_nothing_and_can_be_resumed() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let zeros = "\0".repeat(4096);
        for (what, changed) in [
            ("blank lines", format!("\n\n{}\n\n \t\n", lines.join("\n\n"))),
            ("CRLF", lines.join("\r\n") + "\r\n"),
            ("CRLF without the last", lines.join("\r\n")),
            ("a byte order mark and a blank line", format!("\u{feff}\n{text}")),
            ("blanks around", format!("  {}\t \n", lines.join(" \t \n  "))),
            ("no newline between two", format!("{}{}\n{}", lines[0], lines[1], lines[2])),
            ("no newline at all", lines.concat()),
            ("blanks at the end", format!("{text}   ")),
            (
                "zeros after a power cut, and the run went on",
                format!("{}\n{}\n{zeros}{}\n", lines[0], lines[1], lines[2]),
            ),
        ] {
            fs::write(&path, &changed).unwrap();
            assert_eq!(told(&path), (true, vec![1, 2], false), "{what}");
            let intact_bytes = read(&path).unwrap().intact_bytes;
            let mut writer = Writer::resume(&path, intact_bytes).unwrap();
            writer.append(&Record::Trial(Box::new(TrialRecord { trial: 9, ..trial("epoll") }))).unwrap();
            assert_eq!(told(&path), (true, vec![1, 2, 9], false), "{what}, resumed");
        }
    }

    #[test]
    fn zeros_at_the_end_are_what_a_power_cut_leaves_of_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let whole = fs::read(&path).unwrap();
        let begun = &whole[..whole.len() - 40];
        for (kept, trials) in [(&whole[..], vec![1, 2]), (&whole[..whole.len() - 1], vec![1, 2]), (begun, vec![1])] {
            fs::write(&path, [kept, &[0; 5000]].concat()).unwrap();
            assert_eq!(told(&path), (true, trials.clone(), true));
            drop(Writer::resume(&path, read(&path).unwrap().intact_bytes).unwrap());
            assert_eq!(told(&path), (true, trials, false));
            assert!(fs::read(&path).unwrap().ends_with(b"}\n"));
        }
        fs::write(&path, [0; 512]).unwrap();
        assert_eq!(told(&path), (false, vec![], true));
    }

    #[test]
    fn what_is_no_file_of_lines_any_more_is_named_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(&directory);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let conflict = format!("{}\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n", lines[0], lines[1], lines[2]);
        let pretty =
            serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(lines[0]).unwrap()).unwrap();
        for (bytes, expected) in [
            (
                conflict.clone().into_bytes(),
                "line 2: a mark of an unfinished merge of git; keep one of the two files whole",
            ),
            (
                format!("{}\n{}\n>>>>>>> theirs", lines[0], lines[1]).into_bytes(),
                "line 3: a mark of an unfinished merge",
            ),
            (utf_16(&format!("\u{feff}{text}")), "this is UTF-16"),
            (utf_16(&text), "save it as UTF-8"),
            (b"\x1f\x8b\x08\0\0\0".to_vec(), "this is compressed with gzip; unpack it first"),
            (b"version https://git-lfs.github.com/spec/v1\noid".to_vec(), "git lfs pull"),
            (pretty.into_bytes(), "line 1: a record over several lines; one record is one line: jq -c ."),
            (format!("[{}]", lines.join(",")).into_bytes(), "line 1: a list; one record is one line: jq -c '.[]'"),
            (
                format!("{}\n{}\n", lines[1], lines[0]).into_bytes(),
                "line 1: a trial before the run it belongs to; put the line",
            ),
            (text.repeat(2).into_bytes(), "line 4: a second run; give each run a file of its own"),
            (format!("{}{}", text.trim_end(), text).into_bytes(), "line 3: a second run"),
            (format!("\n\nsomething else\n{text}").into_bytes(), "line 3: expected value"),
        ] {
            fs::write(&path, &bytes).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{expected}: {error}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "a refusal changes nothing");
        }
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
