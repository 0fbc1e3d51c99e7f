//! Carries searches out: one trial of each backend in turn, until all is known or the time is up.

use std::cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::contender::{Ask, Contender, Ended, most_trials};
use super::found::BackendCapacity;
use super::search::Tactics;
use crate::load::LoadPlan;
use crate::plan::{CapacityPlan, Cell, SweepPlan};
use crate::results::{Moved, Record, TrialRecord, WriteError, Writer};
use crate::slo::Slo;
use crate::sweep::{Floors, Slot, Sweep, record_floor, run_trial};

/// A trial at a low rate goes on until there are enough answers, but for no longer than so many usual ones.
const LONGEST: u32 = 20;

/// Poisson arrivals may bring fewer requests than their rate promises: this many times the answers are asked for.
const MARGIN: f64 = 1.2;

/// The depth of the closed loop that says where to begin: a pipeline would promise what single requests do not keep.
const GUESS_DEPTH: usize = 1;

/// To start a server and its connections, and to stop it; where one takes longer, that is reckoned with from then on.
const AROUND_A_TRIAL: Duration = Duration::from_millis(200);

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
    /// A trial begins; `repeats` searches of its backend's edge are done, and all that is left takes about `left`.
    fn trial_starts(&mut self, slot: &Slot, repeats: usize, left: Duration);
    /// A trial has ended and is written.
    fn trial_ended(&mut self, trial: &TrialRecord);
    /// The results file was taken away, and its records are elsewhere now.
    fn file_moved(&mut self, _moved: &Moved) {}
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
    ended: Ended,
}

