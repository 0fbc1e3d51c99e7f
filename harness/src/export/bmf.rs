//! Bencher Metric Format: of each benchmark, each measure with its value and, where there were trials enough, between which
//! values it may lie.
//!
//! It has no place for words, so nothing is in it that needs some: throughput and latencies of servers that were kept waiting
//! for load are left out.
//!
//! `latency` (ns) and `throughput` (operations a second) are measures that Bencher has; it makes the others when it meets them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::figures::{Figures, Row};
use super::names::names_a_cell;
use super::{ExportError, Piece};
use crate::figures::counted;

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

/// All figures that can stand alone, and what was left out besides.
pub(super) fn piece(figures: &Figures) -> Result<(Piece, Option<String>), ExportError> {
    let (bound, sound): (Vec<&Row>, Vec<&Row>) = figures.rows.iter().partition(|row| row.is_client_bound);
    if sound.is_empty() {
        return Err(ExportError::ClientBound);
    }
    let mut benchmarks = Benchmarks::new();
    for row in sound {
        let figure = Figure {
            value: row.value,
            lower_value: row.interval.map(|[low, _]| low),
            upper_value: row.interval.map(|[_, high]| high),
        };
        benchmarks.entry(row.benchmark.clone()).or_default().insert(row.measure.slug.to_owned(), figure);
    }
    let text = serde_json::to_string_pretty(&benchmarks).expect("names and finite numbers are JSON");
    Ok((Piece { name: "benchmarks.json".to_owned(), text: text + "\n" }, left_out(&bound)))
}

fn left_out(bound: &[&Row]) -> Option<String> {
    let benchmarks: BTreeSet<&str> = bound.iter().map(|row| row.benchmark.as_str()).collect();
    let pairs = counted(benchmarks.len(), "pair");
    (!benchmarks.is_empty()).then(|| {
        format!(
            "throughput and latencies of {pairs} of backend and cell where the load generator was the bottleneck: they say how \
             fast that was"
        )
    })
}

/// Other programs write this format as well, so the names have to be ours.
pub(super) fn is_ours(text: &str) -> bool {
    serde_json::from_str::<Benchmarks>(text)
        .is_ok_and(|benchmarks| !benchmarks.is_empty() && benchmarks.keys().all(|name| names_a_cell(name)))
}
