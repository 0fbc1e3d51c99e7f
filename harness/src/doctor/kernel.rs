//! Findings about the kernel: what it grants, what its clock is worth, what it allows.

use backends::refusal::NO_RINGS;

use super::Level::{Good, Note, Warning};
use super::{Check, Finding, NOT_FROM_WITHIN, Subject, Topic};
use crate::environment::ThreadBound;
use crate::figures;

pub(super) const CHECKS: &[Check] =
    &[clock, io_uring, locked_memory, backends, descriptors, threads, timer_slack, preemption, huge_pages, counters];

/// A clock that costs this much is a system call, and is read for every request.
const SLOW_CLOCK_NS: u64 = 200;
/// A clock coarser than this shows in a latency.
const COARSE_CLOCK_NS: u64 = 1_000;
/// What Linux gives a thread that did not ask for another.
const USUAL_SLACK_NS: u64 = 50_000;
/// Rings of some 100 KiB for dozens of server threads, with those of the load generator; the default since Linux 5.16.
const ENOUGH_LOCKED_BYTES: u64 = 8 << 20;
/// The same for some threads.
const FEW_RINGS_BYTES: u64 = 1 << 20;
/// Connections that many a comparison wants.
const MANY_CONNECTIONS: u64 = 10_000;
/// Connections that every comparison wants.
const SOME_CONNECTIONS: u64 = 1_000;

fn clock(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "clock",
        effect: "It is read for every request: a slow one costs the load generator CPU, a coarse one rounds every latency.",
        change: "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, where tsc is available",
    };
    let cost = subject.conditions.clock?;
    let source = subject.environment.clock.source.as_deref().unwrap_or("of unknown source");
    let level = if cost.read_ns >= SLOW_CLOCK_NS || cost.step_ns >= COARSE_CLOCK_NS { Warning } else { Good };
    let (read, step) = (figures::duration(cost.read_ns as f64), figures::duration(cost.step_ns as f64));
    Some(topic.found(level, format!("{source}, a reading takes {read}, steps of {step} are seen")))
}

fn io_uring(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "io_uring",
        effect: "Where rings are forbidden, the backend that uses them cannot be compared.",
        change: "sysctl kernel.io_uring_disabled=0",
    };
    let limits = &subject.environment.limits;
    if let Some(reason) = refusal(subject).filter(|_| limits.io_uring_disabled == Some(0)) {
        let topic =
            Topic { change: "allow io_uring_setup in the seccomp profile of the container or sandbox", ..topic };
        return Some(topic.found(Warning, format!("{reason}; kernel.io_uring_disabled is 0")));
    }
    Some(match limits.io_uring_disabled? {
        0 => topic.found(Good, "allowed (kernel.io_uring_disabled = 0)"),
        1 => topic.found(Note, "allowed to the privileged and to kernel.io_uring_group (kernel.io_uring_disabled = 1)"),
        other => topic.found(Warning, format!("forbidden (kernel.io_uring_disabled = {other})")),
    })
}

fn locked_memory(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "locked memory",
        effect: "Rings of io_uring are locked memory, and all of a user share what is allowed: where it is used up, backends \
                 that use rings cannot run, and the load generator does without.",
        change: "raise it: ulimit -l, memlock in /etc/security/limits.conf, LimitMEMLOCK= of a service, --ulimit memlock= of a \
                 container",
    };
    let process = &subject.conditions.process;
    let bytes = process.locked_memory_bytes?;
    if bytes == u64::MAX || process.locks_any_memory == Some(true) {
        return Some(topic.found(Good, "no limit"));
    }
    let level = match bytes {
        ENOUGH_LOCKED_BYTES.. => Good,
        FEW_RINGS_BYTES.. => Note,
        _ => Warning,
    };
    Some(topic.found(level, figures::bytes(bytes)))
}

/// Why no ring is to be had, where the kernel was asked for one and refused it.
fn refusal(subject: Subject<'_>) -> Option<&str> {
    let ours = subject.environment.backends.iter().flatten().find(|backend| backend.name == "io_uring")?;
    ours.reason.as_deref().filter(|reason| reason.starts_with(NO_RINGS))
}

