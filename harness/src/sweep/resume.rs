//! Whether a recorded run may be continued: nothing about it may have changed but that it was cut short.

use super::order::further_round_of;
use super::{Slot, Sweep, further_slots, slots};
use crate::environment::{Build, Environment};
use crate::results::{RunRecord, TrialRecord, difference, differences, environment_differences};

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
    origin.extend(environment_differences(&run.environment, &Environment::read()));
    if !origin.is_empty() {
        return Err(Mismatch::Origin(origin));
    }
    let mut round = None;
    let mut slots = slots_of_round(sweep, round);
    for trial in trials {
        let round_now = further_round_of(sweep.plan, trial.trial);
        if round_now != round {
            round = round_now;
            slots = slots_of_round(sweep, round);
        }
        // Their numbers ascend.
        let slot = slots.binary_search_by_key(&trial.trial, |slot| slot.trial).ok().map(|place| &slots[place]);
        let place = (trial.block, &trial.backend, &trial.cell);
        if !slot.is_some_and(|slot| (slot.block, &slot.backend, &slot.cell) == place) {
            return Err(Mismatch::Order(trial.trial));
        }
    }
    Ok(())
}

fn slots_of_round(sweep: Sweep<'_>, round: Option<usize>) -> Vec<Slot> {
    match round {
        None => slots(sweep.plan, sweep.seed),
        Some(round) => further_slots(sweep.plan, sweep.seed, round),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::environment::Conditions;
    use crate::plan::SweepPlan;
    use crate::plan::tests::plan;
    use crate::results::SCHEMA_VERSION;
    use crate::results::tests::trial;

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
            generator: None,
            conditions: Conditions::default(),
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
    fn another_setting_of_the_machine_is_named() {
        let mut run = run();
        run.environment.limits.transparent_huge_pages = Some("sometimes".to_owned());
        let error = check(&plan(), 7, &run, &[]).unwrap_err().to_string();
        assert!(error.contains("limits.transparent_huge_pages was \"sometimes\" and is"), "{error}");
        run.environment = Environment::read();
        // A quota that came or went is another machine, though there is null on one side.
        run.environment.cgroup.cpu_quota_millicpus = match run.environment.cgroup.cpu_quota_millicpus {
            None => Some(1500),
            Some(_) => None,
        };
        let error = check(&plan(), 7, &run, &[]).unwrap_err().to_string();
        assert!(error.contains("cgroup.cpu_quota_millicpus was "), "{error}");
        run.environment = Environment::read();
        run.environment.clock.available = Some(vec!["sundial".to_owned()]);
        let error = check(&plan(), 7, &run, &[]).unwrap_err().to_string();
        assert!(error.ends_with(": clock.available differs"), "{error}");
    }

    #[test]
    fn how_the_machine_was_at_the_time_does_not_matter() {
        let mut run = run();
        run.conditions.load_average = Some([99.0; 3]);
        run.conditions.process.descriptors_soft = Some(1);
        run.conditions.steal_since_boot = Some(1.0);
        assert_eq!(check(&plan(), 7, &run, &[]), Ok(()));
    }

    #[test]
    fn a_run_of_an_earlier_version_goes_on() {
        let mut line = serde_json::to_value(run()).unwrap();
        let fields = [
            "kernel",
            "cpu_model",
            "cpus",
            "memory_bytes",
            "loopback_mtu_bytes",
            "tcp_congestion_control",
            "virtualised",
        ];
        line["environment"].as_object_mut().unwrap().retain(|name, _| fields.contains(&name.as_str()));
        line.as_object_mut().unwrap().remove("conditions");
        let mut earlier: RunRecord = serde_json::from_value(line).unwrap();
        assert_eq!(check(&plan(), 7, &earlier, &[]), Ok(()));
        earlier.environment.cpus = Some(4096);
        let error = check(&plan(), 7, &earlier, &[]).unwrap_err().to_string();
        assert!(error.contains("cpus was 4096 and is"), "{error}");
    }

    #[test]
    fn trials_of_further_rounds_are_those_of_the_seed_whatever_was_left_out() {
        let third = in_place(further_slots(&plan(), 7, 3).swap_remove(5));
        let trials = [in_place(slots(&plan(), 7).swap_remove(0)), third.clone()];
        assert_eq!(check(&plan(), 7, &run(), &trials), Ok(()));
        let elsewhere = TrialRecord { backend: "threads".to_owned(), ..third };
        assert_eq!(check(&plan(), 7, &run(), std::slice::from_ref(&elsewhere)), Err(Mismatch::Order(elsewhere.trial)));
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
