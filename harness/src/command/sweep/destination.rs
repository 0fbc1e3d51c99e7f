//! Where the results of a sweep go: a new file, or one that is continued.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use harness::environment::{Build, Environment};
use harness::figures;
use harness::plan::SweepPlan;
use harness::results::{self, Record, Recorded, RunRecord, SCHEMA_VERSION, TrialRecord, WriteError, Writer};
use harness::sweep::{Sweep, check_resumable};
use jiff::{Timestamp, Unit};

use super::{THIS_EXECUTABLE, random_seed, usage};
use crate::failure::Failure;
use crate::output;

/// Where new files go by themselves.
const DIRECTORY: &str = "results";

/// A results file that begins with its run line.
pub(super) struct Destination {
    pub(super) writer: Writer,
    pub(super) seed: u64,
    /// What it holds already.
    pub(super) trials: Vec<TrialRecord>,
}

impl Destination {
    /// Opens it, and writes or checks its run line, so that a file that cannot be written to is found out before the
    /// first trial.
    pub(super) fn open(
        plan: &SweepPlan,
        seed: Option<u64>,
        output: Option<PathBuf>,
        resume: bool,
    ) -> Result<Self, Failure> {
        match output {
            Some(path) if resume => Self::resumed(plan, seed, &path),
            Some(path) => Self::begun(plan, seed, create(&path)?),
            None => Self::begun(plan, seed, new_file()?),
        }
    }

    fn begun(plan: &SweepPlan, seed: Option<u64>, mut writer: Writer) -> Result<Self, Failure> {
        let seed = seed.map_or_else(random_seed, Ok)?;
        let run = RunRecord {
            schema_version: SCHEMA_VERSION,
            started: now().to_string(),
            build: Build::current(),
            plan: plan.clone(),
            seed,
            environment: Environment::read(),
            capacity: None,
        };
        writer.append(&Record::Run(Box::new(run))).map_err(Failure::run)?;
        Ok(Self { writer, seed, trials: Vec::new() })
    }

    fn resumed(plan: &SweepPlan, seed: Option<u64>, path: &Path) -> Result<Self, Failure> {
        if !path.exists() {
            return Err(usage(format!("there is no {} to resume; leave out --resume to begin it", path.display())));
        }
        let recorded = results::read(path).map_err(Failure::run)?;
        let Some(run) = &recorded.run else {
            return Self::begun(plan, seed, continued(path, &recorded)?);
        };
        let seed = seed.unwrap_or(run.seed);
        let sweep = Sweep { plan, seed, server_executable: Path::new(THIS_EXECUTABLE) };
        check_resumable(sweep, run, &recorded.trials)
            .map_err(|mismatch| usage(format!("cannot resume {}: {mismatch}", path.display())))?;
        Ok(Self { writer: continued(path, &recorded)?, seed, trials: recorded.trials })
    }
}

fn create(path: &Path) -> Result<Writer, Failure> {
    Writer::create(path).map_err(|error| match error {
        WriteError::Exists(_) => usage(error.to_string()),
        error => Failure::run(error),
    })
}

fn continued(path: &Path, recorded: &Recorded) -> Result<Writer, Failure> {
    let writer = Writer::resume(path, recorded.intact_bytes).map_err(Failure::run)?;
    if recorded.cut_off {
        let kept = figures::counted(recorded.trials.len(), "finished trial");
        output::say(&format!("note: {} ended within a line, which was cut away; kept: {kept}", path.display()));
    }
    Ok(writer)
}

/// Named after the moment, and after how many there were before it in the same second. The colons of RFC 3339 would be
/// in the way in a shell.
pub(in crate::command) fn new_file() -> Result<Writer, Failure> {
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

pub(in crate::command) fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}
