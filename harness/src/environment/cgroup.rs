//! The limits of the control groups of this process: on CPU time, CPUs, memory, threads.
//!
//! A limit of any group on the way to the root holds, so the whole way is walked, as far as it can be seen from here. Both
//! versions may be mounted at once, and each may hold a limit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::control_groups::{ControlGroups, versions};
use super::root::Root;
use super::topology::cpu_list;
use crate::cpus::CpuSet;

/// What the control groups of this process leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cgroup {
    /// Which versions of control groups are mounted: 1, 2, or both.
    pub versions: Option<Vec<u8>>,
    /// CPU time in thousandths of a CPU, the smallest quota on the way. Null: no quota, or none that can be seen.
    pub cpu_quota_millicpus: Option<u64>,
    /// After how long a quota that is used up is filled again; until then nothing runs.
    pub cpu_quota_period_us: Option<u64>,
    /// The CPUs that are left.
    pub cpuset: Option<CpuSet>,
    /// Threads and processes, the smallest limit on the way. Null: no limit, or none that can be seen.
    pub pids_max: Option<u64>,
    /// Memory, the smallest limit on the way; beyond it memory is reclaimed, and processes are killed where there is none
    /// to reclaim. Null: no limit, or none that can be seen.
    pub memory_max_bytes: Option<u64>,
    /// Memory from which on processes are made to wait while some is reclaimed, the smallest on the way. Null as above;
    /// version 2 alone has it.
    pub memory_high_bytes: Option<u64>,
    /// Swap that may be used beside that memory, the smallest limit on the way. Null as above.
    pub swap_max_bytes: Option<u64>,
    /// What the CPU time of a group weighs against that of its neighbours where both want it, in percent of what a group
    /// has by default; the smallest on the way. Null: none that can be seen.
    pub cpu_weight_percent: Option<u64>,
}

impl Cgroup {
    pub(super) fn of(root: &Root) -> Self {
        let groups = ControlGroups::of(root, "proc/self/cgroup");
        let number = |group: &str, file: &str| root.number::<u64>(&format!("{group}/{file}"));

        let (mut quotas, mut weights, mut pids) = (Vec::new(), Vec::new(), Vec::new());
        let (mut memory_max, mut memory_high, mut swap_max) = (Vec::new(), Vec::new(), Vec::new());
        let mut cpuset = None;
        for group in &groups.unified {
            quotas.extend(root.line(&format!("{group}/cpu.max")).and_then(|line| quota_v2(&line)));
            weights.extend(number(group, "cpu.weight"));
            pids.extend(number(group, "pids.max"));
            memory_max.extend(number(group, "memory.max"));
            memory_high.extend(number(group, "memory.high"));
            swap_max.extend(number(group, "memory.swap.max"));
            cpuset = cpuset.or_else(|| allowed(root, &format!("{group}/cpuset.cpus.effective")));
        }
        for group in &groups.cpu {
            let quota = number(group, "cpu.cfs_quota_us").zip(number(group, "cpu.cfs_period_us"));
            quotas.extend(quota.and_then(|(quota_us, period_us)| Quota::new(quota_us, period_us)));
            weights.extend(number(group, "cpu.shares").map(|shares| shares.saturating_mul(100) / USUAL_SHARES));
        }
        for group in &groups.cpuset {
            let effective = allowed(root, &format!("{group}/cpuset.effective_cpus"));
            cpuset = cpuset.or(effective).or_else(|| allowed(root, &format!("{group}/cpuset.cpus")));
        }
        for group in &groups.pids {
            pids.extend(number(group, "pids.max"));
        }
        for group in &groups.memory {
            let memory = number(group, "memory.limit_in_bytes").filter(|&bytes| bytes < NO_LIMIT_BYTES);
            let both = number(group, "memory.memsw.limit_in_bytes").filter(|&bytes| bytes < NO_LIMIT_BYTES);
            swap_max.extend(both.zip(memory).map(|(both, memory)| both.saturating_sub(memory)));
            memory_max.extend(memory);
        }

        let quota = quotas.into_iter().min_by_key(|quota| quota.millicpus);
        Self {
            versions: versions(root),
            cpu_quota_millicpus: quota.map(|quota| quota.millicpus),
            cpu_quota_period_us: quota.map(|quota| quota.period_us),
            cpuset,
            pids_max: pids.into_iter().min(),
            memory_max_bytes: memory_max.into_iter().min(),
            memory_high_bytes: memory_high.into_iter().min(),
            swap_max_bytes: swap_max.into_iter().min(),
            cpu_weight_percent: weights.into_iter().min(),
        }
    }
}

