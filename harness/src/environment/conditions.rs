//! How the machine was at one moment: what changes by itself, and what differs from one shell to the next.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clock::ClockCost;
use super::group_headroom::GroupHeadroom;
use super::root::Root;
use super::tables::{field, kibibytes};
use super::topology::cpu_list;
use crate::cpus::CpuSet;
use crate::hiccup::Hiccup;

/// How the machine was at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Conditions {
    /// How many threads wanted to run, averaged over 1, 5 and 15 minutes.
    pub load_average: Option<[f64; 3]>,
    /// Threads that wanted to run just then, the one that asked among them.
    pub running: Option<u64>,
    /// Threads that there were.
    pub threads: Option<u64>,
    /// Share of the last 10 s in which some thread waited for a CPU.
    pub cpu_pressure: Option<f64>,
    /// Since the machine started.
    pub uptime_s: Option<u64>,
    /// What the hypervisor gave to others while this machine wanted to run, as a share of its CPUs' time since it started.
    pub steal_since_boot: Option<f64>,
    /// The least that the same can have been during the look at the CPUs that is taken before the first trial and by
    /// `harness doctor`.
    pub steal_during_look: Option<f64>,
    /// How fast each CPU ran, in their order.
    pub frequency_khz: Option<Vec<u64>>,
    /// Memory that could be had without swapping.
    pub memory_available_bytes: Option<u64>,
    /// Swap in use.
    pub swap_used_bytes: Option<u64>,
    /// TCP sockets in use.
    pub tcp_sockets: Option<u64>,
    /// TCP sockets in `TIME_WAIT`, each of which holds a port.
    pub tcp_time_wait: Option<u64>,
    /// Open files of all processes.
    pub open_files: Option<u64>,
    /// This process.
    pub process: ProcessState,
    /// What its control groups leave it.
    pub control_groups: GroupHeadroom,
    /// What reading the clock costs; null where it was not measured.
    pub clock: Option<ClockCost>,
    /// How quiet the CPUs were during that look.
    pub hiccups: Option<Vec<Hiccup>>,
    /// Why it is not known of every CPU.
    pub hiccups_missing: Option<String>,
}

/// What this process has from the one that started it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProcessState {
    /// CPUs that it may use.
    pub cpus: Option<CpuSet>,
    /// From -20, before all others, to 19, after them.
    pub niceness: Option<i64>,
    /// Descriptors that it may open; a sweep raises this to the hard limit.
    pub descriptors_soft: Option<u64>,
    /// To how many it may raise that.
    pub descriptors_hard: Option<u64>,
    /// Threads and processes of its user.
    pub processes: Option<u64>,
    /// Memory that it may keep from being swapped.
    pub locked_memory_bytes: Option<u64>,
    /// Whether it may keep as much memory as it likes (`CAP_IPC_LOCK`), whatever that limit is.
    pub locks_any_memory: Option<bool>,
    /// By how much its sleeps may be prolonged so that several end together.
    pub timer_slack_ns: Option<u64>,
    /// Whether a filter looks at each of its system calls: 0 none, 1 strict, 2 a filter.
    pub seccomp: Option<u64>,
}

impl Conditions {
    /// Reads them from the running system, and measures what its clock costs.
    #[must_use]
    pub fn read() -> Self {
        Self { clock: Some(ClockCost::measure()), ..Self::of(&Root::system()) }
    }

    /// What the files below `root` say.
    #[must_use]
    pub fn of(root: &Root) -> Self {
        let meminfo = root.text("proc/meminfo").unwrap_or_default();
        let memory = |name: &str| field(&meminfo, name).and_then(kibibytes);
        let sockstat = root.text("proc/net/sockstat").unwrap_or_default();
        let loadavg = root.line("proc/loadavg").unwrap_or_default();
        let (running, threads) = loadavg.split_whitespace().nth(3).and_then(|word| word.split_once('/')).unzip();
        Self {
            load_average: load_average(&loadavg),
            running: running.and_then(|count| count.parse().ok()),
            threads: threads.and_then(|count| count.parse().ok()),
            cpu_pressure: cpu_pressure(root),
            uptime_s: root.line("proc/uptime").and_then(|line| line.split_once('.')?.0.parse().ok()),
            steal_since_boot: CpuTicks::of(root).and_then(|ticks| ticks.steal_since(CpuTicks::default())),
            steal_during_look: None,
            frequency_khz: frequency_khz(root),
            memory_available_bytes: memory("MemAvailable"),
            swap_used_bytes: memory("SwapTotal").zip(memory("SwapFree")).and_then(|(all, free)| all.checked_sub(free)),
            tcp_sockets: sockets(&sockstat, "inuse"),
            tcp_time_wait: sockets(&sockstat, "tw"),
            open_files: root.words::<u64>("proc/sys/fs/file-nr").and_then(|numbers| numbers.first().copied()),
            process: ProcessState::of(root),
            control_groups: GroupHeadroom::of(root),
            clock: None,
            hiccups: None,
            hiccups_missing: None,
        }
    }
}