fn backends(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "backends",
        effect: "What cannot run is left out of a comparison, or recorded as unavailable.",
        change: "see the reason; 'harness list' asks again",
    };
    let all = subject.environment.backends.as_ref()?;
    // What several have in common is said once.
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, reason) in all.iter().filter_map(|backend| Some((backend.name.as_str(), backend.reason.as_deref()?))) {
        match reasons.iter_mut().find(|(said, _)| *said == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    let refused: Vec<String> =
        reasons.into_iter().map(|(reason, names)| format!("{}: {reason}", names.join(", "))).collect();
    if refused.is_empty() {
        return Some(topic.found(Good, format!("all {} can run", all.len())));
    }
    Some(topic.found(Warning, refused.join("; ")))
}

fn descriptors(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "descriptors",
        effect: "Each connection needs one on each side: cells with more connections are refused.",
        change: "raise what is smallest: ulimit -Hn, LimitNOFILE= of a service, --ulimit nofile= of a container; fs.nr_open; \
                 fs.file-max",
    };
    let (limits, conditions) = (&subject.environment.limits, subject.conditions);
    let hard = conditions.process.descriptors_hard?;
    // Both sides of a connection are files of this machine; it is one side's that a process has.
    let files_left = limits.fs_file_max.zip(conditions.open_files).map(|(most, open)| most.saturating_sub(open) / 2);
    let bounds = [("the hard limit", Some(hard)), ("fs.nr_open", limits.fs_nr_open), ("fs.file-max", files_left)];
    let known = bounds.into_iter().filter_map(|(name, most)| Some((name, most?)));
    let (name, most) = known.min_by_key(|(_, most)| *most)?;
    let connections = most.saturating_sub(crate::descriptors::needed(0));
    let value = match most {
        u64::MAX => "no limit".to_owned(),
        most => format!("{} ({name}), for {} connections", grouped(most), grouped(connections)),
    };
    Some(topic.found(enough(connections), value))
}

fn threads(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "threads",
        effect: "A thread per connection is not possible beyond this: 'threads' then refuses connections that others serve.",
        change: "raise what is smallest: ulimit -u, kernel.pid_max, kernel.threads-max, vm.max_map_count, pids.max",
    };
    let environment = &subject.environment;
    let (processes, headroom) = (subject.conditions.process.processes, &subject.conditions.control_groups);
    let bound = ThreadBound::tightest(processes, &environment.limits, &environment.cgroup, headroom);
    let ThreadBound { name, most } = bound?;
    Some(topic.found(enough(most), format!("about {} ({name})", grouped(most))))
}

fn enough(connections: u64) -> super::Level {
    match connections {
        MANY_CONNECTIONS.. => Good,
        SOME_CONNECTIONS.. => Note,
        _ => Warning,
    }
}

fn timer_slack(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "timer slack",
        effect: "Sleeps of ordinary threads end up to this much late, those of a foreign server too.",
        change: "start the harness from a shell that has the usual 50 µs",
    };
    let slack = subject.conditions.process.timer_slack_ns?;
    let level = if slack > USUAL_SLACK_NS { Note } else { Good };
    Some(topic.found(level, figures::duration(slack as f64)))
}

fn preemption(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "preemption",
        effect: "A real-time kernel turns interrupts and locks into threads: system calls and wake-ups cost more than on the \
                 kernels that most servers run.",
        change: "boot another kernel, unless this is what the servers will run on",
    };
    let model = subject.environment.kernel_build.preemption.as_deref()?;
    Some(topic.found(if model == "rt" { Note } else { Good }, model))
}

fn huge_pages(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "huge pages",
        effect: "Memory is mapped in huge pages unasked: that a page is put together may stall, and max RSS is larger.",
        change: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
    };
    let mode = subject.environment.limits.transparent_huge_pages.as_deref()?;
    Some(topic.found(if mode == "always" { Note } else { Good }, mode))
}

fn counters(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "CPU counters",
        effect: "Without them instructions and cache misses cannot be counted, so a difference is harder to explain. No \
                 figure changes.",
        change: NOT_FROM_WITHIN,
    };
    let some = subject.environment.limits.hardware_counters?;
    Some(if some { topic.found(Good, "there are some") } else { topic.found(Note, "none") })
}

