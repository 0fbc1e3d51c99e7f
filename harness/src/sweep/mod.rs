//! Runs a plan: every backend in every cell, several times, each time against a fresh server process.
//!
//! Invariants: the order of all trials follows from the plan and the seed alone; a trial that ended is written before
//! the next one begins; whatever happens to a server, its process is gone when its trial is over.

mod floor;
mod generator;
mod given_up;
mod idle;
mod order;
mod process;
mod reading;
mod resume;
mod server;
mod tree;
mod trial;
mod until;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use floor::{Floors, record as record_floor};
pub use generator::measure_generator;
pub use order::{Slot, further_slots, slots, slots_count};
pub use resume::{Mismatch, check_resumable};
pub use server::listening_processes;
pub(crate) use trial::run as run_trial;
pub use until::{Goal, run_until};

use self::given_up::GivenUp;
use self::trial::Attempt;
use crate::plan::SweepPlan;
use crate::results::{KeptTrials, Moved, Record, TrialRecord, WriteError, Writer};

/// Where anything listens on a port of TCP, as far as the kernel shows it.
#[must_use]
pub fn listening_on(port: u16) -> Vec<SocketAddr> {
    server::listening_on(port)
}

/// What to run and with what.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// What to measure.
    pub plan: &'a SweepPlan,
    /// Decides the order and all other randomness.
    pub seed: u64,
    /// Started for every trial: as `… serve --control`, or as `… guard` of a program that is not ours.
    pub server_executable: &'a Path,
}

/// Told how a sweep gets on.
pub trait Observer {
    /// A trial begins.
    fn trial_starts(&mut self, slot: &Slot);
    /// `open` of the idle connections of that trial are open, of `all`. Not called where there are to be none.
    fn idle_connections(&mut self, _open: usize, _all: usize) {}
    /// A trial has ended and is written.
    fn trial_ended(&mut self, trial: &TrialRecord);
    /// The entrant of a trial failed in the same way once more than is worth another try: what is left of its trials under that
    /// load, or under any, is not run.
    fn gives_up(&mut self, _trial: &TrialRecord) {}
    /// A trial of an entrant that was given up is not run.
    fn trial_left_out(&mut self) {}
    /// Trials are added to those that were known to come, because the widest interval still is `half_width` wide.
    fn round_starts(&mut self, _trials: usize, _half_width: f64) {}
    /// The results file was taken away, and its records are elsewhere now.
    fn file_moved(&mut self, _moved: &Moved) {}
}

/// Runs every trial that is not among `trials` already, and keeps there what stays of it when it is written.
///
/// Ends early when `cancel` is set: the trial that is running is abandoned then, and nothing is written of it, unless it
/// was measured to its end.
///
/// # Errors
///
/// [`WriteError`] where a trial could not be written; those before it stay. That of a trial itself is in its record.
pub fn run(
    sweep: Sweep<'_>,
    trials: &mut KeptTrials,
    writer: &mut Writer,
    observer: &mut dyn Observer,
    cancel: &AtomicBool,
) -> Result<(), WriteError> {
    run_planned(sweep, trials, &mut GivenUp::default(), writer, observer, cancel)
}

fn run_planned(
    sweep: Sweep<'_>,
    trials: &mut KeptTrials,
    given_up: &mut GivenUp,
    writer: &mut Writer,
    observer: &mut dyn Observer,
    cancel: &AtomicBool,
) -> Result<(), WriteError> {
    run_slots(sweep, slots(sweep.plan, sweep.seed), trials, given_up, writer, observer, cancel)
}

/// Runs those of the slots whose trial is not there already.
fn run_slots(
    sweep: Sweep<'_>,
    pending: impl IntoIterator<Item = Slot>,
    trials: &mut KeptTrials,
    given_up: &mut GivenUp,
    writer: &mut Writer,
    observer: &mut dyn Observer,
    cancel: &AtomicBool,
) -> Result<(), WriteError> {
    let done: HashSet<usize> = trials.as_slice().iter().map(|trial| trial.trial).collect();
    let mut floors = Floors::new(sweep.plan);
    for slot in pending.into_iter().filter(|slot| !done.contains(&slot.trial)) {
        if cancel.load(Ordering::Relaxed) {
            break;
        }
        if given_up.concerns(&slot) {
            observer.trial_left_out();
            continue;
        }
        observer.trial_starts(&slot);
        let floor = floors.of(&slot, trials.as_slice());
        let mut idle = |open, all| observer.idle_connections(open, all);
        let Attempt { record: mut trial, has_started } = trial::attempt(sweep, &slot, &mut idle, cancel);
        floor::record(&floor, &mut trial);
        trial.judge_plausibility();
        let is_last_try = given_up.ended(&trial, has_started);
        // A measurement that was cut short does not come back, one that does is whole. How else a trial ended may be due
        // to the end of the sweep.
        if cancel.load(Ordering::Relaxed) && trial.measured.is_none() {
            break;
        }
        let record = Record::Trial(Box::new(trial));
        if let Some(moved) = writer.append(&record)? {
            observer.file_moved(&moved);
        }
        let Record::Trial(trial) = record else { unreachable!("it was made a trial above") };
        observer.trial_ended(&trial);
        if is_last_try {
            observer.gives_up(&trial);
        }
        trials.push(*trial);
    }
    Ok(())
}
