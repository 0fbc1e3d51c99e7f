//! What the control groups of this process leave it at one moment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cgroup::NO_LIMIT_BYTES;
use super::control_groups::ControlGroups;
use super::root::Root;

/// What is left below the limits of the control groups of this process: the least on the way to the root, for a limit of
/// any of them holds. Null: no limit, or none that can be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupHeadroom {
    /// Memory that could be had without swapping: what is not used, and what is used for files.
    pub memory_available_bytes: Option<u64>,
    /// Threads and processes.
    pub pids_available: Option<u64>,
    /// Swap that the innermost group uses.
    pub swap_used_bytes: Option<u64>,
}

impl GroupHeadroom {
    pub(super) fn of(root: &Root) -> Self {
        let groups = ControlGroups::of(root, "proc/self/cgroup");
        let number = |group: &str, file: &str| root.number::<u64>(&format!("{group}/{file}"));
        let left = |group: &str, most: Option<u64>, used: &str| {
            Some(most?.saturating_sub(number(group, used)?).saturating_add(of_files(root, group)))
        };
        let unified = groups.unified.iter().filter_map(|group| {
            let most = [number(group, "memory.max"), number(group, "memory.high")].into_iter().flatten().min();
            left(group, most, "memory.current")
        });
        let version_1 = groups.memory.iter().filter_map(|group| {
            let most = number(group, "memory.limit_in_bytes").filter(|&bytes| bytes < NO_LIMIT_BYTES);
            left(group, most, "memory.usage_in_bytes")
        });
        let of_pids = groups.unified.iter().chain(&groups.pids);
        let pids =
            of_pids.filter_map(|group| Some(number(group, "pids.max")?.saturating_sub(number(group, "pids.current")?)));
        Self {
            memory_available_bytes: unified.chain(version_1).min(),
            pids_available: pids.min(),
            swap_used_bytes: groups.unified.first().and_then(|group| number(group, "memory.swap.current")),
        }
    }
}

/// Files in memory, which are dropped before anything else is.
fn of_files(root: &Root, group: &str) -> u64 {
    let table = root.text(&format!("{group}/memory.stat")).unwrap_or_default();
    let bytes = |name: &str| {
        let row = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        row.and_then(|bytes| bytes.parse::<u64>().ok()).unwrap_or(0)
    };
    // Version 1 counts what is in groups below by other names.
    let of = |v2: &str, v1: &str| bytes(v2).max(bytes(v1));
    of("inactive_file", "total_inactive_file").saturating_add(of("active_file", "total_active_file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::fixtures::Tree;

    #[test]
    fn what_is_left_is_the_least_on_the_way_with_the_memory_of_files() {
        let tree = Tree::empty();
        tree.text("proc/self/mountinfo", "31 23 0:28 / /cg rw - cgroup2 cgroup2 rw\n");
        tree.text("proc/self/cgroup", "0::/a/b\n");
        for (file, content) in [
            ("a/b/memory.max", "max\n"),
            ("a/b/memory.current", "1000\n"),
            ("a/memory.max", "300000\n"),
            ("a/memory.high", "200000\n"),
            ("a/memory.current", "150000\n"),
            ("a/memory.stat", "anon 9\ninactive_file 20000\nactive_file 1000\n"),
            ("a/b/pids.max", "100\n"),
            ("a/b/pids.current", "30\n"),
            ("a/pids.max", "90\n"),
            ("a/pids.current", "40\n"),
            ("a/b/memory.swap.current", "4096\n"),
        ] {
            tree.text(&format!("cg/{file}"), content);
        }
        let headroom = GroupHeadroom::of(&tree.root());
        assert_eq!((headroom.memory_available_bytes, headroom.pids_available), (Some(71_000), Some(50)));
        assert_eq!(headroom.swap_used_bytes, Some(4096));
    }

    #[test]
    fn groups_of_the_first_version_leave_something_too() {
        let tree = Tree::empty();
        tree.text(
            "proc/self/mountinfo",
            "31 23 0:28 /d /cg rw - cgroup x rw,memory\n32 23 0:9 / /p rw - cgroup x rw,pids\n",
        );
        tree.text("proc/self/cgroup", "3:memory:/d\n2:pids:/\n");
        tree.text("cg/memory.limit_in_bytes", "314572800\n");
        tree.text("cg/memory.usage_in_bytes", "314572800\n");
        tree.text("cg/memory.stat", "inactive_file 0\ntotal_inactive_file 5\ntotal_active_file 2\n");
        tree.text("p/pids.max", "3\n");
        tree.text("p/pids.current", "9\n");
        let headroom = GroupHeadroom::of(&tree.root());
        assert_eq!((headroom.memory_available_bytes, headroom.pids_available), (Some(7), Some(0)));
        tree.text("cg/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(GroupHeadroom::of(&tree.root()).memory_available_bytes, None);
    }
}
