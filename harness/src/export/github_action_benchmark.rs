//! What benchmark-action/github-action-benchmark reads as `customBiggerIsBetter` and `customSmallerIsBetter`.
//!
//! Its reader takes an array of entries, at least one, and understands a range only as `± number` in the unit of the value.

use serde::{Deserialize, Serialize};

use super::Piece;
use super::figures::{Figures, Row};
use super::names::names_a_cell;

/// One entry. The action reads other files of that form as well, so the names are its own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    unit: String,
    value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// Two files, or one where there is nothing for the other.
pub(super) fn pieces(figures: &Figures) -> Vec<Piece> {
    let of = |name: &str, bigger: bool| {
        let rows = figures.rows.iter().filter(|row| row.measure.is_better_when_bigger == bigger);
        let entries: Vec<Entry> = rows.map(Entry::of).collect();
        (!entries.is_empty()).then(|| {
            let text = serde_json::to_string_pretty(&entries).expect("texts and finite numbers are JSON");
            Piece { name: name.to_owned(), text: text + "\n" }
        })
    };
    [of("bigger-is-better.json", true), of("smaller-is-better.json", false)].into_iter().flatten().collect()
}

impl Entry {
    fn of(row: &Row) -> Self {
        let (value, measure) = (row.value, row.measure);
        // One number for both sides: the wider one.
        let range = row.interval.map(|[low, high]| format!("± {}", (high - value).max(value - low)));
        let between = row.interval.map(|[low, high]| format!("95 % interval {low} to {high}; "));
        Self {
            name: format!("{}: {}", row.benchmark, measure.title),
            unit: measure.unit.to_owned(),
            value,
            range,
            extra: format!("{}{}", between.unwrap_or_default(), row.said),
        }
    }
}

/// Other programs write this format as well, so the names have to be ours.
pub(super) fn is_ours(text: &str) -> bool {
    let is_our_name = |name: &str| name.rsplit_once(": ").is_some_and(|(benchmark, _)| names_a_cell(benchmark));
    serde_json::from_str::<Vec<Entry>>(text)
        .is_ok_and(|entries| !entries.is_empty() && entries.iter().all(|entry| is_our_name(&entry.name)))
}
