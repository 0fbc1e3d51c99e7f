//! How long threads ran, and how long those that could have run waited for a CPU: what others took from them, where each
//! has a CPU for itself.
//!
//! The kernel's scheduler counts both to the nanosecond, as the first two figures of `schedstat` (Documentation/scheduler/
//! sched-stats.rst), which no accounting by ticks can hide.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use crate::process_tree::numbers;

/// Three figures of 64 bits, and what separates them.
const LONGEST_BYTES: usize = 80;

/// Of one thread since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How long it ran.
    pub ran_ns: u64,
    /// How long it waited for a CPU.
    pub waited_ns: u64,
}

/// What is counted of the thread that opened it.
#[derive(Debug)]
pub struct OwnCount(Option<File>);

impl OwnCount {
    /// Of the calling thread.
    #[must_use]
    pub fn open() -> Self {
        Self(File::open("/proc/thread-self/schedstat").ok())
    }

    /// One system call, and no memory is allocated; nothing where this kernel does not count.
    #[must_use]
    pub fn read(&self) -> Option<Counted> {
        let mut text = [0; LONGEST_BYTES];
        let length = self.0.as_ref()?.read_at(&mut text, 0).ok()?;
        counted(str::from_utf8(&text[..length]).ok()?)
    }
}

/// What is counted of several threads, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadCounts {
    at: Instant,
    threads: BTreeMap<u32, Counted>,
}

/// Shares of the time between two readings, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Most {
    /// In which the thread ran that ran most.
    pub ran: f64,
    /// In which the thread waited for a CPU that waited most.
    pub waited: f64,
}

impl ThreadCounts {
    /// Of these threads, each with its process, as far as they are still there; nothing where none is.
    #[must_use]
    pub fn read(threads: impl IntoIterator<Item = (u32, u32)>) -> Option<Self> {
        let counted = threads.into_iter().filter_map(|(process, thread)| {
            let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
            Some((thread, counted(&text)?))
        });
        let threads: BTreeMap<_, _> = counted.collect();
        (!threads.is_empty()).then(|| Self { at: Instant::now(), threads })
    }

    /// Of all threads of a process that there are now.
    #[must_use]
    pub fn of_process(process: u32) -> Option<Self> {
        Self::read(numbers(&format!("/proc/{process}/task")).into_iter().map(|thread| (process, thread)))
    }

    /// What the thread that ran most, and the one that waited most, did since an earlier reading. What several did is not
    /// added up: each of them could have had all of the time.
    #[must_use]
    pub fn most_since(&self, earlier: &Self) -> Option<Most> {
        let between_ns = self.at.checked_duration_since(earlier.at)?.as_nanos() as f64;
        let most = |figure: fn(&Counted) -> u64| {
            let of_each = self.threads.iter().map(|(thread, now)| {
                // A thread that was not there, or whose number was another's, began at 0.
                let before = earlier.threads.get(thread).map_or(0, figure);
                figure(now).checked_sub(before).unwrap_or(figure(now))
            });
            of_each.max().map(|ns| (ns as f64 / between_ns).min(1.0))
        };
        let found = most(|counted| counted.ran_ns).zip(most(|counted| counted.waited_ns));
        found.filter(|_| between_ns > 0.0).map(|(ran, waited)| Most { ran, waited })
    }

    /// Share of the time in which each of these threads ran since an earlier reading; nothing where one of them is not in
    /// both.
    #[must_use]
    pub fn ran_since(&self, earlier: &Self, threads: &[u32]) -> Option<Vec<f64>> {
        let between_ns = self.at.checked_duration_since(earlier.at)?.as_nanos() as f64;
        let ran = |thread: &u32| {
            let ran_ns = self.threads.get(thread)?.ran_ns.checked_sub(earlier.threads.get(thread)?.ran_ns)?;
            (between_ns > 0.0).then(|| (ran_ns as f64 / between_ns).min(1.0))
        };
        threads.iter().map(ran).collect()
    }
}

fn counted(schedstat: &str) -> Option<Counted> {
    let mut figures = schedstat.split_ascii_whitespace().map(|figure| figure.parse().ok());
    Some(Counted { ran_ns: figures.next()??, waited_ns: figures.next()?? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_two_of_three_figures_are_meant() {
        assert_eq!(counted("12 345 6\n"), Some(Counted { ran_ns: 12, waited_ns: 345 }));
        for nonsense in ["", "12", "12 x 6", "x 12 6", "12 -1 6"] {
            assert_eq!(counted(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_unknown() {
        // One above `PID_MAX_LIMIT`, so never anybody's.
        assert_eq!(ThreadCounts::of_process((4 << 20) + 1), None);
    }

    #[test]
    fn a_thread_reads_its_own_count_over_and_over() {
        let own = OwnCount::open();
        // Not every kernel is built to count.
        let Some(before) = own.read() else { return };
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(50) {}
        let after = own.read().unwrap();
        assert!(after.ran_ns > before.ran_ns, "{before:?} {after:?}");
    }

    #[test]
    fn threads_are_not_added_up() {
        let at = Instant::now();
        let of = |ms: u64, threads: &[(u32, u64, u64)]| ThreadCounts {
            at: at + Duration::from_millis(ms),
            threads: threads.iter().map(|&(id, ran_ns, waited_ns)| (id, Counted { ran_ns, waited_ns })).collect(),
        };
        let opened = of(0, &[(1, 5_000_000, 0), (2, 0, 1_000_000), (3, 900_000_000, 0)]);
        // The third ended, and another got its number; the fourth is new.
        let closed = of(10, &[(1, 14_000_000, 300_000), (2, 6_000_000, 1_400_000), (3, 10, 0), (4, 2_000_000, 0)]);
        let most = closed.most_since(&opened).unwrap();
        assert!((most.ran - 0.9).abs() < 1e-9 && (most.waited - 0.04).abs() < 1e-9, "{most:?}");
        assert_eq!(opened.most_since(&opened), None);
        let ran = closed.ran_since(&opened, &[2, 1]).unwrap();
        assert!((ran[0] - 0.6).abs() < 1e-9 && (ran[1] - 0.9).abs() < 1e-9, "{ran:?}");
        for unknown in [3, 4, 5] {
            assert_eq!(closed.ran_since(&opened, &[1, unknown]), None);
        }
    }
}
