//! Every text of a report, made such that whoever reads it sees all that it is.

use super::{Contents, RunFacts};
use crate::plain::{is_plain, plain, plain_lines};
use crate::report::answer::Answer;
use crate::report::chart::Chart;

/// Makes every text plain. Names of backends are so already.
pub(super) fn make_plain(contents: &mut Contents) {
    let Contents { title, answer, charts, backends, tables, runs } = contents;
    clean(title);
    let Answer { findings, notes, crossovers, changes, open } = answer;
    for sentences in [findings, notes, crossovers, changes, open] {
        sentences.iter_mut().for_each(clean);
    }
    charts.iter_mut().for_each(clean_chart);
    for backend in backends {
        clean(&mut backend.summary);
    }
    for table in tables {
        clean(&mut table.title);
        for column in &mut table.columns {
            clean(&mut column.title);
        }
        table.rows.iter_mut().flatten().for_each(|entry| clean(&mut entry.text));
    }
    runs.iter_mut().for_each(clean_run);
}

fn clean_chart(chart: &mut Chart) {
    [&mut chart.title, &mut chart.cells, &mut chart.x.label, &mut chart.y.label].into_iter().for_each(clean);
    chart.notes.iter_mut().for_each(clean);
    for series in &mut chart.series {
        series.points.iter_mut().flat_map(|point| &mut point.said).for_each(clean);
        for mark in &mut series.marks {
            clean(&mut mark.label);
        }
    }
}

fn clean_run(run: &mut RunFacts) {
    [&mut run.file, &mut run.started].into_iter().for_each(clean);
    run.command = plain_lines(&run.command);
    run.notes.iter_mut().for_each(clean);
    for reason in &mut run.reasons {
        clean(&mut reason.reason);
    }
    for (title, rows) in &mut run.environment {
        clean(title);
        rows.iter_mut().flat_map(|(name, value)| [name, value]).for_each(clean);
    }
}

fn clean(text: &mut String) {
    if !is_plain(text) {
        *text = plain(text);
    }
}
