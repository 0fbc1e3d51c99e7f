//! Results as text in a terminal.

mod anatomy;
mod bar;
pub mod capacity;
pub mod comparison;
pub mod diagnosis;
pub(in crate::report) mod facts;
pub mod floor;
mod grid;
pub mod look;
pub mod measurement;
pub mod ranking;
pub mod standings;
pub mod table;
