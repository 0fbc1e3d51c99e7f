//! What a search that was recorded came to: it is gone through again, with the trials of its file.
//!
//! A search follows from its plan, its seed and its trials alone, so that nothing it came to has to be stored.

use std::path::Path;

use super::found::BackendCapacity;
use super::run::{CapacityRun, CapacitySearch, lowest_rate_rps};
use crate::load::LoadPlan;
use crate::results::{RunRecord, TrialRecord};

/// More repeats than a search can be asked for.
const TOO_MANY_REPEATS: usize = 1_000_000;

/// The capacities of all backends, in the order of the plan; none where these are not the trials that such a search makes,
/// or the run was no search.
#[must_use]
pub fn recorded(run: &RunRecord, trials: &[TrialRecord]) -> Option<Vec<BackendCapacity>> {
    let (plan, capacity) = (&run.plan, run.capacity.as_ref()?);
    let lengths = [&plan.connections, &plan.depth, &plan.server_threads, &plan.idle_connections].map(Vec::len);
    let has_one_cell = lengths == [1; 4] && plan.payload_bytes.len() == 1;
    let lowest_rps = lowest_rate_rps(&capacity.slo, plan.duration());
    let can_be_searched = (f64::MIN_POSITIVE..=1.0).contains(&capacity.resolution)
        && (1..TOO_MANY_REPEATS).contains(&capacity.repeats)
        && (f64::MIN_POSITIVE..=LoadPlan::MAX_RATE_RPS).contains(&lowest_rps);
    if !has_one_cell || !can_be_searched {
        return None;
    }
    let mut search =
        CapacitySearch::new(CapacityRun { plan, capacity, seed: run.seed, server_executable: Path::new("") });
    if !trials.iter().all(|trial| search.replay(trial)) {
        return None;
    }
    search.end_replay();
    Some(search.capacities())
}
