//! Who decides how fast the CPUs run, and how deep they sleep.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::root::Root;
use crate::cpus::CpuSet;

const CPUS: &str = "sys/devices/system/cpu";
const CPUFREQ: &str = "sys/devices/system/cpu/cpufreq";
const CPUIDLE: &str = "sys/devices/system/cpu/cpuidle";

/// Who decides how fast the CPUs run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Frequency {
    /// One for each group of CPUs that change their frequency together. Null where this kernel does not decide, as in
    /// most virtual machines.
    pub policies: Option<Vec<FrequencyPolicy>>,
    /// Whether a CPU may run faster than its rated frequency while it is cool enough.
    pub turbo: Option<bool>,
}

/// CPUs that change their frequency together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FrequencyPolicy {
    /// Which.
    pub cpus: Option<CpuSet>,
    /// What talks to the hardware.
    pub driver: Option<String>,
    /// What decides: `performance`, `powersave`, `schedutil`, …
    pub governor: Option<String>,
    /// What the hardware is told to prefer where it decides with the governor.
    pub preference: Option<String>,
    /// The lowest frequency allowed.
    pub min_khz: Option<u64>,
    /// The highest frequency allowed.
    pub max_khz: Option<u64>,
}

impl Frequency {
    pub(super) fn of(root: &Root) -> Self {
        let numbers = root.numbered(CPUFREQ, "policy");
        let policies: Vec<FrequencyPolicy> =
            numbers.into_iter().map(|number| FrequencyPolicy::of(root, &format!("{CPUFREQ}/policy{number}"))).collect();
        let not_switched_off = root.number::<u8>(&format!("{CPUS}/intel_pstate/no_turbo")).map(|off| off == 0);
        let switched_on = || root.number::<u8>(&format!("{CPUFREQ}/boost")).map(|on| on == 1);
        Self { policies: (!policies.is_empty()).then_some(policies), turbo: not_switched_off.or_else(switched_on) }
    }
}

impl FrequencyPolicy {
    fn of(root: &Root, directory: &str) -> Self {
        let line = |file: &str| root.line(&format!("{directory}/{file}"));
        Self {
            cpus: root.words::<usize>(&format!("{directory}/affected_cpus")).map(CpuSet::from_iter),
            driver: line("scaling_driver"),
            governor: line("scaling_governor"),
            preference: line("energy_performance_preference"),
            min_khz: root.number(&format!("{directory}/scaling_min_freq")),
            max_khz: root.number(&format!("{directory}/scaling_max_freq")),
        }
    }
}

/// How the CPUs sleep while they have nothing to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IdleStates {
    /// What talks to the hardware.
    pub driver: Option<String>,
    /// What decides how deep to sleep.
    pub governor: Option<String>,
    /// The states of the first CPU that has any, from the lightest on.
    pub states: Option<Vec<IdleState>>,
}

/// One way to sleep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IdleState {
    /// Its name.
    pub name: Option<String>,
    /// How long waking takes, as the driver says.
    pub latency_us: Option<u64>,
    /// Whether it is not used.
    pub disabled: Option<bool>,
}

impl IdleStates {
    pub(super) fn of(root: &Root) -> Self {
        let line = |file: &str| root.line(&format!("{CPUIDLE}/{file}"));
        let states =
            root.numbered(CPUS, "cpu").into_iter().map(|cpu| states(root, cpu)).find(|states| !states.is_empty());
        Self {
            driver: line("current_driver"),
            governor: line("current_governor").or_else(|| line("current_governor_ro")),
            states,
        }
    }

    /// The longest time that waking may take.
    #[must_use]
    pub fn slowest_wake_us(&self) -> Option<u64> {
        self.states
            .as_ref()?
            .iter()
            .filter(|state| state.disabled != Some(true))
            .filter_map(|state| state.latency_us)
            .max()
    }
}

fn states(root: &Root, cpu: usize) -> Vec<IdleState> {
    let directory = format!("{CPUS}/cpu{cpu}/cpuidle");
    let state = |number| {
        let state = format!("{directory}/state{number}");
        IdleState {
            name: root.line(&format!("{state}/name")),
            latency_us: root.number(&format!("{state}/latency")),
            disabled: root.number::<u8>(&format!("{state}/disable")).map(|disabled| disabled != 0),
        }
    };
    root.numbered(&directory, "state").into_iter().map(state).collect()
}
