//! Whether a recorded run may be continued: nothing about it may have changed but that it was cut short.

use serde_json::Value;

use super::{Sweep, slots};
use crate::environment::{Build, Environment};
use crate::results::{RunRecord, TrialRecord};

/// Why a recorded run cannot be continued.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Something else is asked for now.
    #[error("it was recorded with other settings: {}", .0.join(", "))]
    Settings(Vec<String>),
    /// What would be measured is no longer the same.
    #[error("it was recorded by another build or on another machine: {}", .0.join(", "))]
    Origin(Vec<String>),
    /// Its trials are not those of its plan and seed.
    #[error("its trial {0} is not the one that its plan and seed have there")]
    Order(usize),
}

/// Checks that `sweep`, begun here and now, would be the run that was recorded.
pub fn check_resumable(sweep: Sweep<'_>, run: &RunRecord, trials: &[TrialRecord]) -> Result<(), Mismatch> {
    let mut settings = differences(&run.plan, sweep.plan);
    settings.extend(difference("seed", &run.seed.into(), &sweep.seed.into()));
    if !settings.is_empty() {
        return Err(Mismatch::Settings(settings));
    }
    let mut origin = differences(&run.build, &Build::current());
    origin.extend(differences(&run.environment, &Environment::read()));
    if !origin.is_empty() {
        return Err(Mismatch::Origin(origin));
    }
    let slots = slots(sweep.plan, sweep.seed);
    for trial in trials {
        let slot = trial.trial.checked_sub(1).and_then(|index| slots.get(index));
        let place = (trial.block, &trial.backend, &trial.cell);
        if !slot.is_some_and(|slot| (slot.block, &slot.backend, &slot.cell) == place) {
            return Err(Mismatch::Order(trial.trial));
        }
    }
    Ok(())
}

/// Field by field, as they stand in the file.
fn differences(recorded: &impl serde::Serialize, now: &impl serde::Serialize) -> Vec<String> {
    let (Ok(Value::Object(recorded)), Ok(Value::Object(now))) =
        (serde_json::to_value(recorded), serde_json::to_value(now))
    else {
        unreachable!("plain structs are JSON objects")
    };
    now.iter().filter_map(|(name, now)| difference(name, recorded.get(name).unwrap_or(&Value::Null), now)).collect()
}

fn difference(name: &str, recorded: &Value, now: &Value) -> Option<String> {
    (recorded != now).then(|| format!("{name} was {recorded} and is {now}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::SweepPlan;
    use crate::plan::tests::plan;
    use crate::results::SCHEMA_VERSION;
    use crate::results::tests::trial;
    use crate::sweep::Slot;

    fn check(plan: &SweepPlan, seed: u64, run: &RunRecord, trials: &[TrialRecord]) -> Result<(), Mismatch> {
        check_resumable(Sweep { plan, seed, server_executable: Path::new("") }, run, trials)
    }

    fn run() -> RunRecord {
        RunRecord {
            schema_version: SCHEMA_VERSION,
            started: String::new(),
            build: Build::current(),
            plan: plan(),
            seed: 7,
            environment: Environment::read(),
            capacity: None,
        }
    }

    fn in_place(slot: Slot) -> TrialRecord {
        let Slot { trial: number, block, backend, cell, .. } = slot;
        TrialRecord { trial: number, block, backend, cell, ..trial("epoll") }
    }

    #[test]
    fn the_same_run_goes_on() {
        let slot = slots(&plan(), 7).swap_remove(3);
        assert_eq!(check(&plan(), 7, &run(), &[in_place(slot)]), Ok(()));
    }

    #[test]
    fn other_settings_are_named() {
        let other = SweepPlan { trials: 9, ..plan() };
        let error = check(&other, 8, &run(), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it was recorded with other settings: trials was 2 and is 9, seed was 7 and is 8"
        );
    }

    #[test]
    fn another_kernel_is_named() {
        let mut run = run();
        run.environment.kernel = "2.6.0".to_owned();
        let error = check(&plan(), 7, &run, &[]).unwrap_err().to_string();
        assert!(error.contains("kernel was \"2.6.0\" and is"), "{error}");
    }

    #[test]
    fn trials_of_another_order_are_refused() {
        let trials = [TrialRecord { trial: 99, ..trial("epoll") }];
        assert_eq!(check(&plan(), 7, &run(), &trials), Err(Mismatch::Order(99)));
    }

    #[test]
    fn a_trial_of_another_block_is_refused() {
        let slot = slots(&plan(), 7).swap_remove(3);
        let trial = TrialRecord { block: slot.block + 1, ..in_place(slot) };
        assert_eq!(check(&plan(), 7, &run(), &[trial]), Err(Mismatch::Order(4)));
    }
}
