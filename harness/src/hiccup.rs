//! How quiet a CPU is: a thread that does nothing but wake at set times, and notes by how much it was late.
//!
//! What keeps that thread waiting keeps everything on that CPU waiting: interrupts, the hypervisor, firmware, and, where
//! it may not run before all others, threads of other processes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use backends::refusal::start_refused;
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cpus::{self, CpuSet};
use crate::waking;

/// From one wake-up to the next.
const INTERVAL_NS: u64 = 1_000_000;
/// What is later than this counts as this late.
const LONGEST_NS: u64 = 60_000_000_000;

/// How late one CPU was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hiccup {
    /// The CPU.
    pub cpu: usize,
    /// Whether the thread ran before all ordinary ones. It then sees what interrupts, firmware and the hypervisor took, and
    /// no neighbours.
    pub realtime: bool,
    /// How long it was measured.
    pub span_ns: u64,
    /// How often it woke.
    pub wakeups: u64,
    /// How late the median wake-up was: what waking takes on this machine.
    pub p50_ns: u64,
    /// Of all times at which it should have woken, one in a hundred was later. Those that it slept through count.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// By how much all wake-ups together were later than the median one, each stall counted once.
    pub lost_ns: u64,
}

/// Measures one CPU until it is finished.
#[derive(Debug)]
pub struct HiccupMeter {
    cpu: usize,
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Recording, io::Error>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    wakeups: AtomicU64,
}

impl HiccupMeter {
    /// Starts on `cpu`.
    ///
    /// # Errors
    ///
    /// Where there is no thread to be had. That the CPU is not to be had is said by [`finish`](Self::finish).
    pub fn start(cpu: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        // The kernel keeps fifteen bytes of the name.
        let thread = thread::Builder::new().name(format!("hiccup-{cpu}")).spawn(move || {
            cpus::pin(&CpuSet::from_iter([cpu])).map_err(io::Error::other)?;
            let realtime = waking::begin_realtime();
            waking::be_punctual();
            Ok(Recording { realtime, ..record(&mut Kernel, &its) })
        });
        let thread =
            thread.map_err(|error| io::Error::other(format!("cannot start a thread: {}", start_refused(error))))?;
        Ok(Self { cpu, shared, thread })
    }

    /// How often it has woken so far.
    #[must_use]
    pub fn wakeups(&self) -> u64 {
        self.shared.wakeups.load(Ordering::Relaxed)
    }

    /// Ends it, within two milliseconds on a quiet CPU.
    ///
    /// # Errors
    ///
    /// Where it could not measure: the CPU is not to be had.
    pub fn finish(self) -> io::Result<Hiccup> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let recording = self.thread.join().map_err(|_| io::Error::other("its thread panicked"))??;
        Ok(recording.summary(self.cpu))
    }
}

/// Time, and waiting for it.
trait Time {
    fn now_ns(&mut self) -> u64;
    fn sleep_until(&mut self, at_ns: u64);
}

struct Kernel;

impl Time for Kernel {
    fn now_ns(&mut self) -> u64 {
        waking::now_ns()
    }

    fn sleep_until(&mut self, at_ns: u64) {
        waking::sleep_until(at_ns);
    }
}

/// What came of waking.
#[derive(Debug)]
struct Recording {
    late: Histogram<u64>,
    span_ns: u64,
    realtime: bool,
}

/// Wakes at each multiple of the interval until it is told to stop. What is recorded is recorded before that is looked at,
/// so that a stall at the end is not lost. Times that were slept through are not made up for.
fn record(time: &mut impl Time, shared: &Shared) -> Recording {
    let mut late = Histogram::new_with_max(LONGEST_NS, 3).expect("the bounds are constants");
    let started_ns = time.now_ns();
    let mut due_ns = started_ns + INTERVAL_NS;
    loop {
        time.sleep_until(due_ns);
        let now_ns = time.now_ns();
        if now_ns >= due_ns {
            late.saturating_record(now_ns - due_ns);
            shared.wakeups.fetch_add(1, Ordering::Relaxed);
            due_ns += ((now_ns - due_ns) / INTERVAL_NS + 1) * INTERVAL_NS;
        }
        if shared.stop.load(Ordering::Relaxed) {
            return Recording { late, span_ns: now_ns - started_ns, realtime: false };
        }
    }
}

