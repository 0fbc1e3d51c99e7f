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
pub fn replay(run: &RunRecord, trials: &[TrialRecord]) -> Option<Vec<BackendCapacity>> {
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

#[cfg(test)]
mod tests {
    use super::super::run::tests::{capacity_plan, plan, search, served};
    use super::*;
    use crate::environment::{Build, Conditions, Environment};
    use crate::results::SCHEMA_VERSION;

    #[test]
    fn a_recorded_search_comes_to_what_it_came_to() {
        let searched = search("p99<5ms", |slot| Some(served(slot)));
        let run = RunRecord {
            schema_version: SCHEMA_VERSION,
            started: "2026-01-02T03:04:05Z".to_owned(),
            build: Build::current(),
            plan: plan(),
            seed: 7,
            environment: Environment::default(),
            conditions: Conditions::default(),
            generator: None,
            capacity: Some(capacity_plan("p99<5ms", None)),
        };
        let json = |capacities: &[BackendCapacity]| serde_json::to_value(capacities).unwrap();
        let replayed = replay(&run, &searched.trials).unwrap();
        assert!(replayed.iter().all(|one| one.capacity_rps.is_some()), "{replayed:?}");
        assert_eq!(json(&replayed), json(&searched.capacities));

        let mut otherwise = searched.trials.clone();
        otherwise[5].cell.rate_rps = otherwise[5].cell.rate_rps.map(|rps| rps * 1.5);
        assert!(replay(&run, &otherwise).is_none(), "it would not have asked for that");
        assert!(replay(&RunRecord { seed: 8, ..run.clone() }, &searched.trials).is_none());
        let two_cells = crate::plan::SweepPlan { connections: vec![1, 2], ..plan() };
        assert!(replay(&RunRecord { plan: two_cells, ..run.clone() }, &searched.trials).is_none());
        assert!(replay(&RunRecord { capacity: None, ..run.clone() }, &searched.trials).is_none());

        // It may have been interrupted long before its time was up.
        let reasons = |budget_ns, trials: usize| {
            let run = RunRecord { capacity: Some(capacity_plan("p99<5ms", budget_ns)), ..run.clone() };
            replay(&run, &searched.trials[..trials]).unwrap().swap_remove(1).reasons
        };
        let early = "the search ended before its edge was found";
        assert_eq!(
            reasons(Some(u64::MAX), 4),
            [format!("{early}; it was interrupted, or its time was up (see --budget)")]
        );
        assert_eq!(reasons(None, 4), [early]);
        assert!(reasons(Some(u64::MAX), searched.trials.len()).is_empty());
    }
}