impl<'a> CapacitySearch<'a> {
    /// Nothing is tried yet.
    ///
    /// # Panics
    ///
    /// Where the plan, given any rate, is not that of a single cell.
    #[must_use]
    pub fn new(run: CapacityRun<'a>) -> Self {
        let mut cells = cells_of(run.plan);
        assert_eq!(cells.len(), 1, "capacities are searched for in one cell");
        let mut random = Pcg64Mcg::seed_from_u64(run.seed);
        let tactics = Tactics {
            resolution: run.capacity.resolution,
            repeats: run.capacity.repeats,
            floor_rps: lowest_rate_rps(&run.capacity.slo, run.plan.duration()),
            ceiling_rps: LoadPlan::MAX_RATE_RPS,
        };
        let backends = run.plan.backends.iter();
        let most_trials = run.capacity.budget().map_or_else(|| most_trials(tactics.repeats), |_| usize::MAX);
        let contenders =
            backends.map(|backend| Contender::new(backend.clone(), tactics, random.random(), most_trials)).collect();
        Self { run, cell: cells.swap_remove(0), contenders, random, trials: 0, blocks: 0, ended: Ended::Otherwise }
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
        let around = cell::Cell::new(AROUND_A_TRIAL);
        let mut floors = Floors::new(self.run.plan);
        let mut measure = |plan: &SweepPlan, slot: &Slot| {
            let begun = Instant::now();
            let floor = floors.of(slot, &[]);
            let mut trial = run_trial(Sweep { plan, seed, server_executable }, slot, &mut |_, _| {}, cancel);
            record_floor(&floor, &mut trial);
            trial.judge_plausibility();
            around.set(around.get().max(begun.elapsed().saturating_sub(plan.warmup() + plan.duration())));
            // One that was cut short says nothing; one that was measured is whole.
            (trial.measured.is_some() || !cancel.load(Ordering::Relaxed)).then_some(trial)
        };
        let begun = Instant::now();
        let budget = self.run.capacity.budget();
        let in_time = |length| budget.is_none_or(|budget| begun.elapsed() + length + around.get() <= budget);
        let mut may_take = |length: Duration| !cancel.load(Ordering::Relaxed) && in_time(length);
        let written = self.search_with(writer, observer, &mut measure, &mut may_take);
        if !cancel.load(Ordering::Relaxed) && !self.is_complete() {
            self.ended = Ended::OutOfTime;
        }
        written
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
                observer.trial_starts(&slot, self.contenders[index].repeats(), self.usual_time_left());
                let Some(trial) = measure(&plan, &slot) else { return Ok(()) };
                let record = Record::Trial(Box::new(trial));
                if let Some(moved) = writer.append(&record)? {
                    observer.file_moved(&moved);
                }
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

    /// How long all that is left takes where nothing unusual happens.
    fn usual_time_left(&self) -> Duration {
        let usual = self.run.plan.duration();
        let of = |contender: &Contender| {
            let length = contender.guess_rps().map_or(usual, |rps| duration(&self.run.capacity.slo, usual, rps));
            let trials = u32::try_from(contender.usual_trials_left()).unwrap_or(u32::MAX);
            (AROUND_A_TRIAL + self.run.plan.warmup() + length).saturating_mul(trials)
        };
        self.contenders.iter().map(of).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// What is known by now, in the order of the plan.
    #[must_use]
    pub fn capacities(&self) -> Vec<BackendCapacity> {
        self.contenders.iter().map(|contender| contender.capacity(self.run.capacity, self.ended)).collect()
    }

    /// Takes a trial of an earlier search; whether that was what this one would have asked for next.
    pub(super) fn replay(&mut self, trial: &TrialRecord) -> bool {
        let Some(contender) = self.contenders.iter_mut().find(|contender| contender.backend == trial.backend) else {
            return false;
        };
        let is_asked = match contender.ask() {
            Some(Ask::Guess) => trial.cell == Cell { depth: GUESS_DEPTH, ..self.cell.clone() },
            Some(Ask::Rate(rate_rps)) => {
                let arrivals = Some(self.run.plan.arrivals);
                trial.cell == Cell { rate_rps: Some(rate_rps), arrivals, ..self.cell.clone() }
            }
            None => false,
        };
        if is_asked {
            contender.take(trial, &self.run.capacity.slo);
        }
        is_asked
    }

    /// Says of a search that was replayed that there are no more trials. What starting and stopping took is in none of them,
    /// so that nobody knows how much of its time was left.
    pub(super) fn end_replay(&mut self) {
        if self.run.capacity.budget().is_some() && !self.is_complete() {
            self.ended = Ended::EarlyAsRecorded;
        }
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

fn cells_of(plan: &SweepPlan) -> Vec<Cell> {
    SweepPlan { rate_rps: vec![None], ..plan.clone() }.cells()
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

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;
    use crate::capacity::LimitedBy;
    use crate::plan;
    use crate::results::tests::{failed_trial, trial};
    use crate::results::{Bottleneck, Outcome, Verdict};

    const CAPACITY_RPS: f64 = 50_000.0;

    pub(in crate::capacity) fn plan() -> SweepPlan {
        SweepPlan { connections: vec![64], rate_rps: Vec::new(), duration_ns: 100_000_000, ..plan::tests::plan() }
    }

    pub(in crate::capacity) fn capacity_plan(slo: &str, budget_ns: Option<u64>) -> CapacityPlan {
        CapacityPlan { slo: slo.parse().unwrap(), resolution: 0.05, repeats: 6, budget_ns }
    }

    /// What a server leaves behind that meets the goal below its capacity, and does half of that in a closed loop.
    pub(in crate::capacity) fn served(slot: &Slot) -> TrialRecord {
        let Slot { trial: number, block, backend, cell, .. } = slot.clone();
        let mut record = TrialRecord { trial: number, block, cell, ..trial(&backend) };
        let measured = record.measured.as_mut().unwrap();
        measured.throughput_rps = CAPACITY_RPS / 2.0;
        if record.cell.rate_rps.is_some_and(|rate_rps| rate_rps >= CAPACITY_RPS) {
            measured.censored = 5000;
        }
        record
    }

    /// What it leaves behind while others use its CPUs.
    fn disturbed(slot: &Slot) -> TrialRecord {
        let mut record = served(slot);
        let measured = record.measured.as_mut().unwrap();
        measured.censored = 5000;
        measured.interference.server.neighbours = Some(0.3);
        record.verdict = Verdict::Suspect;
        record.reasons = vec!["other processes took CPU time of the server".to_owned()];
        record
    }

    #[derive(Default)]
    struct Seen {
        trials: Vec<TrialRecord>,
        left: Vec<Duration>,
    }

    impl Observer for Seen {
        fn trial_starts(&mut self, _: &Slot, _: usize, left: Duration) {
            self.left.push(left);
        }
        fn trial_ended(&mut self, trial: &TrialRecord) {
            self.trials.push(trial.clone());
        }
    }

    /// The plans of a search, and its trials where it came to its end.
    pub(crate) fn recorded(slo: &str) -> (SweepPlan, CapacityPlan, Vec<TrialRecord>) {
        let trials = search(slo, |slot| Some(served(slot))).trials;
        (plan(), capacity_plan(slo, Some(u64::MAX)), trials)
    }

    pub(in crate::capacity) struct Searched {
        pub(in crate::capacity) capacities: Vec<BackendCapacity>,
        is_complete: bool,
        pub(in crate::capacity) trials: Vec<TrialRecord>,
        /// The length of each trial.
        durations: Vec<Duration>,
        /// What was expected before each trial to be left.
        left: Vec<Duration>,
    }

    impl Searched {
        fn of(&self, backend: &str) -> &BackendCapacity {
            self.capacities.iter().find(|capacity| capacity.backend == backend).unwrap()
        }
    }

    /// Searches with made-up trials, as long as there are any.
    pub(in crate::capacity) fn search(slo: &str, made_up: impl FnMut(&Slot) -> Option<TrialRecord>) -> Searched {
        search_within(Some(u64::MAX), slo, made_up)
    }

    fn search_within(
        budget_ns: Option<u64>,
        slo: &str,
        mut made_up: impl FnMut(&Slot) -> Option<TrialRecord>,
    ) -> Searched {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("run.jsonl");
        let mut writer = Writer::create(&file).unwrap();
        let (plan, capacity) = (plan(), capacity_plan(slo, budget_ns));
        let run = CapacityRun { plan: &plan, capacity: &capacity, seed: 7, server_executable: Path::new("") };
        let mut search = CapacitySearch::new(run);
        let (mut seen, mut durations) = (Seen::default(), Vec::new());
        let mut measure = |plan: &SweepPlan, slot: &Slot| {
            durations.push(plan.duration());
            made_up(slot)
        };
        search.search_with(&mut writer, &mut seen, &mut measure, &mut |_| true).unwrap();
        assert_eq!(fs::read_to_string(file).unwrap().lines().count(), seen.trials.len(), "every trial is written");
        let (capacities, is_complete) = (search.capacities(), search.is_complete());
        Searched { capacities, is_complete, trials: seen.trials, durations, left: seen.left }
    }

    #[test]
    fn the_capacity_of_every_backend_is_found() {
        let searched = search("p99<5ms", |slot| Some(served(slot)));
        assert!(searched.is_complete);
        assert_eq!(searched.capacities.iter().map(|one| one.backend.as_str()).collect::<Vec<_>>(), ["poll", "epoll"]);
        for capacity in &searched.capacities {
            let found = capacity.capacity_rps.unwrap();
            assert!((found / CAPACITY_RPS).ln().abs() < 0.05, "{capacity:?}");
            assert!(capacity.low_rps.unwrap() < CAPACITY_RPS && CAPACITY_RPS <= capacity.high_rps.unwrap());
            assert_eq!((capacity.limited_by, capacity.estimates.len()), (Some(LimitedBy::Slo), 6));
            assert_eq!(capacity.reasons, Vec::<String>::new());
            let at = capacity.when_met.as_ref().unwrap();
            assert!(at.latency_p99_ns.unwrap() < 5_000_000 && at.server_cpu_ns_per_request.unwrap() > 0.0);
        }
        let counted: usize = searched.capacities.iter().map(|capacity| capacity.trials).sum();
        assert_eq!(counted, searched.trials.len());
    }

    #[test]
    fn backends_take_turns_in_random_order_and_trials_are_numbered() {
        let trials = search("p99<5ms", |slot| Some(served(slot))).trials;
        assert!(trials.iter().map(|trial| trial.trial).eq(1..=trials.len()));
        let blocks: Vec<&[TrialRecord]> = trials.chunk_by(|one, next| one.block == next.block).collect();
        let whole = blocks.iter().filter(|block| block.len() == 2 && block[0].backend != block[1].backend).count();
        assert!(whole > 15, "{whole} blocks");
        let first_is_poll = blocks.iter().filter(|block| block[0].backend == "poll").count();
        assert!(first_is_poll > 0 && first_is_poll < blocks.len());
        assert!(trials[..2].iter().all(|trial| trial.cell.rate_rps.is_none() && trial.cell.depth == GUESS_DEPTH));
        assert!(trials[2..].iter().all(|trial| trial.cell.rate_rps.is_some()), "open loop from then on");
    }

    #[test]
    fn a_seed_gives_the_same_search_again() {
        let rates = || {
            let trials = search("p99<5ms", |slot| Some(served(slot))).trials;
            trials.into_iter().map(|trial| (trial.backend, trial.cell.rate_rps)).collect::<Vec<_>>()
        };
        assert_eq!(rates(), rates());
    }

    #[test]
    fn a_miss_that_the_machine_may_have_caused_is_tried_again_and_decides_nothing() {
        // Every third trial.
        let searched = search("p99<5ms", |slot| {
            Some(if slot.trial.is_multiple_of(3) && slot.cell.rate_rps.is_some() {
                disturbed(slot)
            } else {
                served(slot)
            })
        });
        for capacity in &searched.capacities {
            assert!((capacity.capacity_rps.unwrap() / CAPACITY_RPS).ln().abs() < 0.05, "{capacity:?}");
        }
        let of_poll: Vec<&TrialRecord> = searched.trials.iter().filter(|trial| trial.backend == "poll").collect();
        for pair in of_poll.windows(2).filter(|pair| !pair[0].reasons.is_empty()) {
            assert_eq!(pair[0].cell.rate_rps, pair[1].cell.rate_rps, "the same rate once more");
        }
    }

    #[test]
    fn a_machine_that_is_never_quiet_gets_no_answer() {
        let searched =
            search("p99<5ms", |slot| Some(if slot.cell.rate_rps.is_some() { disturbed(slot) } else { served(slot) }));
        for capacity in &searched.capacities {
            assert_eq!((capacity.capacity_rps, capacity.limited_by), (None, None));
            assert!(capacity.reasons[0].contains("search again when the machine is quiet"), "{capacity:?}");
        }
        assert_eq!(searched.trials.len(), 2 * 21);
    }

    #[test]
    fn a_search_that_no_budget_ends_ends_after_so_many_trials_of_a_backend_and_says_so() {
        // At odds with itself all the time, so that every repeat takes long.
        let searched = search_within(None, "p99<5ms", |slot| {
            Some(if slot.trial % 7 < 4 && slot.cell.rate_rps.is_some() { disturbed(slot) } else { served(slot) })
        });
        for capacity in &searched.capacities {
            assert_eq!(capacity.trials, most_trials(6));
            assert!(capacity.reasons[0].contains(" of 36 trials decided nothing, the last as other processes took"));
            assert!(capacity.reasons[1].ends_with("; see --budget"), "{capacity:?}");
        }
        assert!(searched.is_complete);
    }

    #[test]
    fn what_is_left_is_known_when_the_goal_and_the_guess_are() {
        // 100 ms bring 2,500 answers in the closed loop: enough for a p99, and a fifth of what a p99.9 needs.
        let after_guesses = |slo| search(slo, |slot| Some(served(slot))).left[2];
        let (short, long) = (after_guesses("p99<5ms"), after_guesses("p99.9<5ms"));
        assert_eq!(short, Duration::from_millis(300) * 2 * 26);
        assert_eq!(long, Duration::from_millis(680) * 2 * 26);
    }

    #[test]
    fn trials_that_met_the_goal_and_are_suspect_are_counted_and_shown() {
        let searched = search("p99<5ms", |slot| {
            let reasons = vec!["the server chose other CPUs than those given to it".to_owned()];
            Some(TrialRecord { verdict: Verdict::Suspect, reasons, ..served(slot) })
        });
        let capacity = searched.of("epoll");
        assert!(capacity.suspect > 6 && capacity.suspect < capacity.trials, "{capacity:?}");
        let met = capacity.suspect;
        let reason = format!("{met} of {met} trials that met the goal are suspect; the first: the server chose other");
        assert!(capacity.reasons[0].starts_with(&reason), "{capacity:?}");
    }

    #[test]
    fn a_stall_of_a_whole_repeat_is_not_blamed_on_the_budget() {
        let mut misses = 0;
        let searched = search("p99<5ms", |slot| {
            let mut record = served(slot);
            // From the second repeat of epoll on, for as many trials as it takes to come down to the lowest rate.
            if slot.backend == "epoll" && slot.trial > 24 && misses < 12 {
                misses += 1;
                record.measured.as_mut().unwrap().censored = 5000;
            }
            Some(record)
        });
        let capacity = searched.of("epoll");
        assert_eq!((capacity.estimates.len(), capacity.limited_by), (6, Some(LimitedBy::Slo)), "{capacity:?}");
        assert!((capacity.capacity_rps.unwrap() / CAPACITY_RPS).ln().abs() < 0.05, "{capacity:?}");
        assert_eq!(capacity.reasons, ["1 of 6 repeats missed at 600/s too"]);
    }

    #[test]
    fn a_server_that_dies_again_and_again_is_given_up_and_the_others_go_on() {
        let searched = search("p99<5ms", |slot| match (slot.backend.as_str(), slot.cell.rate_rps) {
            ("poll", Some(rate_rps)) if rate_rps > 30_000.0 => Some(failed_trial("poll", "it died")),
            _ => Some(served(slot)),
        });
        let poll = searched.of("poll");
        assert_eq!((poll.limited_by, poll.capacity_rps), (None, None));
        assert_eq!(poll.reasons, ["3 trials in a row say nothing: it died"]);
        assert!(searched.of("epoll").capacity_rps.is_some());
    }

    #[test]
    fn a_backend_that_is_not_there_is_tried_once() {
        let searched = search("p99<5ms", |slot| match slot.backend.as_str() {
            "poll" => Some(TrialRecord { outcome: Outcome::Unavailable, ..failed_trial("poll", "no such call") }),
            _ => Some(served(slot)),
        });
        assert_eq!(searched.of("poll").reasons, ["unavailable: no such call"]);
        assert_eq!(searched.of("poll").trials, 1);
    }

    #[test]
    fn where_the_generator_is_the_limit_no_capacity_is_named() {
        let searched =
            search("p99<5ms", |slot| Some(TrialRecord { bottleneck: Some(Bottleneck::Client), ..served(slot) }));
        let capacity = searched.of("epoll");
        assert_eq!((capacity.limited_by, capacity.capacity_rps), (Some(LimitedBy::Generator), None));
        assert!(capacity.low_rps.unwrap() > 0.9 * CAPACITY_RPS && capacity.high_rps.is_none());
    }

    #[test]
    fn a_goal_that_nothing_meets_ends_at_the_lowest_rate_with_a_longer_trial() {
        let searched = search("max<1ns", |slot| Some(served(slot)));
        let capacity = searched.of("epoll");
        assert_eq!((capacity.limited_by, capacity.capacity_rps), (Some(LimitedBy::NotMet), None));
        assert!(capacity.trials < 10 && capacity.reasons[0].starts_with("missed at 600/s too"), "{capacity:?}");
        assert_eq!(searched.durations.iter().max(), Some(&Duration::from_secs(2)));
    }

    #[test]
    fn what_was_known_when_it_was_cut_short_is_said() {
        let cut_after = |trials| search("p99<5ms", move |slot| (slot.trial <= trials).then(|| served(slot)));
        let early = cut_after(4);
        assert!(!early.is_complete && early.of("epoll").limited_by.is_none());
        assert_eq!(early.of("epoll").reasons, ["the search ended before its edge was found"]);
        // The guess, seven trials of the first search and one of the second.
        let once = cut_after(18);
        let capacity = once.of("epoll");
        assert_eq!((capacity.capacity_rps, capacity.low_rps, capacity.limited_by), (None, None, None));
        assert!(capacity.reasons[0].contains("in a single search that was never repeated"), "{capacity:?}");
        let late = cut_after(30);
        let capacity = late.of("epoll");
        assert!(capacity.capacity_rps.is_some() && capacity.confidence.unwrap() < 0.95, "{capacity:?}");
        assert!(capacity.reasons[0].contains("of 6 repeats"), "{capacity:?}");
    }

    #[test]
    fn a_trial_is_as_long_as_its_percentile_needs_within_bounds() {
        let slo = |text: &str| text.parse::<Slo>().unwrap();
        let half = Duration::from_millis(500);
        assert_eq!(duration(&slo("p99<1ms"), half, 100_000.0), half);
        assert_eq!(duration(&slo("p99.99<1ms"), half, 100_000.0), Duration::from_millis(1200));
        assert_eq!(duration(&slo("p99.99<1ms"), half, 1.0), Duration::from_secs(10));
        let lowest_rps = lowest_rate_rps(&slo("p99.9<1ms"), half);
        assert!((lowest_rps - 1200.0).abs() < 1e-6);
        assert_eq!(duration(&slo("p99.9<1ms"), half, lowest_rps), Duration::from_secs(10));
    }
}
