//! From trials to figures: merged histograms, medians, how many samples a figure needs, and how sure a ratio is.

mod anatomy;
mod censored;
mod comparison;
mod field;
mod interval;
mod median;
mod median_interval;
mod metric;
mod percentile;
mod ranking;
mod runs;
mod samples;
mod series;
mod sorted;
mod summary;
mod threads;

#[cfg(test)]
pub(crate) use anatomy::tests::counted;
pub use anatomy::{Anatomy, FloorMultiple, floor_multiple};
pub use censored::Censored;
pub use comparison::Comparison;
#[cfg(test)]
pub(crate) use comparison::tests;
pub use interval::{CONFIDENCE, Estimate, Interval, MIN_BLOCKS, error_rate, middle, paired, unpaired};
pub use median::median;
pub use median_interval::median_interval;
pub use metric::Metric;
pub(crate) use metric::missed_its_rate;
pub(crate) use percentile::percentile_of_trial;
pub use percentile::{NoPercentile, OfTrials, Percentile};
pub use ranking::{CellRanking, Entry, LeftOut, MetricRanking, Ranking, rank, rank_together};
pub use runs::{
    Against, Counted, Row, Run, RunComparison, TOLERANCE, Word, compare_histories, compare_runs, compare_runs_by,
};
pub use samples::{enough_of_all, enough_samples, percentile_of_all, percentiles_of_all, value_of_all};
pub use series::{Bounds, Doubt, Void};
pub use sorted::Sorted;
pub use summary::{BackendSummary, CellSummary, Remark, Spread, summarise, summarise_cells, syscalls_per_request};
pub use threads::ThreadSpread;