impl ProcessState {
    fn of(root: &Root) -> Self {
        let limits = root.text("proc/self/limits").unwrap_or_default();
        let status = root.text("proc/self/status").unwrap_or_default();
        let stat = root.line("proc/self/stat").unwrap_or_default();
        // The name of the command may hold anything, brackets and spaces too.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        Self {
            cpus: field(&status, "Cpus_allowed_list").and_then(|list| list.parse().ok()),
            niceness: after_name.split_whitespace().nth(16).and_then(|word| word.parse().ok()),
            descriptors_soft: limit(&limits, "Max open files", 0),
            descriptors_hard: limit(&limits, "Max open files", 1),
            processes: limit(&limits, "Max processes", 0),
            locked_memory_bytes: limit(&limits, "Max locked memory", 0),
            locks_any_memory: field(&status, "CapEff").and_then(locks_any_memory),
            timer_slack_ns: root.number("proc/self/timerslack_ns"),
            seccomp: field(&status, "Seccomp").and_then(|mode| mode.parse().ok()),
        }
    }
}

/// Reads the effective capabilities, a mask in hexadecimal digits.
fn locks_any_memory(capabilities: &str) -> Option<bool> {
    /// `CAP_IPC_LOCK` of linux/capability.h.
    const IPC_LOCK: u64 = 14;
    Some(u64::from_str_radix(capabilities, 16).ok()? >> IPC_LOCK & 1 == 1)
}

