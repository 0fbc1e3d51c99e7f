//! What the limits of control groups have done to the processes in them, as the kernel counts it
//! (Documentation/admin-guide/cgroup-v2.rst; for version 1 cgroup-v1/memory.rst and scheduler/sched-bwc.rst).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::control_groups::ControlGroups;
use super::root::Root;

/// What limits did between two moments; null what could not be read. Of several groups on the way to the root, of the one
/// that did most: those inside of it count the same once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupEvents {
    /// For how long a CPU quota that was used up kept threads from running, all CPUs together.
    pub cpu_quota_stopped_ns: Option<u64>,
    /// Periods of the quota in which that happened.
    pub cpu_quota_periods: Option<u64>,
    /// Times that threads were made to wait and reclaim memory, because there was more of it in use than `memory.high`.
    pub memory_high: Option<u64>,
    /// Times that the limit on memory was reached and some had to be reclaimed.
    pub memory_max: Option<u64>,
    /// Processes that the kernel killed for lack of memory.
    pub oom_kills: Option<u64>,
    /// Threads and processes that were refused.
    pub pids_refused: Option<u64>,
}

/// What was counted up to one moment, group by group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupCounts(Vec<[Option<u64>; KINDS]>);

/// As many as there are events.
const KINDS: usize = 6;

impl ControlGroups {
    /// Reads what their limits have done so far.
    #[must_use]
    pub fn counts(&self) -> GroupCounts {
        self.counts_below(&Root::system())
    }

    pub(super) fn counts_below(&self, root: &Root) -> GroupCounts {
        let row = |group: &str, file: &str| Table(root.text(&format!("{group}/{file}")).unwrap_or_default());
        let unified = self.unified.iter().map(|group| {
            let (cpu, memory, pids) = (row(group, "cpu.stat"), row(group, "memory.events"), row(group, "pids.events"));
            let stopped_ns = cpu.count("throttled_usec").and_then(|us| us.checked_mul(1000));
            let memory = ["high", "max", "oom_kill"].map(|name| memory.count(name));
            [stopped_ns, cpu.count("nr_throttled"), memory[0], memory[1], memory[2], pids.count("max")]
        });
        let cpu = self.cpu.iter().map(|group| {
            let cpu = row(group, "cpu.stat");
            [cpu.count("throttled_time"), cpu.count("nr_throttled"), None, None, None, None]
        });
        let memory = self.memory.iter().map(|group| {
            let reached = root.number(&format!("{group}/memory.failcnt"));
            [None, None, None, reached, row(group, "memory.oom_control").count("oom_kill"), None]
        });
        let pids = self.pids.iter().map(|group| [None, None, None, None, None, row(group, "pids.events").count("max")]);
        GroupCounts(unified.chain(cpu).chain(memory).chain(pids).collect())
    }
}

impl GroupCounts {
    /// What was done since `earlier`, which was read of the same groups.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> GroupEvents {
        let most = |kind: usize| {
            let groups = self.0.iter().zip(&earlier.0);
            groups.filter_map(|(now, before)| now[kind]?.checked_sub(before[kind]?)).max()
        };
        let [stopped_ns, periods, high, max, oom_kills, pids] = std::array::from_fn(most);
        GroupEvents {
            cpu_quota_stopped_ns: stopped_ns,
            cpu_quota_periods: periods,
            memory_high: high,
            memory_max: max,
            oom_kills,
            pids_refused: pids,
        }
    }

    /// The same, with what `earlier` knew of groups that are not there any more.
    #[must_use]
    pub fn or(self, earlier: &Self) -> Self {
        let known = |(now, before): ([Option<u64>; KINDS], &[Option<u64>; KINDS])| {
            std::array::from_fn(|kind| now[kind].or(before[kind]))
        };
        Self(self.0.into_iter().zip(&earlier.0).map(known).collect())
    }
}

/// A file of names and numbers.
struct Table(String);

impl Table {
    fn count(&self, name: &str) -> Option<u64> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::fixtures::Tree;

