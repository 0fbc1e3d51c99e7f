//! A look at how quiet the CPUs are: a second of `harness doctor`, and less before the first trial of a run.

use std::thread;
use std::time::Duration;

use crate::cpus::{self, CpuSet};
use crate::environment::{Conditions, CpuTicks};
use crate::figures;
use crate::hiccup::{Hiccup, HiccupMeter};

/// How long it takes where it is all that is done.
pub const LOOK: Duration = Duration::from_secs(1);
/// How long it takes before a run, whose trials are looked at themselves. The record says how long it was.
pub const BRIEF_LOOK: Duration = Duration::from_millis(250);
/// On how many CPUs at most: the threads of more would be what disturbs them.
pub const MOST_CPUS: usize = 64;

/// How often it asks whether to go on.
const TICKS: u32 = 10;

/// Measures every CPU that this process may use for a second, and adds what it finds to `conditions`. Calls `tick` now and
/// then.
pub fn look(conditions: &mut Conditions, mut tick: impl FnMut()) {
    match cpus::cores() {
        Ok(cores) => {
            let usable: CpuSet = cores.iter().flat_map(CpuSet::iter).collect();
            look_at(&usable, LOOK, conditions, || {
                tick();
                true
            });
        }
        Err(error) => {
            conditions.hiccups_missing = Some(format!("the CPUs of this process cannot be asked for: {error}"));
        }
    }
}

/// Measures these CPUs for so long, or until `goes_on` says no.
pub fn look_at(cpus: &CpuSet, length: Duration, conditions: &mut Conditions, mut goes_on: impl FnMut() -> bool) {
    let before = CpuTicks::now();
    let (mut hiccups, mut missing) = (Vec::new(), Vec::new());
    let started: Vec<_> = cpus.iter().take(MOST_CPUS).map(HiccupMeter::start).collect();
    for _ in 0..TICKS {
        if !goes_on() {
            break;
        }
        thread::sleep(length / TICKS);
    }
    for meter in started {
        match meter.and_then(HiccupMeter::finish) {
            Ok(hiccup) => hiccups.push(hiccup),
            Err(error) => missing.push(error.to_string()),
        }
    }
    // One reason for several CPUs is said once.
    missing.dedup();
    if cpus.len() > MOST_CPUS {
        missing.push(format!("only {MOST_CPUS} of {} were measured", figures::counted(cpus.len(), "CPU")));
    }
    hiccups.sort_by_key(|hiccup: &Hiccup| hiccup.cpu);
    conditions.hiccups = (!hiccups.is_empty()).then_some(hiccups);
    conditions.hiccups_missing = (!missing.is_empty()).then(|| missing.join("; "));
    conditions.steal_during_look = CpuTicks::now().zip(before).and_then(|(now, before)| now.least_steal_since(before));
}
