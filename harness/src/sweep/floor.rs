//! The floor beside the trials: what the kernel charges for an echo of their payload, measured anew for every block.
//!
//! A machine changes from minute to minute, so a floor counts for the block before which it was measured. Its connections
//! are closed and its threads have ended when the first trial begins: they disturb none.

use std::time::Duration;

use super::Slot;
use crate::floor::{Echo, EchoCost, FloorError, Pair};
use crate::plan::SweepPlan;
use crate::results::{ServerMeasured, TrialRecord};
use crate::statistics::median;
use crate::verdict::doubt_below;

/// Short, for there are some for every block; together they add 2 to 3 % to a sweep of as many trials as there are by default.
const WINDOW: Duration = Duration::from_millis(6);
/// A floor is the median of so many, of which some may have been disturbed;
const WINDOWS: usize = 5;
/// but it takes so many that were not,
const ENOUGH_WINDOWS: usize = 3;
/// each with so many echoes at least, for which a window becomes longer where the payload is,
const LEAST_ECHOES: f64 = 5.0;
/// up to this,
const LONGEST_WINDOW: Duration = Duration::from_millis(100);
/// and so often that is tried.
const TRIES: usize = 3;
/// A machine that is too busy may be less so at the next block. Where nothing moves it takes seconds to find that out; after as
/// many blocks in a row without a floor that is not tried again.
const BUSY_BLOCKS: usize = 3;

/// The CPUs have to be two: on one, the ends would wait for each other.
const SAME_CPU: &str = "the first CPU of the servers is the first of the load generator, too";

/// What was measured before a block, or why there is nothing.
pub(crate) type BlockFloor = Result<Measured, String>;

/// The floor of a block, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    ns_per_request: f64,
    /// Neither is known of a floor from an older file.
    echoes: Option<u64>,
    in_vain: Option<f64>,
}

/// The floors of the blocks of a run, as they come.
pub(crate) struct Floors {
    /// Or why there is no floor to be had.
    pair: Result<Pair, String>,
    /// The last one: its block, and what came of it.
    last: Option<(usize, BlockFloor)>,
    /// Blocks in a row that had none because the machine was busy.
    busy_blocks: usize,
}

impl Floors {
    /// Nothing is measured yet.
    pub(crate) fn new(plan: &SweepPlan) -> Self {
        let pair = Pair::of(&plan.server_cpus, &plan.client_cpus).ok_or_else(|| SAME_CPU.to_owned());
        Self { pair, last: None, busy_blocks: 0 }
    }

    /// That of the block of `slot`: what `trials` of the block say already, be it that there is none, or else measured now
    /// where the block begins.
    pub(crate) fn of(&mut self, slot: &Slot, trials: &[TrialRecord]) -> BlockFloor {
        match &self.last {
            Some((block, floor)) if *block == slot.block => floor.clone(),
            _ => {
                let floor = recorded(slot.block, trials).unwrap_or_else(|| self.measure(slot));
                self.last = Some((slot.block, floor.clone()));
                floor
            }
        }
    }

    fn measure(&mut self, slot: &Slot) -> BlockFloor {
        let measured = measure(slot.cell.payload_bytes, self.pair.clone()?);
        self.judge(measured)
    }

    /// Whether there is hope for the next block.
    fn judge(&mut self, measured: Result<Measured, FloorError>) -> BlockFloor {
        let error = match measured {
            Ok(floor) => {
                self.busy_blocks = 0;
                return Ok(floor);
            }
            Err(error) => error,
        };
        let is_passing = matches!(error, FloorError::Drowned | FloorError::Slow | FloorError::Stuck);
        self.busy_blocks += 1;
        // What is wrong otherwise would be so the next time; and to find nothing takes seconds where nothing moves.
        let is_slow = matches!(error, FloorError::Stuck) && self.busy_blocks >= BUSY_BLOCKS;
        if !is_passing || is_slow {
            self.pair = Err(error.to_string());
        }
        Err(error.to_string())
    }
}

/// What a trial of the block says, of a run that goes on.
fn recorded(block: usize, trials: &[TrialRecord]) -> Option<BlockFloor> {
    let servers = trials.iter().filter(|trial| trial.block == block).filter_map(|trial| trial.measured.as_ref());
    servers.filter_map(|measured| measured.server.as_ref()).find_map(|server| {
        let ServerMeasured { floor_ns_per_request, floor_echoes, floor_in_vain, floor_missing, .. } = server;
        match *floor_ns_per_request {
            Some(ns_per_request) => {
                Some(Ok(Measured { ns_per_request, echoes: *floor_echoes, in_vain: *floor_in_vain }))
            }
            None => floor_missing.clone().map(Err),
        }
    })
}

fn measure(payload_bytes: u32, pair: Pair) -> Result<Measured, FloorError> {
    let mut echo = Echo::open(payload_bytes, pair)?;
    let (mut window, mut why) = (WINDOW, FloorError::Drowned);
    for _ in 0..TRIES {
        let mut costs = Vec::with_capacity(WINDOWS);
        for _ in 0..WINDOWS {
            match echo.measure(window) {
                Ok(cost) if is_enough(&cost) => costs.push(cost),
                Ok(_) => (window, why) = ((window * 2).min(LONGEST_WINDOW), FloorError::Slow),
                Err(FloorError::Drowned) => why = FloorError::Drowned,
                Err(error) => return Err(error),
            }
        }
        if costs.len() >= ENOUGH_WINDOWS {
            return Ok(Measured::of(&costs));
        }
    }
    Err(why)
}

