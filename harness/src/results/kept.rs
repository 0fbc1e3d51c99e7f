//! What stays of trials in memory once they are on disk. A sweep of a night has some 80,000 of them, and each as it was
//! measured holds half a megabyte, most of it histograms.
//!
//! The percentiles that are asked of a single trial are taken from its histogram, and that is added to the one of all trials
//! that figures are made of together: those of one backend in one cell, the usable ones and the invalid ones by themselves.
//! The first of them holds it, and their system calls by name. What statistics make of all trials is thus the same as before;
//! who needs the distribution of a single trial reads its file.

use std::collections::HashMap;
use std::sync::LazyLock;

use hdrhistogram::Histogram;

use super::{ClientMeasured, EncodedHistogram, Fate, LatencySummary, Measured, ServerMeasured, Shared, TrialRecord};
use crate::interference::Interference;
use crate::plan::CellKey;
use crate::statistics::percentile_of_all;

/// Those that are asked of a single trial.
const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];

/// A percentile that a trial does not have. No histogram has so large a value.
const NONE: u64 = u64::MAX;

/// By how much room for trials grows: twice as much as before would be half a night's memory for nothing.
const GROWTH_PART: usize = 32;
const LEAST_GROWTH: usize = 64;

/// Trials, each as what stays of it.
#[derive(Clone, Debug, Default)]
pub struct KeptTrials {
    trials: Vec<TrialRecord>,
    /// Where the first of each group is. Those whose system calls are known are groups of their own.
    firsts: HashMap<(CellKey, String, Fate, bool), usize>,
}

/// What stays of the distributions of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// How many there were.
    answers: u64,
    /// Of [`QUANTILES`], of all its requests.
    percentiles: [u64; QUANTILES.len()],
    /// The latencies of all trials of its group, in the first of them.
    merged: Option<Box<Histogram<u64>>>,
}

impl KeptTrials {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// In the order in which they ended.
    #[must_use]
    pub fn as_slice(&self) -> &[TrialRecord] {
        &self.trials
    }

    /// The same without what is needed to add another.
    #[must_use]
    pub fn into_vec(self) -> Vec<TrialRecord> {
        self.trials
    }

    /// Keeps what stays of one.
    pub fn push(&mut self, mut trial: TrialRecord) {
        let fate = match trial.fate() {
            Fate::Valid | Fate::Suspect => Fate::Valid,
            fate => fate,
        };
        if let Some(measured) = &mut trial.measured {
            let has_calls = measured.server.as_ref().is_some_and(|server| server.syscalls_by_name.is_some());
            let group = (trial.cell.key(), trial.backend.clone(), fate, has_calls);
            let place = *self.firsts.entry(group).or_insert(self.trials.len());
            measured.keep_with(self.trials.get_mut(place).and_then(|first| first.measured.as_mut()));
        }
        trial.reasons.shrink_to_fit();
        if self.trials.len() == self.trials.capacity() {
            self.trials.reserve_exact((self.trials.len() / GROWTH_PART).max(LEAST_GROWTH));
        }
        self.trials.push(trial);
    }
}

impl Measured {
    /// The quantile `q` of all requests, as [`percentile_of_all`] has it. Where only what stays of the trial is there, `q` is
    /// one of those that are asked of single trials.
    #[must_use]
    pub fn percentile_of_all(&self, q: f64) -> Option<u64> {
        let Some(kept) = &self.kept else { return percentile_of_all(&self.latency_hdr.0, self.censored, q) };
        let place = QUANTILES.iter().position(|known| (known - q).abs() < f64::EPSILON);
        debug_assert!(place.is_some(), "p{q} is asked of a single trial and is not kept");
        place.map(|place| kept.percentiles[place]).filter(|ns| *ns != NONE)
    }

    /// How many of its requests have a latency.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.kept.as_ref().map_or_else(|| self.latency_hdr.0.len(), |kept| kept.answers)
    }

    /// Its latencies, or where only what stays of it is there, those of all trials that figures are made of together with it, in
    /// the first of them. Only to be merged.
    #[must_use]
    pub fn latencies_to_merge(&self) -> Option<&Histogram<u64>> {
        match &self.kept {
            None => Some(&self.latency_hdr.0),
            Some(kept) => kept.merged.as_deref(),
        }
    }

    /// Leaves what stays; `first` is that of its group, none where it is this one.
    fn keep_with(&mut self, first: Option<&mut Self>) {
        if self.kept.is_some() {
            return;
        }
        let percentiles = QUANTILES.map(|q| self.percentile_of_all(q).unwrap_or(NONE));
        let merged = if let Some(first) = first {
            let of_all = first.kept.as_mut().and_then(|kept| kept.merged.as_mut());
            let is_in = of_all.is_some_and(|of_all| of_all.add(&*self.latency_hdr.0).is_ok());
            if let Some((own, of_all)) = self.server.as_mut().zip(first.server.as_mut()) {
                of_all.take_calls_of(own);
            }
            // What does not fit into that of the others stays by itself.
            (!is_in).then(|| Box::new((*self.latency_hdr.0).clone()))
        } else {
            let mut merged = (*self.latency_hdr.0).clone();
            merged.auto(true);
            Some(Box::new(merged))
        };
        self.kept = Some(Kept { answers: self.latency_hdr.0.len(), percentiles, merged });
        (self.latency_hdr, self.service_hdr) = (EncodedHistogram::none(), EncodedHistogram::none());
        (self.latency_of_all_ns, self.service_of_all_ns) = (None, None);
        (self.slices, self.slice_service_ns) = (Vec::new(), Vec::new());
        let (interference, client, summary) = &*NOT_KEPT;
        (self.interference, self.client) = (interference.clone(), client.clone());
        (self.latency_ns, self.service_ns) = (summary.clone(), summary.clone());
        if let Some(server) = &mut self.server {
            server.receipt = serde_json::Map::new();
            server.connections_per_thread = server.connections_per_thread.take().map(ends);
            server.busy_per_thread = server.busy_per_thread.take().map(ends);
        }
    }
}

/// What stands in for what is asked of no trial that is kept.
static NOT_KEPT: LazyLock<(Shared<Interference>, Shared<ClientMeasured>, Shared<LatencySummary>)> =
    LazyLock::new(Default::default);

impl ServerMeasured {
    /// Adds the system calls of another trial to its own, and leaves it that they are known. What is too much to be added
    /// stays where it is.
    fn take_calls_of(&mut self, other: &mut Self) {
        let (Some(all), Some(calls)) = (&mut self.syscalls_by_name, &mut other.syscalls_by_name) else { return };
        if calls.iter().any(|(name, count)| all.get(name).copied().unwrap_or(0).checked_add(*count).is_none()) {
            return;
        }
        for (name, count) in std::mem::take(calls) {
            *all.entry(name).or_default() += count;
        }
    }
}

/// The least and the greatest, which is all that is said of threads.
fn ends<T: Copy + PartialOrd>(values: Vec<T>) -> Vec<T> {
    let Some(&first) = values.first() else { return values };
    if values.len() == 1 {
        return vec![first];
    }
    let least = values.iter().fold(first, |least, &value| if value < least { value } else { least });
    let greatest = values.iter().fold(first, |greatest, &value| if value > greatest { value } else { greatest });
    vec![least, greatest]
}
