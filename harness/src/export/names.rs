//! Names from a file, made such that other programs take them.

use std::collections::{HashMap, HashSet};

use crate::plan::Cell;

/// More would not fit into a file's name with what follows it.
const LONGEST_BYTES: usize = 100;

/// Gives every name another one that is harmless, and different names different ones.
#[derive(Debug)]
pub(super) struct Names {
    may_have: fn(char) -> bool,
    given: HashMap<String, String>,
    taken: HashSet<String>,
}

impl Names {
    /// For names of files: nothing that a shell, a URL or a file system reads as something else.
    pub(super) fn of_files() -> Self {
        Self::with(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    }

    /// For tags of a log of histograms, whose fields end at a comma and whose tags at a space.
    pub(super) fn of_tags() -> Self {
        Self::with(|c| c != ',' && !c.is_whitespace() && !c.is_control())
    }

    /// For people: only shortened.
    pub(super) fn of_benchmarks() -> Self {
        Self::with(|c| !c.is_control())
    }

    fn with(may_have: fn(char) -> bool) -> Self {
        Self { may_have, given: HashMap::new(), taken: HashSet::new() }
    }

    /// The one for `name`, the same each time.
    pub(super) fn harmless(&mut self, name: &str) -> String {
        if let Some(given) = self.given.get(name) {
            return given.clone();
        }
        let first = self.cleaned(name);
        let mut candidate = first.clone();
        let mut number = 2;
        while !self.taken.insert(candidate.clone()) {
            candidate = format!("{first}-{number}");
            number += 1;
        }
        self.given.insert(name.to_owned(), candidate.clone());
        candidate
    }

    fn cleaned(&self, name: &str) -> String {
        let mut text = String::new();
        for c in name.chars().map(|c| if (self.may_have)(c) { c } else { '_' }) {
            if text.len() + c.len_utf8() > LONGEST_BYTES {
                break;
            }
            text.push(c);
        }
        // Hidden files, and the folder above.
        let text = text.trim_start_matches('.');
        if text.is_empty() { "unnamed".to_owned() } else { text.to_owned() }
    }
}

/// What a cell is, word by word; no two cells have the same words.
pub(super) fn words(cell: &Cell) -> Vec<String> {
    let pace = match (cell.rate_rps, cell.arrivals) {
        (Some(rate_rps), Some(arrivals)) => format!("rate-{rate_rps}-{arrivals}"),
        (Some(rate_rps), None) => format!("rate-{rate_rps}"),
        (None, _) => "closed-loop".to_owned(),
    };
    let mut words = vec![
        cell.protocol.to_string(),
        cell.transport.to_string(),
        format!("connections-{}", cell.connections),
        format!("payload-{}", cell.payload_bytes),
        format!("depth-{}", cell.depth),
        pace,
        format!("server-threads-{}", cell.server_threads),
    ];
    if cell.idle_connections > 0 {
        words.push(format!("idle-{}", cell.idle_connections));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cells_have_the_same_words() {
        let variations = crate::plan::tests::variations();
        let named: HashSet<Vec<String>> = variations.iter().map(words).collect();
        assert_eq!(named.len(), variations.len(), "{named:#?}");
    }

    #[test]
    fn no_name_leaves_its_folder_or_its_field() {
        let mut files = Names::of_files();
        for (name, expected) in [
            ("io_uring-oneshot", "io_uring-oneshot"),
            ("epoll#2", "epoll_2"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..", "unnamed"),
            ("", "unnamed-2"),
            ("<script>", "_script_"),
            ("a\0b\n", "a_b_"),
        ] {
            assert_eq!(files.harmless(name), expected, "{name:?}");
        }
        assert_eq!(Names::of_tags().harmless("=1+1, or\r\n2"), "=1+1__or__2");
        assert!(Names::of_files().harmless(&"ä".repeat(1000)).len() <= LONGEST_BYTES);
    }

    #[test]
    fn what_was_different_stays_so() {
        let mut tags = Names::of_tags();
        assert_eq!(["a b", "a,b", "a_b", "a b"].map(|name| tags.harmless(name)), ["a_b", "a_b-2", "a_b-3", "a_b"]);
    }
}
