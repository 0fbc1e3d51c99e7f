//! What the control groups of this process leave it: CPU time, CPUs, threads.
//!
//! A limit of any group on the way to the root holds, so the whole way is walked, as far as it can be seen from here. Both
//! versions may be mounted at once, and each may hold a limit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
}

impl Cgroup {
    pub(super) fn of(root: &Root) -> Self {
        let mounts = mounts(root);
        let memberships = memberships(root);
        let way = |controller: &str| way(&mounts, &memberships, controller);

        let mut quotas = Vec::new();
        let mut pids = Vec::new();
        let mut cpuset = None;
        for group in way(UNIFIED) {
            quotas.extend(root.line(&format!("{group}/cpu.max")).and_then(|line| quota_v2(&line)));
            pids.extend(root.number::<u64>(&format!("{group}/pids.max")));
            cpuset = cpuset.or_else(|| allowed(root, &format!("{group}/cpuset.cpus.effective")));
        }
        for group in way("cpu") {
            let number = |file: &str| root.number::<u64>(&format!("{group}/{file}"));
            let quota = number("cpu.cfs_quota_us").zip(number("cpu.cfs_period_us"));
            quotas.extend(quota.and_then(|(quota_us, period_us)| Quota::new(quota_us, period_us)));
        }
        for group in way("cpuset") {
            let effective = allowed(root, &format!("{group}/cpuset.effective_cpus"));
            cpuset = cpuset.or(effective).or_else(|| allowed(root, &format!("{group}/cpuset.cpus")));
        }
        for group in way("pids") {
            pids.extend(root.number::<u64>(&format!("{group}/pids.max")));
        }

        let quota = quotas.into_iter().min_by_key(|quota| quota.millicpus);
        let mut versions: Vec<u8> = mounts.iter().map(|mount| if mount.is_unified() { 2 } else { 1 }).collect();
        versions.sort_unstable();
        versions.dedup();
        Self {
            versions: (!versions.is_empty()).then_some(versions),
            cpu_quota_millicpus: quota.map(|quota| quota.millicpus),
            cpu_quota_period_us: quota.map(|quota| quota.period_us),
            cpuset,
            pids_max: pids.into_iter().min(),
        }
    }
}

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

/// Stands for the one hierarchy of version 2 among the controllers of version 1.
const UNIFIED: &str = "";

/// Where a hierarchy can be seen.
struct Mount {
    controllers: Vec<String>,
    /// The group that is seen at the mount point.
    top: String,
    point: String,
}

impl Mount {
    fn is_unified(&self) -> bool {
        self.controllers.iter().any(|controller| controller == UNIFIED)
    }
}

fn mounts(root: &Root) -> Vec<Mount> {
    let table = root.text("proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(mount).collect()
}

/// Reads a line of `mountinfo`: `32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu`.
fn mount(line: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (top, point) = (mount.next()?.to_owned(), mount.next()?.to_owned());
    let mut filesystem = filesystem.split(' ');
    let controllers = match filesystem.next()? {
        "cgroup2" => vec![UNIFIED.to_owned()],
        "cgroup" => filesystem.nth(1)?.split(',').map(str::to_owned).collect(),
        _ => return None,
    };
    Some(Mount { controllers, top, point })
}

/// The groups of this process: controllers, and the path of the group in their hierarchy.
fn memberships(root: &Root) -> Vec<(Vec<String>, String)> {
    let table = root.text("proc/self/cgroup").unwrap_or_default();
    let membership = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        Some((controllers.split(',').map(str::to_owned).collect(), path.to_owned()))
    };
    table.lines().filter_map(membership).collect()
}

/// The directories of the group and of all groups above it, innermost first.
fn way(mounts: &[Mount], memberships: &[(Vec<String>, String)], controller: &str) -> Vec<String> {
    let has = |controllers: &[String]| controllers.iter().any(|name| name == controller);
    let Some(mount) = mounts.iter().find(|mount| has(&mount.controllers)) else { return Vec::new() };
    let Some((_, path)) = memberships.iter().find(|(controllers, _)| has(controllers)) else { return Vec::new() };
    // A container may see its own group as the top, and the path from further up; or a path that leads out of sight.
    let below = path.strip_prefix(mount.top.trim_end_matches('/')).unwrap_or(path);
    let mut names: Vec<&str> = below.split('/').filter(|name| !matches!(*name, "" | "." | "..")).collect();
    let mut way = Vec::new();
    loop {
        way.push(format!("{}/{}", mount.point, names.join("/")));
        if names.pop().is_none() {
            return way;
        }
    }
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
