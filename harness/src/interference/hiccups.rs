//! How long a CPU stood still for everybody.
//!
//! A thread on each CPU sleeps to absolute times, some milliseconds apart, and notes how much longer it slept. Where it
//! may, it runs before every ordinary thread, so that it is late for two reasons only: interrupts, or a hypervisor that
//! gave the CPU to somebody else. Where it may not, it has to wait for our own busy threads as well, and nothing shorter
//! than such a wait can be is called a hiccup.
//!
//! A stop that is shorter than the time between two looks is seen in part, or not at all: what is found is the least that
//! there was. A look takes up to ten microseconds, so that all of them together take less than a thousandth of a CPU.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use crate::cpus::{self, CpuSet};
use crate::waking::{be_punctual, begin_realtime, now_ns, sleep_until};

/// From one look to the next. No multiple of the kernel's tick, beside which they would all fall.
const PERIOD_NS: u64 = 11_000_000;

/// The shortest hiccup of a real-time thread. Interrupts of our own traffic hold it up for some hundred microseconds.
const REALTIME_FLOOR_NS: u64 = 1_000_000;

/// The shortest hiccup of any other thread: two ticks of 10 ms, the longest that a kernel lets one thread run while
/// another waits for its turn.
const ORDINARY_FLOOR_NS: u64 = 20_000_000;

/// Not yet.
const NEVER_NS: u64 = u64::MAX;

/// A thread for each CPU that is watched.
#[derive(Debug)]
pub(super) struct Hiccups {
    window: Arc<Window>,
    watchers: BTreeMap<usize, JoinHandle<Option<Seen>>>,
}

/// What happened on a CPU while the window was open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// What is shorter was not counted.
    pub(super) floor_ns: u64,
    pub(super) max_ns: u64,
    pub(super) total_ns: u64,
    /// Looks, each of which may have interrupted who was running.
    pub(super) looks: u64,
}

#[derive(Debug)]
struct Window {
    opened_ns: AtomicU64,
    closed_ns: AtomicU64,
    over: AtomicBool,
}

impl Hiccups {
    /// Watches these CPUs from the moment on at which it returns. Where no thread can be had for one of them nothing is known of it.
    pub(super) fn watch(cpus: impl IntoIterator<Item = usize>) -> Self {
        Self::watch_as(cpus, true)
    }

    fn watch_as(cpus: impl IntoIterator<Item = usize>, realtime: bool) -> Self {
        let window = Arc::new(Window {
            opened_ns: AtomicU64::new(NEVER_NS),
            closed_ns: AtomicU64::new(NEVER_NS),
            over: AtomicBool::new(false),
        });
        let (ready, all_ready) = mpsc::channel();
        let start = |cpu| {
            let (window, ready) = (Arc::clone(&window), ready.clone());
            let thread = thread::Builder::new().name(format!("hiccups-{cpu}"));
            let watcher = thread.spawn(move || look_after(cpu, realtime, || drop(ready), &window)).ok()?;
            Some((cpu, watcher))
        };
        let watchers = cpus.into_iter().filter_map(start).collect();
        drop(ready);
        // The end comes when every thread has dropped its part.
        let _: Result<(), _> = all_ready.recv();
        Self { window, watchers }
    }

    pub(super) fn window_opens(&self) {
        self.window.opened_ns.store(now_ns(), Ordering::Relaxed);
    }

    pub(super) fn window_closed(&self) {
        self.window.closed_ns.store(now_ns(), Ordering::Relaxed);
    }

    /// What was seen, by CPU.
    pub(super) fn finish(mut self) -> BTreeMap<usize, Seen> {
        self.window.over.store(true, Ordering::Relaxed);
        let watchers = std::mem::take(&mut self.watchers);
        let seen = watchers.into_iter().map(|(cpu, watcher)| (cpu, watcher.join().ok().flatten()));
        seen.filter_map(|(cpu, seen)| Some((cpu, seen?))).collect()
    }
}

impl Drop for Hiccups {
    fn drop(&mut self) {
        // They end at their next look.
        self.window.over.store(true, Ordering::Relaxed);
    }
}

impl Window {
    /// The part of the time between these that lies in the window.
    fn clip_ns(&self, from_ns: u64, to_ns: u64) -> u64 {
        let (opened_ns, closed_ns) = (self.opened_ns.load(Ordering::Relaxed), self.closed_ns.load(Ordering::Relaxed));
        to_ns.min(closed_ns).saturating_sub(from_ns.max(opened_ns))
    }
}

