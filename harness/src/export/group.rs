//! The trials of one backend in one cell.

use std::collections::HashMap;

use super::names::words;
use crate::plan::Cell;
use crate::results::{Measured, TrialRecord};

/// Trials that belong together.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) backend: &'a str,
    pub(super) cell: &'a Cell,
    /// Those that figures are made of, in the order in which they ended.
    pub(super) usable: Vec<&'a TrialRecord>,
    /// All that ended, however they did.
    pub(super) ended: usize,
}

impl<'a> Group<'a> {
    /// Those that `trials` fall into, in the order of the first of each.
    pub(super) fn of(trials: &'a [TrialRecord]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut places: HashMap<(&str, String), usize> = HashMap::new();
        for trial in trials {
            let place = *places.entry((&trial.backend, words(&trial.cell).join("."))).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Self { backend: &trial.backend, cell: &trial.cell, usable: Vec::new(), ended: 0 });
            }
            groups[place].ended += 1;
            groups[place].usable.extend(Some(trial).filter(|trial| trial.is_usable()));
        }
        groups
    }

    /// What was measured in those that are usable.
    pub(super) fn measured(&self) -> impl Iterator<Item = &'a Measured> {
        self.usable.iter().filter_map(|trial| trial.measured.as_ref())
    }
}