impl Recording {
    fn summary(&self, cpu: usize) -> Hiccup {
        let p50_ns = self.late.value_at_quantile(0.5);
        let excess = |value: u64, count: u64| value.saturating_sub(p50_ns).saturating_mul(count);
        Hiccup {
            cpu,
            realtime: self.realtime,
            span_ns: self.span_ns,
            wakeups: self.late.len(),
            p50_ns,
            p99_ns: self.late.clone_correct(INTERVAL_NS).value_at_quantile(0.99),
            max_ns: self.late.max(),
            lost_ns: self
                .late
                .iter_recorded()
                .map(|step| excess(step.value_iterated_to(), step.count_at_value()))
                .fold(0, u64::saturating_add),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A CPU on which waking takes 50 µs and which stalls at certain times; a thousand wake-ups are asked for.
    struct Faulty<'a> {
        now_ns: u64,
        /// From when, for how long.
        stalls: Vec<(u64, u64)>,
        shared: &'a Shared,
    }

    impl Time for Faulty<'_> {
        fn now_ns(&mut self) -> u64 {
            self.now_ns
        }

        fn sleep_until(&mut self, at_ns: u64) {
            self.now_ns = self.now_ns.max(at_ns) + MS / 20;
            if let Some(&(from, length)) =
                self.stalls.iter().find(|(from, length)| (*from..from + length).contains(&self.now_ns))
            {
                self.now_ns = from + length;
            }
            if self.now_ns >= 1000 * MS {
                self.shared.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn measured(stalls: &[(u64, u64)]) -> Hiccup {
        let shared = Shared::default();
        let mut time = Faulty { now_ns: 0, stalls: stalls.to_vec(), shared: &shared };
        record(&mut time, &shared).summary(3)
    }

    fn close(value: u64, to: u64) -> bool {
        value.abs_diff(to) * 500 <= to
    }

    #[test]
    fn a_quiet_cpu_is_late_by_what_waking_takes() {
        let quiet = measured(&[]);
        assert_eq!((quiet.cpu, quiet.lost_ns), (3, 0));
        assert!(quiet.wakeups >= 999 && close(quiet.p50_ns, MS / 20) && quiet.max_ns == quiet.p50_ns, "{quiet:?}");
    }

    #[test]
    fn a_stall_is_seen_in_its_full_length() {
        // Due at 501 ms, and running again at 540.5.
        let stalled = measured(&[(500 * MS + MS / 2, 40 * MS)]);
        assert!(close(stalled.max_ns, 39 * MS + MS / 2), "{stalled:?}");
        assert!(close(stalled.lost_ns, 39 * MS + MS / 2), "{stalled:?}");
        assert!(close(stalled.p50_ns, MS / 20), "{stalled:?}");
        // 40 of 1000 times to wake were slept through: the latest hundredth begins at about 30 ms.
        assert!((28 * MS..33 * MS).contains(&stalled.p99_ns), "{stalled:?}");
    }

    #[test]
    fn a_stall_at_the_end_is_not_lost() {
        let stalled = measured(&[(990 * MS, 30 * MS)]);
        assert!(close(stalled.max_ns, 30 * MS), "{stalled:?}");
    }

    #[test]
    fn a_cpu_of_this_machine_is_measured_until_it_is_finished() {
        let cpu = cpus::cores().unwrap()[0].iter().next().unwrap();
        let meter = HiccupMeter::start(cpu).unwrap();
        while meter.wakeups() < 5 {
            thread::yield_now();
        }
        let hiccup = meter.finish().unwrap();
        assert!(hiccup.wakeups >= 5 && hiccup.cpu == cpu);
        assert!(hiccup.p50_ns <= hiccup.max_ns && hiccup.p50_ns <= hiccup.p99_ns, "{hiccup:?}");
    }

    #[test]
    fn a_cpu_that_is_not_to_be_had_is_an_error() {
        let error = HiccupMeter::start(1023).unwrap().finish().unwrap_err().to_string();
        assert!(error.contains("may not use CPU 1023"), "{error}");
    }
}
