//! What the trials of one backend in one cell say together.
//!
//! A figure is the median of the trials' own, as it is ranked; percentiles that a single trial cannot carry come from merged
//! histograms, and none is ever averaged. An invalid trial adds nothing to any figure; a suspect one
//! does, and is named.

use hdrhistogram::Histogram;

use super::anatomy::Anatomy;
use super::censored::Censored;
use super::median::median;
use super::metric::Metric;
use super::percentile::{NoPercentile, OfTrials, Percentile, own_percentile};
use super::sorted::Sorted;
use super::threads::ThreadSpread;
use crate::plan::{Cell, SweepPlan};
use crate::results::{Bottleneck, Fate, Measured, ServerMeasured, TrialRecord, is_alike, per};

/// One cell of a sweep.
#[derive(Clone, Debug)]
pub struct CellSummary {
    /// Which.
    pub cell: Cell,
    /// In the order of the plan, those without any trial included.
    pub backends: Vec<BackendSummary>,
}

/// One backend in one cell.
#[derive(Clone, Debug)]
pub struct BackendSummary {
    /// Which.
    pub backend: String,
    /// Trials that ended, however they did.
    pub trials: usize,
    /// Trials that all the figures are made of.
    pub measured: usize,
    /// Answers a second.
    pub throughput_rps: Option<Spread>,
    /// All latencies of all trials.
    pub latency: Histogram<u64>,
    /// Requests that are in none of them.
    pub censored: Censored,
    /// Of the latencies, the median of the trials' own p50; or why there is none.
    pub p50: Result<OfTrials, NoPercentile>,
    /// The same of the p99.
    pub p99: Result<OfTrials, NoPercentile>,
    /// CPU time of the server for one answer, the median of the trials' own.
    pub server_cpu_ns_per_request: Option<f64>,
    /// System calls of the server for one answer, the median of the trials' own.
    pub syscalls_per_request: Option<f64>,
    /// The most memory that any of the servers ever held.
    pub max_rss_bytes: Option<u64>,
    /// What the servers held in user space for each idle connection, median.
    pub memory_bytes_per_idle_connection: Option<f64>,
    /// What kept throughput from being higher, each answer once.
    pub bottlenecks: Vec<Bottleneck>,
    /// Why trials are not valid, each reason once, with the number of trials that it holds for.
    pub remarks: Vec<Remark>,
    /// How connections were spread over the threads of the server; none where that is not known, or there is one.
    pub thread_spread: Option<ThreadSpread>,
    /// Where a request went.
    pub anatomy: Anatomy,
}

/// A reason not to take trials at face value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What became of them.
    pub fate: Fate,
    /// Why.
    pub reason: String,
    /// Of how many trials.
    pub trials: usize,
}

/// Where the values of several trials lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// How far the values lie from the median at most, as a share of it.
    #[must_use]
    pub fn relative(&self) -> f64 {
        (self.max - self.median).max(self.median - self.min) / self.median
    }

    /// Of these; none where there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self { min: *values.first()?, median: median(&values)?, max: *values.last()? })
    }
}

/// One summary for every cell of the plan.
#[must_use]
pub fn summarise(plan: &SweepPlan, trials: &[TrialRecord]) -> Vec<CellSummary> {
    summarise_cells(plan, &plan.cells(), &Sorted::of(trials))
}

/// One summary for each of these cells of the plan.
#[must_use]
pub fn summarise_cells(plan: &SweepPlan, cells: &[Cell], trials: &Sorted<'_>) -> Vec<CellSummary> {
    let entrants = plan.entrants();
    let of = |backend: &String, cell: &Cell| BackendSummary::of(backend, trials.of_backend(backend, cell));
    let of_cell = |cell: &Cell| entrants.iter().map(|backend| of(backend, cell)).collect();
    cells.iter().map(|cell| CellSummary { cell: cell.clone(), backends: of_cell(cell) }).collect()
}

impl BackendSummary {
    /// Of the trials of one backend in one cell; invalid ones are counted and remarked, and add to no figure.
    #[must_use]
    pub fn of(backend: &str, trials: &[&TrialRecord]) -> Self {
        Self::of_those(backend, trials, TrialRecord::is_usable)
    }

    /// What only invalid trials would say, were they to be believed.
    #[must_use]
    pub fn of_invalid(backend: &str, trials: &[&TrialRecord]) -> Self {
        Self::of_those(backend, trials, |trial| trial.fate() == Fate::Invalid)
    }

