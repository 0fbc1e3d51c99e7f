//! Carries searches out: one trial of each backend in turn, until all is known or the time is up.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::contender::{Ask, BackendCapacity, Contender};
use super::search::Tactics;
use crate::load::LoadPlan;
use crate::plan::{CapacityPlan, Cell, SweepPlan};
use crate::results::{Record, TrialRecord, WriteError, Writer};
use crate::slo::Slo;
use crate::sweep::{Slot, Sweep, run_trial};

/// A trial at a low rate goes on until there are enough answers, but for no longer than so many usual ones.
const LONGEST: u32 = 20;

/// Poisson arrivals may bring fewer requests than their rate promises: this many times the answers are asked for.
const MARGIN: f64 = 1.2;

/// The depth of the closed loop that says where to begin: a pipeline would promise what single requests do not keep.
const GUESS_DEPTH: usize = 1;

/// What to search for and with what.
#[derive(Clone, Copy, Debug)]
pub struct CapacityRun<'a> {
    /// The backends and the one cell that they are tried in. Its rates are ignored; its duration is that of a usual trial.
    pub plan: &'a SweepPlan,
    /// What is to be found.
    pub capacity: &'a CapacityPlan,
    /// Decides the order and all other randomness.
    pub seed: u64,
    /// Started as `… serve --control` for every trial.
    pub server_executable: &'a Path,
}

/// Told how a search gets on.
pub trait Observer {
    /// A trial begins; `repeats` searches of its backend's edge are done.
    fn trial_starts(&mut self, slot: &Slot, repeats: usize);
    /// A trial has ended and is written.
    fn trial_ended(&mut self, trial: &TrialRecord);
}

/// The search for the capacity of several backends.
#[derive(Debug)]
pub struct CapacitySearch<'a> {
    run: CapacityRun<'a>,
    cell: Cell,
    contenders: Vec<Contender>,
    random: Pcg64Mcg,
    trials: usize,
    blocks: usize,
}

impl<'a> CapacitySearch<'a> {
    /// Nothing is tried yet.
    ///
    /// # Panics
    ///
    /// Where the plan, given any rate, is not that of a single cell.
    #[must_use]
    pub fn new(run: CapacityRun<'a>) -> Self {
        let mut cells = SweepPlan { rate_rps: vec![None], ..run.plan.clone() }.cells();
        assert_eq!(cells.len(), 1, "capacities are searched for in one cell");
        let mut random = Pcg64Mcg::seed_from_u64(run.seed);
        let tactics = Tactics {
            resolution: run.capacity.resolution,
            repeats: run.capacity.repeats,
            floor_rps: lowest_rate_rps(&run.capacity.slo, run.plan.duration()),
            ceiling_rps: LoadPlan::MAX_RATE_RPS,
        };
        let backends = run.plan.backends.iter();
        let contenders = backends.map(|backend| Contender::new(backend.clone(), tactics, random.random())).collect();
        Self { run, cell: cells.swap_remove(0), contenders, random, trials: 0, blocks: 0 }
    }

    /// Searches until all is known, the time is up or `cancel` is set: the trial that is running is abandoned then, and
    /// nothing is written of it, unless it was measured to its end.
    ///
    /// # Errors
    ///
    /// [`WriteError`] where a trial could not be written; those before it stay. That of a trial itself is in its record.
    pub fn search(
        &mut self,
        writer: &mut Writer,
        observer: &mut dyn Observer,
        cancel: &AtomicBool,
    ) -> Result<(), WriteError> {
        let CapacityRun { seed, server_executable, .. } = self.run;
        let mut measure = |plan: &SweepPlan, slot: &Slot| {
            let trial = run_trial(Sweep { plan, seed, server_executable }, slot, cancel);
            // One that was cut short says nothing; one that was measured is whole.
            (trial.measured.is_some() || !cancel.load(Ordering::Relaxed)).then_some(trial)
        };
        let begun = Instant::now();
        let budget = self.run.capacity.budget();
        let mut may_take = |length: Duration| !cancel.load(Ordering::Relaxed) && begun.elapsed() + length <= budget;
        self.search_with(writer, observer, &mut measure, &mut may_take)
    }

    fn search_with(
        &mut self,
        writer: &mut Writer,
        observer: &mut dyn Observer,
        measure: &mut dyn FnMut(&SweepPlan, &Slot) -> Option<TrialRecord>,
        may_take: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<(), WriteError> {
        loop {
            let mut block: Vec<usize> =
                (0..self.contenders.len()).filter(|&index| self.contenders[index].ask().is_some()).collect();
            if block.is_empty() {
                return Ok(());
            }
            block.shuffle(&mut self.random);
            self.blocks += 1;
            // One for the whole block, whose backends are thus asked alike as far as their rates are.
            let arrivals_seed = self.random.random();
            for index in block {
                let Some((plan, slot)) = self.next_trial(index, arrivals_seed) else { continue };
                if !may_take(plan.warmup() + plan.duration()) {
                    return Ok(());
                }
                observer.trial_starts(&slot, self.contenders[index].repeats());
                let Some(trial) = measure(&plan, &slot) else { return Ok(()) };
                let record = Record::Trial(Box::new(trial));
                writer.append(&record)?;
                let Record::Trial(trial) = record else { unreachable!("it was made a trial above") };
                self.trials += 1;
                observer.trial_ended(&trial);
                self.contenders[index].take(&trial, &self.run.capacity.slo);
            }
        }
    }

    fn next_trial(&self, index: usize, arrivals_seed: u64) -> Option<(SweepPlan, Slot)> {
        let contender = &self.contenders[index];
        let usual = self.run.plan.duration();
        let (cell, duration) = match contender.ask()? {
            Ask::Guess => (Cell { depth: GUESS_DEPTH, ..self.cell.clone() }, usual),
            Ask::Rate(rate_rps) => {
                let arrivals = Some(self.run.plan.arrivals);
                let duration = duration(&self.run.capacity.slo, usual, rate_rps);
                (Cell { rate_rps: Some(rate_rps), arrivals, ..self.cell.clone() }, duration)
            }
        };
        let duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let slot = Slot {
            trial: self.trials + 1,
            block: self.blocks,
            backend: contender.backend.clone(),
            cell,
            arrivals_seed,
        };
        Some((SweepPlan { duration_ns, ..self.run.plan.clone() }, slot))
    }

    /// What is known by now, in the order of the plan.
    #[must_use]
    pub fn capacities(&self) -> Vec<BackendCapacity> {
        self.contenders.iter().map(|contender| contender.capacity(self.run.capacity)).collect()
    }

    /// Trials that ended.
    #[must_use]
    pub fn trials(&self) -> usize {
        self.trials
    }

    /// Whether nothing is left to be tried.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.contenders.iter().all(|contender| contender.ask().is_none())
    }
}

/// The lowest rate that brings enough answers for a goal in the longest trial that is made.
#[must_use]
pub fn lowest_rate_rps(slo: &Slo, usual: Duration) -> f64 {
    slo.answers_needed() as f64 * MARGIN / (usual * LONGEST).as_secs_f64()
}

/// How long a rate is to be tried.
fn duration(slo: &Slo, usual: Duration, rate_rps: f64) -> Duration {
    let needed = Duration::try_from_secs_f64(slo.answers_needed() as f64 * MARGIN / rate_rps).unwrap_or(Duration::MAX);
    needed.clamp(usual, usual * LONGEST)
}
