//! A results file: JSON Lines, one run and then its trials.
//!
//! Invariants: a line counts once its newline is there, so a file cut off at any point is a valid shorter run;
//! trials stand in the order in which they ended; nothing that can be derived from trials is stored.

mod differences;
mod fate;
mod foreign;
mod generator;
mod histogram;
mod kept;
mod of_all;
mod plain_names;
mod plausible;
mod reader;
mod record;
mod rescue;
mod schema;
mod shared;
mod writer;

pub use differences::{difference, differences, environment_differences};
pub use fate::{Fate, is_alike, nothing_usable};
pub use generator::Generator;
pub use histogram::EncodedHistogram;
pub use kept::{Kept, KeptTrials};
pub use of_all::LatencyOfAll;
pub use plain_names::PlainNames;
pub(crate) use plausible::is_plausible;
pub use reader::{Read, ReadError, Recorded, read, read_each, read_kept};
#[cfg(test)]
pub(crate) use record::tests;
pub use record::{
    Bottleneck, ClientMeasured, LatencySummary, Measured, NOT_MEASURED, Outcome, Record, RunRecord, SCHEMA_VERSION,
    SendLagSummary, ServerMeasured, TrialRecord, Verdict,
};
pub(crate) use record::{per, saturating_ns};
pub use rescue::Moved;
pub use schema::{schema, schema_text};
pub use shared::Shared;
pub use writer::{WriteError, Writer};
