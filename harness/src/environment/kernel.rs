//! How the kernel was built and started, as far as it decides how soon threads run and what a system call costs.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::root::Root;

/// Far more than any kernel's configuration.
const LONGEST_CONFIG_BYTES: u64 = 4 << 20;

/// Options of the kernel's command line that are recorded; others are nobody's business.
const BOOT_OPTIONS: [&str; 18] = [
    "mitigations",
    "isolcpus",
    "nohz_full",
    "nohz",
    "rcu_nocbs",
    "irqaffinity",
    "preempt",
    "threadirqs",
    "idle",
    "processor.max_cstate",
    "intel_idle.max_cstate",
    "intel_pstate",
    "amd_pstate",
    "nosmt",
    "clocksource",
    "tsc",
    "highres",
    "transparent_hugepage",
];

/// How the kernel was built and started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KernelBuild {
    /// What `uname -v` says.
    pub version: Option<String>,
    /// How readily one thread is preempted for another: `none`, `voluntary`, `full`, `lazy` or `rt`. Where that is
    /// decided at boot it is what was built in, unless an option says otherwise.
    pub preemption: Option<String>,
    /// How often the timer interrupts a busy CPU.
    pub tick_hz: Option<u64>,
    /// Options of the kernel's command line that take part in timings.
    pub boot_options: Option<Vec<String>>,
    /// What is done about each vulnerability of the processor.
    pub mitigations: Option<BTreeMap<String, String>>,
}

impl KernelBuild {
    pub(super) fn of(root: &Root) -> Self {
        let version = root.line("proc/sys/kernel/version");
        let config = config(root).unwrap_or_default();
        let boot_options = boot_options(root);
        let chosen =
            boot_options.iter().flatten().find_map(|option| option.strip_prefix("preempt=")).map(str::to_owned);
        Self {
            preemption: preemption(&config)
                .map(|built| chosen.unwrap_or_else(|| built.to_owned()))
                .or_else(|| version.as_deref()?.contains("PREEMPT_RT").then(|| "rt".to_owned())),
            version,
            tick_hz: setting(&config, "CONFIG_HZ").and_then(|hz| hz.parse().ok()),
            boot_options,
            mitigations: mitigations(root),
        }
    }
}

/// The configuration that the kernel was built with, from itself or from where distributions leave it.
fn config(root: &Root) -> Option<String> {
    if let Some(packed) = root.bytes("proc/config.gz") {
        let mut config = Vec::new();
        GzDecoder::new(packed.as_slice()).take(LONGEST_CONFIG_BYTES).read_to_end(&mut config).ok()?;
        return Some(String::from_utf8_lossy(&config).into_owned());
    }
    let release = root.line("proc/sys/kernel/osrelease").filter(|release| !release.contains('/'))?;
    root.text(&format!("boot/config-{release}"))
        .or_else(|| root.text(&format!("lib/modules/{release}/build/.config")))
        .or_else(|| root.text(&format!("usr/lib/modules/{release}/config")))
}

fn setting<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    config.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

fn preemption(config: &str) -> Option<&'static str> {
    let models = [
        ("CONFIG_PREEMPT_RT", "rt"),
        ("CONFIG_PREEMPT_LAZY", "lazy"),
        ("CONFIG_PREEMPT_NONE", "none"),
        ("CONFIG_PREEMPT_VOLUNTARY", "voluntary"),
        ("CONFIG_PREEMPT", "full"),
    ];
    models.into_iter().find_map(|(name, model)| (setting(config, name) == Some("y")).then_some(model))
}

fn boot_options(root: &Root) -> Option<Vec<String>> {
    let line = root.line("proc/cmdline")?;
    let named = |option: &&str| BOOT_OPTIONS.contains(&option.split_once('=').map_or(*option, |(name, _)| name));
    // What follows `--` is for the first process.
    let options = line.split_whitespace().take_while(|option| *option != "--");
    Some(options.filter(named).map(str::to_owned).collect())
}

fn mitigations(root: &Root) -> Option<BTreeMap<String, String>> {
    const DIRECTORY: &str = "sys/devices/system/cpu/vulnerabilities";
    let state = |name: String| root.line(&format!("{DIRECTORY}/{name}")).map(|state| (name, state));
    let states: BTreeMap<String, String> = root.names(DIRECTORY).into_iter().filter_map(state).collect();
    (!states.is_empty()).then_some(states)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::environment::fixtures::Tree;

    fn packed(config: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(config.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_configuration_is_unpacked() {
        let tree = Tree::empty();
        tree.bytes("proc/config.gz", &packed("CONFIG_HZ_250=y\nCONFIG_HZ=250\nCONFIG_PREEMPT_VOLUNTARY=y\n"));
        let build = KernelBuild::of(&tree.root());
        assert_eq!((build.preemption.as_deref(), build.tick_hz), (Some("voluntary"), Some(250)));
        tree.text("proc/cmdline", "quiet preempt=full password=x -- nosmt\n");
        let build = KernelBuild::of(&tree.root());
        assert_eq!(build.preemption.as_deref(), Some("full"));
        assert_eq!(build.boot_options.unwrap(), ["preempt=full"]);
    }

    #[test]
    fn a_configuration_of_a_distribution_is_found_by_release() {
        let tree = Tree::empty();
        tree.text("proc/sys/kernel/osrelease", "6.1.0\n");
        tree.text("boot/config-6.1.0", "CONFIG_HZ=1000\nCONFIG_PREEMPT=y\n");
        let build = KernelBuild::of(&tree.root());
        assert_eq!((build.preemption.as_deref(), build.tick_hz), (Some("full"), Some(1000)));
    }

    #[test]
    fn a_damaged_configuration_is_unknown() {
        let tree = Tree::empty();
        let packed = packed("CONFIG_HZ=250\n");
        tree.bytes("proc/config.gz", &packed[..packed.len() / 2]);
        assert_eq!(KernelBuild::of(&tree.root()).tick_hz, None);
    }
}
