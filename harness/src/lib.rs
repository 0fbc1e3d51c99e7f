//! The measuring side: load generation, sweeps, results and their statistics.
//!
//! Dependencies point one way: `sweep` → `load` and `results` → `plan`; `statistics` reads results, `report` draws
//! statistics. `load` never knows which backend it is talking to; everything above it never touches a socket.

pub mod control;
pub mod cpus;
pub mod descriptors;
pub mod environment;
pub mod load;
pub mod plan;
pub mod report;
pub mod results;
pub mod statistics;
pub mod sweep;
