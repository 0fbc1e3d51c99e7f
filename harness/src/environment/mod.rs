//! The machine and the build behind a run: what a reader needs to know before comparing it with another run.
//!
//! [`Environment`] is what stays as it is until somebody changes it, and decides whether a run may be continued;
//! [`Conditions`] is how the machine was at one moment. Everything here is best effort: what cannot be read is null,
//! never a guess and never an error.

mod backends;
mod cgroup;
mod clock;
mod conditions;
mod control_groups;
#[cfg(test)]
pub(crate) mod fixtures;
mod frequency;
mod group_counts;
mod group_headroom;
mod kernel;
mod limits;
mod network;
mod qdisc;
mod root;
mod tables;
mod threads;
mod topology;
mod virtualisation;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::backends::BackendFacts;
pub use self::cgroup::Cgroup;
pub use self::clock::{ClockCost, ClockSource};
pub use self::conditions::{Conditions, CpuTicks, ProcessState};
pub use self::control_groups::ControlGroups;
pub use self::frequency::{Frequency, FrequencyPolicy, IdleState, IdleStates};
pub use self::group_counts::{GroupCounts, GroupEvents};
pub use self::group_headroom::GroupHeadroom;
pub use self::kernel::KernelBuild;
pub use self::limits::Limits;
pub use self::network::Network;
pub(crate) use self::qdisc::{NO_QUEUE, of_loopback as loopback_qdiscs};
pub use self::root::Root;
pub(crate) use self::tables::{field, kibibytes};
pub use self::threads::ThreadBound;
pub use self::topology::{NumaNode, Topology};
pub use self::virtualisation::Virtualisation;

/// The machine that a run was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Environment {
    /// Release of the running kernel.
    pub kernel: String,
    /// As the processor names itself.
    pub cpu_model: Option<String>,
    /// CPUs that are online.
    pub cpus: Option<usize>,
    /// All memory.
    pub memory_bytes: Option<u64>,
    /// The largest packet on loopback: it decides how many of them a large payload becomes.
    pub loopback_mtu_bytes: Option<u64>,
    /// How TCP paces itself, on loopback too; it takes part in every figure.
    pub tcp_congestion_control: Option<String>,
    /// Whether a hypervisor shows itself; timings are then at its mercy.
    pub virtualised: Option<bool>,
    /// How the kernel was built and started.
    pub kernel_build: KernelBuild,
    /// How the CPUs are related.
    pub topology: Topology,
    /// Who decides how fast they run.
    pub frequency: Frequency,
    /// How deep they sleep.
    pub idle: IdleStates,
    /// What stands between this kernel and the hardware.
    pub virtualisation: Virtualisation,
    /// What the control groups of this process leave it.
    pub cgroup: Cgroup,
    /// Where the time comes from.
    pub clock: ClockSource,
    /// What the network stack, and so loopback, is set to.
    pub network: Network,
    /// What the kernel allows anybody.
    pub limits: Limits,
    /// What the kernel grants each backend; null where it was not asked.
    pub backends: Option<Vec<BackendFacts>>,
}

impl Environment {
    /// Reads it from the running system, and asks its kernel for every backend.
    #[must_use]
    pub fn read() -> Self {
        let mut environment = Self::of(&Root::system());
        if environment.kernel.is_empty() {
            environment.kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        }
        environment.virtualisation.ask_processor();
        environment.virtualised =
            environment.virtualised.or(environment.virtualisation.machine.is_some().then_some(true));
        environment.network.loopback_qdiscs = loopback_qdiscs();
        environment.loopback_mtu_bytes = qdisc::loopback_mtu_bytes().or(environment.loopback_mtu_bytes);
        environment.backends = Some(BackendFacts::ask());
        environment
    }

