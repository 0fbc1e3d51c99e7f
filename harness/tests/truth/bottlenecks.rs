//! What kept throughput from being higher, where that was arranged.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;

use harness::cpus::{self, CpuSet};
use harness::plan::SweepPlan;
use harness::results::{Bottleneck, KeptTrials, TrialRecord, Writer};
use harness::sweep::{self, Slot, Sweep};
use serde_json::json;

use crate::{alone, ensure, ground_truth_executable, needs_quiet_machine, says, swept, two_cpus};

const WINDOW: &str = "--backends epoll --warmup 50ms --duration 400ms";

fn is(trial: &TrialRecord, bottleneck: Bottleneck) -> Result<(), String> {
    ensure(trial.bottleneck == Some(bottleneck), || {
        let measured = trial.measured.as_ref().unwrap();
        let (server, client) = (measured.server.as_ref().and_then(|server| server.utilisation), &measured.client);
        format!("{:?}: {server:?} and {}, {:?}", trial.bottleneck, client.utilisation, trial.reasons)
    })
}

#[test]
fn a_server_slowed_on_purpose() {
    let _alone = alone();
    let Some(cpus) = two_cpus() else { return };
    needs_quiet_machine(|| {
        let trial = slowed_server(cpus);
        is(&trial, Bottleneck::Server)?;
        let busiest = trial.measured.as_ref().unwrap().server.as_ref().unwrap().busiest_thread;
        // Eight connections, each with a thread, by turns.
        let shares = busiest.is_none_or(|share| (0.1..0.3).contains(&share));
        ensure(shares, || format!("the busiest of eight threads ran for {busiest:?} of the time"))?;
        ensure(!says(&trial, "the load generator was"), || format!("{:?}", trial.reasons))
    });
}

/// Carries 64 KiB without a payload in one piece, each of whose 16,384 frames the generator checks and times.
#[test]
fn a_generator_with_more_to_do_than_its_server() {
    let _alone = alone();
    if two_cpus().is_none() {
        return;
    }
    needs_quiet_machine(|| {
        let trial = swept(&format!("{WINDOW} --protocol raw --connections 2 --payload 0 --depth 16384"));
        is(&trial, Bottleneck::Client)?;
        assert!(says(&trial, "the load generator was busy"), "{:?}", trial.reasons);
        Ok(())
    });
}

#[test]
fn a_low_rate() {
    let _alone = alone();
    if two_cpus().is_none() {
        return;
    }
    needs_quiet_machine(|| {
        let trial = swept(&format!("{WINDOW} --connections 4 --rate 3000"));
        is(&trial, Bottleneck::Rate)
    });
}

#[test]
fn a_single_connection_waits_for_its_answers() {
    let _alone = alone();
    if two_cpus().is_none() {
        return;
    }
    needs_quiet_machine(|| {
        let trial = swept(&format!("{WINDOW} --connections 1"));
        is(&trial, Bottleneck::Latency)
    });
}

#[test]
fn sides_on_one_cpu() {
    let _alone = alone();
    let cpu = cpus::cores().unwrap()[0].iter().next().unwrap();
    let trial = swept(&format!("{WINDOW} --connections 8 --server-cpus {cpu} --client-cpus {cpu}"));
    assert!(says(&trial, "server and load generator shared a CPU"), "{:?}", trial.reasons);
    needs_quiet_machine(|| {
        let trial = swept(&format!("{WINDOW} --connections 8 --server-cpus {cpu} --client-cpus {cpu}"));
        is(&trial, Bottleneck::Client)
    });
}

/// A sweep whose server is not ours, and burns 50 µs of CPU for each answer.
fn slowed_server((server_cpu, client_cpu): (usize, usize)) -> TrialRecord {
    let directory = tempfile::tempdir().unwrap();
    let stand_in = directory.path().join("server");
    let script = format!("#!/bin/sh\nexec '{}' --spin 50us -- \"$@\"\n", ground_truth_executable().display());
    fs::write(&stand_in, script).unwrap();
    fs::set_permissions(&stand_in, Permissions::from_mode(0o755)).unwrap();
    let plan: SweepPlan = serde_json::from_value(json!({
        "backends": ["epoll"], "protocol": "framed", "transport": "tcp",
        "connections": [8], "payload_bytes": [64], "depth": [1], "rate_rps": [null], "arrivals": "constant",
        "server_threads": [1], "trials": 1, "warmup_ns": 50_000_000, "duration_ns": 400_000_000,
        "server_cpus": CpuSet::from_iter([server_cpu]), "client_cpus": CpuSet::from_iter([client_cpu]),
    }))
    .unwrap();
    let mut trials = KeptTrials::new();
    let sweep = Sweep { plan: &plan, seed: 1, server_executable: &stand_in };
    let mut writer = Writer::create(&directory.path().join("run.jsonl")).unwrap();
    sweep::run(sweep, &mut trials, &mut writer, &mut Unobserved, &AtomicBool::new(false)).unwrap();
    let trial = trials.into_vec().remove(0);
    assert_eq!(trial.error, None);
    trial
}

struct Unobserved;

impl sweep::Observer for Unobserved {
    fn trial_starts(&mut self, _: &Slot) {}
    fn trial_ended(&mut self, _: &TrialRecord) {}
}
