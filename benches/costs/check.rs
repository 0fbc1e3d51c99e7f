//! Whether counting counts: costs that differ by a known amount of work.

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use crate::instructions::Way;
use crate::table::{Cost, frame, timed};

/// Rounds of the loop that is put in.
const ROUNDS: u64 = 100;

/// Instructions that a round of a loop takes, in a build that is not optimised, too.
const PER_ROUND: std::ops::RangeInclusive<f64> = 1.0..=200.0;

const PLAIN: Cost = Cost { name: "check_plain", of: "message", times: 1000, run: frame };
const WITH_A_LOOP: Cost = Cost { name: "check_with_a_loop", of: "message", times: 1000, run: frame_and_a_loop };

/// Those that are carried out from outside, too.
pub(crate) const COSTS: &[Cost] = &[PLAIN, WITH_A_LOOP];

fn frame_and_a_loop(messages: u64) -> Duration {
    let rounds = || (0..black_box(ROUNDS)).for_each(|round| _ = black_box(round));
    frame(messages) + timed(messages, rounds)
}

/// Counts in every way that this machine has, and demands callgrind where `REQUIRE_TOOLS=all`.
///
/// # Panics
///
/// When a count is not what it has to be.
pub(crate) fn counting() {
    let best = Way::of_this_machine();
    if best == Way::Perf {
        // Whoever is interrupted may count a few that are not its own.
        check(best, 10.0);
    }
    if Command::new("valgrind").arg("--version").output().is_ok() {
        // What remains is how a time is rounded, once for all messages together.
        check(Way::Callgrind, 0.5);
    } else {
        assert_ne!(env::var("REQUIRE_TOOLS").as_deref(), Ok("all"), "valgrind is required and not installed");
        eprintln!("skipped: costs/counting by callgrind: valgrind is not installed");
    }
}

/// `apart`: instructions by which two counts of the same message may differ.
fn check(way: Way, apart: f64) {
    let count = |cost| way.instructions(cost).unwrap_or_else(|why| panic!("{}: {why}", way.name()));
    let (plain, again, with_a_loop) = (count(&PLAIN), count(&PLAIN), count(&WITH_A_LOOP));
    assert!((plain - again).abs() < apart, "{}: {plain}, and then {again}", way.name());
    let per_round = (with_a_loop - plain) / ROUNDS as f64;
    assert!(PER_ROUND.contains(&per_round), "{}: {per_round} instructions for a round of a loop", way.name());
}
