//! The floor beside the trials: what the kernel charges for an echo of their payload, measured anew for every block.
//!
//! A machine changes from minute to minute, so a floor counts for the block before which it was measured. Its connections
//! are closed and its threads have ended when the first trial begins: they disturb none.

use std::time::Duration;

use super::Slot;
use crate::floor::{Echo, FloorError, Pair};
use crate::plan::SweepPlan;
use crate::results::TrialRecord;

/// Short, for there is one for every block; thousands of echoes all the same. With what is around it, it adds 2 % to a sweep of
/// as many trials as there are by default.
const WINDOW: Duration = Duration::from_millis(30);

/// The CPUs have to be two: on one, the ends would wait for each other.
const SAME_CPU: &str = "the first CPU of the servers is the first of the load generator, too";

/// The floors of the blocks of a run, as they come.
pub(crate) struct Floors {
    /// None where there is no floor to be had.
    pair: Option<Pair>,
    /// Why there is none, until it is told.
    without: Option<String>,
    /// The last one: its block, and what came of it.
    last: Option<(usize, Option<f64>)>,
}

impl Floors {
    /// Nothing is measured yet.
    pub(crate) fn new(plan: &SweepPlan) -> Self {
        let pair = Pair::of(&plan.server_cpus, &plan.client_cpus);
        Self { pair, without: pair.is_none().then(|| SAME_CPU.to_owned()), last: None }
    }

    /// CPU time for one echo, in ns, for the block of `slot`: measured now where that has begun; none where that failed.
    pub(crate) fn ns_per_request(&mut self, slot: &Slot) -> Option<f64> {
        if let Some((block, floor_ns)) = self.last
            && block == slot.block
        {
            return floor_ns;
        }
        let measured = Echo::open(slot.cell.payload_bytes, self.pair?).and_then(|mut echo| echo.measure(WINDOW));
        let floor_ns = match measured {
            Ok(cost) => Some(cost.cpu_ns_per_echo).filter(|ns| ns.is_finite() && *ns > 0.0),
            Err(error) => {
                // The next block may find the machine less busy; otherwise it would fail as this one did.
                if !matches!(error, FloorError::Drowned) {
                    self.pair = None;
                }
                self.without = Some(error.to_string());
                None
            }
        };
        self.last = Some((slot.block, floor_ns));
        floor_ns
    }

    /// Why there is no floor, once.
    pub(crate) fn take_reason(&mut self) -> Option<String> {
        self.without.take()
    }
}

/// Puts the floor of its block into the record of a trial that was measured.
pub(crate) fn record(floor_ns: Option<f64>, trial: &mut TrialRecord) {
    if let Some(server) = trial.measured.as_mut().and_then(|measured| measured.server.as_mut()) {
        server.floor_ns_per_request = floor_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;
    use crate::results::tests::{failed_trial, trial};
    use crate::sweep::slots;

    #[test]
    fn where_both_sides_have_one_cpu_there_is_no_floor_and_the_reason_is_told_once() {
        let cpus = || [0].into_iter().collect();
        let plan = SweepPlan { server_cpus: cpus(), client_cpus: cpus(), ..plan() };
        let mut floors = Floors::new(&plan);
        let slots = slots(&plan, 1);
        assert!(slots.iter().all(|slot| floors.ns_per_request(slot).is_none()));
        assert_eq!((floors.take_reason().as_deref(), floors.take_reason()), (Some(SAME_CPU), None));
    }

    #[test]
    fn a_floor_is_that_of_its_block() {
        let plan = plan();
        let slots = slots(&plan, 1);
        let mut floors = Floors { pair: None, without: None, last: Some((1, Some(3300.0))) };
        let of_blocks: Vec<bool> = slots.iter().map(|slot| floors.ns_per_request(slot).is_some()).collect();
        assert_eq!(of_blocks, slots.iter().map(|slot| slot.block == 1).collect::<Vec<_>>());
        let mut trials = [trial("epoll"), failed_trial("epoll", "it died")];
        for trial in &mut trials {
            record(Some(3300.0), trial);
        }
        let floor = |trial: &TrialRecord| trial.measured.as_ref().map(|one| one.server.as_ref()?.floor_ns_per_request);
        assert_eq!(trials.each_ref().map(floor), [Some(Some(3300.0)), None]);
    }
}