    /// Whether both are of one machine, as far as figures are concerned: the same processor, number of CPUs, memory and
    /// hypervisor, under the same kernel.
    #[must_use]
    pub fn is_same_machine(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.cpu_model.clone(), one.cpus, one.kernel.clone());
        of(self) == of(other) && self.has_same_memory(other) && self.virtualisation == other.virtualisation
    }

    /// Whether both have the same memory. How much of it a kernel keeps for itself differs from boot to boot, so within a
    /// percent it is the same.
    #[must_use]
    pub fn has_same_memory(&self, other: &Self) -> bool {
        match (self.memory_bytes, other.memory_bytes) {
            (Some(own), Some(other)) => own.abs_diff(other) <= own.max(other) / 100,
            (own, other) => own == other,
        }
    }

    /// What the files below `root` say.
    #[must_use]
    pub fn of(root: &Root) -> Self {
        let cpuinfo = root.text("proc/cpuinfo").unwrap_or_default();
        let meminfo = root.text("proc/meminfo").unwrap_or_default();
        Self {
            kernel: root.line("proc/sys/kernel/osrelease").unwrap_or_default(),
            cpu_model: field(&cpuinfo, "model name").map(str::to_owned),
            cpus: match cpuinfo.lines().filter(|line| line.starts_with("processor")).count() {
                0 => None,
                cpus => Some(cpus),
            },
            memory_bytes: field(&meminfo, "MemTotal").and_then(kibibytes),
            loopback_mtu_bytes: root.number("sys/class/net/lo/mtu"),
            tcp_congestion_control: root.line("proc/sys/net/ipv4/tcp_congestion_control"),
            virtualised: field(&cpuinfo, "flags").map(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            kernel_build: KernelBuild::of(root),
            topology: Topology::of(root),
            frequency: Frequency::of(root),
            idle: IdleStates::of(root),
            virtualisation: Virtualisation::of(root),
            cgroup: Cgroup::of(root),
            clock: ClockSource::of(root),
            network: Network::of(root),
            limits: Limits::of(root),
            backends: None,
        }
    }
}

/// The build that made a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// The commit it was built from, `unknown` where there was no git.
    pub git_revision: String,
    /// Whether its sources differed from that commit.
    pub git_dirty: Option<bool>,
    /// `release`, or `debug`: figures of the latter mean little.
    pub build_profile: String,
}

impl Build {
    /// Of this executable.
    #[must_use]
    pub fn current() -> Self {
        Self {
            git_revision: env!("HARNESS_GIT_REVISION").to_owned(),
            git_dirty: env!("HARNESS_GIT_DIRTY").parse().ok(),
            build_profile: env!("HARNESS_BUILD_PROFILE").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_another_in_any_of_what_figures_depend_on_most() {
        let one = Environment { kernel: "6.18".to_owned(), cpus: Some(2), ..Environment::default() };
        let container = Virtualisation { machine: None, container: Some("docker".to_owned()) };
        let others = [
            Environment { kernel: "6.17".to_owned(), ..one.clone() },
            Environment { cpus: Some(4), ..one.clone() },
            Environment { cpu_model: Some("another".to_owned()), ..one.clone() },
            Environment { memory_bytes: Some(1), ..one.clone() },
            Environment { virtualisation: container, ..one.clone() },
        ];
        assert!(others.iter().all(|other| !one.is_same_machine(other)));
        assert!(one.is_same_machine(&Environment { loopback_mtu_bytes: Some(1500), ..one.clone() }));
    }

    #[test]
    fn a_machine_that_was_started_again_is_the_same_with_a_little_less_memory() {
        let of = |memory_bytes| Environment { memory_bytes: Some(memory_bytes), ..Environment::default() };
        let before = of(25_276_502_016);
        assert!(before.is_same_machine(&of(25_276_469_248)) && of(25_276_469_248).is_same_machine(&before));
        assert!(!before.is_same_machine(&of(24_000_000_000)) && !before.is_same_machine(&Environment::default()));
        assert!(!of(u64::MAX).is_same_machine(&of(0)) && of(0).is_same_machine(&of(0)));
    }
}
