//! Results for people: text in a terminal, and a folder to be looked at, mailed or published.
//!
//! A folder is made in two steps. [`contents`] says everything that it says, as data: sentences, charts, a table, the runs.
//! Those who write it ([`page`], [`markdown`], [`svg`]) draw that and know nothing of trials, so that all of them say the same.

pub mod answer;
pub mod chart;
pub mod contents;
pub mod markdown;
pub mod page;
pub mod svg;
pub mod terminal;

use crate::results::Recorded;

/// A results file that was read.
#[derive(Clone, Debug)]
pub struct FileRun {
    /// Its name, without its folders.
    pub name: String,
    /// What it holds.
    pub recorded: Recorded,
}