fn is_enough(cost: &EchoCost) -> bool {
    cost.echoes >= LEAST_ECHOES && cost.cpu_ns_per_echo.is_finite() && cost.cpu_ns_per_echo > 0.0
}

impl Measured {
    /// Of one window at least.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far from what does not fit")]
    fn of(costs: &[EchoCost]) -> Self {
        let middle = |figure: fn(&EchoCost) -> f64| {
            median(&costs.iter().map(figure).collect::<Vec<_>>()).expect("there is a window")
        };
        Self {
            ns_per_request: middle(|cost| cost.cpu_ns_per_echo),
            echoes: Some(costs.iter().map(|cost| cost.echoes).sum::<f64>() as u64),
            in_vain: Some(middle(EchoCost::in_vain)),
        }
    }
}

/// Puts the floor of its block into the record of a trial that was measured, and doubts one that is too far below.
pub(crate) fn record(floor: &BlockFloor, trial: &mut TrialRecord) {
    let Some(server) = trial.measured.as_mut().and_then(|measured| measured.server.as_mut()) else { return };
    match floor {
        Ok(floor) => {
            server.floor_ns_per_request = Some(floor.ns_per_request);
            server.floor_echoes = floor.echoes;
            server.floor_in_vain = floor.in_vain;
            doubt_below(trial);
        }
        Err(why) => server.floor_missing = Some(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;
    use crate::results::tests::{failed_trial, trial};
    use crate::sweep::slots;

    const FLOOR: Measured = Measured { ns_per_request: 3300.0, echoes: Some(1000), in_vain: Some(0.25) };

    #[test]
    fn where_both_sides_have_one_cpu_there_is_no_floor_and_every_trial_says_why() {
        let cpus = || [0].into_iter().collect();
        let plan = SweepPlan { server_cpus: cpus(), client_cpus: cpus(), ..plan() };
        let mut floors = Floors::new(&plan);
        for slot in slots(&plan, 1) {
            let floor = floors.of(&slot, &[]);
            let mut trial = trial("epoll");
            record(&floor, &mut trial);
            let server = trial.measured.unwrap().server.unwrap();
            assert_eq!((server.floor_ns_per_request, server.floor_missing.as_deref()), (None, Some(SAME_CPU)));
        }
    }

    #[test]
    fn a_floor_is_that_of_its_block() {
        let plan = plan();
        let slots: Vec<Slot> = slots(&plan, 1).collect();
        let mut floors = Floors { pair: Err("no pair".to_owned()), last: Some((1, Ok(FLOOR))), busy_blocks: 0 };
        let of_blocks: Vec<bool> = slots.iter().map(|slot| floors.of(slot, &[]).is_ok()).collect();
        assert_eq!(of_blocks, slots.iter().map(|slot| slot.block == 1).collect::<Vec<_>>());
        let mut trials = [trial("epoll"), failed_trial("epoll", "it died")];
        for trial in &mut trials {
            record(&Ok(FLOOR), trial);
        }
        let floor = |trial: &TrialRecord| trial.measured.as_ref().map(|one| one.server.as_ref()?.floor_ns_per_request);
        assert_eq!(trials.each_ref().map(floor), [Some(Some(3300.0)), None]);
    }

    #[test]
    fn a_block_that_is_gone_on_with_keeps_its_floor() {
        let plan = plan();
        let slot = slots(&plan, 1).next().unwrap();
        let older = Measured { echoes: None, in_vain: None, ..FLOOR };
        for floor in [Ok(FLOOR), Ok(older), Err("it was busy then".to_owned())] {
            let mut begun = TrialRecord { block: slot.block, ..trial("epoll") };
            record(&floor, &mut begun);
            let mut floors = Floors { pair: Err("no pair".to_owned()), last: None, busy_blocks: 0 };
            assert_eq!(floors.of(&slot, &[begun]), floor);
        }
    }

    #[test]
    fn a_machine_that_is_busy_is_tried_again_and_one_where_nothing_moves_not_for_ever() {
        let pair = Pair::of(&[0].into_iter().collect(), &[1].into_iter().collect()).ok_or_else(String::new);
        let mut floors = Floors { pair, last: None, busy_blocks: 0 };
        let mut goes_on_after = |measured| {
            let _ = floors.judge(measured);
            floors.pair.is_ok()
        };
        for _ in 0..2 * BUSY_BLOCKS {
            assert!(goes_on_after(Err(FloorError::Drowned)));
        }
        assert!(goes_on_after(Ok(FLOOR)));
        for _ in 1..BUSY_BLOCKS {
            assert!(goes_on_after(Err(FloorError::Stuck)));
        }
        assert!(!goes_on_after(Err(FloorError::Stuck)));
    }

    #[test]
    fn a_floor_is_the_median_of_its_windows() {
        let window = |cpu_ns_per_echo: f64, echoes: f64| EchoCost {
            cpu_ns_per_echo,
            echoes,
            echoes_per_s: echoes,
            window_ns: 1,
            cpu_ns: 1_000_000,
            receives_in_vain: 0,
            receive_in_vain_ns: 0.0,
            sends_in_vain: 0,
            send_in_vain_ns: 0.0,
        };
        let floor = Measured::of(&[window(3000.0, 100.0), window(99_000.0, 10.0), window(3200.0, 50.0)]);
        assert_eq!((floor.ns_per_request, floor.echoes), (3200.0, Some(160)));
        assert!(is_enough(&window(1.0, 5.0)) && !is_enough(&window(1.0, 4.0)) && !is_enough(&window(-1.0, 9.0)));
    }
}
