//! Results as text for people.

pub mod comparison;
pub mod measurement;
pub mod ranking;
pub mod table;
