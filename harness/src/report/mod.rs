//! Results as text for people.

pub mod measurement;
pub mod table;
