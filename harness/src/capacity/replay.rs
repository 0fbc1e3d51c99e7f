//! What a search came to, found again from its results file.
//!
//! A search follows from its plan, its seed and what its trials answered. So it is taken through the recorded trials once more,
//! and comes to what was printed when it ended, without anything that can be derived being stored.

use super::run::{CapacityRun, CapacitySearch};
use super::{BackendCapacity, run};
use crate::results::{RunRecord, TrialRecord};

/// What is known of the capacity of each backend, in the order of the plan; none where the run was no search, or one that
/// would ask for other rates than those that it was given: another version made it.
#[must_use]
pub fn replay(run: &RunRecord, trials: &[TrialRecord]) -> Option<Vec<BackendCapacity>> {
    let capacity = run.capacity.as_ref()?;
    if !run::is_of_one_cell(&run.plan) {
        return None;
    }
    let server_executable = std::path::Path::new("");
    let mut search = CapacitySearch::new(CapacityRun { plan: &run.plan, capacity, seed: run.seed, server_executable });
    trials.iter().all(|trial| search.take_recorded(trial)).then(|| search.capacities())
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
        assert!(replay(&RunRecord { capacity: None, ..run }, &searched.trials).is_none());
    }
}
