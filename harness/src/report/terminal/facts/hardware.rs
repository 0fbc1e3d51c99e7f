//! Rows about the machine, real or virtual.

use super::{UNKNOWN, cpus, list, text};
use crate::environment::{Conditions, Environment, FrequencyPolicy, IdleState, NumaNode};
use crate::figures;

pub(super) fn processor(environment: &Environment) -> String {
    let topology = &environment.topology;
    let smt = match (topology.smt_active, topology.smt_control.as_deref()) {
        (Some(true), _) => "SMT on".to_owned(),
        (Some(false), Some(control)) => format!("SMT off ({control})"),
        (Some(false), None) => "SMT off".to_owned(),
        (None, _) => "SMT unknown".to_owned(),
    };
    let siblings = match &topology.siblings {
        Some(cores) if topology.smt_active == Some(true) => {
            let cores: Vec<String> = cores.iter().map(|core| format!("{{{core}}}")).collect();
            format!(", CPUs of each core {}", cores.join(" "))
        }
        _ => String::new(),
    };
    format!(
        "{}, CPUs {}, sockets {}, cores {}, {smt}{siblings}",
        text(environment.cpu_model.as_ref()),
        text(environment.cpus),
        text(topology.sockets),
        text(topology.cores),
    ) + &format!(", isolated {}, nohz_full {}", cpus(topology.isolated.as_ref()), cpus(topology.nohz_full.as_ref()))
}

pub(super) fn numa(environment: &Environment) -> String {
    let node = |node: &NumaNode| format!("node {}: CPUs {}", node.node, cpus(node.cpus.as_ref()));
    let nodes = environment.topology.numa_nodes.as_ref();
    nodes.map_or(UNKNOWN.to_owned(), |nodes| nodes.iter().map(node).collect::<Vec<_>>().join("; "))
}

pub(super) fn frequency(environment: &Environment, conditions: &Conditions) -> String {
    let policy = |policy: &FrequencyPolicy| {
        let preference =
            policy.preference.as_ref().map_or(String::new(), |preference| format!(", prefers {preference}"));
        let (least, most) = (ghz(policy.min_khz), ghz(policy.max_khz));
        let (driver, governor) = (text(policy.driver.as_ref()), text(policy.governor.as_ref()));
        format!("CPUs {}: {driver}, {governor}{preference}, {least} to {most}", cpus(policy.cpus.as_ref()))
    };
    let policies = match &environment.frequency.policies {
        Some(policies) => policies.iter().map(policy).collect::<Vec<_>>().join("; "),
        None if environment.virtualised == Some(true) => "governor unknown: the host decides".to_owned(),
        None => "governor unknown: this kernel has no policy for it".to_owned(),
    };
    let turbo = environment.frequency.turbo.map_or(UNKNOWN, |turbo| if turbo { "on" } else { "off" });
    let now = conditions.frequency_khz.as_ref().map_or(UNKNOWN.to_owned(), |now| {
        let (least, most) = (ghz(now.iter().min().copied()), ghz(now.iter().max().copied()));
        if least == most { least } else { format!("{least} to {most}") }
    });
    format!("{policies}; turbo {turbo}; now {now}")
}

fn ghz(khz: Option<u64>) -> String {
    khz.map_or(UNKNOWN.to_owned(), |khz| format!("{:.2} GHz", khz as f64 / 1e6))
}

pub(super) fn idle(environment: &Environment) -> String {
    let idle = &environment.idle;
    let states = idle.states.as_ref().map_or(UNKNOWN.to_owned(), |states| {
        let state = |state: &IdleState| {
            let off = if state.disabled == Some(true) { " (off)" } else { "" };
            let latency = state.latency_us.map_or(UNKNOWN.to_owned(), |us| format!("{us} µs"));
            format!("{} {latency}{off}", text(state.name.as_ref()))
        };
        states.iter().map(state).collect::<Vec<_>>().join(", ")
    });
    format!("driver {}, governor {}; to wake from: {states}", text(idle.driver.as_ref()), text(idle.governor.as_ref()))
}

pub(super) fn vulnerabilities(environment: &Environment) -> String {
    let Some(states) = &environment.kernel_build.mitigations else { return UNKNOWN.to_owned() };
    let affected = states.iter().filter(|(_, state)| *state != "Not affected");
    let affected: Vec<String> = affected.map(|(name, state)| format!("{name}: {state}")).collect();
    match states.len() - affected.len() {
        0 => affected.join(". "),
        others if affected.is_empty() => format!("affected by none of {others}"),
        others => format!("{}. Not affected by {}", affected.join(". "), figures::counted(others, "other")),
    }
}

pub(super) fn virtualisation(environment: &Environment) -> String {
    let machine = match (environment.virtualised, environment.virtualisation.machine.as_deref()) {
        (_, Some(machine)) => format!("virtual machine ({machine})"),
        (Some(true), None) => "virtual machine".to_owned(),
        (Some(false), None) => "no hypervisor shows itself".to_owned(),
        (None, None) => UNKNOWN.to_owned(),
    };
    let container = environment.virtualisation.container.as_deref().unwrap_or("no mark of one");
    format!("{machine}; container: {container}")
}

pub(super) fn memory(environment: &Environment, conditions: &Conditions) -> String {
    let bytes = |bytes: Option<u64>| bytes.map_or(UNKNOWN.to_owned(), figures::bytes);
    let limits = &environment.limits;
    format!(
        "{}, of which {} available; swap in use {}; huge pages {}, defragmentation {}",
        bytes(environment.memory_bytes),
        bytes(conditions.memory_available_bytes),
        bytes(conditions.swap_used_bytes),
        text(limits.transparent_huge_pages.as_ref()),
        text(limits.transparent_huge_pages_defrag.as_ref()),
    )
}

pub(super) fn clock(environment: &Environment) -> String {
    let clock = &environment.clock;
    format!("{} of {}", text(clock.source.as_ref()), list(clock.available.as_deref(), "none"))
}
