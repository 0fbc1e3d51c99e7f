//! Texts of files, made such that whoever reads them sees all that they are.

use std::ops::RangeInclusive;

use super::{Contents, RunFacts};
use crate::report::chart::Chart;

/// What turns the direction of text, or is there and has no width.
const HIDDEN: [RangeInclusive<char>; 14] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{e0000}'..='\u{e0fff}',
];

/// On one line, without what a reader does not see but a program obeys.
pub(in crate::report) fn plain(text: &str) -> String {
    text.chars().filter_map(shown).collect()
}

/// The same, with its lines.
pub(in crate::report) fn plain_lines(text: &str) -> String {
    text.chars().filter_map(|c| if c == '\n' { Some(c) } else { shown(c) }).collect()
}

/// None for what is not to be seen.
fn shown(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() || HIDDEN.iter().any(|hidden| hidden.contains(&c)) => None,
        c => Some(c),
    }
}

/// Makes every text plain. Names of backends are so already.
pub(super) fn make_plain(contents: &mut Contents) {
    let Contents { title, answer, charts, backends, tables, runs } = contents;
    clean(title);
    for sentences in [&mut answer.findings, &mut answer.crossovers, &mut answer.open] {
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
    if text.chars().any(|c| shown(c) != Some(c)) {
        *text = plain(text);
    }
}