/// The soft (0) or hard (1) limit; no limit at all is the largest number.
fn limit(limits: &str, name: &str, which: usize) -> Option<u64> {
    let row = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match row.split_whitespace().nth(which)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn load_average(loadavg: &str) -> Option<[f64; 3]> {
    let averages: Vec<f64> = loadavg.split_whitespace().take(3).map(str::parse).collect::<Result<_, _>>().ok()?;
    let averages: [f64; 3] = averages.try_into().ok()?;
    averages.iter().all(|average| average.is_finite() && *average >= 0.0).then_some(averages)
}

/// Reads `some avg10=1.23 …`, in percent.
fn cpu_pressure(root: &Root) -> Option<f64> {
    let line = root.line("proc/pressure/cpu")?;
    let percent: f64 = line.strip_prefix("some avg10=")?.split(' ').next()?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

fn frequency_khz(root: &Root) -> Option<Vec<u64>> {
    let online = cpu_list(root, "sys/devices/system/cpu/online").unwrap_or_default();
    let asked: Vec<u64> = online
        .iter()
        .map_while(|cpu| root.number(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq")))
        .collect();
    if !asked.is_empty() && asked.len() == online.len() {
        return Some(asked);
    }
    let cpuinfo = root.text("proc/cpuinfo")?;
    let values = cpuinfo.lines().filter_map(|line| line.split_once(':').filter(|(name, _)| name.trim() == "cpu MHz"));
    let known: Vec<u64> = values.map(|(_, mhz)| khz(mhz.trim())).collect::<Option<_>>()?;
    (!known.is_empty()).then_some(known)
}

/// Reads `2596.122`, in MHz.
fn khz(mhz: &str) -> Option<u64> {
    let (mhz, khz) = mhz.split_once('.')?;
    if khz.len() != 3 {
        return None;
    }
    mhz.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(khz.parse().ok()?)
}

fn sockets(sockstat: &str, name: &str) -> Option<u64> {
    let mut words = field(sockstat, "TCP")?.split_whitespace();
    words.find(|word| *word == name)?;
    words.next()?.parse().ok()
}

/// What all CPUs did since the machine started, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTicks {
    all: u64,
    steal: u64,
    cpus: u64,
}

impl CpuTicks {
    /// Of the running system, now.
    #[must_use]
    pub fn now() -> Option<Self> {
        Self::of(&Root::system())
    }

    fn of(root: &Root) -> Option<Self> {
        let stat = root.text("proc/stat")?;
        let mut rows = stat.lines();
        let line = rows.next()?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in these already.
        let words = line.strip_prefix("cpu ")?.split_whitespace().take(8);
        let ticks: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
        let all = ticks.iter().try_fold(0_u64, |sum, ticks| sum.checked_add(*ticks))?;
        let cpus = rows.take_while(|row| row.starts_with("cpu")).count() as u64;
        Some(Self { all, steal: *ticks.get(7)?, cpus })
    }

    /// The share of the time since `earlier` in which the hypervisor ran others while this machine wanted to run.
    #[must_use]
    pub fn steal_since(self, earlier: Self) -> Option<f64> {
        let all = self.all.checked_sub(earlier.all).filter(|all| *all > 0)?;
        Some(self.steal.checked_sub(earlier.steal)? as f64 / all as f64)
    }

    /// The least that this share can have been: of each CPU, the first tick may have been stolen before.
    #[must_use]
    pub fn least_steal_since(self, earlier: Self) -> Option<f64> {
        Self { steal: self.steal.saturating_sub(self.cpus).max(earlier.steal), ..self }.steal_since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::fixtures::Tree;

    #[test]
    fn steal_is_a_share_of_the_time_between_two_readings() {
        let tree = Tree::empty();
        let read = |line: &str| {
            tree.text("proc/stat", line);
            CpuTicks::of(&tree.root())
        };
        let earlier = read("cpu  100 0 50 800 20 5 15 10 70 70\n").unwrap();
        let later = read("cpu  150 0 100 850 20 5 15 60 90 90\n").unwrap();
        assert_eq!(earlier.steal_since(CpuTicks::default()), Some(0.01));
        assert_eq!((later.steal_since(earlier), later.steal_since(later)), (Some(0.25), None));
        assert_eq!(earlier.steal_since(later), None, "it counts upwards");
        let two = read("cpu  150 0 100 850 20 5 15 60 90 90\ncpu0 1 0\ncpu1 1 0\nintr 1\n").unwrap();
        assert_eq!(two.least_steal_since(earlier), Some(0.24));
        let hardly = read("cpu  150 0 100 850 20 5 15 12 90 90\ncpu0 1 0\ncpu1 1 0\nintr 1\n").unwrap();
        assert_eq!(hardly.least_steal_since(earlier), Some(0.0));
        assert!(read("cpu  1 2 3\n").is_none() && read("cpu0 1 1 1 1 1 1 1 1\n").is_none());
    }

    #[test]
    fn the_frequency_is_that_of_cpuinfo_where_no_policy_says_more() {
        let tree = Tree::empty();
        tree.text("proc/cpuinfo", "processor : 0\ncpu MHz\t\t: 2596.122\nprocessor : 1\ncpu MHz\t\t: 800.000\n");
        assert_eq!(Conditions::of(&tree.root()).frequency_khz, Some(vec![2_596_122, 800_000]));
        for mhz in ["", "2596", "x.000", "1.-12", "99999999999999999999.000"] {
            tree.text("proc/cpuinfo", &format!("cpu MHz : {mhz}\n"));
            assert_eq!(Conditions::of(&tree.root()).frequency_khz, None, "{mhz}");
        }
    }

    #[test]
    fn the_name_of_a_command_is_no_trap() {
        let tree = Tree::empty();
        tree.text("proc/self/stat", "7 (a) b 1 2) R 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 39 19 1 0 0\n");
        assert_eq!(ProcessState::of(&tree.root()).niceness, Some(19));
    }

    #[test]
    fn who_may_lock_memory_is_read_from_the_capabilities() {
        let tree = Tree::empty();
        for (capabilities, known) in
            [("000001fffeffffff", Some(true)), ("000001fffeffbfff", Some(false)), ("0", Some(false)), ("x", None)]
        {
            tree.text("proc/self/status", &format!("CapEff:\t{capabilities}\n"));
            assert_eq!(ProcessState::of(&tree.root()).locks_any_memory, known, "{capabilities}");
        }
    }

    #[test]
    fn this_process_knows_itself() {
        let conditions = Conditions::read();
        assert!(conditions.process.cpus.is_some_and(|cpus| !cpus.is_empty()));
        assert!(conditions.process.descriptors_hard >= conditions.process.descriptors_soft);
        assert!(conditions.clock.is_some() && conditions.load_average.is_some());
    }
}
