//! A look at how quiet the CPUs are, which takes a second.

use std::thread;
use std::time::Duration;

use crate::cpus::{self, CpuSet};
use crate::environment::{Conditions, CpuTicks};
use crate::figures;
use crate::hiccup::{Hiccup, HiccupMeter};

/// How long it takes.
pub const LOOK: Duration = Duration::from_secs(1);
/// On how many CPUs at most: the threads of more would be what disturbs them.
pub const MOST_CPUS: usize = 64;

/// How often `tick` is called.
const TICKS: u32 = 10;

/// Measures every CPU that this process may use, and adds what it finds to `conditions`. Calls `tick` now and then with
/// the share of the time that has passed.
pub fn look(conditions: &mut Conditions, mut tick: impl FnMut(f64)) {
    let before = CpuTicks::now();
    let (mut hiccups, mut missing) = (Vec::new(), Vec::new());
    let cores = cpus::cores().unwrap_or_else(|error| {
        missing.push(format!("the CPUs of this process cannot be asked for: {error}"));
        Vec::new()
    });
    let usable: Vec<usize> = cores.iter().flat_map(CpuSet::iter).collect();
    let started: Vec<_> = usable.iter().take(MOST_CPUS).map(|&cpu| HiccupMeter::start(cpu)).collect();
    for passed in 0..TICKS {
        tick(f64::from(passed) / f64::from(TICKS));
        thread::sleep(LOOK / TICKS);
    }
    for meter in started {
        match meter.and_then(HiccupMeter::finish) {
            Ok(hiccup) => hiccups.push(hiccup),
            Err(error) => missing.push(error.to_string()),
        }
    }
    if usable.len() > MOST_CPUS {
        missing.push(format!("only {MOST_CPUS} of {} were measured", figures::counted(usable.len(), "CPU")));
    }
    hiccups.sort_by_key(|hiccup: &Hiccup| hiccup.cpu);
    conditions.hiccups = (!hiccups.is_empty()).then_some(hiccups);
    conditions.hiccups_missing = (!missing.is_empty()).then(|| missing.join("; "));
    conditions.steal_during_look = CpuTicks::now().zip(before).and_then(|(now, before)| now.steal_since(before));
}
