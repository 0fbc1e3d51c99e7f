//! The trials of a run by cell and backend. They are sorted once: to look for those of each pair among all trials takes a
//! time that grows with the square of a run.

use std::collections::HashMap;

use crate::plan::{Cell, CellKey};
use crate::results::TrialRecord;

/// Trials, found by their cell and backend.
#[derive(Clone, Debug, Default)]
pub struct Sorted<'a> {
    by_cell: HashMap<CellKey, HashMap<&'a str, Vec<&'a TrialRecord>>>,
}

impl<'a> Sorted<'a> {
    /// All of a run.
    #[must_use]
    pub fn of(trials: &'a [TrialRecord]) -> Self {
        let mut sorted = Self::default();
        for trial in trials {
            let of_cell = sorted.by_cell.entry(trial.cell.key()).or_default();
            of_cell.entry(&trial.backend).or_default().push(trial);
        }
        sorted
    }

    /// Those of one backend in one cell, in the order in which they ended.
    #[must_use]
    pub fn of_backend(&self, backend: &str, cell: &Cell) -> &[&'a TrialRecord] {
        self.by_cell.get(&cell.key()).and_then(|of_cell| of_cell.get(backend)).map_or(&[], Vec::as_slice)
    }

    /// Those of all backends in one cell.
    pub fn in_cell(&self, cell: &Cell) -> impl Iterator<Item = &'a TrialRecord> {
        self.by_cell.get(&cell.key()).into_iter().flat_map(HashMap::values).flatten().copied()
    }

    /// Whether any ended in a cell.
    #[must_use]
    pub fn has(&self, cell: &Cell) -> bool {
        self.by_cell.contains_key(&cell.key())
    }
}
