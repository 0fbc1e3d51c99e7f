//! Names from a file, made such that other programs take them.

use std::collections::{HashMap, HashSet};

use crate::plan::Cell;

/// More would not fit into a file's name with the words of a cell.
const LONGEST_BYTES: usize = 100;

/// More would not fit into a file's name, which may have 255 bytes, with its ending and what stands there while it is written.
const LONGEST_STEM_BYTES: usize = 200;

/// Gives every name another one that is harmless, and different names different ones.
#[derive(Debug)]
pub(super) struct Names {
    may_have: fn(char) -> bool,
    longest_bytes: usize,
    given: HashMap<String, String>,
    taken: HashSet<String>,
}

impl Names {
    /// For names of files: nothing that a shell, a URL or a file system reads as something else.
    pub(super) fn of_files() -> Self {
        Self::with(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    }

    /// For all of a file's name but its ending: of words that are harmless, only too many.
    pub(super) fn of_stems() -> Self {
        Self { longest_bytes: LONGEST_STEM_BYTES, ..Self::of_files() }
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
        Self { may_have, longest_bytes: LONGEST_BYTES, given: HashMap::new(), taken: HashSet::new() }
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
            if text.len() + c.len_utf8() > self.longest_bytes {
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
        (Some(rate_rps), Some(arrivals)) => format!("rate-{}-{arrivals}", short(rate_rps)),
        (Some(rate_rps), None) => format!("rate-{}", short(rate_rps)),
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

/// With an exponent where it would otherwise be mostly zeros.
fn short(rate_rps: f64) -> String {
    const LONGEST_BYTES: usize = 20;
    let text = rate_rps.to_string();
    if text.len() > LONGEST_BYTES { format!("{rate_rps:e}") } else { text }
}

/// Whether a benchmark has a name as we give them: a backend, then the words of a cell.
pub(super) fn names_a_cell(benchmark: &str) -> bool {
    let counts = |word: &str, name: &str| word.strip_prefix(name).is_some_and(|count| count.parse::<u64>().is_ok());
    let mut words: Vec<&str> = benchmark.split('/').collect();
    words.pop_if(|word| counts(word, "idle-"));
    let [_, .., _, _, connections, payload, depth, pace, threads] = words[..] else { return false };
    counts(connections, "connections-")
        && counts(payload, "payload-")
        && counts(depth, "depth-")
        && (pace == "closed-loop" || pace.starts_with("rate-"))
        && counts(threads, "server-threads-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

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
    fn a_rate_of_any_size_has_a_short_name_and_one_of_its_own() {
        let mut cell = plan::tests::plan().cells().remove(0);
        let mut pace = |rate_rps| {
            cell.rate_rps = Some(rate_rps);
            words(&cell)[5].clone()
        };
        assert_eq!(pace(120_000.0), "rate-120000");
        assert_eq!(pace(20_000.25), "rate-20000.25");
        assert_eq!(pace(1e-300), "rate-1e-300");
        assert_eq!(pace(f64::MAX), "rate-1.7976931348623157e308");
        assert_ne!(pace(1e-300), pace(2e-300));
    }

    #[test]
    fn the_name_of_a_benchmark_is_known_again() {
        for mut cell in plan::tests::plan().cells() {
            for idle_connections in [0, 1000] {
                cell.idle_connections = idle_connections;
                let name = |backend: &str| format!("{backend}/{}", words(&cell).join("/"));
                assert!(names_a_cell(&name("epoll")) && names_a_cell(&name("a/b")), "{cell}");
                assert!(!names_a_cell(&format!("{}/more", name("epoll"))) && !names_a_cell(&words(&cell).join("/")));
            }
        }
        for other in ["", "epoll", "src/bench.rs", "a/b/c/connections-x/payload-1/depth-1/closed-loop/server-threads-1"]
        {
            assert!(!names_a_cell(other), "{other}");
        }
    }

    #[test]
    fn what_was_different_stays_so() {
        let mut tags = Names::of_tags();
        assert_eq!(["a b", "a,b", "a_b", "a b"].map(|name| tags.harmless(name)), ["a_b", "a_b-2", "a_b-3", "a_b"]);
    }
}
