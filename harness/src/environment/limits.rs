//! What the kernel allows anybody, how it hands out memory, and what may be observed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::root::Root;

/// What the kernel allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// The most descriptors that a process can ever be allowed.
    pub fs_nr_open: Option<u64>,
    /// Open files of all processes.
    pub fs_file_max: Option<u64>,
    /// Process and thread numbers.
    pub kernel_pid_max: Option<u64>,
    /// Threads of all processes.
    pub kernel_threads_max: Option<u64>,
    /// Mapped regions of one process; a thread needs two.
    pub vm_max_map_count: Option<u64>,
    /// Who may set up a ring: 0 everybody, 1 a group, 2 nobody.
    pub io_uring_disabled: Option<u64>,
    /// That group; negative: only the privileged.
    pub io_uring_group: Option<i64>,
    /// How much of each second real-time threads may run, in µs; negative: all of it.
    pub sched_rt_runtime_us: Option<i64>,
    /// When memory is mapped in huge pages without asking: `always`, `madvise`, `never`.
    pub transparent_huge_pages: Option<String>,
    /// Whether a process waits until such pages have been made room for.
    pub transparent_huge_pages_defrag: Option<String>,
    /// What of other processes and of the kernel may be counted: from -1, all, to 2 or more, little.
    pub perf_event_paranoid: Option<i64>,
    /// Whether the processor counts instructions, cycles and the like for us.
    pub hardware_counters: Option<bool>,
}

impl Limits {
    pub(super) fn of(root: &Root) -> Self {
        let sysctl = |name: &str| root.number::<u64>(&format!("proc/sys/{name}"));
        let signed = |name: &str| root.number::<i64>(&format!("proc/sys/{name}"));
        Self {
            fs_nr_open: sysctl("fs/nr_open"),
            fs_file_max: sysctl("fs/file-max"),
            kernel_pid_max: sysctl("kernel/pid_max"),
            kernel_threads_max: sysctl("kernel/threads-max"),
            vm_max_map_count: sysctl("vm/max_map_count"),
            io_uring_disabled: sysctl("kernel/io_uring_disabled"),
            io_uring_group: signed("kernel/io_uring_group"),
            sched_rt_runtime_us: signed("kernel/sched_rt_runtime_us"),
            transparent_huge_pages: root.choice("sys/kernel/mm/transparent_hugepage/enabled"),
            transparent_huge_pages_defrag: root.choice("sys/kernel/mm/transparent_hugepage/defrag"),
            perf_event_paranoid: signed("kernel/perf_event_paranoid"),
            hardware_counters: hardware_counters(root),
        }
    }
}

/// The processor's counters have a device of their own: `cpu`, one for each kind of core, or one named after the design.
fn hardware_counters(root: &Root) -> Option<bool> {
    let devices = root.names("sys/bus/event_source/devices");
    let counts = |name: &String| name.starts_with("cpu") || name.starts_with("armv") || name.starts_with("apple_");
    (!devices.is_empty()).then(|| devices.iter().any(counts))
}
