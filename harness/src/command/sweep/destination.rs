//! Where the results of a sweep go: a new file, or one that is continued.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use harness::environment::{Build, Environment};
use harness::plan::SweepPlan;
use harness::results::{self, Record, RunRecord, SCHEMA_VERSION, TrialRecord, WriteError, Writer};
use harness::sweep::{Sweep, check_resumable};
use jiff::{Timestamp, Unit};

use super::{THIS_EXECUTABLE, random_seed, usage};
use crate::failure::Failure;

/// Where new files go by themselves.
const DIRECTORY: &str = "results";

/// A results file that begins with its run line.
pub(super) struct Destination {
    pub(super) writer: Writer,
    pub(super) seed: u64,
    /// What it holds already.
    pub(super) finished: Vec<TrialRecord>,
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
            Some(path) => Self::begun(plan, seed, Writer::create(&path)),
            None => {
                fs::create_dir_all(DIRECTORY)
                    .with_context(|| format!("cannot make the directory {DIRECTORY}"))
                    .map_err(Failure::Run)?;
                Self::begun(plan, seed, Writer::create(&new_path()))
            }
        }
    }

    fn begun(plan: &SweepPlan, seed: Option<u64>, writer: Result<Writer, WriteError>) -> Result<Self, Failure> {
        let mut writer = writer.map_err(|error| match error {
            WriteError::Exists(_) => usage(error.to_string()),
            error => Failure::run(error),
        })?;
        let seed = seed.map_or_else(random_seed, Ok)?;
        let run = RunRecord {
            schema_version: SCHEMA_VERSION,
            started: now().to_string(),
            build: Build::current(),
            plan: plan.clone(),
            seed,
            environment: Environment::read(),
        };
        writer.append(&Record::Run(Box::new(run))).map_err(Failure::run)?;
        Ok(Self { writer, seed, finished: Vec::new() })
    }

    fn resumed(plan: &SweepPlan, seed: Option<u64>, path: &Path) -> Result<Self, Failure> {
        if !path.exists() {
            return Err(usage(format!("there is no {} to resume; leave out --resume to begin it", path.display())));
        }
        let recorded = results::read(path).map_err(Failure::run)?;
        let resume = || Writer::resume(path, recorded.intact_bytes);
        let Some(run) = recorded.run else {
            return Self::begun(plan, seed, resume());
        };
        let seed = seed.unwrap_or(run.seed);
        let sweep = Sweep { plan, seed, server_executable: Path::new(THIS_EXECUTABLE) };
        check_resumable(sweep, &run, &recorded.trials)
            .map_err(|mismatch| usage(format!("cannot resume {}: {mismatch}", path.display())))?;
        Ok(Self { writer: resume().map_err(Failure::run)?, seed, finished: recorded.trials })
    }
}

/// Named after the moment; the colons of RFC 3339 would be in the way in a shell.
fn new_path() -> PathBuf {
    Path::new(DIRECTORY).join(format!("{}.jsonl", now().to_string().replace(':', "-")))
}

fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}
