//! The control groups of processes as directories: their own ones and all above them, whose limits hold as well.
//!
//! A controller is in one hierarchy, of version 1 or of version 2; both may be mounted at once. In a container only a part
//! of the way to the root can be seen.

use super::root::Root;

/// Stands for the one hierarchy of version 2 among the controllers of version 1.
const UNIFIED: &str = "";

/// The groups of one process or of several, those of each the innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlGroups {
    /// Of version 2.
    pub(super) unified: Vec<String>,
    /// Of version 1, by controller.
    pub(super) cpu: Vec<String>,
    pub(super) cpuset: Vec<String>,
    pub(super) memory: Vec<String>,
    pub(super) pids: Vec<String>,
}

impl ControlGroups {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::of(&Root::system(), "proc/self/cgroup")
    }

    /// Those of all these processes, as far as they are there.
    #[must_use]
    pub fn of_processes(processes: &[u32]) -> Self {
        Self::of_processes_below(&Root::system(), processes)
    }

    pub(super) fn of_processes_below(root: &Root, processes: &[u32]) -> Self {
        let mut all = Self::default();
        for process in processes {
            let Self { unified, cpu, cpuset, memory, pids } = Self::of(root, &format!("proc/{process}/cgroup"));
            let added = [unified, cpu, cpuset, memory, pids];
            let known = [&mut all.unified, &mut all.cpu, &mut all.cpuset, &mut all.memory, &mut all.pids];
            for (known, added) in known.into_iter().zip(added) {
                let new: Vec<String> = added.into_iter().filter(|group| !known.contains(group)).collect();
                known.extend(new);
            }
        }
        all
    }

    /// Those that a file like `/proc/self/cgroup` names.
    pub(super) fn of(root: &Root, membership: &str) -> Self {
        let mounts = Mount::all(root);
        let memberships = memberships(&root.text(membership).unwrap_or_default());
        let way = |controller: &str| way(&mounts, &memberships, controller);
        Self { unified: way(UNIFIED), cpu: way("cpu"), cpuset: way("cpuset"), memory: way("memory"), pids: way("pids") }
    }
}

/// Which versions are mounted: 1, 2, or both.
pub(super) fn versions(root: &Root) -> Option<Vec<u8>> {
    let mut versions: Vec<u8> = Mount::all(root).iter().map(|mount| if mount.has(UNIFIED) { 2 } else { 1 }).collect();
    versions.sort_unstable();
    versions.dedup();
    (!versions.is_empty()).then_some(versions)
}

/// Where a hierarchy can be seen.
struct Mount {
    controllers: Vec<String>,
    /// The group that is seen at the mount point.
    top: String,
    point: String,
}

impl Mount {
    fn all(root: &Root) -> Vec<Self> {
        let table = root.text("proc/self/mountinfo").unwrap_or_default();
        table.lines().filter_map(Self::read).collect()
    }

    /// Reads a line of `mountinfo`: `32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu`.
    fn read(line: &str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (top, point) = (mount.next()?.to_owned(), unescaped(mount.next()?));
        let mut filesystem = filesystem.split(' ');
        let controllers = match filesystem.next()? {
            "cgroup2" => vec![UNIFIED.to_owned()],
            "cgroup" => filesystem.nth(1)?.split(',').map(str::to_owned).collect(),
            _ => return None,
        };
        Some(Self { controllers, top, point })
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// What of a group's path lies below the group that is seen here.
    fn below<'path>(&self, path: &'path str) -> Option<&'path str> {
        let below = path.strip_prefix(self.top.trim_end_matches('/'))?;
        (below.is_empty() || below.starts_with('/')).then_some(below)
    }
}

/// Blanks and the like stand as three octal digits in `mountinfo` (proc(5)).
fn unescaped(path: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .into_iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(path.to_owned(), |path, (escaped, plain)| path.replace(escaped, plain))
}

/// Controllers, and the path of the group in their hierarchy.
fn memberships(table: &str) -> Vec<(Vec<String>, String)> {
    let membership = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        Some((controllers.split(',').map(str::to_owned).collect(), path.to_owned()))
    };
    table.lines().filter_map(membership).collect()
}

/// The directories of the group and of all groups above it, innermost first.
fn way(mounts: &[Mount], memberships: &[(Vec<String>, String)], controller: &str) -> Vec<String> {
    let belongs = |(controllers, _): &&(Vec<String>, String)| controllers.iter().any(|name| name == controller);
    let Some((_, path)) = memberships.iter().find(belongs) else { return Vec::new() };
    let mut mounts = mounts.iter().filter(|mount| mount.has(controller));
    // Of several, the one that shows most of the way.
    let showing = mounts.clone().filter(|mount| mount.below(path).is_some()).min_by_key(|mount| mount.top.len());
    let Some(mount) = showing.or_else(|| mounts.next()) else { return Vec::new() };
    // A container may see its own group as the top, and the path from further up; or a path that leads out of sight.
    let below = mount.below(path).unwrap_or(path);
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

    #[test]
    fn of_several_mounts_the_one_counts_that_shows_most_of_the_way() {
        let tree = Tree::empty();
        tree.text(
            "proc/self/mountinfo",
            "1 0 0:1 /a/b /part rw - cgroup2 x rw\n2 0 0:1 /other /other rw - cgroup2 x rw\n\
             3 0 0:1 / /all\\040of\\040it rw - cgroup2 x rw\n4 0 0:1 /a /most rw - cgroup2 x rw\n",
        );
        tree.text("proc/self/cgroup", "0::/a/b\n");
        let groups = ControlGroups::of(&tree.root(), "proc/self/cgroup");
        assert_eq!(groups.unified, ["/all of it/a/b", "/all of it/a", "/all of it/"]);
    }

    #[test]
    fn groups_of_several_processes_are_each_there_once() {
        let tree = Tree::empty();
        tree.text(
            "proc/self/mountinfo",
            "31 23 0:28 / /cg rw - cgroup2 cgroup2 rw\n32 23 0:29 / /v1 rw - cgroup x rw,pids\n",
        );
        tree.text("proc/7/cgroup", "5:pids:/p\n0::/a\n");
        tree.text("proc/8/cgroup", "0::/a/b\n");
        let groups = ControlGroups::of_processes_below(&tree.root(), &[7, 8, 9]);
        assert_eq!(
            (groups.unified, groups.pids),
            (
                vec!["/cg/a".to_owned(), "/cg/".to_owned(), "/cg/a/b".to_owned()],
                vec!["/v1/p".to_owned(), "/v1/".to_owned()],
            )
        );
    }
}
