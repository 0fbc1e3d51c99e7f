//! How exactly a server can be read from outside while it runs.

use rustix::time::{ClockId, clock_getres};

use super::trial::Snapshot;
use crate::waking::now_ns;

/// The kernel keeps the CPU time of a thread that is running up to its last tick, and tells no other process more (measured:
/// 3,963 µs at 250 Hz): so much may be missing at either end of a window, on each CPU. The coarse clock moves with the tick.
pub(super) fn cpu_clock_step_ns() -> Option<u64> {
    let step = clock_getres(ClockId::MonotonicCoarse);
    let ns =
        u64::try_from(step.tv_sec).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(step.tv_nsec).ok()?)?;
    (ns > 0).then_some(ns)
}

/// How long after `closes_at_ns` of the monotonic clock the last of these readings was taken. The load ends soon after the
/// window, so that what is read long after it holds time without load.
pub(super) fn late_ns(closed: &Snapshot, closes_at_ns: u64) -> Option<u64> {
    let now_ns = now_ns();
    let ago =
        |at: std::time::Instant| now_ns.saturating_sub(u64::try_from(at.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let taken_ns = [
        closed.cpu.map(|cpu| ago(cpu.at)),
        closed.report.as_ref().map(|report| report.at_ns),
        closed.threads.as_ref().map(|threads| ago(threads.at)),
    ];
    Some(taken_ns.into_iter().flatten().max()?.saturating_sub(closes_at_ns))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::control::Report;
    use crate::sweep::process::CpuReading;

    #[test]
    fn the_tick_is_that_of_a_kernel() {
        // From 100 to 1000 a second.
        let step_ns = cpu_clock_step_ns().unwrap();
        assert!((900_000..=11_000_000).contains(&step_ns), "{step_ns}");
    }

    #[test]
    fn the_last_reading_counts_and_one_before_the_end_is_not_late() {
        let now_ns = now_ns();
        let cpu = Some(CpuReading { at: Instant::now(), cpu_ns: 0 });
        let report = |at_ns| Some(Report { at_ns, ..Report::default() });
        let of = |at_ns| Snapshot { cpu, report: report(at_ns), threads: None, counts: None };
        let hour_ns = 3_600_000_000_000;
        assert_eq!(late_ns(&of(now_ns + hour_ns), now_ns), Some(hour_ns));
        assert_eq!(late_ns(&of(now_ns), now_ns + hour_ns), Some(0));
        let unread = Snapshot { cpu: None, report: None, threads: None, counts: None };
        assert_eq!(late_ns(&unread, now_ns), None);
    }
}
