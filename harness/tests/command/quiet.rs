//! Tests that need a machine with nothing else to do, all behind one function.
//!
//! Every other test passes on any machine, busy or quiet, slow or fast. What measures how long something takes, or that
//! something does not happen, cannot: it runs where `REQUIRE_QUIET=all` is in the environment, and even there a failure
//! counts only from a moment in which the machine was quiet.

use std::time::Duration;

use super::skipped;

const TRIES: usize = 6;
/// Complaints from moments in which nothing else was going on.
const ENOUGH_COMPLAINTS: usize = 3;
/// How often the machine is looked at before it counts as busy, for a tenth of a second each.
const LOOKS: usize = 20;

/// Tries until `check` has nothing to complain about. Without `REQUIRE_QUIET=all`, and on a machine that is busy, the test
/// that calls this is skipped from here on.
pub(crate) fn needs_quiet_machine(mut check: impl FnMut() -> Result<(), String>) {
    if std::env::var("REQUIRE_QUIET").as_deref() != Ok("all") {
        return skipped("needs a quiet machine; run with REQUIRE_QUIET=all");
    }
    let mut complaints = Vec::new();
    for _ in 0..TRIES {
        if !(0..LOOKS).any(|_| is_quiet()) {
            break;
        }
        let Err(complaint) = check() else { return };
        if is_quiet() {
            complaints.push(complaint);
        }
        assert!(complaints.len() < ENOUGH_COMPLAINTS, "{complaints:#?}");
    }
    skipped(&format!("needs a quiet machine, and this one is busy {complaints:?}"));
}

/// Whether its CPUs have hardly anything to do.
fn is_quiet() -> bool {
    let Some((idle_before, all_before)) = ticks() else { return false };
    std::thread::sleep(Duration::from_millis(100));
    let Some((idle, all)) = ticks() else { return false };
    (idle - idle_before) as f64 >= 0.9 * (all - all_before) as f64
}

/// Ticks in which all CPUs were idle, and all ticks.
fn ticks() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> =
        stat.lines().next()?.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>().ok()?;
    Some((ticks.get(3)? + ticks.get(4)?, ticks.get(..8)?.iter().sum()))
}
