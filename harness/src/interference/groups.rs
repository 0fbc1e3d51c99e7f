//! What the limits of control groups do to one side of a trial.

use crate::environment::{ControlGroups, GroupCounts, GroupEvents};

/// Looks at the control groups of one side.
#[derive(Debug)]
pub(super) struct GroupWatch {
    groups: ControlGroups,
    /// Before any connection is open.
    started: GroupCounts,
    opened: Option<GroupCounts>,
    ended: Option<GroupCounts>,
}

impl GroupWatch {
    pub(super) fn start(groups: ControlGroups) -> Self {
        let started = groups.counts();
        Self { groups, started, opened: None, ended: None }
    }

    pub(super) fn window_opens(&mut self) {
        self.opened = Some(self.groups.counts());
    }

    /// Called once more when the last answers have come: the kernel counts how long a quota stopped a group when that is
    /// over, and answers to what was sent in the window waited for that.
    pub(super) fn window_closed(&mut self) {
        let now = self.groups.counts();
        self.ended = Some(match &self.ended {
            Some(earlier) => now.or(earlier),
            None => now,
        });
    }

    /// Whether the kernel killed a process in them.
    pub(super) fn has_killed(&self) -> bool {
        self.groups.counts().since(&self.started).oom_kills.is_some_and(|kills| kills > 0)
    }

    /// Threads of a server are refused while connections are opened, so that those and processes killed count from the start.
    pub(super) fn finish(self) -> GroupEvents {
        let Some((opened, ended)) = self.opened.zip(self.ended) else { return GroupEvents::default() };
        let (window, trial) = (ended.since(&opened), ended.since(&self.started));
        GroupEvents { oom_kills: trial.oom_kills, pids_refused: trial.pids_refused, ..window }
    }
}
