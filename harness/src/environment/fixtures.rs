//! Machines for tests: trees of files that look like `/proc` and `/sys` of one machine or another.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Conditions, Environment, Root};

/// A machine in a temporary directory.
pub(crate) struct Tree(TempDir);

impl Tree {
    /// On which nothing can be read.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A server of four cores, set up for measuring.
    pub(crate) fn server() -> Self {
        let tree = Self::empty();
        for (path, content) in COMMON.iter().chain(&SERVER) {
            tree.text(path, content);
        }
        tree.cpus(&["0", "1", "2", "3"]);
        for cpu in 0..4 {
            tree.policy(cpu, "performance");
        }
        tree
    }

    /// A laptop as it is sold: two cores of two threads each, powersave, turbo, deep sleep.
    pub(crate) fn laptop() -> Self {
        let tree = Self::empty();
        for (path, content) in COMMON.iter().chain(&LAPTOP) {
            tree.text(path, content);
        }
        tree.cpus(&["0,2", "1,3", "0,2", "1,3"]);
        for cpu in 0..4 {
            tree.policy(cpu, "powersave");
        }
        tree
    }

    /// The server, seen from a container with a quota of 1.5 CPUs.
    pub(crate) fn container() -> Self {
        let tree = Self::server();
        tree.text("run/systemd/container", "docker\n");
        tree.text("sys/fs/cgroup/cpu.max", "150000 100000\n");
        tree
    }

    /// A machine with the files of the server and the laptop, every one of which holds `content`.
    pub(crate) fn filled_with(content: &[u8]) -> Self {
        let tree = Self::container();
        for (path, _) in &LAPTOP {
            tree.text(path, "");
        }
        for path in ["proc/config.gz", "proc/1/environ", "proc/pressure/cpu", "sys/hypervisor/type"] {
            tree.text(path, "");
        }
        // What leads from file to file has to lead there, or the others would never be looked at.
        let leads = ["proc/self/mountinfo", "proc/self/cgroup", "sys/devices/system/cpu/online"];
        let leads = leads.map(|path| tree.0.path().join(path));
        fill(tree.0.path(), content, &leads);
        tree
    }

    pub(crate) fn text(&self, path: &str, content: &str) {
        self.bytes(path, content.as_bytes());
    }

    pub(crate) fn bytes(&self, path: &str, content: &[u8]) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn root(&self) -> Root {
        Root::new(self.0.path())
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment::of(&self.root())
    }

    pub(crate) fn conditions(&self) -> Conditions {
        Conditions::of(&self.root())
    }

    fn cpus(&self, siblings: &[&str]) {
        for (cpu, siblings) in siblings.iter().enumerate() {
            let directory = format!("sys/devices/system/cpu/cpu{cpu}/topology");
            self.text(&format!("{directory}/thread_siblings_list"), siblings);
            self.text(&format!("{directory}/physical_package_id"), "0\n");
        }
    }

    fn policy(&self, cpu: usize, governor: &str) {
        let directory = format!("sys/devices/system/cpu/cpufreq/policy{cpu}");
        self.text(&format!("{directory}/affected_cpus"), &format!("{cpu}\n"));
        self.text(&format!("{directory}/scaling_driver"), "intel_pstate\n");
        self.text(&format!("{directory}/scaling_governor"), governor);
        self.text(&format!("{directory}/scaling_min_freq"), "800000\n");
        self.text(&format!("{directory}/scaling_max_freq"), "3600000\n");
        self.text(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"), "3600000\n");
    }
}

fn fill(directory: &Path, content: &[u8], except: &[PathBuf]) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fill(&path, content, except);
        } else if !except.contains(&path) {
            // One that is emptied first goes to the disk as soon as it is closed, which takes long.
            let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all(content).unwrap();
            file.set_len(content.len() as u64).unwrap();
        }
    }
}

