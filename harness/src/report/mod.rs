//! Results for people: text in a terminal, and a folder to be looked at, mailed or published.
//!
//! A folder is made in two steps. [`contents`] says everything that it says, as data: sentences, charts, a table, the runs.
//! Those who write it ([`page`], [`markdown`], [`svg`]) draw that and know nothing of trials, so that all of them say the same.

pub mod answer;
mod calls;
pub mod chart;
pub mod contents;
pub mod history;
pub mod markdown;
pub mod names;
pub mod page;
mod ratio;
pub mod repeat;
#[cfg(test)]
mod same_figure;
pub mod selection;
pub mod svg;
pub mod terminal;

use std::path::Path;

use crate::results::{self, EncodedHistogram, KeptTrials, ReadError, Recorded, TrialRecord};

/// A results file that was read.
#[derive(Clone, Debug)]
pub struct FileRun {
    /// What the file is called; no other of a report is called so.
    pub name: String,
    /// What it holds; without a run where it was cut off in its first line.
    pub recorded: Recorded,
}

impl FileRun {
    /// Reads a file, and keeps of each trial what a report needs. Of a search that is the whole distribution of each, against
    /// which its goal is held again.
    ///
    /// # Errors
    ///
    /// Those of [`results::read`].
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let (mut kept, mut searched) = (KeptTrials::new(), Vec::new());
        let read = results::read_each(path, |run, mut trial| {
            if run.capacity.is_none() {
                kept.push(trial);
            } else {
                lighten(&mut trial);
                searched.push(trial);
            }
        })?;
        let trials = if searched.is_empty() { kept.into_vec() } else { searched };
        let recorded = Recorded::of(read, trials);
        let name = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
        Ok(Self { name: name.into_owned(), recorded })
    }
}

/// In a closed loop both distributions are the same one, of which latency stays.
fn lighten(trial: &mut TrialRecord) {
    let Some(measured) = &mut trial.measured else { return };
    measured.latency_hdr.shrink();
    match trial.cell.rate_rps {
        None => measured.service_hdr = EncodedHistogram::none(),
        Some(_) => measured.service_hdr.shrink(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::environment::{Build, Conditions, Environment};
    use crate::plan::{self, SweepPlan};
    use crate::results::RunRecord;
    use crate::results::tests::trial;

    /// A closed loop with so many connections on so many backends.
    pub(crate) fn run(started: &str, connections: &[usize], backends: &[&str]) -> RunRecord {
        RunRecord {
            schema_version: 1,
            started: started.to_owned(),
            build: Build {
                git_revision: "c0ffee".to_owned(),
                git_dirty: Some(false),
                build_profile: "release".to_owned(),
            },
            plan: SweepPlan {
                backends: backends.iter().map(|&name| name.to_owned()).collect(),
                connections: connections.to_vec(),
                rate_rps: vec![None],
                ..plan::tests::plan()
            },
            seed: 7,
            environment: Environment { kernel: "6.18".to_owned(), ..Environment::default() },
            conditions: Conditions::default(),
            generator: None,
            capacity: None,
        }
    }

    /// So many blocks of all that the run plans, each trial as `change` leaves it.
    pub(crate) fn file(name: &str, run: RunRecord, blocks: usize, change: impl Fn(&mut TrialRecord)) -> FileRun {
        let mut trials = Vec::new();
        for cell in run.plan.cells() {
            for block in 1..=blocks {
                for backend in run.plan.entrants() {
                    let number = trials.len() + 1;
                    let mut trial = TrialRecord { trial: number, block, cell: cell.clone(), ..trial(&backend) };
                    change(&mut trial);
                    // As a reader does.
                    trial.judge_plausibility();
                    trials.push(trial);
                }
            }
        }
        FileRun {
            name: name.to_owned(),
            recorded: Recorded { run: Some(run), trials, intact_bytes: 0, cut_off: false },
        }
    }

    /// Of a file that was cut off in its first line.
    pub(crate) fn nothing() -> Recorded {
        Recorded { run: None, trials: Vec::new(), intact_bytes: 0, cut_off: true }
    }
}
