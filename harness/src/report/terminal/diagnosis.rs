//! What the doctor says, as a page: what is wrong first, then what is right, then everything that is known.

use std::fmt::Write;

use super::facts;
use super::grid::{Column, Grid};
use super::look::Look;
use crate::doctor::{Diagnosis, Finding, Level};
use crate::figures;
use crate::hiccup::Hiccup;

/// No line is longer.
const WIDTH: usize = 100;
/// Where values begin.
const INDENT: usize = 22;

/// Below the table of CPUs, where it holds.
const REALTIME_NOTE: &str =
    "real time: before all ordinary threads, so what those take from each other is not seen here";

/// Draws it.
#[must_use]
pub fn draw(diagnosis: &Diagnosis) -> String {
    let mut page = format!(
        "{}, {}, {} in order\n",
        figures::counted(diagnosis.count(Level::Warning), "warning"),
        figures::counted(diagnosis.count(Level::Note), "note"),
        diagnosis.count(Level::Good),
    );
    let of = |level| diagnosis.findings.iter().filter(move |finding| finding.level == level);
    section(&mut page, "Warnings", of(Level::Warning).map(complaint));
    section(&mut page, "Notes", of(Level::Note).map(complaint));
    section(&mut page, "In order", of(Level::Good).map(|finding| row(finding.name, &finding.value)));
    section(&mut page, "Facts", facts::rows(diagnosis).into_iter().map(|(name, value)| row(name, &value)));
    if let Some(hiccups) = &diagnosis.conditions.hiccups {
        let _ = write!(page, "\nHow late each CPU woke\n{}\n", hiccup_table(hiccups));
        if hiccups.iter().any(|hiccup| hiccup.realtime) {
            let _ = writeln!(page, "{REALTIME_NOTE}");
        }
    }
    page.trim_end().to_owned()
}

fn section(page: &mut String, title: &str, paragraphs: impl Iterator<Item = String>) {
    let paragraphs: String = paragraphs.collect();
    if !paragraphs.is_empty() {
        let _ = write!(page, "\n{title}\n{paragraphs}");
    }
}

fn complaint(finding: &Finding) -> String {
    let mut text = row(finding.name, &finding.value) + &row("", finding.effect);
    if let Some(change) = finding.change {
        text += &row("", &format!("→ {change}"));
    }
    text
}

/// A name and its value, which goes on below itself where it is long.
fn row(name: &str, value: &str) -> String {
    let mut text = String::new();
    let mut name = format!("  {name}");
    for line in wrap(value, WIDTH - INDENT) {
        let _ = writeln!(text, "{name:<INDENT$}{line}");
        name.clear();
    }
    text
}

/// Breaks at spaces, and within what is longer than a line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        if length > 0 && length + 1 + letters.len() <= width {
            length += 1 + letters.len();
            let line = lines.last_mut().expect("there is one from the beginning");
            line.push(' ');
            line.push_str(word);
            continue;
        }
        for piece in letters.chunks(width) {
            if length > 0 {
                lines.push(String::new());
            }
            length = piece.len();
            lines.last_mut().expect("there is one from the beginning").extend(piece);
        }
    }
    lines
}

fn hiccup_table(hiccups: &[Hiccup]) -> String {
    let column = |title: &str, text: &dyn Fn(&Hiccup) -> String| Column::plain(title, hiccups.iter().map(text));
    let duration = |ns: u64| figures::duration(ns as f64);
    let lost = |hiccup: &Hiccup| format!("{:.2} %", hiccup.lost_ns as f64 / hiccup.span_ns.max(1) as f64 * 100.0);
    let grid = Grid::new(vec![
        column("CPU", &|hiccup| hiccup.cpu.to_string()),
        column("wake-ups", &|hiccup| figures::grouped(hiccup.wakeups as f64)),
        column("median", &|hiccup| duration(hiccup.p50_ns)),
        column("p99", &|hiccup| duration(hiccup.p99_ns)),
        column("longest", &|hiccup| duration(hiccup.max_ns)),
        column("time lost", &lost),
        column("priority", &|hiccup| if hiccup.realtime { "real time" } else { "ordinary" }.to_owned()),
    ]);
    // As wide as any screen, like the rest of the page.
    grid.draw(Look::PLAIN).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Build;
    use crate::environment::fixtures::Tree;

    fn page(tree: &Tree) -> String {
        let build = Build { build_profile: "release".to_owned(), ..Build::current() };
        draw(&Diagnosis::new(build, tree.environment(), tree.conditions()))
    }

    #[test]
    fn what_is_wrong_comes_first_with_what_to_do() {
        let page = page(&Tree::laptop());
        assert!(page.starts_with("1 warning, 4 notes, "), "{page}");
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} in {page}"));
        assert!(place("\nWarnings\n  governor            powersave on 4 CPUs\n") < place("\nNotes\n"));
        assert!(place("→ cpupower frequency-set -g performance") < place("\nNotes\n"));
        assert!(place("\nNotes\n") < place("\nIn order\n") && place("\nIn order\n") < place("\nFacts\n"));
    }

    #[test]
    fn what_is_not_known_is_said_to_be() {
        let page = page(&Tree::empty());
        assert!(page.contains("  kernel              unknown\n"), "{page}");
        assert!(page.contains("  limits              unknown: nothing of it can be read here\n"), "{page}");
        assert!(!page.contains("Warnings") && !page.contains("Notes"), "{page}");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
