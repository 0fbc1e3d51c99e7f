//! Which of several searches speaks for which capacity: of each backend, under each goal in each cell, the newest.

use std::collections::HashMap;

use super::{Run, Selection};
use crate::capacity::{BackendCapacity, replay};
use crate::plan::{Cell, SweepPlan};

/// A search, and what it came to as far as no newer one speaks of the same.
#[derive(Clone, Debug)]
pub struct Searched<'a> {
    /// The search.
    pub run: Run<'a>,
    /// In the order of the plan; none where these are not the trials that such a search makes.
    pub found: Option<Vec<BackendCapacity>>,
}

impl<'a> Selection<'a> {
    /// The searches that speak for something, the newest first. One without a trial of a backend leaves it to an older one.
    #[must_use]
    pub fn searched(&self) -> Vec<Searched<'a>> {
        let found = |run: &Run<'a>| Searched { run: *run, found: replay(run.record, run.trials) };
        let mut searched: Vec<Searched<'a>> = self.searches().map(found).collect();
        let mut cells: Vec<Cell> = Vec::new();
        let places: Vec<Option<usize>> = searched.iter().map(|one| place(&one.run.record.plan, &mut cells)).collect();
        let key = |index: usize, one: &BackendCapacity| (places[index], one.slo.to_string(), one.backend.clone());

        let mut speakers = HashMap::new();
        for is_tried in [true, false] {
            for (index, one) in searched.iter().enumerate() {
                let own = one.found.iter().flatten().filter(|found| (found.trials > 0) == is_tried);
                own.for_each(|found| {
                    speakers.entry(key(index, found)).or_insert(index);
                });
            }
        }
        for (index, one) in searched.iter_mut().enumerate() {
            if let Some(found) = &mut one.found {
                found.retain(|found| speakers.get(&key(index, found)) == Some(&index));
            }
        }
        searched.retain(|one| one.found.as_ref().is_none_or(|found| !found.is_empty()));
        searched
    }
}

/// Which of the cells a search is made in.
fn place(plan: &SweepPlan, cells: &mut Vec<Cell>) -> Option<usize> {
    let own = SweepPlan { rate_rps: vec![None], ..plan.clone() }.cells().into_iter().next()?;
    Some(cells.iter().position(|cell| *cell == own).unwrap_or_else(|| {
        cells.push(own);
        cells.len() - 1
    }))
}
