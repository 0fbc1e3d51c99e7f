//! Time as a run counts it: nanoseconds since its threads were set going.
//!
//! Every time in this module tree is on that scale, so that a window or a schedule is known before the run begins.

use rustix::time::{ClockId, Timespec, clock_gettime};

const NS_PER_S: u64 = 1_000_000_000;

/// The scale of one run, shared by its threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started_ns: u64,
}

impl Clock {
    /// A clock that now shows zero.
    pub(super) fn start() -> Self {
        Self { started_ns: read_ns(ClockId::Monotonic) }
    }

    pub(super) fn now_ns(self) -> u64 {
        read_ns(ClockId::Monotonic) - self.started_ns
    }

    /// That moment as the kernel's monotonic clock counts it.
    pub(super) fn to_monotonic(self, at_ns: u64) -> Timespec {
        to_timespec(self.monotonic_ns(at_ns))
    }

    /// The same, in ns.
    pub(super) fn monotonic_ns(self, at_ns: u64) -> u64 {
        self.started_ns.saturating_add(at_ns)
    }
}

/// CPU time that the calling thread has used.
pub(super) fn thread_cpu_ns() -> u64 {
    read_ns(ClockId::ThreadCPUTime)
}

pub(super) fn to_timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / NS_PER_S).cast_signed(), tv_nsec: (ns % NS_PER_S).cast_signed() }
}

fn read_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec.cast_unsigned() * NS_PER_S + now.tv_nsec.cast_unsigned()
}
