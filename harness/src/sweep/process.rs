//! What a process costs, seen from outside: works for any program, ours or not.

use std::fs;
use std::path::PathBuf;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::environment::{field, kibibytes};

/// A process to be looked at.
#[derive(Debug)]
pub(super) struct Process {
    /// Under `/proc`.
    directory: PathBuf,
    cpu_clock: Option<ClockId>,
}

/// What it had spent at one moment; `None` what could not be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// CPU time of all its threads, dead or alive. A ring's worker threads are among them.
    pub(super) cpu_ns: Option<u64>,
    /// Context switches of the threads that live.
    pub(super) switches: Option<Switches>,
    /// The most memory that it ever held.
    pub(super) max_rss_bytes: Option<u64>,
}

/// Times that threads stopped running.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Switches {
    /// To wait.
    pub(super) voluntary: u64,
    /// For another to run.
    pub(super) involuntary: u64,
}

impl Process {
    pub(super) fn new(pid: u32) -> Self {
        let cpu_clock = i32::try_from(pid).ok().and_then(|pid| clock_getcpuclockid(Pid::from_raw(pid)).ok());
        Self { directory: format!("/proc/{pid}").into(), cpu_clock }
    }

    /// The CPU time comes first: it is exact, and what follows takes a while.
    pub(super) fn usage(&self) -> Usage {
        let cpu_ns = self.cpu_ns();
        Usage { cpu_ns, switches: self.switches(), max_rss_bytes: self.max_rss_bytes() }
    }

    fn cpu_ns(&self) -> Option<u64> {
        let time = clock_gettime(self.cpu_clock?).ok()?;
        u64::try_from(time.tv_sec()).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(time.tv_nsec()).ok()?)
    }

    fn max_rss_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(self.directory.join("status")).ok()?;
        field(&status, "VmHWM").and_then(kibibytes)
    }

    fn switches(&self) -> Option<Switches> {
        let mut sum = Switches::default();
        for task in fs::read_dir(self.directory.join("task")).ok()? {
            // A thread that ends while its neighbours are read is not counted; the kernel forgets it likewise.
            let Ok(status) = fs::read_to_string(task.ok()?.path().join("status")) else { continue };
            sum.voluntary += number(&status, "voluntary_ctxt_switches")?;
            sum.involuntary += number(&status, "nonvoluntary_ctxt_switches")?;
        }
        Some(sum)
    }
}

fn number(status: &str, name: &str) -> Option<u64> {
    field(status, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn this_process_uses_cpu_time_and_memory() {
        let process = Process::new(std::process::id());
        let before = process.usage();
        let start = Instant::now();
        while start.elapsed().as_millis() < 20 {}
        let after = process.usage();
        assert!(after.cpu_ns.unwrap() > before.cpu_ns.unwrap());
        assert!(after.max_rss_bytes.unwrap() > 4096);
        assert!(after.switches.is_some());
    }

    #[test]
    fn a_process_that_is_not_there_has_no_usage() {
        // One above `PID_MAX_LIMIT`, so never anybody's.
        let usage = Process::new((4 << 20) + 1).usage();
        assert!(usage.cpu_ns.is_none() && usage.switches.is_none() && usage.max_rss_bytes.is_none());
    }
}
