//! How text is shown where it goes: how wide, in which colours, with which characters.
//!
//! A file or a pipe gets everything, in the same form whoever writes it; a terminal gets what it has room for. A colour
//! repeats what a word or a mark beside it says, and is never alone in saying it.

use std::fmt::Write;

use console::measure_text_width;

use crate::plain::plain;

/// What narrower terminals would get is broken by the terminal instead.
const LEAST_COLUMNS: usize = 20;

/// A sentence of a file or a pipe is broken here, as a reader would have it; its tables are as wide as they are.
const PROSE_COLUMNS: usize = 100;

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// How wide a line may be; none where there is no screen.
    pub columns: Option<usize>,
    /// How wide prose may be where that is not known.
    pub prose_columns: Option<usize>,
    /// Whether escape sequences may be written.
    pub colours: bool,
    /// Whether block elements can be read; else bars are made of ASCII.
    pub blocks: bool,
}

/// What a colour stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing: no colour.
    #[default]
    Plain,
    /// Called best without a tie.
    Best,
    /// To be taken with care.
    Suspect,
    /// Not to be taken at all.
    Invalid,
}

impl Look {
    /// Everything, in no colour: for files and pipes.
    pub const PLAIN: Self = Self { columns: None, prose_columns: None, colours: false, blocks: true };

    /// What an output allows that has so many columns if it is a terminal, by the environment's `variable`s.
    ///
    /// `COLUMNS` wins over the terminal, and gives a pipe a width (`watch` sets it so). `NO_COLOR` wins over
    /// `CLICOLOR_FORCE`, and that over all else.
    #[must_use]
    pub fn of(is_terminal: bool, terminal: Option<usize>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let columns = set("COLUMNS").and_then(|columns| columns.parse().ok()).or(terminal.filter(|_| is_terminal));
        let is_capable = is_terminal && set("TERM").is_some_and(|term| term != "dumb");
        let is_wanted = set("CLICOLOR").is_none_or(|value| value != "0");
        let is_forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let is_utf8 = |name: String| ["utf-8", "utf8"].iter().any(|end| name.to_lowercase().ends_with(end));
        Self {
            columns: columns.filter(|columns| *columns >= LEAST_COLUMNS),
            prose_columns: Some(PROSE_COLUMNS),
            colours: set("NO_COLOR").is_none() && (is_forced || is_capable && is_wanted),
            blocks: !is_terminal || locale.is_some_and(is_utf8),
        }
    }

    /// `text` in the colour of `tone`.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        // Green, yellow and red differ in lightness, too, and follow the palette that the reader chose.
        let code = match tone {
            Tone::Best => "1;32",
            Tone::Suspect => "33",
            Tone::Invalid => "31",
            Tone::Plain => return text.to_owned(),
        };
        if self.colours && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// `line`, broken between words where the screen ends; what follows is moved in by `indent`. No word is cut, and what a
    /// terminal would obey is left out.
    #[must_use]
    pub fn prose(self, line: &str, indent: usize) -> String {
        let line = plain(line);
        let Some(columns) = self.columns.or(self.prose_columns).filter(|columns| measure_text_width(&line) > *columns)
        else {
            return line;
        };
        let start = line.len() - line.trim_start().len();
        let mut text = line[..start].to_owned();
        let mut width = start;
        for (position, word) in line[start..].split(' ').enumerate() {
            let length = measure_text_width(word);
            if position > 0 && width + 1 + length > columns && width > indent {
                let _ = write!(text, "\n{:indent$}", "");
                width = indent;
            } else if position > 0 {
                text.push(' ');
                width += 1;
            }
            text.push_str(word);
            width += length;
        }
        text
    }

    /// Each line of `text` like that.
    #[must_use]
    pub fn prose_lines(self, text: &str) -> String {
        text.lines().map(|line| self.prose(line, 2)).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(is_terminal: bool, variables: &[(&str, &str)]) -> Look {
        Look::of(is_terminal, Some(90), |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let colours = |is_terminal, variables: &[_]| look(is_terminal, variables).colours;
        let term = ("TERM", "xterm");
        assert!(colours(true, &[term]) && !colours(false, &[term]) && !colours(true, &[]));
        assert!(!colours(true, &[("TERM", "dumb")]) && !colours(true, &[term, ("CLICOLOR", "0")]));
        assert!(!colours(true, &[term, ("NO_COLOR", "0")]), "whatever it says");
        assert!(colours(true, &[term, ("NO_COLOR", "")]), "an empty one is not set");
        assert!(colours(false, &[("CLICOLOR_FORCE", "1")]) && !colours(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!colours(true, &[term, ("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    }

    #[test]
    fn the_width_is_that_of_the_terminal_or_what_was_asked_for() {
        let columns = |is_terminal, variables: &[_]| look(is_terminal, variables).columns;
        assert_eq!((columns(true, &[]), columns(false, &[])), (Some(90), None));
        assert_eq!((columns(true, &[("COLUMNS", "60")]), columns(false, &[("COLUMNS", "60")])), (Some(60), Some(60)));
        assert_eq!((columns(true, &[("COLUMNS", "wide")]), columns(true, &[("COLUMNS", "3")])), (Some(90), None));
    }

    #[test]
    fn blocks_need_a_locale_that_has_them() {
        let blocks = |variables: &[_]| look(true, variables).blocks;
        assert!(blocks(&[("LANG", "en_GB.UTF-8")]) && blocks(&[("LC_ALL", "C.utf8"), ("LANG", "C")]));
        assert!(!blocks(&[]) && !blocks(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]));
    }

    #[test]
    fn prose_is_broken_between_words_and_loses_none() {
        let line = "  * suspect trials: epoll 1 of 2: 12,345,678 of something";
        let narrow = Look { columns: Some(24), ..Look::PLAIN };
        let text = narrow.prose(line, 4);
        assert!(text.lines().count() > 2 && text.lines().all(|line| line.len() <= 24), "{text}");
        assert!(text.split_whitespace().eq(line.split_whitespace()), "{text}");
        assert_eq!(Look::PLAIN.prose(line, 4), line);
        let piped = Look::of(false, None, |_| None).prose(&"word ".repeat(130), 2);
        assert!(piped.lines().count() > 6 && piped.lines().all(|line| line.len() <= 100), "{piped}");
        assert_eq!(Look::PLAIN.prose("a\u{1b}[2J \u{202e}b\nc", 0), "a[2J b c", "a terminal obeys nothing in it");
    }
}
