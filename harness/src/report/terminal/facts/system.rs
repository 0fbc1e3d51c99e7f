//! Rows about the kernel: what it is, what it grants, and what it has to do.

use serde_json::{Map, Value};

use super::{UNKNOWN, cpus, grouped, text};
use crate::cpus::CpuSet;
use crate::environment::{BackendFacts, Conditions, Environment};
use crate::figures;

pub(super) fn kernel(environment: &Environment) -> String {
    let build = &environment.kernel_build;
    if environment.kernel.is_empty() {
        return UNKNOWN.to_owned();
    }
    let configured = build.preemption.is_some() || build.tick_hz.is_some();
    let hz = build.tick_hz.map_or(UNKNOWN.to_owned(), |hz| format!("{hz} Hz"));
    let version = build.version.as_ref().map_or(String::new(), |version| format!(" ({version})"));
    if !configured {
        return format!(
            "{}{version}; how it was built is unknown: there is neither /proc/config.gz nor one in /boot",
            environment.kernel
        );
    }
    format!("{}{version}, preemption {}, tick {hz}", environment.kernel, text(build.preemption.as_ref()))
}

pub(super) fn control_groups(environment: &Environment) -> String {
    let cgroup = &environment.cgroup;
    let Some(versions) = &cgroup.versions else { return UNKNOWN.to_owned() };
    let versions: Vec<String> = versions.iter().map(|version| format!("v{version}")).collect();
    let quota = cgroup.cpu_quota_millicpus.map_or("none".to_owned(), |quota| format!("{:.2} CPUs", quota as f64 / 1e3));
    let pids = cgroup.pids_max.map_or("none".to_owned(), grouped);
    let cpuset = cgroup.cpuset.as_ref().map_or("none".to_owned(), CpuSet::to_string);
    let bytes = |limit: Option<u64>| limit.map_or("none".to_owned(), figures::bytes);
    let weight = cgroup.cpu_weight_percent.map_or(UNKNOWN.to_owned(), |percent| format!("{percent} %"));
    format!(
        "{}; CPU quota {quota}, weight {weight}; cpuset {cpuset}; memory.max {}, memory.high {}, swap {}; limit on threads {pids}",
        versions.join(" and "),
        bytes(cgroup.memory_max_bytes),
        bytes(cgroup.memory_high_bytes),
        bytes(cgroup.swap_max_bytes),
    )
}

pub(super) fn load(conditions: &Conditions) -> String {
    let averages = conditions.load_average.map_or(UNKNOWN.to_owned(), |[one, five, fifteen]| {
        format!("{one:.2} over 1 min, {five:.2} over 5, {fifteen:.2} over 15")
    });
    let pressure = conditions.cpu_pressure.map_or(UNKNOWN.to_owned(), figures::percent);
    format!(
        "{averages}; {} of {} threads wanted to run; some thread waited for a CPU in {pressure} of the last 10 s",
        text(conditions.running),
        text(conditions.threads)
    )
}

pub(super) fn steal(conditions: &Conditions) -> String {
    let share = |share: Option<f64>| share.map_or(UNKNOWN.to_owned(), |share| format!("{:.2} %", share * 100.0));
    let hours = conditions.uptime_s.map_or(UNKNOWN.to_owned(), |s| format!("{:.1} h", s as f64 / 3600.0));
    format!(
        "{} since boot, {hours} ago; {} just now",
        share(conditions.steal_since_boot),
        share(conditions.steal_during_look)
    )
}

pub(super) fn process(conditions: &Conditions) -> String {
    let process = &conditions.process;
    let slack = process.timer_slack_ns.map_or(UNKNOWN.to_owned(), |ns| figures::duration(ns as f64));
    let seccomp = match process.seccomp {
        Some(0) => "none",
        Some(_) => "active",
        None => UNKNOWN,
    };
    format!(
        "CPUs {}, niceness {}, timer slack {slack}, seccomp {seccomp}",
        cpus(process.cpus.as_ref()),
        text(process.niceness)
    )
}

pub(super) fn limits(environment: &Environment, conditions: &Conditions) -> String {
    let (process, limits) = (&conditions.process, &environment.limits);
    let count = |limit: Option<u64>| match limit {
        Some(u64::MAX) => "unlimited".to_owned(),
        limit => limit.map_or(UNKNOWN.to_owned(), grouped),
    };
    let locked = match process.locked_memory_bytes {
        Some(u64::MAX) => "unlimited".to_owned(),
        limit => limit.map_or(UNKNOWN.to_owned(), figures::bytes),
    };
    format!(
        "descriptors {} (hard {}), processes {}, locked memory {locked}; of the kernel: nr_open {}, file-max {}, pid_max {}, \
         threads-max {}, max_map_count {}",
        count(process.descriptors_soft),
        count(process.descriptors_hard),
        count(process.processes),
        count(limits.fs_nr_open),
        count(limits.fs_file_max),
        count(limits.kernel_pid_max),
        count(limits.kernel_threads_max),
        count(limits.vm_max_map_count),
    )
}

pub(super) fn observing(environment: &Environment) -> String {
    let limits = &environment.limits;
    let counters = limits.hardware_counters.map_or(UNKNOWN, |some| if some { "there" } else { "none" });
    format!(
        "CPU counters {counters}, perf_event_paranoid {}; io_uring_disabled {}, io_uring_group {}; sched_rt_runtime_us {}",
        text(limits.perf_event_paranoid),
        text(limits.io_uring_disabled),
        text(limits.io_uring_group),
        text(limits.sched_rt_runtime_us)
    )
}

/// What the kernel grants, without its release: that is said once, above.
pub(super) fn granted(backend: &BackendFacts) -> String {
    let entries = |receipt: &Map<String, Value>| {
        let entries = receipt.iter().filter(|(name, _)| *name != "kernel").map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            Value::Array(values) if values.is_empty() => format!("{name} none"),
            Value::Array(values) => {
                let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                format!("{name} {}", values.join(" "))
            }
            value => format!("{name} {value}"),
        });
        entries.collect::<Vec<_>>().join("; ")
    };
    match (&backend.receipt, &backend.reason) {
        (_, Some(reason)) => format!("cannot run: {reason}"),
        (Some(receipt), None) => match entries(receipt) {
            entries if entries.is_empty() => "can run".to_owned(),
            entries => entries,
        },
        (None, None) => UNKNOWN.to_owned(),
    }
}
