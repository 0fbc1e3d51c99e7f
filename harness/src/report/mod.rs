//! Results as text for people.

pub mod diagnosis;
mod facts;
pub mod measurement;
pub mod table;
