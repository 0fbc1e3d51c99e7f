//! Running before every ordinary thread.
#![allow(unsafe_code)]

use nix::libc;

/// Makes the calling thread a real-time thread of the lowest priority: what else is of real time is then still noticed.
/// Whether that is permitted.
pub(super) fn begin() -> bool {
    const THIS_THREAD: libc::pid_t = 0;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = 1;
    // SAFETY: the kernel reads the parameters, which live until it has; it changes nothing but how this thread is
    // scheduled.
    unsafe { libc::sched_setscheduler(THIS_THREAD, libc::SCHED_FIFO, &raw const parameters) == 0 }
}
