//! Who had the CPUs of a trial, by the kernel's own account of their time.
//!
//! The kernel times how long a CPU was idle, and says so in ticks. What it was not idle and was neither our server nor
//! our load generator was somebody else. Interrupts are left out: where the kernel keeps them apart from the time of
//! processes, those of our own traffic are among them. So what is found is the least that others can have used.

use std::time::Instant;

use rustix::param::clock_ticks_per_second;

use crate::cpus::CpuSet;

/// Reading a CPU's idle time and its time waiting for disks twice may count them wrong by this together.
const ROUNDING_TICKS: u64 = 2;

/// CPUs at one moment, as the kernel counts their time.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuTime {
    pub(super) at: Instant,
    cpus: usize,
    ticks: Option<Ticks>,
}

/// Ticks of 10 ms or so since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    /// Idle, waiting for disks, handling interrupts, or not there at all.
    spare: u64,
    /// Not there at all: the hypervisor ran somebody else.
    stolen: u64,
}

impl CpuTime {
    /// Of these CPUs, now; `stat` is `/proc/stat`.
    pub(super) fn read(stat: &str, cpus: &CpuSet) -> Self {
        Self { at: Instant::now(), cpus: cpus.len(), ticks: ticks(stat, cpus) }
    }

    /// The least share of their time that was neither spare nor `own_ns`, from here to `closed`.
    pub(super) fn foreign_share(&self, closed: &Self, own_ns: u64) -> Option<f64> {
        let spare = closed.ticks?.spare.saturating_sub(self.ticks?.spare);
        Some(foreign_share(spare, own_ns, self.ns_until(closed), self.cpus, clock_ticks_per_second()))
    }

    /// The least share of their time that a hypervisor gave to somebody else, from here to `closed`.
    pub(super) fn stolen_share(&self, closed: &Self) -> Option<f64> {
        let stolen = closed.ticks?.stolen.saturating_sub(self.ticks?.stolen);
        Some(stolen_share(stolen, self.ns_until(closed), self.cpus, clock_ticks_per_second()))
    }

    fn ns_until(&self, closed: &Self) -> f64 {
        closed.at.saturating_duration_since(self.at).as_nanos() as f64
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

fn stolen_share(stolen_ticks: u64, span_ns: f64, cpus: usize, ticks_per_second: u64) -> f64 {
    let tick_ns = 1e9 / ticks_per_second as f64;
    // The first of them may have been stolen before.
    stolen_ticks.saturating_sub(cpus as u64) as f64 * tick_ns / (span_ns * cpus as f64).max(1.0)
}

fn ticks(stat: &str, cpus: &CpuSet) -> Option<Ticks> {
    if cpus.is_empty() {
        return None;
    }
    cpus.iter().try_fold(Ticks::default(), |sum, cpu| {
        let ticks = ticks_of(stat, cpu)?;
        Some(Ticks { spare: sum.spare + ticks.spare, stolen: sum.stolen + ticks.stolen })
    })
}

fn ticks_of(stat: &str, cpu: usize) -> Option<Ticks> {
    let name = format!("cpu{cpu}");
    let row = stat.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(' '))?;
    // user, nice, system, idle, iowait, irq, softirq, steal.
    let ticks: Vec<u64> = row.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let &[_, _, _, idle, iowait, irq, softirq, stolen] = ticks.get(..8)? else { return None };
    Some(Ticks { spare: idle + iowait + irq + softirq + stolen, stolen })
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
    fn ticks_are_read_by_cpu() {
        let ticks = |cpus: &str| ticks(STAT, &cpus.parse().unwrap()).map(|ticks| (ticks.spare, ticks.stolen));
        assert_eq!((ticks("0"), ticks("1,10")), (Some((1034, 3)), Some((2066, 6))));
        assert_eq!((ticks("2"), ticks("0,2")), (None, None));
        assert_eq!(super::ticks("", &"0".parse().unwrap()), None);
        assert_eq!(super::ticks(STAT, &CpuSet::default()), None);
    }

    #[test]
    fn stolen_time_is_what_is_left_when_the_first_tick_may_have_been_stolen_before() {
        assert!((stolen_share(11, 1e9, 1, 100) - 0.1).abs() < 1e-9);
        assert!(stolen_share(1, 1e9, 1, 100) < 1e-9 && stolen_share(2, 1e9, 2, 100) < 1e-9);
        assert!(stolen_share(0, 0.0, 1, 100) < 1e-9);
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
    fn two_readings_of_a_busy_machine_show_who_was_there() {
        let before = CpuTime::read(STAT, &"0".parse().unwrap());
        let mut after = CpuTime::read(&STAT.replace("1000 20 1 10 3", "1010 20 1 10 33"), &"0".parse().unwrap());
        after.at = before.at + Duration::from_secs(1);
        // 400 ms are spare, 300 of them stolen; two and one tick go to rounding.
        assert!((before.foreign_share(&after, 0).unwrap() - 0.58).abs() < 1e-9);
        assert!((before.stolen_share(&after).unwrap() - 0.29).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_read_is_no_finding() {
        let blind = CpuTime::read("", &"0".parse().unwrap());
        assert_eq!((blind.foreign_share(&blind, 0), blind.stolen_share(&blind)), (None, None));
    }
}
