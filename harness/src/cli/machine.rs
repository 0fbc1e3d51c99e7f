//! The machine, as far as it decides what can be asked for. Plain values, so that a test can have any machine.

use anyhow::Context;
use harness::cpus::{self, CpuSet};
use harness::crowd::Room;
use harness::descriptors;

/// What a plan depends on besides what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// The CPUs that this process may use, those of one core together.
    pub(crate) cores: Vec<CpuSet>,
    /// Descriptors that a process may open.
    pub(crate) descriptors: u64,
    /// What there is for many connections.
    pub(crate) room: Room,
}

impl Machine {
    /// The one that this process runs on. The descriptor limit is raised to what it says.
    pub(crate) fn this() -> anyhow::Result<Self> {
        let descriptors = descriptors::raise_limit();
        Ok(Self {
            cores: cpus::cores().context("cannot ask for the CPUs of this process")?,
            descriptors,
            room: Room::of_this_machine(descriptors),
        })
    }

    /// Refuses connections that cannot all be open at once.
    pub(crate) fn check_descriptors(&self, connections: usize) -> Result<(), String> {
        let needed = descriptors::needed(connections);
        if needed <= self.descriptors {
            return self.room.check_files(connections);
        }
        Err(format!(
            "{} need{} {needed} descriptors and a process may open {}; \
             ask for fewer or raise the hard limit (ulimit -Hn, and fs.nr_open where that is lower)",
            harness::figures::counted(connections, "connection"),
            if connections == 1 { "s" } else { "" },
            self.descriptors
        ))
    }

    /// The CPUs of servers with so many threads, and those of the other side, where some were asked for.
    pub(crate) fn sides(
        &self,
        server: Option<&CpuSet>,
        client: Option<&CpuSet>,
        server_threads: usize,
    ) -> (CpuSet, CpuSet) {
        match (server, client) {
            (Some(server), Some(client)) => (server.clone(), client.clone()),
            (Some(server), None) => (server.clone(), self.cpus_besides(server)),
            (None, Some(client)) => (self.cpus_besides(client), client.clone()),
            (None, None) => cpus::split(&self.cores, server_threads),
        }
    }

    /// All CPUs but these; these where there is no other.
    fn cpus_besides(&self, taken: &CpuSet) -> CpuSet {
        let rest: CpuSet = self.cores.iter().flat_map(CpuSet::iter).filter(|&cpu| !taken.contains(cpu)).collect();
        if rest.is_empty() { taken.clone() } else { rest }
    }
}
