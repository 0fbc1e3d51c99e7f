//! Sentences on backends that were measured alone: with nothing to compare with, their figures are what there is to say.

use super::merge::Located;
use super::place::Places;
use crate::figures;
use crate::plan::Cell;
use crate::report::selection::Speaker;
use crate::statistics::BackendSummary;

/// Beyond so many nobody reads on.
const MOST: usize = 6;

/// Adds the figures of each cell in which a single backend was measured.
pub(super) fn say(speakers: &[Speaker<'_>], places: &Places, findings: &mut Vec<String>) {
    let mut measured = Vec::new();
    for Speaker { run, cells, trials } in speakers {
        let [alone] = run.record.plan.backends.as_slice() else { continue };
        let of = |cell: &Cell| figure(&BackendSummary::of(alone, trials.of_backend(alone, cell)));
        measured.extend(cells.iter().filter_map(|cell| Some(Located { cell: cell.clone(), what: of(cell)? })));
    }
    for row in places.rows(&measured, |at| &at.cell).iter().flatten().take(MOST) {
        findings.push(format!("{}, {}.", places.sentence_start(&row.cell, &row.cell), row.what));
    }
    if measured.len() > MOST {
        let rest = figures::counted(measured.len() - MOST, "other cell");
        findings.push(format!("The figures of {rest} stand in the table."));
    }
}

fn figure(summary: &BackendSummary) -> Option<String> {
    let throughput = summary.throughput_rps?;
    let trials = figures::counted(summary.measured, "trial");
    let cost = summary
        .server_cpu_ns_per_request
        .map_or(String::new(), |ns| format!(" at {} of CPU time each", figures::duration(ns)));
    Some(format!(
        "{} serves {} requests/s{cost} (median of {trials}, from {} to {})",
        summary.backend,
        figures::grouped(throughput.median),
        figures::grouped(throughput.min),
        figures::grouped(throughput.max)
    ))
}
