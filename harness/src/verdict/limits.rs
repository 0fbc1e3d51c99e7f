//! Whether a limit of a control group took part.

use super::Evidence;
use super::machine::{STOOD_STILL, sides};
use crate::interference::Disturbance;

pub(super) fn reasons_to_doubt(evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    for (name, side) in sides(evidence) {
        let did = &side.control_groups;
        let happened = |events: Option<u64>| events.is_some_and(|events| events > 0);
        if was_stopped(side, evidence) {
            // In one unit, so that reasons are alike but for their numbers.
            reasons.push(format!("the CPU quota stopped the {name} for {:.2} s", stopped_ns(side) as f64 / 1e9));
        }
        if happened(did.memory_high) {
            reasons.push(format!("memory.high of the control group slowed the {name} down"));
        }
        if happened(did.memory_max) {
            reasons.push(format!("the {name} reached the memory limit of its control group"));
        }
        if happened(did.oom_kills) {
            reasons.push(format!("the kernel killed a process in the control group of the {name} for lack of memory"));
        }
        if happened(did.pids_refused) {
            reasons.push(format!("the control group of the {name} refused threads (pids.max)"));
        }
    }
    reasons
}

/// As with a CPU that stood still, the share of the time in which it was stopped is at least the share of requests that
/// waited for it.
pub(super) fn was_stopped(side: &Disturbance, evidence: &Evidence) -> bool {
    stopped_ns(side) as f64 >= STOOD_STILL * evidence.elapsed_ns.max(1) as f64
}

/// For how long its CPU quota stopped a side; the time of several CPUs is added up.
pub(super) fn stopped_ns(side: &Disturbance) -> u64 {
    side.control_groups.cpu_quota_stopped_ns.unwrap_or(0)
}