    /// What the files say later, after the same files were empty of events.
    fn events(mountinfo: &str, membership: &str, files: &[(&str, &str, &str)]) -> GroupEvents {
        let tree = Tree::empty();
        tree.text("proc/self/mountinfo", mountinfo);
        tree.text("proc/self/cgroup", membership);
        let groups = ControlGroups::of(&tree.root(), "proc/self/cgroup");
        for (path, before, _) in files {
            tree.text(path, before);
        }
        let before = groups.counts_below(&tree.root());
        for (path, _, after) in files {
            tree.text(path, after);
        }
        groups.counts_below(&tree.root()).since(&before)
    }

    #[test]
    fn the_group_counts_whose_quota_stopped_it_however_far_up_it_is() {
        let found = events(
            "31 23 0:28 / /cg rw - cgroup2 cgroup2 rw\n",
            "0::/a/b\n",
            &[
                // The innermost has no quota of its own, and so no such figures.
                ("cg/a/b/cpu.stat", "usage_usec 5\n", "usage_usec 9\n"),
                ("cg/a/cpu.stat", "nr_throttled 3\nthrottled_usec 100\n", "nr_throttled 20\nthrottled_usec 1200100\n"),
                ("cg/a/memory.events", "low 0\nhigh 1\nmax 0\noom_kill 0\n", "low 0\nhigh 5\nmax 2\noom_kill 1\n"),
                ("cg/a/pids.events", "max 7\n", "max 9\n"),
            ],
        );
        let expected = GroupEvents {
            cpu_quota_stopped_ns: Some(1_200_000_000),
            cpu_quota_periods: Some(17),
            memory_high: Some(4),
            memory_max: Some(2),
            oom_kills: Some(1),
            pids_refused: Some(2),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn groups_of_the_first_version_count_by_other_names() {
        let found = events(
            "31 23 0:28 / /c rw - cgroup x rw,cpu\n32 23 0:29 /d /m rw - cgroup x rw,memory\n33 23 0:30 / /p rw - cgroup x rw,pids\n\
             34 23 0:31 / /u rw - cgroup2 x rw\n",
            "3:cpu:/q\n2:memory:/d\n1:pids:/p\n0::/\n",
            &[
                (
                    "c/q/cpu.stat",
                    "nr_periods 1\nnr_throttled 1\nthrottled_time 5\n",
                    "nr_periods 9\nnr_throttled 4\nthrottled_time 85000005\n",
                ),
                ("m/memory.failcnt", "0\n", "12\n"),
                (
                    "m/memory.oom_control",
                    "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
                    "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
                ),
                ("p/p/pids.events", "max 0\n", "max 1\n"),
            ],
        );
        assert_eq!((found.cpu_quota_stopped_ns, found.cpu_quota_periods), (Some(85_000_000), Some(3)));
        assert_eq!((found.memory_max, found.oom_kills, found.pids_refused), (Some(12), Some(2), Some(1)));
        assert_eq!(found.memory_high, None);
    }

    #[test]
    fn what_cannot_be_read_or_counts_down_is_unknown() {
        let mount = "31 23 0:28 / /cg rw - cgroup2 cgroup2 rw\n";
        for (before, after) in [
            ("", ""),
            ("x", "y"),
            ("throttled_usec 9\n", "throttled_usec 3\n"),
            ("throttled_usec 1\n", "throttled_usec -1\n"),
        ] {
            assert_eq!(
                events(mount, "0::/\n", &[("cg/cpu.stat", before, after)]),
                GroupEvents::default(),
                "{before} {after}"
            );
        }
        assert_eq!(events("", "", &[]), GroupEvents::default());
    }

    #[test]
    fn a_group_that_has_gone_keeps_what_was_last_known_of_it() {
        let before = GroupCounts(vec![[Some(1), None, None, None, None, None]]);
        let last = GroupCounts(vec![[Some(8), Some(1), None, None, None, None]]);
        let gone = GroupCounts(vec![[None; KINDS]]);
        assert_eq!(gone.or(&last).since(&before).cpu_quota_stopped_ns, Some(7));
    }
}
