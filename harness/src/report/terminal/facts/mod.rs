//! Everything that is known of a machine, in rows: a name, and a value that a person can read.

mod hardware;
mod network;
mod system;

use crate::cpus::CpuSet;
use crate::doctor::Diagnosis;
use crate::figures;

const UNKNOWN: &str = "unknown";
/// Of a whole row.
const NOTHING_READ: &str = "unknown: nothing of it can be read here";

/// All of them, those of one thing together.
pub(in crate::report) fn rows(diagnosis: &Diagnosis) -> Vec<(&str, String)> {
    let (environment, conditions) = (&diagnosis.facts.environment, &diagnosis.conditions);
    let build = &diagnosis.facts.build;
    let dirty = if build.git_dirty == Some(true) { " with changes" } else { "" };
    let mut rows = vec![
        ("harness", format!("{:.12}{dirty}, {}", build.git_revision, build.build_profile)),
        ("kernel", system::kernel(environment)),
        ("boot options", list(environment.kernel_build.boot_options.as_deref(), "none that matters here")),
        ("processor", or_unknown(&environment.topology, hardware::processor(environment))),
        ("NUMA", hardware::numa(environment)),
        ("frequency", hardware::frequency(environment, conditions)),
        ("idle", or_unknown(&environment.idle, hardware::idle(environment))),
        ("vulnerabilities", hardware::vulnerabilities(environment)),
        ("virtualisation", hardware::virtualisation(environment)),
        ("control groups", system::control_groups(environment)),
        ("memory", or_unknown(&environment.memory_bytes, hardware::memory(environment, conditions))),
        ("clock sources", or_unknown(&environment.clock, hardware::clock(environment))),
        ("load", or_unknown(&conditions.load_average, system::load(conditions))),
        ("steal", or_unknown(&conditions.steal_since_boot, system::steal(conditions))),
        ("this process", or_unknown(&conditions.process, system::process(conditions))),
        ("limits", or_unknown(&environment.limits, system::limits(environment, conditions))),
        ("network", or_unknown(&environment.network, network::network(environment))),
        ("TCP memory", or_unknown(&environment.network, network::tcp_memory(environment))),
        ("sockets", or_unknown(&environment.network, network::sockets(environment, conditions))),
        ("observing", or_unknown(&environment.limits, system::observing(environment))),
    ];
    rows.extend(environment.backends.iter().flatten().map(|backend| (backend.name.as_str(), system::granted(backend))));
    if let Some(missing) = &conditions.hiccups_missing {
        rows.push(("not measured", missing.clone()));
    }
    rows
}

/// The row, unless nothing of what it is about is known.
fn or_unknown<T: Default + PartialEq>(facts: &T, row: String) -> String {
    if *facts == T::default() { NOTHING_READ.to_owned() } else { row }
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or(UNKNOWN.to_owned(), |value| value.to_string())
}

fn cpus(cpus: Option<&CpuSet>) -> String {
    match cpus {
        Some(cpus) if cpus.is_empty() => "none".to_owned(),
        cpus => text(cpus),
    }
}

fn list(words: Option<&[String]>, none: &str) -> String {
    match words {
        Some([]) => none.to_owned(),
        words => words.map_or(UNKNOWN.to_owned(), |words| words.join(" ")),
    }
}

fn grouped(count: u64) -> String {
    figures::grouped(count as f64)
}
