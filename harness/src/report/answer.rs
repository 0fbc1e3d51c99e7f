//! The answer in words.

use serde::Serialize;

/// What can be said, what changes along the way, and what cannot be concluded. Sentences, each with its full stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// Who is ahead, by how much and how sure that is.
    pub findings: Vec<String>,
    /// Where the ranking changes.
    pub crossovers: Vec<String>,
    /// What could not be concluded, and why.
    pub open: Vec<String>,
}