/// What a group of version 1 has by default; one of version 2 has a weight of 100.
const USUAL_SHARES: u64 = 1024;

/// Version 1 has no word for no limit: it is the largest number of pages, in bytes (`PAGE_COUNTER_MAX`).
pub(super) const NO_LIMIT_BYTES: u64 = 1 << 62;

#[derive(Clone, Copy)]
struct Quota {
    millicpus: u64,
    period_us: u64,
}

impl Quota {
    fn new(quota_us: u64, period_us: u64) -> Option<Self> {
        Some(Self { millicpus: quota_us.checked_mul(1000)?.checked_div(period_us)?, period_us })
    }
}

/// Reads `150000 100000`; `max 100000` is no quota.
fn quota_v2(line: &str) -> Option<Quota> {
    let (quota_us, period_us) = line.split_once(' ')?;
    Quota::new(quota_us.parse().ok()?, period_us.parse().ok()?)
}

/// An empty list there means that nobody has said anything.
fn allowed(root: &Root, path: &str) -> Option<CpuSet> {
    cpu_list(root, path).filter(|cpus| !cpus.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::fixtures::Tree;

    fn unified(tree: &Tree, path: &str) {
        tree.text("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
        tree.text("proc/self/cgroup", &format!("0::{path}\n"));
    }

    #[test]
    fn the_smallest_quota_on_the_way_holds() {
        let tree = Tree::empty();
        unified(&tree, "/a/b");
        tree.text("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
        tree.text("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
        tree.text("sys/fs/cgroup/cpu.max", "800000 100000\n");
        tree.text("sys/fs/cgroup/a/b/pids.max", "max\n");
        tree.text("sys/fs/cgroup/a/pids.max", "512\n");
        tree.text("sys/fs/cgroup/a/b/cpuset.cpus.effective", "0-3\n");
        let cgroup = Cgroup::of(&tree.root());
        assert_eq!((cgroup.cpu_quota_millicpus, cgroup.cpu_quota_period_us), (Some(1500), Some(100_000)));
        assert_eq!((cgroup.pids_max, cgroup.cpuset), (Some(512), "0-3".parse().ok()));
        assert_eq!(cgroup.versions, Some(vec![2]));
    }

    #[test]
    fn groups_of_the_first_version_are_read_where_they_are_mounted() {
        let tree = Tree::empty();
        // As in a container: the path is the host's, the mount shows only what is below it.
        tree.text(
            "proc/self/mountinfo",
            "32 31 0:29 /docker/c /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n33 31 0:30 / /cg/set rw - cgroup x rw,cpuset\n",
        );
        tree.text("proc/self/cgroup", "2:cpu,cpuacct:/docker/c\n1:cpuset:/\n0::/\n");
        tree.text("cg/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
        tree.text("cg/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
        tree.text("cg/set/cpuset.effective_cpus", "1\n");
        let cgroup = Cgroup::of(&tree.root());
        assert_eq!((cgroup.cpu_quota_millicpus, cgroup.cpuset), (Some(500), "1".parse().ok()));
        assert_eq!(cgroup.versions, Some(vec![1]));

        tree.text("cg/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
        assert_eq!(Cgroup::of(&tree.root()).cpu_quota_millicpus, None);
    }

    #[test]
    fn limits_on_memory_are_read_of_both_versions() {
        let tree = Tree::empty();
        unified(&tree, "/a/b");
        for (file, content) in [
            ("a/b/memory.max", "max\n"),
            ("a/memory.max", "314572800\n"),
            ("memory.max", "629145600\n"),
            ("a/b/memory.high", "209715200\n"),
            ("a/memory.swap.max", "0\n"),
            ("a/cpu.weight", "20\n"),
            ("a/b/cpu.weight", "100\n"),
        ] {
            tree.text(&format!("sys/fs/cgroup/{file}"), content);
        }
        let cgroup = Cgroup::of(&tree.root());
        assert_eq!((cgroup.memory_max_bytes, cgroup.memory_high_bytes), (Some(300 << 20), Some(200 << 20)));
        assert_eq!((cgroup.swap_max_bytes, cgroup.cpu_weight_percent), (Some(0), Some(20)));

        // A hybrid of both, nested.
        let tree = Tree::empty();
        tree.text(
            "proc/self/mountinfo",
            "30 1 0:1 / /cg/unified rw - cgroup2 x rw\n31 1 0:2 / /cg/memory rw - cgroup x rw,memory\n\
             32 1 0:3 / /cg/cpu rw - cgroup x rw,cpu,cpuacct\n33 1 0:4 / /cg/pids rw - cgroup x rw,pids\n",
        );
        tree.text("proc/self/cgroup", "4:pids:/p\n3:cpu,cpuacct:/c\n2:memory:/m/n\n0::/u\n");
        tree.text("cg/memory/m/n/memory.limit_in_bytes", "9223372036854771712\n");
        tree.text("cg/memory/m/memory.limit_in_bytes", "314572800\n");
        tree.text("cg/memory/m/memory.memsw.limit_in_bytes", "419430400\n");
        tree.text("cg/cpu/c/cpu.shares", "512\n");
        tree.text("cg/pids/p/pids.max", "7\n");
        let cgroup = Cgroup::of(&tree.root());
        assert_eq!((cgroup.memory_max_bytes, cgroup.swap_max_bytes), (Some(300 << 20), Some(100 << 20)));
        assert_eq!((cgroup.cpu_weight_percent, cgroup.pids_max), (Some(50), Some(7)));
        assert_eq!(cgroup.versions, Some(vec![1, 2]));
    }

    #[test]
    fn a_container_that_sees_its_own_group_as_the_top_knows_its_limits() {
        let tree = Tree::empty();
        unified(&tree, "/");
        tree.text("sys/fs/cgroup/cpu.max", "20000 100000\n");
        tree.text("sys/fs/cgroup/memory.max", "314572800\n");
        tree.text("sys/fs/cgroup/pids.max", "100\n");
        let cgroup = Cgroup::of(&tree.root());
        assert_eq!((cgroup.cpu_quota_millicpus, cgroup.memory_max_bytes), (Some(200), Some(300 << 20)));
        assert_eq!(cgroup.pids_max, Some(100));
    }

    #[test]
    fn a_path_does_not_lead_out_of_the_hierarchy() {
        let tree = Tree::empty();
        unified(&tree, "/../../x");
        tree.text("sys/fs/cgroup/x/cpu.max", "100000 100000\n");
        tree.text("x/cpu.max", "1 100000\n");
        assert_eq!(Cgroup::of(&tree.root()).cpu_quota_millicpus, Some(1000));
    }

    #[test]
    fn a_quota_that_makes_no_sense_is_none() {
        for line in ["1 0", "18446744073709551615 1", "-5 100000", "1", "", "x y"] {
            let tree = Tree::empty();
            unified(&tree, "/");
            tree.text("sys/fs/cgroup/cpu.max", line);
            assert_eq!(Cgroup::of(&tree.root()).cpu_quota_millicpus, None, "{line}");
        }
    }
}
