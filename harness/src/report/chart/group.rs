//! The trials of one backend in one cell of one run: which of them figures are made of.

use crate::plan::Cell;
use crate::results::{Fate, TrialRecord};
use crate::statistics::{BackendSummary, Bounds, Doubt};

/// One backend in one cell of one run.
pub(super) struct Group<'a> {
    pub(super) backend: String,
    pub(super) cell: Cell,
    /// Those that figures are made of: usable ones, and where there are none, invalid ones.
    pub(super) measured: Vec<&'a TrialRecord>,
    pub(super) standing: Standing,
    pub(super) summary: BackendSummary,
    /// What speaks against all of them together.
    pub(super) bounds: Bounds,
}

/// What the trials of a group are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Some count.
    Counts,
    /// Some are measured, and none counts.
    Invalid,
    /// None is measured.
    Missing,
}

impl<'a> Group<'a> {
    pub(super) fn of(backend: String, cell: Cell, trials: &[&'a TrialRecord]) -> Self {
        let those = |is: fn(&TrialRecord) -> bool| trials.iter().copied().filter(|trial| is(trial)).collect::<Vec<_>>();
        let (usable, invalid) = (those(TrialRecord::is_usable), those(|trial| trial.fate() == Fate::Invalid));
        let standing = match (usable.is_empty(), invalid.is_empty()) {
            (false, _) => Standing::Counts,
            (true, false) => Standing::Invalid,
            (true, true) => Standing::Missing,
        };
        let summary = match standing {
            Standing::Invalid => BackendSummary::of_invalid(&backend, trials),
            _ => BackendSummary::of(&backend, trials),
        };
        let measured = if standing == Standing::Invalid { invalid } else { usable };
        Self { backend, cell, standing, summary, bounds: Bounds::of(&measured), measured }
    }

    /// Whether there is a reason to doubt what most of the trials say.
    pub(super) fn is_doubtful(&self, needs_an_idle_client: bool) -> bool {
        Doubt::of_most(self.measured.iter().map(|trial| Doubt::of(trial)), needs_an_idle_client) != Doubt::None
    }
}
