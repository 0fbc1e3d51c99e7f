//! Where the results of a sweep go: a new file, or one that is continued.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use harness::figures;
use harness::plan::SweepPlan;
use harness::results::{self, KeptTrials, Read, Record, RunRecord, WriteError, Writer};
use harness::sweep::{Sweep, check_resumable};

use super::measuring::{THIS_EXECUTABLE, now, random_seed};
use crate::failure::Failure;
use crate::output;

/// Where new files go by themselves.
const DIRECTORY: &str = "results";

/// A results file that begins with its run line.
pub(super) struct Destination {
    pub(super) writer: Writer,
    pub(super) run: RunRecord,
    /// What it holds already.
    pub(super) trials: KeptTrials,
}

impl Destination {
    /// Opens it, and writes or checks its run line, so that a file that cannot be written to is found out before the
    /// first trial. `describe` makes that line from a seed, where there is none yet.
    pub(super) fn open(
        plan: &SweepPlan,
        seed: Option<u64>,
        output: Option<PathBuf>,
        resume: bool,
        describe: impl FnOnce(u64) -> RunRecord,
    ) -> Result<Self, Failure> {
        match output {
            Some(path) if resume => Self::resumed(plan, seed, &path, describe),
            Some(path) => Self::begun(seed, create(&path)?, describe),
            None => Self::begun(seed, new_file()?, describe),
        }
    }

    fn begun(seed: Option<u64>, mut writer: Writer, describe: impl FnOnce(u64) -> RunRecord) -> Result<Self, Failure> {
        let run = describe(seed.map_or_else(random_seed, Ok)?);
        writer.append(&Record::Run(Box::new(run.clone()))).map_err(Failure::run)?;
        Ok(Self { writer, run, trials: KeptTrials::new() })
    }

    fn resumed(
        plan: &SweepPlan,
        seed: Option<u64>,
        path: &Path,
        describe: impl FnOnce(u64) -> RunRecord,
    ) -> Result<Self, Failure> {
        if !path.exists() {
            return Err(usage(format!("there is no {} to resume; leave out --resume to begin it", path.display())));
        }
        let mut trials = KeptTrials::new();
        let mut read = results::read_each(path, |_, trial| trials.push(trial)).map_err(Failure::run)?;
        let kept = trials.as_slice().len();
        let Some(run) = read.run.take() else {
            return Self::begun(seed, continued(path, &read, kept)?, describe);
        };
        let seed = seed.unwrap_or(run.seed);
        let sweep = Sweep { plan, seed, server_executable: Path::new(THIS_EXECUTABLE) };
        check_resumable(sweep, &run, trials.as_slice())
            .map_err(|mismatch| usage(format!("cannot resume {}: {mismatch}", path.display())))?;
        Ok(Self { writer: continued(path, &read, kept)?, run, trials })
    }
}

fn usage(message: String) -> Failure {
    Failure::usage("sweep", message)
}

fn create(path: &Path) -> Result<Writer, Failure> {
    Writer::create(path).map_err(|error| match error {
        WriteError::Exists(_) => usage(error.to_string()),
        error => Failure::run(error),
    })
}

fn continued(path: &Path, read: &Read, trials: usize) -> Result<Writer, Failure> {
    let writer = Writer::resume(path, read.intact_bytes).map_err(Failure::run)?;
    if read.cut_off {
        let kept = figures::counted(trials, "finished trial");
        output::say(&format!("note: {} ended within a line, which was cut away; kept: {kept}", path.display()));
    }
    Ok(writer)
}

/// Named after the moment, and after how many there were before it in the same second. The colons of RFC 3339 would be
/// in the way in a shell.
pub(super) fn new_file() -> Result<Writer, Failure> {
    fs::create_dir_all(DIRECTORY).map_err(|error| {
        Failure::Run(anyhow!("cannot make the directory {DIRECTORY}: {error}; name a file elsewhere with --output"))
    })?;
    let moment = now().to_string().replace(':', "-");
    let mut earlier = 0;
    loop {
        let suffix = if earlier == 0 { String::new() } else { format!("-{earlier}") };
        match Writer::create(&Path::new(DIRECTORY).join(format!("{moment}{suffix}.jsonl"))) {
            Err(WriteError::Exists(_)) => earlier += 1,
            created => return created.map_err(Failure::run),
        }
    }
}
