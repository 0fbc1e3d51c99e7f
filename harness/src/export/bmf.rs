//! Bencher Metric Format: of each benchmark, each measure with its value and, where there were trials enough, between which
//! values it may lie.
//!
//! `latency` (ns) and `throughput` (operations a second) are measures that Bencher has; it makes the others when it meets them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Piece;
use super::figures::Figures;

type Benchmarks = BTreeMap<String, BTreeMap<String, Figure>>;

/// Of one measure.
#[derive(Debug, Serialize, Deserialize)]
struct Figure {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

pub(super) fn piece(figures: &Figures) -> Piece {
    let mut benchmarks = Benchmarks::new();
    for row in &figures.rows {
        let figure = Figure {
            value: row.value,
            lower_value: row.interval.map(|[low, _]| low),
            upper_value: row.interval.map(|[_, high]| high),
        };
        benchmarks.entry(row.benchmark.clone()).or_default().insert(row.measure.slug.to_owned(), figure);
    }
    let text = serde_json::to_string_pretty(&benchmarks).expect("names and finite numbers are JSON");
    Piece { name: "benchmarks.json".to_owned(), text: text + "\n" }
}

pub(super) fn is_ours(text: &str) -> bool {
    serde_json::from_str::<Benchmarks>(text).is_ok()
}
