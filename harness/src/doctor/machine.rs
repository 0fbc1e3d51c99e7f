//! Findings about who else is there, and what is left of the machine for us.

use super::Level::{Good, Note, Warning};
use super::{Check, Finding, NOT_FROM_WITHIN, Subject, Topic};
use crate::figures;
use crate::hiccup::Hiccup;

pub(super) const CHECKS: &[Check] = &[
    build,
    hiccups,
    steal,
    steal_since_boot,
    cpu_quota,
    cpu_weight,
    cpus,
    load,
    pressure,
    niceness,
    memory,
    swap,
    virtualised,
    seccomp,
];

/// A share of CPU time that is too much to lose.
const LOST_SHARE: f64 = 0.01;
/// A stall that shows in a percentile.
const STALL_NS: u64 = 1_000_000;
/// A stall that is one.
const LONG_STALL_NS: u64 = 5_000_000;
/// Others that use this much of the CPUs are in the way.
const BUSY_SHARE: f64 = 0.25;
/// Of ten moments, one in which somebody waits for a CPU is in every percentile from the p90 on.
const WAITING_SHARE: f64 = 0.1;
/// With less memory than this, the buffers of many connections do not fit.
const LITTLE_MEMORY_BYTES: u64 = 1 << 30;

/// The one thing that is always known.
#[allow(clippy::unnecessary_wraps)]
fn build(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "build",
        effect: "Unoptimised code costs several times the CPU, on both sides.",
        change: "cargo build --release",
    };
    let profile = &subject.build.build_profile;
    let level = if profile == "debug" { Warning } else { Good };
    Some(topic.found(level, profile))
}

/// What was measured before all other threads: it says nothing of these.
const STALLS: Topic = Topic {
    name: "CPU stalls",
    effect: "While a CPU stands still (hypervisor, firmware, interrupts), every request on it waits: that is in the high \
             percentiles.",
    change: "keep interrupts off these CPUs (/proc/irq/*/smp_affinity); measure other CPUs, or a machine of your own",
};

/// What was measured among all other threads.
const QUIET: Topic = Topic {
    name: "quiet CPUs",
    effect: "While a CPU stalls or runs others, every request on it waits: that is in the high percentiles.",
    change: "end what else runs; keep interrupts off these CPUs (/proc/irq/*/smp_affinity); measure other CPUs",
};

fn hiccups(subject: Subject<'_>) -> Option<Finding> {
    let hiccups = subject.conditions.hiccups.as_ref()?;
    let worst = hiccups.iter().max_by_key(|hiccup| hiccup.max_ns)?;
    let lost = |hiccup: &Hiccup| hiccup.lost_ns as f64 / hiccup.span_ns.max(1) as f64;
    let most_lost = hiccups.iter().map(lost).fold(0.0, f64::max);
    let level = match worst.max_ns {
        LONG_STALL_NS.. => Warning,
        _ if most_lost >= LOST_SHARE => Warning,
        STALL_NS.. => Note,
        _ => Good,
    };
    let realtime = hiccups.iter().any(|hiccup| hiccup.realtime);
    let (topic, besides) = if realtime { (STALLS, "; other processes are not in that") } else { (QUIET, "") };
    let value = format!(
        "CPU {} once woke {} late (median {}); at most {:.2} % of a CPU's time was lost{besides}",
        worst.cpu,
        figures::duration(worst.max_ns as f64),
        figures::duration(worst.p50_ns as f64),
        most_lost * 100.0
    );
    Some(topic.found(level, value))
}

const STEAL: Topic = Topic {
    name: "steal",
    effect: "The hypervisor ran other guests while this one wanted to run: that time is in every latency.",
    change: "cannot be changed from within; ask for a dedicated host, or measure when its neighbours rest",
};

fn steal(subject: Subject<'_>) -> Option<Finding> {
    let share = subject.conditions.steal_during_look?;
    let level = if share >= LOST_SHARE { Warning } else { Good };
    Some(STEAL.found(level, format!("{:.1} % just now", share * 100.0)))
}

fn steal_since_boot(subject: Subject<'_>) -> Option<Finding> {
    let share = subject.conditions.steal_since_boot?;
    let level = if share >= LOST_SHARE { Note } else { Good };
    let topic = Topic { name: "steal since boot", ..STEAL };
    Some(topic.found(level, format!("{:.1} % of the time since the machine started", share * 100.0)))
}

fn cpu_quota(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "CPU quota",
        effect: "When the quota is used up nothing runs until the next period: stalls of many milliseconds, on both sides.",
        change: "give the control group no quota: cpu.max, or the CPU limit of the container",
    };
    let cgroup = &subject.environment.cgroup;
    let Some(millicpus) = cgroup.cpu_quota_millicpus else {
        // No quota can be seen, where one could be.
        cgroup.versions.as_ref()?;
        return Some(topic.found(Good, "none"));
    };
    let usable = usable(subject)?;
    let period = cgroup.cpu_quota_period_us.unwrap_or_default() as f64 * 1e3;
    let quota = millicpus as f64 / 1000.0;
    let level = if quota < usable as f64 { Warning } else { Good };
    let value =
        format!("{quota:.2} CPUs of the {usable} that may be used, in periods of {}", figures::duration(period));
    Some(topic.found(level, value))
}

