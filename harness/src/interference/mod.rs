//! What the machine did to a trial, other than carry it out: CPUs that stood still, that went to others, or that were
//! taken from the threads of a trial.

mod cpu_time;
mod groups;
mod hiccups;

use std::collections::BTreeMap;
use std::fs;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cpus::CpuSet;
use crate::environment::{ControlGroups, GroupEvents, loopback_qdiscs};
use cpu_time::CpuTime;
use groups::GroupWatch;
use hiccups::{Hiccups, Seen};

/// What the machine did to both sides while the window was open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Interference {
    /// What is shorter than this is not called a hiccup; null where nobody looked.
    pub hiccup_floor_ns: Option<u64>,
    /// On the server's CPUs.
    pub server: Disturbance,
    /// On the load generator's CPUs.
    pub client: Disturbance,
    /// The queueing disciplines of loopback, which carried the load; `noqueue` unless it was given others.
    pub loopback_qdiscs: Option<Vec<String>>,
}

/// What the machine did to one side; null what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Disturbance {
    /// The longest time that one of its CPUs stood still for everybody.
    pub hiccup_max_ns: Option<u64>,
    /// All such times, of the CPU that had most of them.
    pub hiccup_total_ns: Option<u64>,
    /// Share of the time of its CPUs that a hypervisor gave to somebody else.
    pub stolen: Option<f64>,
    /// Share of the time of its CPUs that neither side used, and that was not spare.
    pub neighbours: Option<f64>,
    /// Share of the time in which its threads could have run and waited for a CPU that somebody else had.
    pub waited: Option<f64>,
    /// Times a second that one of its threads was made to wait for a CPU by somebody else.
    pub involuntary_switches_per_s: Option<f64>,
    /// What the limits of its control groups did to it.
    pub control_groups: GroupEvents,
}

/// Looks at the CPUs of both sides, from its start to its end.
#[derive(Debug)]
pub struct Watch {
    server_cpus: CpuSet,
    client_cpus: CpuSet,
    hiccups: Hiccups,
    server_groups: GroupWatch,
    client_groups: GroupWatch,
    opened: Option<Reading>,
    closed: Option<Reading>,
}

/// What the two sides themselves did with their CPUs while the window was open; `None` what is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnUse {
    /// CPU time of the server.
    pub server_cpu_ns: Option<u64>,
    /// CPU time of the load generator.
    pub client_cpu_ns: u64,
    /// Times that a thread of the server was made to wait; `None` also where they wait for each other.
    pub server_involuntary_switches: Option<u64>,
    /// Times that a thread of the load generator was made to wait; `None` also where they wait for each other.
    pub client_involuntary_switches: Option<u64>,
    /// Share of the time in which threads of the server could have run and had no CPU; `None` as above.
    pub server_waited: Option<f64>,
    /// Share of the time in which a thread of the load generator could have run and had no CPU; `None` as above.
    pub client_waited: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    server: CpuTime,
    client: CpuTime,
}

impl Watch {
    /// Begins. A side whose CPUs are unknown has none; the server is known by its processes.
    #[must_use]
    pub fn start(server_cpus: &CpuSet, client_cpus: &CpuSet, server_processes: &[u32]) -> Self {
        let cpus: CpuSet = server_cpus.iter().chain(client_cpus.iter()).collect();
        Self {
            server_cpus: server_cpus.clone(),
            client_cpus: client_cpus.clone(),
            hiccups: Hiccups::watch(cpus.iter()),
            server_groups: GroupWatch::start(ControlGroups::of_processes(server_processes)),
            client_groups: GroupWatch::start(ControlGroups::of_this_process()),
            opened: None,
            closed: None,
        }
    }

    /// What is seen from now on counts.
    pub fn window_opens(&mut self) {
        self.hiccups.window_opens();
        self.opened = Some(self.read());
        self.server_groups.window_opens();
        self.client_groups.window_opens();
    }

    /// What is seen from now on does not.
    pub fn window_closed(&mut self) {
        self.hiccups.window_closed();
        self.closed = Some(self.read());
        self.load_ended();
    }

    /// The last answer has come. The server may end from now on, and its control groups with it.
    pub fn load_ended(&mut self) {
        self.server_groups.window_closed();
        self.client_groups.window_closed();
    }

    /// Adds to why a server has ended that the kernel killed something in its control group, where it did.
    #[must_use]
    pub fn with_killing(&self, error: String) -> String {
        if self.server_groups.has_killed() {
            return format!("{error}; the kernel killed a process in its control group for lack of memory");
        }
        error
    }

    fn read(&self) -> Reading {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Reading { server: CpuTime::read(&stat, &self.server_cpus), client: CpuTime::read(&stat, &self.client_cpus) }
    }

