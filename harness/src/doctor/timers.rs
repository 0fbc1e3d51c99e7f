//! A finding about how late the timers of this machine are.

use super::Level::{Good, Note};
use super::{Check, Finding, Subject, Topic};
use crate::figures;

pub(super) const CHECKS: &[Check] = &[timers];

/// As much as an echo on loopback takes, wake-ups included: requests of an open loop then wait as long for the timer as for
/// their answer.
const LATE_NS: u64 = 100_000;

/// Of the CPU whose median is the latest.
fn timers(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "timers",
        effect: "With --rate, a request is sent as late as the machine wakes the thread that sends it, and its latency says so: \
                 backends on this machine compare with each other, but not with those on another.",
        change: "keep the CPUs from sleeping deeply: idle=poll or processor.max_cstate=1 on the kernel's command line, cpupower \
                 idle-set --disable-by-latency 2; in a virtual machine it is up to the host",
    };
    let latest = subject.conditions.hiccups.as_ref()?.iter().max_by_key(|hiccup| hiccup.p50_ns)?;
    let level = if latest.p50_ns >= LATE_NS { Note } else { Good };
    let value = format!(
        "a thread that sleeps until a set time wakes {} late on CPU {} (median), one in a hundred {} or more",
        figures::duration(latest.p50_ns as f64),
        latest.cpu,
        figures::duration(latest.p99_ns as f64)
    );
    Some(topic.found(level, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::{Patient, finds};
    use crate::hiccup::Hiccup;

    fn woken(cpu: usize, p50_ns: u64) -> Hiccup {
        let p99_ns = p50_ns + 20_000;
        Hiccup { cpu, realtime: true, span_ns: 1_000_000_000, wakeups: 990, p50_ns, p99_ns, max_ns: p99_ns, lost_ns: 0 }
    }

    #[test]
    fn timers_that_are_late_on_one_cpu_are_found_there() {
        let patient = finds("timers", Note, |patient| {
            patient.conditions.hiccups = Some(vec![woken(0, 20_000), woken(1, 100_000)]);
        });
        let expected = "wakes 100 µs late on CPU 1 (median), one in a hundred 120 µs or more";
        assert!(patient.value("timers").ends_with(expected), "{}", patient.value("timers"));
    }

    #[test]
    fn timers_that_are_prompt_are_good_and_unknown_ones_are_not_judged() {
        let mut prompt = Patient::healthy();
        prompt.conditions.hiccups = Some(vec![woken(0, 99_999)]);
        assert_eq!(prompt.complaints(), []);
        let names: Vec<&str> = Patient::healthy().findings().iter().map(|finding| finding.name).collect();
        assert_eq!(names.contains(&"timers"), Patient::healthy().conditions.hiccups.is_some());
    }
}
