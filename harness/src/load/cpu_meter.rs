//! What a generator thread costs in CPU time, and how often it was kept from its CPU.

use nix::sys::resource::{UsageWho, getrusage};

use super::clock::thread_cpu_ns;
use super::window::Window;
use crate::run_delay::OwnCount;

/// Reads the CPU clock of its thread when the window opens and when it closes.
///
/// A thread that sleeps over one of those moments reads late, but the clock has stood still as well.
#[derive(Debug)]
pub(super) struct CpuMeter {
    window: Window,
    scheduled: OwnCount,
    next_reading_ns: u64,
    opened: Option<Reading>,
    closed: Option<Reading>,
}

/// What a thread used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CpuUse {
    /// CPU time in the window.
    pub(super) cpu_ns: u64,
    /// Share of the window in which the thread was running.
    pub(super) utilisation: f64,
    /// Times in the window that it was made to wait.
    pub(super) involuntary_switches: Option<u64>,
    /// Share of the window in which it could have run and waited for its CPU; `None` where the kernel does not say.
    pub(super) waited: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    at_ns: u64,
    cpu_ns: u64,
    involuntary_switches: Option<u64>,
    run_delay_ns: Option<u64>,
}

impl CpuMeter {
    /// Of the calling thread.
    pub(super) fn new(window: Window) -> Self {
        Self { window, scheduled: OwnCount::open(), next_reading_ns: window.opens_ns, opened: None, closed: None }
    }

    /// To be told the time whenever it is known.
    #[inline]
    pub(super) fn at(&mut self, now_ns: u64) {
        if now_ns >= self.next_reading_ns {
            self.read(now_ns);
        }
    }

    /// The window closes earlier than it was to.
    #[cold]
    pub(super) fn set_window(&mut self, window: Window) {
        self.window = window;
        if self.opened.is_some() && self.closed.is_none() {
            self.next_reading_ns = window.closes_ns;
        }
    }

    /// The use of a thread that ends at `now_ns`; nothing if that is before the window.
    pub(super) fn finish(mut self, now_ns: u64) -> CpuUse {
        self.at(now_ns);
        let Some(opened) = self.opened else { return CpuUse::default() };
        // A thread that lost all its connections ends before the window does.
        let closed = self.closed.unwrap_or_else(|| Reading::of_this_thread(now_ns, &self.scheduled));
        let cpu_ns = closed.cpu_ns - opened.cpu_ns;
        let window_ns = closed.at_ns.saturating_sub(opened.at_ns).max(1);
        let waited_ns =
            closed.run_delay_ns.zip(opened.run_delay_ns).map(|(closed, opened)| closed.saturating_sub(opened));
        CpuUse {
            waited: waited_ns.map(|waited_ns| (waited_ns as f64 / window_ns as f64).min(1.0)),
            cpu_ns,
            utilisation: (cpu_ns as f64 / window_ns as f64).min(1.0),
            involuntary_switches: closed
                .involuntary_switches
                .zip(opened.involuntary_switches)
                .map(|(now, then)| now - then),
        }
    }

    #[cold]
    fn read(&mut self, now_ns: u64) {
        let reading = Reading::of_this_thread(now_ns, &self.scheduled);
        self.opened.get_or_insert(reading);
        if now_ns >= self.window.closes_ns {
            self.closed = Some(reading);
            self.next_reading_ns = u64::MAX;
        } else {
            self.next_reading_ns = self.window.closes_ns;
        }
    }
}

impl Reading {
    fn of_this_thread(at_ns: u64, scheduled: &OwnCount) -> Self {
        // A sandbox may refuse it.
        let usage = getrusage(UsageWho::RUSAGE_THREAD).ok();
        let involuntary_switches = usage.map(|usage| usage.involuntary_context_switches().cast_unsigned());
        let run_delay_ns = scheduled.read().map(|counted| counted.waited_ns);
        Self { at_ns, cpu_ns: thread_cpu_ns(), involuntary_switches, run_delay_ns }
    }
}