fn grouped(count: u64) -> String {
    figures::grouped(count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::{Patient, finds};
    use crate::environment::{BackendFacts, ClockCost};

    #[test]
    fn a_slow_or_coarse_clock_is_warned_of() {
        let clock = |read_ns, step_ns| Some(ClockCost { read_ns, step_ns });
        finds("clock", Warning, |patient| patient.conditions.clock = clock(800, 10));
        finds("clock", Warning, |patient| patient.conditions.clock = clock(20, 4_000_000));
        let mut patient = Patient::healthy();
        patient.conditions.clock = clock(25, 20);
        assert_eq!(patient.complaints(), []);
        assert_eq!(patient.value("clock"), "tsc, a reading takes 25.0 ns, steps of 20.0 ns are seen");
    }

    #[test]
    fn forbidden_rings_are_found() {
        finds("io_uring", Warning, |patient| patient.environment.limits.io_uring_disabled = Some(2));
        finds("io_uring", Note, |patient| patient.environment.limits.io_uring_disabled = Some(1));
    }

    #[test]
    fn memory_that_may_not_be_locked_is_found() {
        let few = |bytes| move |patient: &mut Patient| patient.conditions.process.locked_memory_bytes = Some(bytes);
        let patient = finds("locked memory", Warning, few(64 << 10));
        assert_eq!(patient.value("locked memory"), "64.0 KiB");
        finds("locked memory", Note, few(1 << 20));
        for privileged in [true, false] {
            let mut patient = Patient::healthy();
            let process = &mut patient.conditions.process;
            let bytes = if privileged { 0 } else { u64::MAX };
            (process.locked_memory_bytes, process.locks_any_memory) = (Some(bytes), Some(privileged));
            assert_eq!((patient.complaints(), patient.value("locked memory").as_str()), (vec![], "no limit"));
        }
    }

    #[test]
    fn rings_that_no_sysctl_forbids_and_nobody_gives_are_not_called_allowed() {
        let of = |name: &str| BackendFacts {
            name: name.to_owned(),
            reason: Some(format!("{NO_RINGS}: io_uring_setup: no")),
            ..BackendFacts::default()
        };
        let mut patient = Patient::healthy();
        patient.environment.limits.io_uring_disabled = Some(0);
        patient.environment.backends = Some(vec![of("io_uring"), of("io_uring-zc")]);
        assert_eq!(patient.complaints(), [("io_uring", Warning), ("backends", Warning)]);
        let said = patient.value("io_uring");
        assert!(said.contains(NO_RINGS) && !said.contains("allowed"), "{said}");
        assert_eq!(patient.value("backends"), format!("io_uring, io_uring-zc: {NO_RINGS}: io_uring_setup: no"));
    }

    #[test]
    fn a_backend_that_cannot_run_is_named_with_its_reason() {
        let backend = |name: &str, reason: Option<&str>| BackendFacts {
            name: name.to_owned(),
            reason: reason.map(str::to_owned),
            ..BackendFacts::default()
        };
        let patient = finds("backends", Warning, |patient| {
            patient.environment.backends =
                Some(vec![backend("epoll", None), backend("io_uring", Some("not permitted"))]);
        });
        assert_eq!(patient.value("backends"), "io_uring: not permitted");
        let mut patient = Patient::healthy();
        patient.environment.backends = Some(vec![backend("epoll", None)]);
        assert_eq!(patient.complaints(), []);
    }

    #[test]
    fn limits_that_bound_a_comparison_are_found() {
        let patient = finds("descriptors", Note, |patient| patient.conditions.process.descriptors_hard = Some(4096));
        assert_eq!(patient.value("descriptors"), "4,096 (the hard limit), for 3,968 connections");
        let patient = finds("descriptors", Note, |patient| patient.environment.limits.fs_nr_open = Some(2048));
        assert_eq!(patient.value("descriptors"), "2,048 (fs.nr_open), for 1,920 connections");
        let patient = finds("descriptors", Note, |patient| patient.environment.limits.fs_file_max = Some(10_000));
        assert_eq!(patient.value("descriptors"), "4,400 (fs.file-max), for 4,272 connections");
        finds("descriptors", Warning, |patient| patient.conditions.process.descriptors_hard = Some(256));
        let patient = finds("threads", Warning, |patient| patient.environment.cgroup.pids_max = Some(512));
        assert_eq!(patient.value("threads"), "about 512 (pids.max)");
        let patient = finds("threads", Warning, |patient| {
            patient.environment.cgroup.pids_max = Some(512);
            patient.conditions.control_groups.pids_available = Some(12);
        });
        assert_eq!(patient.value("threads"), "about 12 (pids.max)");
        finds("threads", Note, |patient| patient.environment.limits.vm_max_map_count = Some(10_000));
    }

    #[test]
    fn what_differs_from_the_usual_kernel_is_noted() {
        finds("timer slack", Note, |patient| patient.conditions.process.timer_slack_ns = Some(1_000_000));
        finds("preemption", Note, |patient| patient.environment.kernel_build.preemption = Some("rt".to_owned()));
        let always = Some("always".to_owned());
        finds("huge pages", Note, |patient| patient.environment.limits.transparent_huge_pages = always);
        finds("CPU counters", Note, |patient| patient.environment.limits.hardware_counters = Some(false));
    }
}
