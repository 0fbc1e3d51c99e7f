//! The report as Markdown, for a pull request or the summary of a CI step.
//!
//! Everything that stands in a file is text here and nothing else: it makes no link, mentions nobody and ends no cell. The
//! whole never becomes longer than what the strictest reader takes; what was left out is said.

use std::fmt::Write;

use super::contents::{Contents, RunFacts, Table};
use crate::plain::{plain, plain_lines};

/// GitHub takes 65,536 characters in a comment; a heading of whoever posts it has room, too.
const MOST_CHARACTERS: usize = 60_000;

/// What one sentence, reason or value of a file may take of that.
const LONGEST: usize = 600;

/// Kept for what is said of all that was left out.
const RESERVE: usize = 400;

/// Of several files, and of several reasons, those that come last are the ones to do without.
const MOST_RUNS: usize = 5;
const MOST_REASONS: usize = 20;

/// Draws all of it.
#[must_use]
pub fn draw(contents: &Contents) -> String {
    let mut page = Page { text: String::new(), characters: 0, left_out: Vec::new() };
    page.add(&format!("## {}\n", escaped(&contents.title)), "the title");
    page.sentences("", &contents.answer.findings);
    for note in &contents.answer.notes {
        page.add(&format!("\n{}\n", escaped(note)), "notes");
    }
    for (title, sentences) in [
        ("Where the order changes", &contents.answer.crossovers),
        ("What changed before", &contents.answer.changes),
        ("What could not be concluded", &contents.answer.open),
    ] {
        page.sentences(title, sentences);
    }
    for table in &contents.tables {
        page.table(table);
    }
    for run in contents.runs.iter().take(MOST_RUNS) {
        page.run(run);
    }
    if let Some(rest) = contents.runs.len().checked_sub(MOST_RUNS).filter(|rest| *rest > 0) {
        page.left_out.push(format!("{rest} older files"));
    }
    page.finish()
}

/// Markdown that grows up to its limit.
struct Page {
    text: String,
    characters: usize,
    left_out: Vec<String>,
}

impl Page {
    /// Adds a part, or says that it is left out.
    fn add(&mut self, part: &str, name: &str) -> bool {
        let characters = part.chars().count();
        let fits = self.characters + characters + RESERVE <= MOST_CHARACTERS;
        if fits {
            self.text += part;
            self.characters += characters;
        } else if !self.left_out.iter().any(|other| other == name) {
            self.left_out.push(name.to_owned());
        }
        fits
    }

    fn sentences(&mut self, title: &str, sentences: &[String]) {
        if sentences.is_empty() {
            return;
        }
        let heading = if title.is_empty() { "\n".to_owned() } else { format!("\n**{title}**\n\n") };
        self.add(&heading, "sentences");
        for sentence in sentences {
            self.add(&format!("- {}\n", escaped(sentence)), "sentences");
        }
    }

    fn table(&mut self, table: &Table) {
        let titles: Vec<String> = table.columns.iter().map(|column| escaped(&column.title)).collect();
        let rules: Vec<&str> = table.columns.iter().map(|column| if column.numeric { "---:" } else { "---" }).collect();
        let heading =
            format!("\n**{}**\n\n| {} |\n| {} |\n", escaped(&table.title), titles.join(" | "), rules.join(" | "));
        if !self.add(&heading, "a table") {
            return;
        }
        for row in &table.rows {
            let row: Vec<String> = row.iter().map(|entry| escaped(&entry.text)).collect();
            if !self.add(&format!("| {} |\n", row.join(" | ")), "rows of a table") {
                break;
            }
        }
        if let Some(legend) = table.legend() {
            self.add(&format!("\n{}\n", escaped(legend)), "the table");
        }
    }

    fn run(&mut self, run: &RunFacts) {
        let verdicts: Vec<String> =
            run.verdicts.iter().map(|(kind, count)| format!("{} {count}", escaped(kind))).collect();
        let verdicts = if verdicts.is_empty() { "no trials".to_owned() } else { verdicts.join(", ") };
        let (file, started) = (escaped(&run.file), escaped(&run.started));
        self.add(&format!("\n**{file}** {started}: {verdicts}\n"), "the runs");
        for note in &run.notes {
            self.add(&format!("- {}\n", escaped(note)), "notes");
        }
        if !run.reasons.is_empty() {
            let is_open = self.add("\n<details><summary>Why trials are not valid</summary>\n\n", "reasons");
            for reason in run.reasons.iter().take(MOST_REASONS) {
                let backends: Vec<String> =
                    reason.backends.iter().map(|(name, count)| format!("{} {count}", escaped(name))).collect();
                let line =
                    format!("- {}: {} ({})\n", escaped(&reason.kind), escaped(&reason.reason), backends.join(", "));
                self.add(&line, "reasons");
            }
            self.close(is_open);
        }
        if !run.environment.is_empty() {
            let is_open = self.add("\n<details><summary>Environment</summary>\n\n", "the environment");
            for (title, rows) in &run.environment {
                self.add(&format!("\n**{}**\n\n", escaped(title)), "the environment");
                for (name, value) in rows {
                    self.add(&format!("- {}: {}\n", escaped(name), escaped(value)), "the environment");
                }
            }
            self.close(is_open);
        }
        if !run.command.is_empty() {
            // What is taken away may have stood between backticks: the fence is that of what is shown.
            let shown = plain_lines(&run.command);
            let fence = fence(&shown);
            self.add(&format!("\n{fence}sh\n{shown}\n{fence}\n"), "the command");
        }
    }

    /// Room for it is part of the reserve: what was opened has to be closed.
    fn close(&mut self, is_open: bool) {
        if !is_open {
            return;
        }
        self.text += "\n</details>\n";
        self.characters += 12;
    }

    fn finish(mut self) -> String {
        if !self.left_out.is_empty() {
            let _ = write!(
                self.text,
                "\nLeft out, for there is no room for it here: {}. See the page.\n",
                self.left_out.join(", ")
            );
        }
        self.text
    }
}

/// Longer than any row of backticks in it, so that nothing in it ends it.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// Text that means nothing to Markdown, HTML or GitHub, on one line.
fn escaped(text: &str) -> String {
    // What is taken away may have stood between characters that mean something together.
    let text = plain(text);
    let mut escaped = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        if index >= LONGEST {
            escaped.push('…');
            break;
        }
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            // A mention, an issue or a link is one also after a backslash: a character without width stands in between.
            '@' | '#' => escaped.extend(['\\', c, '\u{2060}']),
            ':' if text.contains("://") => escaped += ":\u{2060}",
            '.' if text.to_ascii_lowercase().contains("www.") => escaped += ".\u{2060}",
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '!' | '$' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    // What begins a line may make it a heading, a list or a rule.
    match escaped.chars().next() {
        Some('-' | '+' | '=') => format!("\\{escaped}"),
        _ => escaped,
    }
}

#[cfg(test)]
mod tests;
