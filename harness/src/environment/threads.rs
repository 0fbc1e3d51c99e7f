//! How many threads a process may have.

use super::{Cgroup, Conditions, GroupHeadroom, Limits, Root};

/// A limit on threads, and which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadBound {
    /// Its name.
    pub name: &'static str,
    /// Threads that it allows.
    pub most: u64,
}

impl ThreadBound {
    /// The tightest of those that hold for whoever is asking; nothing where none can be read.
    #[must_use]
    pub fn of(root: &Root) -> Option<Self> {
        // The kernel lets root have as many processes as it likes.
        let Conditions { process, control_groups, .. } = Conditions::of(root);
        let processes = process.processes.filter(|_| !rustix::process::getuid().is_root());
        Self::tightest(processes, &Limits::of(root), &Cgroup::of(root), &control_groups)
    }

    /// The tightest of these; `processes` is the limit on those of a user.
    #[must_use]
    pub fn tightest(
        processes: Option<u64>,
        limits: &Limits,
        cgroup: &Cgroup,
        headroom: &GroupHeadroom,
    ) -> Option<Self> {
        let bounds = [
            ("limit on processes", processes),
            ("kernel.pid_max", limits.kernel_pid_max),
            ("kernel.threads-max", limits.kernel_threads_max),
            // Each stack is a region, and so is its guard.
            ("vm.max_map_count", limits.vm_max_map_count.map(|regions| regions / 2)),
            // Others of the group count, too.
            ("pids.max", headroom.pids_available.or(cgroup.pids_max)),
        ];
        let known = bounds.into_iter().filter_map(|(name, most)| Some(Self { name, most: most? }));
        known.min_by_key(|bound| bound.most)
    }
}
