//! Whether others used the CPUs that a trial had for itself.
//!
//! The kernel times how long a CPU was idle, and says so in ticks. What it was not idle and was neither our server nor
//! our load generator was somebody else. Interrupts are left out: where the kernel keeps them apart from the time of
//! processes, those of our own traffic are among them. So what is found is the least that others can have used.

use std::fs;
use std::time::Instant;

use rustix::param::clock_ticks_per_second;

use crate::cpus::CpuSet;

/// Reading a CPU's idle time and its time waiting for disks twice may count them wrong by this together.
const ROUNDING_TICKS: u64 = 2;

/// How much of their time the CPUs of both sides spent on neither of them, 0 to 1; `None` what could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Neighbours {
    /// On the server's CPUs.
    pub on_server_cpus: Option<f64>,
    /// On the load generator's CPUs.
    pub on_client_cpus: Option<f64>,
}

/// The CPUs of both sides at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpusReading {
    at: Instant,
    server_spare_ticks: Option<u64>,
    client_spare_ticks: Option<u64>,
}

/// CPU time that the two sides are known to have used, in ns.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnCpu {
    pub(super) server_ns: u64,
    pub(super) client_ns: u64,
}

impl CpusReading {
    pub(super) fn now(server_cpus: &CpuSet, client_cpus: &CpuSet) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            at: Instant::now(),
            server_spare_ticks: spare_ticks(&stat, server_cpus),
            client_spare_ticks: spare_ticks(&stat, client_cpus),
        }
    }
}

impl Neighbours {
    /// Who else was there between two readings. On CPUs that both sides use, the time of both is their own.
    pub(super) fn between(
        opened: CpusReading,
        closed: CpusReading,
        own: OwnCpu,
        server_cpus: &CpuSet,
        client_cpus: &CpuSet,
    ) -> Self {
        let span_ns = closed.at.saturating_duration_since(opened.at).as_nanos() as f64;
        let both_ns = own.server_ns + own.client_ns;
        let shared = server_cpus.overlaps(client_cpus);
        let share = |before: Option<u64>, after: Option<u64>, own_ns, cpus: &CpuSet| {
            Some(foreign_share(after?.saturating_sub(before?), own_ns, span_ns, cpus.len(), clock_ticks_per_second()))
        };
        let server_ns = if shared { both_ns } else { own.server_ns };
        let client_ns = if shared { both_ns } else { own.client_ns };
        Self {
            on_server_cpus: share(opened.server_spare_ticks, closed.server_spare_ticks, server_ns, server_cpus),
            on_client_cpus: share(opened.client_spare_ticks, closed.client_spare_ticks, client_ns, client_cpus),
        }
    }
}

/// The least share of the time of `cpus` CPUs that went to others, given what they had to spare.
fn foreign_share(spare_ticks: u64, own_ns: u64, span_ns: f64, cpus: usize, ticks_per_second: u64) -> f64 {
    let tick_ns = 1e9 / ticks_per_second as f64;
    let all_ns = span_ns * cpus as f64;
    let spare_ns = (spare_ticks + ROUNDING_TICKS * cpus as u64) as f64 * tick_ns;
    // No time at all leaves no share either.
    ((all_ns - spare_ns - own_ns as f64) / all_ns.max(1.0)).max(0.0)
}

/// Ticks that these CPUs were idle, waited for disks, or handled interrupts, since the machine started.
fn spare_ticks(stat: &str, cpus: &CpuSet) -> Option<u64> {
    cpus.iter().map(|cpu| spare_ticks_of(stat, cpu)).sum()
}

fn spare_ticks_of(stat: &str, cpu: usize) -> Option<u64> {
    let name = format!("cpu{cpu}");
    let row = stat.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(' '))?;
    // user, nice, system, idle, iowait, irq, softirq, steal.
    let ticks: Vec<u64> = row.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(ticks.get(3..7)?.iter().sum())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const STAT: &str = "\
cpu  400 0 200 3000 60 0 30 9 0 0
cpu0 100 0 50 1000 20 1 10 3 0 0
cpu1 100 0 50 1000 20 0 10 3 0 0
cpu10 200 0 100 1000 20 0 10 3 0 0
intr 14950632 0
";

    #[test]
    fn idle_time_is_read_by_cpu() {
        let ticks = |cpus: &str| spare_ticks(STAT, &cpus.parse().unwrap());
        assert_eq!((ticks("0"), ticks("1,10"), ticks("2"), ticks("0,2")), (Some(1031), Some(2060), None, None));
        assert_eq!(spare_ticks("", &"0".parse().unwrap()), None);
    }

    #[test]
    fn what_was_neither_idle_nor_ours_was_somebody_elses() {
        // One second of one CPU, in ticks of 10 ms, half of it ours.
        let share = |spare_ticks| foreign_share(spare_ticks, 500_000_000, 1e9, 1, 100);
        assert!((share(18) - 0.3).abs() < 1e-9, "{}", share(18));
        assert!(share(48) < 1e-9 && share(60) < 1e-9);
        // And of two CPUs.
        assert!((foreign_share(96, 500_000_000, 1e9, 2, 100) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn rounding_is_not_taken_for_a_neighbour() {
        // 20 ms, all of them idle, and the ticks did not show it.
        assert!(foreign_share(0, 0, 20e6, 1, 100) < 1e-9);
        assert!(foreign_share(0, 0, 0.0, 1, 100) < 1e-9);
    }

    #[test]
    fn on_shared_cpus_the_time_of_both_sides_is_their_own() {
        let at = Instant::now();
        let reading = |at, ticks| CpusReading { at, server_spare_ticks: Some(ticks), client_spare_ticks: Some(ticks) };
        let (opened, closed) = (reading(at, 0), reading(at + Duration::from_secs(10), 0));
        let own = OwnCpu { server_ns: 5_000_000_000, client_ns: 5_000_000_000 };
        let of = |server: &str, client: &str| {
            Neighbours::between(opened, closed, own, &server.parse().unwrap(), &client.parse().unwrap())
        };
        assert_eq!(of("0", "0"), Neighbours { on_server_cpus: Some(0.0), on_client_cpus: Some(0.0) });
        assert!(of("0", "1").on_server_cpus.unwrap() > 0.4);
    }

    #[test]
    fn what_cannot_be_read_is_no_finding() {
        let at = Instant::now();
        let blind = CpusReading { at, server_spare_ticks: None, client_spare_ticks: None };
        let cpus = "0".parse().unwrap();
        let own = OwnCpu { server_ns: 0, client_ns: 0 };
        assert_eq!(Neighbours::between(blind, blind, own, &cpus, &cpus), Neighbours::default());
    }
}
