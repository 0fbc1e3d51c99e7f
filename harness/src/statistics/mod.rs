//! From trials to figures: merged histograms, medians, and how many samples a figure needs.

mod samples;
mod summary;

pub use samples::{enough_samples, percentile};
pub use summary::{BackendSummary, CellSummary, Remark, RemarkKind, Spread, summarise};
