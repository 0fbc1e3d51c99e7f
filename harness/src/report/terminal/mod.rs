//! Results as text in a terminal.

pub mod capacity;
pub mod comparison;
pub mod diagnosis;
mod facts;
pub mod measurement;
pub mod ranking;
pub mod standings;
pub mod table;
