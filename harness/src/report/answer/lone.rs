//! Sentences on backends that were measured alone: with nothing to compare with, their figures are what there is to say.

use super::merge::Located;
use super::place::Places;
use crate::figures;
use crate::plan::{Cell, SweepPlan};
use crate::report::selection::Run;
use crate::statistics::{BackendSummary, summarise};

/// Beyond so many nobody reads on.
const MOST: usize = 6;

/// Adds the figures of each cell in which a single backend was measured.
pub(super) fn say(cells: &[(Cell, Run<'_>)], places: &Places, findings: &mut Vec<String>) {
    let alone: Vec<&(Cell, Run<'_>)> = cells.iter().filter(|(_, run)| run.record.plan.backends.len() == 1).collect();
    let mut measured = Vec::new();
    for (cell, run) in &alone {
        // Its cell alone, or every cell would be summed up for each.
        let plan = of_cell(&run.record.plan, cell);
        let summary = summarise(&plan, run.trials).into_iter().flat_map(|cell| cell.backends).next();
        measured
            .extend(summary.and_then(|summary| figure(&summary)).map(|what| Located { cell: (*cell).clone(), what }));
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

fn of_cell(plan: &SweepPlan, cell: &Cell) -> SweepPlan {
    SweepPlan {
        connections: vec![cell.connections],
        payload_bytes: vec![cell.payload_bytes],
        depth: vec![cell.depth],
        rate_rps: vec![cell.rate_rps],
        server_threads: vec![cell.server_threads],
        idle_connections: vec![cell.idle_connections],
        ..plan.clone()
    }
}
