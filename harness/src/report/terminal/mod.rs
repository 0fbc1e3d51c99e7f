//! Results as text in a terminal.

pub mod capacity;
pub mod comparison;
pub mod diagnosis;
pub(in crate::report) mod facts;
pub mod measurement;
pub mod ranking;
pub mod standings;
pub mod table;