    fn of_those(backend: &str, trials: &[&TrialRecord], counts: impl Fn(&TrialRecord) -> bool) -> Self {
        let counting: Vec<&TrialRecord> = trials.iter().copied().filter(|trial| counts(trial)).collect();
        let measured: Vec<&Measured> = counting.iter().filter_map(|trial| trial.measured.as_ref()).collect();
        let servers: Vec<&ServerMeasured> = measured.iter().filter_map(|measured| measured.server.as_ref()).collect();

        let mut bottlenecks = Vec::new();
        for bottleneck in counting.iter().filter_map(|trial| trial.bottleneck) {
            if !bottlenecks.contains(&bottleneck) {
                bottlenecks.push(bottleneck);
            }
        }
        let own = |percentile| {
            OfTrials::of(&measured.iter().map(|measured| own_percentile(measured, percentile)).collect::<Vec<_>>())
        };
        Self {
            backend: backend.to_owned(),
            trials: trials.len(),
            measured: measured.len(),
            throughput_rps: Spread::of(measured.iter().map(|measured| measured.throughput_rps).collect()),
            latency: merged(&measured),
            censored: Censored::of(measured.iter().copied()),
            p50: own(Percentile::P50),
            p99: own(Percentile::P99),
            server_cpu_ns_per_request: median_of(counting.iter().filter_map(|trial| Metric::ServerCpu.of(trial))),
            syscalls_per_request: median_of(measured.iter().filter_map(|measured| syscalls_per_request(measured))),
            memory_bytes_per_idle_connection: Spread::of(
                servers.iter().filter_map(|server| server.memory_bytes_per_idle_connection).collect(),
            )
            .map(|spread| spread.median),
            max_rss_bytes: servers.iter().filter_map(|server| server.max_rss_bytes).max(),
            bottlenecks,
            remarks: remarks(trials),
            thread_spread: ThreadSpread::of(&servers),
            anatomy: Anatomy::of(&measured),
        }
    }
}

fn merged(measured: &[&Measured]) -> Histogram<u64> {
    let mut all = Histogram::new(3).expect("three digits are within what a histogram can keep");
    for latencies in measured.iter().filter_map(|measured| measured.latencies_to_merge()) {
        // Auto-resizing, as `Histogram::new` makes it, a histogram takes in every other.
        all.add(latencies).expect("a resizing histogram takes any value");
    }
    all
}

fn median_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    median(&values.collect::<Vec<_>>())
}

/// System calls of the server of a trial for one answer.
#[must_use]
pub fn syscalls_per_request(measured: &Measured) -> Option<f64> {
    per(measured.server.as_ref()?.syscalls? as f64, measured.requests as f64)
}

/// The median of the first over the second, of those that are known.
pub(super) fn median_quotient(pairs: impl Iterator<Item = Option<(u64, u64)>>) -> Option<f64> {
    median_of(pairs.flatten().filter_map(|(value, divisor)| per(value as f64, divisor as f64)))
}

fn remarks(trials: &[&TrialRecord]) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = Vec::new();
    for trial in trials.iter().filter(|trial| trial.fate() != Fate::Valid) {
        let fate = trial.fate();
        for reason in trial.why() {
            // What keeps a trial from being used often names a port or a process.
            let is_same = |remark: &&mut Remark| {
                remark.fate == fate
                    && (remark.reason == reason || (!trial.is_usable() && is_alike(&remark.reason, reason)))
            };
            match remarks.iter_mut().find(is_same) {
                Some(remark) => remark.trials += 1,
                None => remarks.push(Remark { fate, reason: reason.to_owned(), trials: 1 }),
            }
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::results::tests::{failed_trial, trial};
    use crate::results::{Outcome, Verdict};

    fn summary(trials: &[TrialRecord]) -> BackendSummary {
        let mut cells = summarise(&plan::tests::plan(), trials);
        cells.swap_remove(0).backends.into_iter().find(|summary| summary.backend == "epoll").unwrap()
    }

    #[test]
    fn histograms_are_merged_and_not_averaged() {
        let summary = summary(&[trial("epoll"), trial("epoll"), trial("poll")]);
        assert_eq!((summary.trials, summary.measured), (2, 2));
        assert_eq!(summary.latency.len(), 4000);
        assert_eq!(summary.syscalls_per_request, Some(3.0));
        assert_eq!(summary.server_cpu_ns_per_request, Some(20_000.0));
    }

    #[test]
    fn an_invalid_trial_adds_to_no_figure_and_is_remarked() {
        let mut invalid = trial("epoll");
        invalid.verdict = Verdict::Invalid;
        invalid.reasons = vec!["1 answer was wrong".to_owned()];
        let summary = summary(&[trial("epoll"), invalid.clone(), invalid, failed_trial("epoll", "it died")]);
        assert_eq!((summary.trials, summary.measured), (4, 1));
        let remark = |fate, reason: &str, trials| Remark { fate, reason: reason.to_owned(), trials };
        assert_eq!(
            summary.remarks,
            [remark(Fate::Invalid, "1 answer was wrong", 2), remark(Fate::Failed, "it died", 1)]
        );
    }

    #[test]
    fn a_trial_that_is_told_as_failed_is_in_no_figure() {
        let figures = TrialRecord { outcome: Outcome::Failed, error: Some("it died".to_owned()), ..trial("epoll") };
        let summary = summary(&[figures, TrialRecord { measured: None, ..trial("epoll") }]);
        assert_eq!((summary.trials, summary.measured, summary.throughput_rps), (2, 0, None));
        assert_eq!(summary.bottlenecks, []);
        assert_eq!(summary.remarks, [Remark { fate: Fate::Failed, reason: "it died".to_owned(), trials: 1 }]);
    }

    #[test]
    fn a_backend_without_trials_has_no_figures() {
        let summary = summary(&[]);
        assert_eq!(summary.throughput_rps, None);
        assert_eq!(summary.syscalls_per_request, None);
        assert!(summary.latency.is_empty());
    }

    #[test]
    fn the_median_of_two_lies_between_them() {
        assert_eq!(Spread::of(vec![3.0, 1.0]), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(Spread::of(vec![3.0, 1.0, 9.0]), Some(Spread { min: 1.0, median: 3.0, max: 9.0 }));
    }
}
