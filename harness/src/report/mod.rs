//! Results as text for people.

pub mod capacity;
pub mod measurement;
pub mod table;
