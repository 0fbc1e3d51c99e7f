//! What a process costs, seen from outside: works for any program, ours or not.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::environment::{field, kibibytes};
use crate::run_delay::ThreadCounts;

/// A process to be looked at.
#[derive(Debug)]
pub(super) struct Process {
    id: u32,
    /// Under `/proc`.
    directory: PathBuf,
    cpu_clock: Option<ClockId>,
}

/// The CPU clock of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuReading {
    /// When it was read.
    pub(super) at: Instant,
    /// CPU time of all threads of the process, dead or alive. A ring's worker threads are among them.
    pub(super) cpu_ns: u64,
}

impl Process {
    pub(super) fn new(pid: u32) -> Self {
        let cpu_clock = i32::try_from(pid).ok().and_then(|pid| clock_getcpuclockid(Pid::from_raw(pid)).ok());
        Self { id: pid, directory: format!("/proc/{pid}").into(), cpu_clock }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Takes two system calls, however many threads there are; nothing where it cannot be read.
    pub(super) fn cpu(&self) -> Option<CpuReading> {
        let time = clock_gettime(self.cpu_clock?).ok()?;
        let at = Instant::now();
        let s = u64::try_from(time.tv_sec()).ok()?;
        let cpu_ns = s.checked_mul(1_000_000_000)?.checked_add(u64::try_from(time.tv_nsec()).ok()?)?;
        Some(CpuReading { at, cpu_ns })
    }

    /// How long each of its threads ran and waited for a CPU.
    pub(super) fn thread_counts(&self) -> Option<ThreadCounts> {
        ThreadCounts::of_process(self.id)
    }

    /// The memory that is its own: heap, stacks and rings that it has touched; no files. Counted page by page: `RssAnon` of
    /// `status` leaves out what each CPU has not handed in yet (Linux 6.2 to 6.16), which is as much as some thousand
    /// connections take.
    pub(super) fn anonymous_bytes(&self) -> Option<u64> {
        let sums = fs::read_to_string(self.directory.join("smaps_rollup")).ok()?;
        field(&sums, "Anonymous").and_then(kibibytes)
    }

    /// The most memory that it ever held.
    pub(super) fn max_rss_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(self.directory.join("status")).ok()?;
        field(&status, "VmHWM").and_then(kibibytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_cpu_time_and_memory() {
        let process = Process::new(std::process::id());
        let before = process.cpu().unwrap();
        while before.at.elapsed().as_millis() < 20 {}
        let after = process.cpu().unwrap();
        assert!(after.cpu_ns > before.cpu_ns && after.at > before.at);
        assert!(process.max_rss_bytes().unwrap() > process.anonymous_bytes().unwrap());
    }

    #[test]
    fn a_process_that_is_not_there_has_no_usage() {
        // One above `PID_MAX_LIMIT`, so never anybody's.
        let process = Process::new((4 << 20) + 1);
        assert!(process.cpu().is_none() && process.max_rss_bytes().is_none());
    }
}
