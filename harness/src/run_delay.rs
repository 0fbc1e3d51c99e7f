//! How long threads that could have run waited for a CPU: what others took from them, where each has a CPU for itself.
//!
//! The kernel's scheduler counts it to the nanosecond, as the second figure of `schedstat` (Documentation/scheduler/
//! sched-stats.rst), which no accounting by ticks can hide.

use std::fs;

/// Of the calling thread since it began; nothing where this kernel does not count it.
#[must_use]
pub fn of_this_thread_ns() -> Option<u64> {
    read_ns("/proc/thread-self/schedstat")
}

/// Of a thread of a process since it began.
#[must_use]
pub fn of_thread_ns(process: u32, thread: u32) -> Option<u64> {
    read_ns(&format!("/proc/{process}/task/{thread}/schedstat"))
}

/// Of all threads of a process that there are now, since each began; nothing where one cannot be read.
#[must_use]
pub fn of_process_ns(process: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    threads.map(|thread| read_ns(&format!("{}/schedstat", thread.ok()?.path().display()))).sum()
}

fn read_ns(path: &str) -> Option<u64> {
    second_figure(&fs::read_to_string(path).ok()?)
}

fn second_figure(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_three_figures_is_meant() {
        assert_eq!(second_figure("12 345 6\n"), Some(345));
        for nonsense in ["", "12", "12 x 6", "12 -1 6"] {
            assert_eq!(second_figure(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_unknown() {
        // One above `PID_MAX_LIMIT`, so never anybody's.
        assert_eq!(of_process_ns((4 << 20) + 1), None);
    }
}
