//! The machine and the build behind a run: what a reader needs to know before comparing it with another run.
//!
//! Everything here is best effort. What cannot be read is null, never a guess.

use std::fs;

use serde::{Deserialize, Serialize};

/// The machine that a run was made on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Environment {
    /// Reads it from the running system.
    #[must_use]
    pub fn read() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            cpu_model: field(&cpuinfo, "model name").map(str::to_owned),
            cpus: match cpuinfo.lines().filter(|line| line.starts_with("processor")).count() {
                0 => None,
                cpus => Some(cpus),
            },
            memory_bytes: field(&meminfo, "MemTotal").and_then(kibibytes),
            loopback_mtu_bytes: fs::read_to_string("/sys/class/net/lo/mtu")
                .ok()
                .and_then(|mtu| mtu.trim().parse().ok()),
            tcp_congestion_control: fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")
                .ok()
                .map(|name| name.trim().to_owned()),
            virtualised: field(&cpuinfo, "flags").map(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        }
    }
}

/// The build that made a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The value of the first line `name: value` in one of the tables under `/proc`.
pub(crate) fn field<'a>(table: &'a str, name: &str) -> Option<&'a str> {
    table.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// Reads `123 kB`, by which the kernel means KiB.
pub(crate) fn kibibytes(value: &str) -> Option<u64> {
    value.strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_tables_are_found_by_their_whole_name() {
        let table = "VmHWMx:\t1 kB\nVmHWM:\t   2048 kB\n";
        assert_eq!(field(table, "VmHWM").and_then(kibibytes), Some(2 * 1024 * 1024));
        assert_eq!(field(table, "VmRSS"), None);
    }

    #[test]
    fn this_machine_has_a_kernel_and_cpus() {
        let environment = Environment::read();
        assert!(!environment.kernel.is_empty());
        assert!(environment.cpus.is_some_and(|cpus| cpus > 0));
    }
}