const COMMON: [(&str, &str); 47] = [
    (
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Test CPU\nflags\t\t: fpu tsc\n\nprocessor\t: 1\nprocessor\t: 2\nprocessor\t: 3\n",
    ),
    (
        "proc/meminfo",
        "MemTotal:       16000000 kB\nMemAvailable:   12000000 kB\nSwapTotal:       100 kB\nSwapFree:        100 kB\n",
    ),
    ("proc/cmdline", "quiet\n"),
    ("proc/loadavg", "0.05 0.10 0.20 1/300 4242\n"),
    ("proc/uptime", "86400.25 100000.00\n"),
    ("proc/stat", "cpu  1000 0 500 98000 100 0 400 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\n"),
    ("proc/net/sockstat", "sockets: used 14\nTCP: inuse 5 orphan 0 tw 2 alloc 8 mem 1\n"),
    (
        "proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max processes             60000                60000                processes \n\
         Max open files            1024                 1048576              files     \n\
         Max locked memory         8388608              8388608              bytes     \n",
    ),
    ("proc/self/status", "Name:\tharness\nSeccomp:\t0\nCpus_allowed_list:\t0-3\n"),
    ("proc/self/stat", "7 (harness) R 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 0\n"),
    ("proc/self/timerslack_ns", "50000\n"),
    ("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"),
    ("proc/self/cgroup", "0::/\n"),
    ("proc/sys/fs/file-max", "9223372036854775807\n"),
    ("proc/sys/fs/file-nr", "1200\t0\t9223372036854775807\n"),
    ("proc/sys/fs/nr_open", "1048576\n"),
    ("proc/sys/kernel/io_uring_disabled", "0\n"),
    ("proc/sys/kernel/io_uring_group", "-1\n"),
    ("proc/sys/kernel/osrelease", "6.12.0-test\n"),
    ("proc/sys/kernel/perf_event_paranoid", "1\n"),
    ("proc/sys/kernel/pid_max", "4194304\n"),
    ("proc/sys/kernel/sched_rt_runtime_us", "950000\n"),
    ("proc/sys/kernel/threads-max", "120000\n"),
    ("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC\n"),
    ("proc/sys/net/core/busy_poll", "0\n"),
    ("proc/sys/net/core/busy_read", "0\n"),
    ("proc/sys/net/core/default_qdisc", "fq_codel\n"),
    ("proc/sys/net/core/netdev_max_backlog", "1000\n"),
    ("proc/sys/net/core/somaxconn", "4096\n"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
    ("proc/sys/net/ipv4/ip_local_reserved_ports", "\n"),
    ("proc/sys/net/ipv4/tcp_available_congestion_control", "reno cubic\n"),
    ("proc/sys/net/ipv4/tcp_congestion_control", "cubic\n"),
    ("proc/sys/net/ipv4/tcp_max_syn_backlog", "2048\n"),
    ("proc/sys/net/ipv4/tcp_mem", "190000\t260000\t380000\n"),
    ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
    ("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n"),
    ("proc/sys/net/ipv4/tcp_tw_reuse", "2\n"),
    ("proc/sys/vm/max_map_count", "1048576\n"),
    ("sys/bus/event_source/devices/cpu/type", "4\n"),
    ("sys/class/net/lo/mtu", "65536\n"),
    ("sys/class/net/lo/queues/rx-0/rps_cpus", "0\n"),
    ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm\n"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
    ("sys/devices/system/cpu/isolated", "\n"),
    ("sys/devices/system/cpu/online", "0-3\n"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
];

const SERVER: [(&str, &str); 7] = [
    ("sys/devices/system/cpu/smt/active", "0\n"),
    ("sys/devices/system/cpu/smt/control", "off\n"),
    ("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n"),
    ("sys/devices/system/cpu/cpuidle/current_driver", "intel_idle\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "0\n"),
    ("sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n"),
    ("sys/devices/system/node/node0/cpulist", "0-3\n"),
];

const LAPTOP: [(&str, &str); 10] = [
    ("sys/devices/system/cpu/smt/active", "1\n"),
    ("sys/devices/system/cpu/smt/control", "on\n"),
    ("sys/devices/system/cpu/intel_pstate/no_turbo", "0\n"),
    ("sys/devices/system/cpu/cpuidle/current_driver", "intel_idle\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/name", "POLL\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "0\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C10\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "890\n"),
    ("sys/devices/system/cpu/vulnerabilities/meltdown", "Mitigation: PTI\n"),
    ("sys/class/dmi/id/sys_vendor", "LENOVO\n"),
];

mod tests {
    use super::*;

    #[test]
    fn a_laptop_is_read() {
        let environment = Tree::laptop().environment();
        assert_eq!((environment.cpus, environment.topology.cores), (Some(4), Some(2)));
        assert_eq!((environment.topology.smt_active, environment.topology.sockets), (Some(true), Some(1)));
        assert_eq!(environment.topology.siblings.unwrap(), ["0,2".parse().unwrap(), "1,3".parse().unwrap()]);
        let policies = environment.frequency.policies.unwrap();
        assert_eq!(policies.len(), 4);
        assert_eq!(policies[3].cpus, "3".parse().ok());
        assert_eq!((policies[0].governor.as_deref(), policies[0].max_khz), (Some("powersave"), Some(3_600_000)));
        assert_eq!((environment.frequency.turbo, environment.idle.slowest_wake_us()), (Some(true), Some(890)));
        assert_eq!(environment.virtualised, Some(false));
        assert_eq!(environment.limits.transparent_huge_pages.as_deref(), Some("madvise"));
        assert_eq!(environment.network.local_ports_usable, Some(28_232));
    }

    #[test]
    fn conditions_are_read() {
        let conditions = Tree::laptop().conditions();
        assert_eq!(conditions.load_average, Some([0.05, 0.1, 0.2]));
        assert_eq!((conditions.running, conditions.threads, conditions.uptime_s), (Some(1), Some(300), Some(86_400)));
        assert_eq!((conditions.tcp_sockets, conditions.tcp_time_wait), (Some(5), Some(2)));
        assert_eq!(conditions.frequency_khz.unwrap(), [3_600_000; 4]);
        assert_eq!((conditions.steal_since_boot, conditions.swap_used_bytes), (Some(0.0), Some(0)));
        let process = conditions.process;
        assert_eq!((process.descriptors_soft, process.descriptors_hard), (Some(1024), Some(1_048_576)));
        assert_eq!((process.niceness, process.seccomp, process.timer_slack_ns), (Some(0), Some(0), Some(50_000)));
    }

    #[test]
    fn where_nothing_can_be_read_nothing_is_claimed() {
        assert_eq!(Tree::empty().environment(), Environment::default());
        assert_eq!(Tree::empty().conditions(), Conditions::default());
    }

    #[test]
    fn numbers_out_of_range_are_unknown() {
        for content in ["-1\n", "99999999999999999999999999\n", "0x10\n", "1e400\n", "NaN\n"] {
            let tree = Tree::filled_with(content.as_bytes());
            let environment = tree.environment();
            assert_eq!(
                (environment.network.somaxconn, environment.cgroup.cpu_quota_millicpus),
                (None, None),
                "{content}"
            );
            assert_eq!((environment.limits.fs_nr_open, environment.memory_bytes), (None, None), "{content}");
            let conditions = tree.conditions();
            assert_eq!((conditions.load_average, conditions.steal_since_boot), (None, None), "{content}");
        }
    }
}
