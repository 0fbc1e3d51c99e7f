//! The highest rate that a server sustains under a latency goal.
//!
//! `search` decides which rate to try next and knows nothing of servers, `interval` what the answers come to, `standing`
//! what a trial answers, and `run` carries it out: every rate is tried in a trial of a sweep, with its own server
//! process. The trials of all backends take turns in random order, so that whatever changes slowly on a machine falls
//! on all of them. A trial that ended is written before the next one begins.
//!
//! A rate is met where the requests that were due were answered, no connection was lost and every part of the goal
//! holds, counted from the time at which a request was meant to be sent. A trial that the machine disturbed decides nothing
//! where it could have come out otherwise, and is repeated; a miss that the load generator may have caused bounds nothing
//! from above.

mod contender;
mod found;
mod interval;
mod replay;
mod run;
mod search;
#[cfg(test)]
mod simulation;
mod standing;

pub use found::{BackendCapacity, EstimateRecord, LimitedBy, WhenMet};
pub use replay::replay;
#[cfg(test)]
pub(crate) use run::tests::recorded;
pub use run::{CapacityRun, CapacitySearch, Observer, lowest_rate_rps};
