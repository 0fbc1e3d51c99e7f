//! The capacity of a server whose capacity is known.

use serde_json::Value;

use crate::support::harness;
use crate::{alone, ensure, ground_truth_executable, needs_quiet_machine};

/// A stranger that burns 200 µs of a CPU for each request, one after the other: 5,000/s are all that it can do.
#[test]
fn a_server_that_can_do_five_thousand_a_second() {
    let _alone = alone();
    let slow = format!("slow='{}' --spin 200us --listen {{host}}:{{port}}", ground_truth_executable().display());
    let arguments = ["capacity", "--slo", "p99<20ms", "--backends", "none", "--server", &slow, "--connections", "1"];
    let rest = ["--resolution", "20", "--repeats", "2", "--warmup", "20ms", "--duration", "250ms", "--budget", "7s"];
    needs_quiet_machine(|| {
        let directory = tempfile::tempdir().unwrap();
        let ended = harness(&[arguments.as_slice(), &rest, &["--json"]].concat(), directory.path());
        ensure((ended.code(), ended.stderr.len()) == (Some(0), 0), || format!("{ended:?}"))?;
        let capacity: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
        assert_eq!(capacity["backend"], "slow");
        ensure(capacity["limited_by"] == "slo", || capacity.to_string())?;
        for figure in ["low_rps", "capacity_rps", "high_rps"] {
            let rps = capacity[figure].as_f64();
            ensure(rps.is_some_and(|rps| (2500.0..10_000.0).contains(&rps)), || format!("{figure} in {capacity}"))?;
        }
        let cpu_ns = capacity["when_met"]["server_cpu_ns_per_request"].as_f64();
        ensure(cpu_ns.is_none_or(|ns| (100_000.0..400_000.0).contains(&ns)), || capacity.to_string())
    });
}