fn look_after(cpu: usize, realtime: bool, is_ready: impl FnOnce(), window: &Window) -> Option<Seen> {
    cpus::pin(&CpuSet::from_iter([cpu])).ok()?;
    be_punctual();
    let floor_ns = if realtime && begin_realtime() { REALTIME_FLOOR_NS } else { ORDINARY_FLOOR_NS };
    let mut seen = Seen { floor_ns, ..Seen::default() };
    let mut due_ns = now_ns() + PERIOD_NS;
    is_ready();
    loop {
        // Asked before the look: a thread that was kept from it until all was over still sees what kept it.
        let over = window.over.load(Ordering::Relaxed);
        if !over {
            sleep_until(due_ns);
        }
        let woken_ns = now_ns();
        // However short its time in the window was.
        seen.looks += u64::from(window.clip_ns(due_ns, woken_ns) > 0);
        if woken_ns.saturating_sub(due_ns) >= floor_ns {
            let hiccup_ns = window.clip_ns(due_ns, woken_ns);
            seen.max_ns = seen.max_ns.max(hiccup_ns);
            seen.total_ns += hiccup_ns;
        }
        if over {
            break;
        }
        due_ns = (due_ns + PERIOD_NS).max(woken_ns);
    }
    Some(seen)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::quiet::needs_quiet_machine;
    use crate::skipped::skipped;

    fn a_cpu() -> usize {
        cpus::cores().unwrap()[0].iter().next().unwrap()
    }

    /// Keeps everything else from a CPU; where that is not permitted, nothing can be tested.
    fn stand_still(cpu: usize, length: Duration) -> bool {
        let stop = move || {
            cpus::pin(&CpuSet::from_iter([cpu])).unwrap();
            if !begin_realtime() {
                return false;
            }
            // Of the same priority as the thread that is to notice it, and so not interrupted by it.
            let begin = Instant::now();
            while begin.elapsed() < length {}
            true
        };
        thread::spawn(stop).join().unwrap()
    }

    #[test]
    fn a_cpu_that_stood_still_is_noticed_whether_or_not_real_time_is_permitted() {
        let cpu = a_cpu();
        for realtime in [true, false] {
            let hiccups = Hiccups::watch_as([cpu], realtime);
            hiccups.window_opens();
            if !stand_still(cpu, Duration::from_millis(60)) {
                skipped("no right to real-time scheduling");
                return;
            }
            hiccups.window_closed();
            let seen = hiccups.finish()[&cpu];
            assert_eq!(seen.floor_ns, if realtime { REALTIME_FLOOR_NS } else { ORDINARY_FLOOR_NS });
            // Up to a period of it passes before the next look is due.
            assert!(seen.max_ns >= 40_000_000 && seen.total_ns >= seen.max_ns, "{seen:?}");
        }
    }

    #[test]
    fn a_busy_thread_of_ours_is_no_hiccup_on_a_quiet_machine() {
        let cpu = a_cpu();
        for realtime in [true, false] {
            needs_quiet_machine(|| {
                let hiccups = Hiccups::watch_as([cpu], realtime);
                hiccups.window_opens();
                let busy = move || {
                    cpus::pin(&CpuSet::from_iter([cpu])).unwrap();
                    let begin = Instant::now();
                    while begin.elapsed() < Duration::from_millis(60) {}
                };
                thread::spawn(busy).join().unwrap();
                hiccups.window_closed();
                let seen = hiccups.finish()[&cpu];
                if seen.total_ns == 0 && seen.looks > 0 { Ok(()) } else { Err(format!("{realtime}: {seen:?}")) }
            });
        }
    }

    #[test]
    fn what_kept_a_watcher_from_every_look_until_all_was_over_is_noticed() {
        let window =
            Window { opened_ns: AtomicU64::new(0), closed_ns: AtomicU64::new(NEVER_NS), over: AtomicBool::new(false) };
        let length_ns = 3 * ORDINARY_FLOOR_NS;
        let kept = || {
            let begin_ns = now_ns();
            while now_ns() < begin_ns + length_ns {}
            window.over.store(true, Ordering::Relaxed);
        };
        let cpu = a_cpu();
        let seen =
            thread::scope(|scope| scope.spawn(|| look_after(cpu, false, kept, &window)).join().unwrap()).unwrap();
        assert!(seen.looks == 1 && seen.max_ns >= length_ns - PERIOD_NS, "{seen:?}");
    }

    #[test]
    fn only_the_window_counts() {
        let window = Window {
            opened_ns: AtomicU64::new(100),
            closed_ns: AtomicU64::new(NEVER_NS),
            over: AtomicBool::new(false),
        };
        assert_eq!(window.clip_ns(50, 150), 50);
        assert_eq!(window.clip_ns(20, 90), 0);
        window.closed_ns.store(200, Ordering::Relaxed);
        assert_eq!(window.clip_ns(50, 1000), 100);
        let unopened = Window { opened_ns: AtomicU64::new(NEVER_NS), ..window };
        assert_eq!(unopened.clip_ns(50, 1000), 0);
    }

    #[test]
    fn of_a_cpu_that_is_not_there_nothing_is_known() {
        let hiccups = Hiccups::watch([1000]);
        hiccups.window_opens();
        assert!(hiccups.finish().is_empty());
    }
}
