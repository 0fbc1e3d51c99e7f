//! Results as text for people.

pub mod figures;
pub mod measurement;
pub mod table;
