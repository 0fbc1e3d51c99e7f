//! CPU time.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// What the calling thread has used, in the kernel and outside.
pub(super) fn thread_cpu() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::from_secs(tv_sec.cast_unsigned()) + Duration::from_nanos(tv_nsec.cast_unsigned())
}
