//! Findings about the processor: how fast it runs, how deep it sleeps, what its CPUs share.

use std::collections::{BTreeMap, BTreeSet};

use super::Level::{Good, Note, Warning};
use super::{Check, Finding, Subject, Topic};
use crate::figures;

pub(super) const CHECKS: &[Check] = &[governor, turbo, smt, numa, idle_states, mitigations, isolation];

/// Waking from such a state takes longer than many a round trip.
const SLOW_WAKE_US: u64 = 50;

fn governor(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "governor",
        effect: "A CPU that was idle for a moment runs slower for a while: light load looks worse than heavy load, and runs \
                 do not repeat.",
        change: "cpupower frequency-set -g performance",
    };
    let mut cpus: BTreeMap<&str, usize> = BTreeMap::new();
    for policy in subject.environment.frequency.policies.as_ref()? {
        *cpus.entry(policy.governor.as_deref()?).or_default() +=
            policy.cpus.as_ref().map_or(1, crate::cpus::CpuSet::len);
    }
    let level = if cpus.keys().all(|governor| *governor == "performance") { Good } else { Warning };
    let value = cpus.iter().map(|(governor, cpus)| format!("{governor} on {}", figures::counted(*cpus, "CPU")));
    Some(topic.found(level, value.collect::<Vec<_>>().join(", ")))
}

fn turbo(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "turbo",
        effect: "How fast a CPU runs depends on its temperature and on how many others are busy: the first trials may be \
                 faster than the last.",
        change: "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo, or echo 0 > /sys/devices/system/cpu/cpufreq/boost",
    };
    Some(if subject.environment.frequency.turbo? { topic.found(Note, "on") } else { topic.found(Good, "off") })
}

fn smt(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "smt",
        effect: "CPUs of one core slow each other down. A sweep keeps both on one side, but what else runs there is felt.",
        change: "echo off > /sys/devices/system/cpu/smt/control",
    };
    Some(if subject.environment.topology.smt_active? { topic.found(Note, "on") } else { topic.found(Good, "off") })
}

fn numa(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "NUMA",
        effect: "Memory and packets that cross from one node to another take longer, and where they lie differs from run to \
                 run.",
        change: "keep both sides on one node: --server-cpus and --client-cpus, or numactl --cpunodebind=0 --membind=0",
    };
    let nodes = subject.environment.topology.numa_nodes.as_ref()?.len();
    Some(topic.found(if nodes > 1 { Note } else { Good }, figures::counted(nodes, "node")))
}

fn idle_states(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "idle states",
        effect: "A CPU that sleeps deeply wakes late: at light load that is most of the latency, and not the backend.",
        change: "cpupower idle-set -D 10, or keep /dev/cpu_dma_latency open with a 0 in it",
    };
    let slowest = subject.environment.idle.slowest_wake_us()?;
    let level = if slowest >= SLOW_WAKE_US { Note } else { Good };
    // To a guest every state is the same one; how deep the host then sleeps does not show.
    let guest = subject.environment.virtualised == Some(true);
    let besides = if guest { "; what the hypervisor adds is not in that" } else { "" };
    Some(topic.found(level, format!("waking takes up to {slowest} µs, as the driver says{besides}")))
}

fn mitigations(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "mitigations",
        effect: "They make system calls and context switches dearer: backends that need more of them lose more than on a \
                 processor that is not affected.",
        change: "leave them as they are where the servers will run; mitigations=off at boot shows what they cost",
    };
    let states = subject.environment.kernel_build.mitigations.as_ref()?;
    let named = |start: &str| -> BTreeSet<&str> {
        states.iter().filter(|(_, state)| state.starts_with(start)).map(|(name, _)| name.as_str()).collect()
    };
    let (active, absent) = (named("Mitigation"), named("Vulnerable"));
    let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
    Some(match (active.len(), absent.len()) {
        (0, 0) => topic.found(Good, "none needed"),
        (0, _) => topic.found(Note, format!("none active, vulnerable to {}", list(absent))),
        (_, 0) => topic.found(Note, format!("active against {}", list(active))),
        _ => topic.found(Note, format!("active against {}; vulnerable to {}", list(active), list(absent))),
    })
}

fn isolation(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "isolated CPUs",
        effect: "The scheduler moves no thread onto or between them by itself: threads that are not pinned one to a CPU pile \
                 up on the first.",
        change: "give a side as many threads as it has isolated CPUs, or leave them out: --server-cpus, --client-cpus",
    };
    let isolated = subject.environment.topology.isolated.as_ref()?;
    if isolated.is_empty() {
        return Some(topic.found(Good, "none"));
    }
    Some(topic.found(Note, isolated.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::{Patient, finds};
    use crate::environment::{FrequencyPolicy, IdleState, NumaNode};

    fn policy(cpus: &str, governor: &str) -> FrequencyPolicy {
        FrequencyPolicy { cpus: cpus.parse().ok(), governor: Some(governor.to_owned()), ..FrequencyPolicy::default() }
    }

    #[test]
    fn one_cpu_that_is_not_at_full_speed_is_enough() {
        let patient = finds("governor", Warning, |patient| {
            patient.environment.frequency.policies = Some(vec![policy("0-2", "performance"), policy("3", "schedutil")]);
        });
        assert_eq!(patient.value("governor"), "performance on 3 CPUs, schedutil on 1 CPU");
    }

    #[test]
    fn what_the_cpus_share_is_noted() {
        finds("turbo", Note, |patient| patient.environment.frequency.turbo = Some(true));
        finds("smt", Note, |patient| patient.environment.topology.smt_active = Some(true));
        finds("NUMA", Note, |patient| patient.environment.topology.numa_nodes = Some(vec![NumaNode::default(); 2]));
        finds("isolated CPUs", Note, |patient| patient.environment.topology.isolated = "2-3".parse().ok());
    }

    #[test]
    fn deep_sleep_is_noted_unless_it_is_switched_off() {
        let state = |disabled| {
            Some(vec![IdleState { name: Some("C6".into()), latency_us: Some(133), disabled: Some(disabled) }])
        };
        finds("idle states", Note, |patient| patient.environment.idle.states = state(false));
        let mut patient = Patient::healthy();
        patient.environment.idle.states = state(true);
        assert_eq!(patient.complaints(), []);
    }

    #[test]
    fn mitigations_are_noted_by_name_and_so_is_their_absence() {
        let with = |state: &str| {
            let state = state.to_owned();
            finds("mitigations", Note, |patient| {
                patient.environment.kernel_build.mitigations = Some(BTreeMap::from([("meltdown".to_owned(), state)]));
            })
            .value("mitigations")
        };
        assert_eq!(with("Mitigation: PTI"), "active against meltdown");
        assert_eq!(with("Vulnerable"), "none active, vulnerable to meltdown");
    }
}