    /// What was seen. On CPUs that both sides use, the time of both is their own.
    #[must_use]
    pub fn finish(self, own: OwnUse) -> Interference {
        let seen = self.hiccups.finish();
        let Some((opened, closed)) = self.opened.zip(self.closed) else { return Interference::default() };
        let shared = self.server_cpus.overlaps(&self.client_cpus);
        let client_ns = own.client_cpu_ns;
        let own_ns = own.server_cpu_ns.map(|server_ns| {
            if shared { (server_ns + client_ns, server_ns + client_ns) } else { (server_ns, client_ns) }
        });
        let disturbance = |cpus: &CpuSet, opened: CpuTime, closed: CpuTime, own_ns: Option<u64>, switches| {
            let seen: Option<Vec<&Seen>> = cpus.iter().map(|cpu| seen.get(&cpu)).collect();
            let seen = seen.filter(|seen| !seen.is_empty());
            let elapsed_s = closed.at.saturating_duration_since(opened.at).as_secs_f64();
            Disturbance {
                hiccup_max_ns: seen.as_ref().and_then(|seen| seen.iter().map(|seen| seen.max_ns).max()),
                hiccup_total_ns: seen.as_ref().and_then(|seen| seen.iter().map(|seen| seen.total_ns).max()),
                stolen: opened.stolen_share(&closed),
                // Without the server's part, nobody can tell who a neighbour is.
                neighbours: own_ns.and_then(|own_ns| opened.foreign_share(&closed, own_ns)),
                waited: None,
                involuntary_switches_per_s: per_second(switches, seen.as_deref(), elapsed_s),
                control_groups: GroupEvents::default(),
            }
        };
        let (server_groups, client_groups) = (self.server_groups.finish(), self.client_groups.finish());
        Interference {
            hiccup_floor_ns: floor_ns(&seen),
            loopback_qdiscs: loopback_qdiscs(),
            server: Disturbance {
                waited: own.server_waited,
                control_groups: server_groups,
                ..disturbance(
                    &self.server_cpus,
                    opened.server,
                    closed.server,
                    own_ns.map(|(server_ns, _)| server_ns),
                    own.server_involuntary_switches,
                )
            },
            client: Disturbance {
                waited: own.client_waited,
                control_groups: client_groups,
                ..disturbance(
                    &self.client_cpus,
                    opened.client,
                    closed.client,
                    own_ns.map(|(_, client_ns)| client_ns),
                    own.client_involuntary_switches,
                )
            },
        }
    }
}

fn floor_ns(seen: &BTreeMap<usize, Seen>) -> Option<u64> {
    seen.values().map(|seen| seen.floor_ns).max()
}

/// Each of our own looks at a CPU may have been such a switch, and nobody is to blame for that.
fn per_second(switches: Option<u64>, seen: Option<&[&Seen]>, elapsed_s: f64) -> Option<f64> {
    let looks: u64 = seen.unwrap_or_default().iter().map(|seen| seen.looks).sum();
    (elapsed_s > 0.0).then_some(switches?.saturating_sub(looks) as f64 / elapsed_s)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn a_cpu() -> CpuSet {
        crate::cpus::cores().unwrap()[0].iter().take(1).collect()
    }

    fn watched(server: &CpuSet, client: &CpuSet, own: OwnUse) -> Interference {
        let mut watch = Watch::start(server, client, &[]);
        watch.window_opens();
        std::thread::sleep(Duration::from_millis(30));
        watch.window_closed();
        watch.finish(own)
    }

    #[test]
    fn both_sides_are_looked_at() {
        let cpu = a_cpu();
        let own = OwnUse { server_cpu_ns: Some(0), server_involuntary_switches: Some(1 << 20), ..OwnUse::default() };
        let seen = watched(&cpu, &cpu, own);
        assert!(seen.hiccup_floor_ns.is_some());
        for side in [&seen.server, &seen.client] {
            assert!(side.hiccup_max_ns <= side.hiccup_total_ns && side.hiccup_max_ns.is_some(), "{seen:?}");
            assert!(side.stolen.is_some() && side.neighbours.is_some(), "{seen:?}");
        }
        assert!(seen.server.involuntary_switches_per_s.unwrap() > 1000.0, "{seen:?}");
        assert_eq!(seen.client.involuntary_switches_per_s, None);
    }

    #[test]
    fn of_a_server_that_nobody_knows_nothing_is_said_nor_who_its_neighbours_are() {
        let seen = watched(&CpuSet::default(), &a_cpu(), OwnUse::default());
        assert_eq!(seen.server, Disturbance::default());
        assert!(seen.client.hiccup_max_ns.is_some() && seen.client.neighbours.is_none(), "{seen:?}");
    }

    #[test]
    fn a_window_that_never_closed_shows_nothing() {
        let mut watch = Watch::start(&a_cpu(), &a_cpu(), &[]);
        watch.window_opens();
        assert_eq!(watch.finish(OwnUse::default()), Interference::default());
    }

    #[test]
    fn our_own_looks_are_no_switches_of_others() {
        let seen = Seen { looks: 250, ..Seen::default() };
        let per_second = |switches| per_second(switches, Some(&[&seen]), 1.0);
        assert_eq!((per_second(Some(200)), per_second(Some(350)), per_second(None)), (Some(0.0), Some(100.0), None));
    }
}
