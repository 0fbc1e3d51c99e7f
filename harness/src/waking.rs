//! Waking at set times, before every ordinary thread where that is permitted: what those need who look at a CPU from
//! within.
#![allow(unsafe_code)]

use nix::libc;
use rustix::thread::{clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{ClockId, Timespec, clock_gettime};

const NS_PER_S: u64 = 1_000_000_000;

/// Makes the calling thread a real-time thread of the lowest priority: what else is of real time is then still noticed.
/// Whether that is permitted.
pub(crate) fn begin_realtime() -> bool {
    const THIS_THREAD: libc::pid_t = 0;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = 1;
    // SAFETY: the kernel reads the parameters, which live until it has; it changes nothing but how this thread is
    // scheduled.
    unsafe { libc::sched_setscheduler(THIS_THREAD, libc::SCHED_FIFO, &raw const parameters) == 0 }
}

/// Has the calling thread woken when it asked to be: an ordinary one may be woken late on purpose, one in real time never
/// is.
pub(crate) fn be_punctual() {
    // Never refused.
    let _ = set_current_timer_slack(std::num::NonZero::new(1));
}

/// Of the clock that the thread sleeps by.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * NS_PER_S + now.tv_nsec.cast_unsigned()
}

/// Sleeps until then. A signal may end it early; the next look at the clock tells.
pub(crate) fn sleep_until(at_ns: u64) {
    let at = Timespec { tv_sec: (at_ns / NS_PER_S).cast_signed(), tv_nsec: (at_ns % NS_PER_S).cast_signed() };
    let _ = clock_nanosleep_absolute(ClockId::Monotonic, &at);
}