fn cpu_weight(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "CPU weight",
        effect: "Where other control groups want the CPUs as well, this one gets less of them than they do.",
        change: "give the control group the weight of others: cpu.weight, cpu.shares, or the CPU request of the container",
    };
    let percent = subject.environment.cgroup.cpu_weight_percent?;
    let level = if percent < 100 { Note } else { Good };
    Some(topic.found(level, format!("{percent} % of what a control group has by default")))
}

fn cpus(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "CPUs",
        effect: "With one CPU, server and load generator take turns on it: every trial is suspect.",
        change: "use a machine with two or more, or widen the cpuset or the affinity (taskset) of this process",
    };
    let usable = usable(subject)?;
    let level = if usable < 2 { Warning } else { Good };
    let online = subject.environment.cpus.map_or(String::new(), |online| format!(" of {online}"));
    Some(topic.found(level, format!("{usable}{online} may be used")))
}

fn usable(subject: Subject<'_>) -> Option<usize> {
    subject.conditions.process.cpus.as_ref().map(crate::cpus::CpuSet::len).or(subject.environment.cpus)
}

fn load(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "load",
        effect: "What else runs takes turns with the server and the load generator, and warms the CPUs and empties their caches.",
        change: "end what else runs, and wait for a minute",
    };
    let [last_minute, ..] = subject.conditions.load_average?;
    let cpus = subject.environment.cpus?;
    let others = subject.conditions.running.map(|running| running.saturating_sub(1));
    let crowded = others.is_some_and(|others| others >= cpus as u64);
    let level = if last_minute >= BUSY_SHARE * cpus as f64 || crowded { Warning } else { Good };
    let now = others.map_or(String::new(), |others| {
        format!(
            ", {} wanted to run just now",
            figures::counted(usize::try_from(others).unwrap_or(usize::MAX), "other thread")
        )
    });
    Some(topic.found(level, format!("{last_minute:.2} on {}{now}", figures::counted(cpus, "CPU"))))
}

fn pressure(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "CPU pressure",
        effect: "Threads waited for a CPU that others had: requests wait for it as well, and their latency says so.",
        change: "end what else runs, and wait for ten seconds",
    };
    let share = subject.conditions.cpu_pressure?;
    let level = if share >= WAITING_SHARE { Warning } else { Good };
    Some(topic.found(level, format!("some thread waited in {} of the last 10 s", figures::percent(share))))
}

fn niceness(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "niceness",
        effect: "Server and load generator inherit it: others go first, or they go before others.",
        change: "start the harness without nice",
    };
    let niceness = subject.conditions.process.niceness?;
    let level = match niceness {
        0 => Good,
        1.. => Warning,
        _ => Note,
    };
    Some(topic.found(level, niceness.to_string()))
}

fn memory(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "memory",
        effect: "The buffers of many connections may not fit; what is swapped or reclaimed stalls.",
        change: "end what else runs, raise the limit of the control group (memory.max, memory.high), or measure fewer \
                 connections and smaller payloads",
    };
    let of_machine = subject.conditions.memory_available_bytes;
    let of_group = subject.conditions.control_groups.memory_available_bytes;
    let available = of_machine.into_iter().chain(of_group).min()?;
    let level = if available < LITTLE_MEMORY_BYTES { Warning } else { Good };
    let bound = if of_group == Some(available) { " below the limit of the control group" } else { "" };
    Some(topic.found(level, format!("{} available{bound}", figures::bytes(available))))
}

fn swap(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "swap",
        effect: "Some memory was swapped out: whoever touches it waits for a disk.",
        change: "swapoff -a, or end what needs the memory",
    };
    let conditions = subject.conditions;
    // In a container the table of the machine may be hidden, and the group's own figure is not.
    let used = conditions.swap_used_bytes.max(conditions.control_groups.swap_used_bytes)?;
    let level = if used > 0 { Note } else { Good };
    Some(topic.found(level, format!("{} in use", figures::bytes(used))))
}

fn virtualised(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "virtual machine",
        effect: "Waking an idle CPU, timers and interrupts go through the hypervisor and cost more; its other guests are not \
                 seen. Absolute figures hold for this machine only; ratios within a block are safer.",
        change: NOT_FROM_WITHIN,
    };
    let environment = subject.environment;
    let machine = environment.virtualisation.machine.as_deref();
    if !environment.virtualised.or(machine.map(|_| true))? {
        return Some(topic.found(Good, "no"));
    }
    Some(topic.found(Note, machine.unwrap_or("of a kind that does not show itself")))
}

