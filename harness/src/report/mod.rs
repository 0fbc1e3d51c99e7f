//! Results as text for people.

pub mod measurement;
pub mod ranking;
pub mod table;
