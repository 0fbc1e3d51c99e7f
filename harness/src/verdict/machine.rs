//! Whether the machine left a trial alone.

use super::Evidence;
use super::limits::{stopped_ns, was_stopped};
use crate::interference::Disturbance;

/// Others disturbed a trial from here on. They are told from both sides by what is left of ticks of 10 ms, and the thread
/// that watches the trial and those of the kernel need a little, too.
const NEIGHBOURS: f64 = 0.05;

/// A share of the time in which nothing ran, because a CPU stood still or was stolen, is at least the share of requests
/// that waited for it. From one in a hundred on, the p99 is the machine's and not the server's.
pub(super) const STOOD_STILL: f64 = 0.01;

/// A thread that loses its CPU was at work on a request. As above, one request in a hundred;
const INTERRUPTED_REQUESTS: f64 = 0.01;
/// where there are few of them, not for what the kernel itself does now and then.
const INTERRUPTIONS_PER_S: f64 = 100.0;
/// A rate that is made of fewer of them says nothing: in a short window one is many a second.
const FEWEST_INTERRUPTIONS: f64 = 10.0;

pub(super) fn reasons_to_doubt(evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.cpus_shared {
        reasons.push("server and load generator shared a CPU".to_owned());
    }
    if evidence.server_left_its_cpus {
        reasons.push("the server chose other CPUs than those given to it".to_owned());
    }
    for (name, side) in sides(evidence) {
        if has_neighbours(side, evidence) {
            reasons.push(format!("other processes took CPU time of the {name}"));
        }
        if was_stolen(side) {
            reasons.push(format!("the hypervisor took CPU time of the {name}"));
        }
        if had_hiccups(side, evidence) {
            reasons.push(format!("a CPU of the {name} stood still for a while"));
        }
        if was_interrupted(side, evidence) {
            reasons.push(format!("threads of the {name} were interrupted often"));
        }
    }
    reasons
}

/// Whether a side that looks idle may have been kept from its CPUs.
pub(super) fn kept_from_cpus(evidence: &Evidence) -> bool {
    sides(evidence).into_iter().any(|(_, side)| {
        has_neighbours(side, evidence) || was_stolen(side) || had_hiccups(side, evidence) || was_stopped(side, evidence)
    })
}

pub(super) fn sides(evidence: &Evidence) -> [(&'static str, &Disturbance); 2] {
    [("server", &evidence.interference.server), ("load generator", &evidence.interference.client)]
}

/// A thread that a quota keeps from running waits for a CPU as well, although no other process has it.
fn has_neighbours(side: &Disturbance, evidence: &Evidence) -> bool {
    let stopped = stopped_ns(side) as f64 / evidence.elapsed_ns.max(1) as f64;
    let waited = side.waited.map(|share| share - stopped);
    [side.neighbours, waited].into_iter().flatten().any(|share| share >= NEIGHBOURS)
}

fn was_stolen(side: &Disturbance) -> bool {
    side.stolen.is_some_and(|share| share >= STOOD_STILL)
}

/// The threads that watch the CPUs are in the control group of the load generator: what stops it stops them.
fn had_hiccups(side: &Disturbance, evidence: &Evidence) -> bool {
    let stopped_ns = stopped_ns(&evidence.interference.client);
    let still_ns = side.hiccup_total_ns.map(|ns| ns.saturating_sub(stopped_ns));
    still_ns.is_some_and(|ns| ns as f64 >= STOOD_STILL * evidence.elapsed_ns.max(1) as f64)
}

fn was_interrupted(side: &Disturbance, evidence: &Evidence) -> bool {
    let limit = INTERRUPTIONS_PER_S.max(INTERRUPTED_REQUESTS * evidence.throughput_rps());
    let window_s = evidence.elapsed_ns as f64 / 1e9;
    side.involuntary_switches_per_s
        .is_some_and(|switches| switches > limit && switches * window_s >= FEWEST_INTERRUPTIONS)
}
