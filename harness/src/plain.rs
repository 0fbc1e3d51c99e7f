//! Texts of others (of a results file, of a command line), made such that whoever reads them sees all that they are, and a
//! terminal obeys nothing in them.

use std::ops::RangeInclusive;

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
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().filter_map(shown).collect()
}

/// The same, with its lines.
#[must_use]
pub fn plain_lines(text: &str) -> String {
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

/// Whether it is so already.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    text.chars().all(|c| shown(c) == Some(c))
}
