//! The measuring side: load generation, sweeps, results and their statistics.
//!
//! Dependencies point one way: `report` → `capacity` → `sweep` → `statistics` → `results` → `plan` → `load`, each on any
//! that come after it, and all of them on those that depend on nothing, such as `cpus`, `figures` and `slo`. `load` never
//! knows which backend it is talking to; everything above it never touches a socket.

pub mod capacity;
pub mod control;
pub mod cpus;
pub mod descriptors;
pub mod environment;
pub mod figures;
pub mod load;
pub mod plan;
pub mod report;
pub mod results;
pub mod slo;
pub mod statistics;
pub mod sweep;