fn seccomp(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "seccomp",
        effect: "A filter looks at every system call: backends that make more of them pay more than elsewhere.",
        change: "run outside the container, or with --security-opt seccomp=unconfined",
    };
    match subject.conditions.process.seccomp? {
        0 => Some(topic.found(Good, "no filter")),
        _ => Some(topic.found(Note, "a filter is active")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::{Patient, finds};

    #[test]
    fn a_debug_build_is_warned_of() {
        finds("build", Warning, |patient| patient.build.build_profile = "debug".to_owned());
    }

    fn hiccup(cpu: usize, max_ns: u64, lost_ns: u64) -> Hiccup {
        Hiccup {
            cpu,
            max_ns,
            lost_ns,
            p50_ns: 60_000,
            p99_ns: 70_000,
            span_ns: 1_000_000_000,
            wakeups: 990,
            realtime: true,
        }
    }

    #[test]
    fn stalls_are_found_on_the_cpu_that_has_them() {
        let patient = finds("CPU stalls", Warning, |patient| {
            patient.conditions.hiccups = Some(vec![hiccup(0, 90_000, 0), hiccup(1, 7_000_000, 7_000_000)]);
        });
        let value = patient.value("CPU stalls");
        let expected = "CPU 1 once woke 7.00 ms late (median 60.0 µs); at most 0.70 % of a CPU's time was lost";
        assert_eq!(value, format!("{expected}; other processes are not in that"));
        finds("CPU stalls", Note, |patient| patient.conditions.hiccups = Some(vec![hiccup(0, 2_000_000, 0)]));
        finds("CPU stalls", Warning, |patient| patient.conditions.hiccups = Some(vec![hiccup(0, 900_000, 20_000_000)]));
        let mut quiet = Patient::healthy();
        quiet.conditions.hiccups = Some(vec![hiccup(0, 90_000, 0), hiccup(1, 95_000, 100_000)]);
        assert_eq!(quiet.complaints(), []);
    }

    #[test]
    fn a_look_that_saw_other_processes_is_told_from_one_that_did_not() {
        let ordinary = Hiccup { realtime: false, ..hiccup(0, 7_000_000, 0) };
        let patient = finds("quiet CPUs", Warning, |patient| patient.conditions.hiccups = Some(vec![ordinary]));
        assert!(!patient.value("quiet CPUs").contains("other processes"));
    }

    #[test]
    fn threads_that_wait_for_cpus_are_found() {
        let patient = finds("CPU pressure", Warning, |patient| patient.conditions.cpu_pressure = Some(0.1));
        assert_eq!(patient.value("CPU pressure"), "some thread waited in 10 % of the last 10 s");
        let mut quiet = Patient::healthy();
        quiet.conditions.cpu_pressure = Some(0.09);
        assert_eq!(quiet.complaints(), []);
    }

    #[test]
    fn steal_is_found_now_and_of_old() {
        finds("steal", Warning, |patient| patient.conditions.steal_during_look = Some(0.03));
        finds("steal since boot", Note, |patient| patient.conditions.steal_since_boot = Some(0.02));
    }

    #[test]
    fn a_quota_that_is_no_limit_is_none() {
        finds("CPU quota", Warning, |patient| patient.environment.cgroup.cpu_quota_millicpus = Some(3999));
        let mut patient = Patient::healthy();
        patient.environment.cgroup.cpu_quota_millicpus = Some(4000);
        assert_eq!(patient.complaints(), []);
    }

    #[test]
    fn a_single_cpu_is_warned_of() {
        finds("CPUs", Warning, |patient| patient.conditions.process.cpus = "3".parse().ok());
    }

    #[test]
    fn neighbours_are_found() {
        let patient = finds("load", Warning, |patient| patient.conditions.load_average = Some([1.0, 0.0, 0.0]));
        assert_eq!(patient.value("load"), "1.00 on 4 CPUs, 0 other threads wanted to run just now");
        finds("load", Warning, |patient| patient.conditions.running = Some(5));
    }

    #[test]
    fn what_the_process_inherited_is_found() {
        finds("niceness", Warning, |patient| patient.conditions.process.niceness = Some(19));
        finds("niceness", Note, |patient| patient.conditions.process.niceness = Some(-5));
        finds("seccomp", Note, |patient| patient.conditions.process.seccomp = Some(2));
    }

    #[test]
    fn little_memory_is_found() {
        finds("memory", Warning, |patient| patient.conditions.memory_available_bytes = Some(500 << 20));
        finds("swap", Note, |patient| patient.conditions.swap_used_bytes = Some(1));
        let patient = finds("memory", Warning, |patient| {
            patient.conditions.control_groups.memory_available_bytes = Some(300 << 20);
        });
        assert_eq!(patient.value("memory"), "300.0 MiB available below the limit of the control group");
        finds("CPU weight", Note, |patient| patient.environment.cgroup.cpu_weight_percent = Some(4));
    }

    #[test]
    fn a_virtual_machine_is_noted_with_its_hypervisor() {
        let patient = finds("virtual machine", Note, |patient| {
            patient.environment.virtualised = Some(true);
            patient.environment.virtualisation.machine = Some("kvm".to_owned());
        });
        assert_eq!(patient.value("virtual machine"), "kvm");
    }
}
