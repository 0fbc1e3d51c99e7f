//! The measuring side: load generation, sweeps, results and their statistics.
//!
//! Dependencies point one way: `report`, `export` → `capacity` → `sweep` → `verdict`, `floor` → `statistics` → `results` →
//! `plan` → `load`, each on any that come after it, and all of them on those that depend on nothing, such as `cpus`,
//! `figures`, `interference` and `slo`. `load` never knows which backend it is talking to; of everything above it only
//! `floor` touches a socket, and only its own.
// In tests alone a thread that is not to be had may be a panic.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod capacity;
pub mod control;
pub mod cpus;
pub mod crowd;
pub mod descriptors;
pub mod doctor;
pub mod environment;
pub mod export;
pub mod figures;
pub mod floor;
pub mod foreign;
pub mod guard;
pub mod hiccup;
pub mod interference;
pub mod load;
pub mod plain;
pub mod plan;
pub mod process_tree;
#[cfg(test)]
#[path = "../tests/command/quiet.rs"]
mod quiet;
pub mod report;
pub mod results;
pub mod run_delay;
pub mod shell;
pub mod signals;
#[cfg(test)]
#[path = "../tests/command/skipped.rs"]
mod skipped;
pub mod slo;
pub mod statistics;
pub mod sweep;
pub mod verdict;
mod waking;

#[cfg(test)]
use skipped::skipped;
