//! The tree of files that facts are read from: `/`, or any directory that looks like it.
//!
//! Nothing in it is trusted: what is missing, forbidden, too long, or not what it should be is `None`, and text comes
//! without characters that would steer a terminal.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Far more than any file that is read here; `/proc/stat` of a large machine is the longest.
const LONGEST_FILE_BYTES: u64 = 4 << 20;

/// Where `/proc`, `/sys` and the like are.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// Facts are read from below `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The running system.
    #[must_use]
    pub fn system() -> Self {
        Self::new("/")
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    pub(super) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        read(&self.path(path)).ok()
    }

    /// The whole file without the space around it; may be empty.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes(path)?).replace('\0', "\n");
        let printable = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
        Some(text.chars().map(printable).collect::<String>().trim().to_owned())
    }

    /// The first line, if there is anything in it.
    pub(super) fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        text.lines().next().map(str::to_owned)
    }

    pub(super) fn number<T: FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// The words of a file, as long as there are any and all are `T`.
    pub(super) fn words<T: FromStr>(&self, path: &str) -> Option<Vec<T>> {
        let words = self.text(path)?.split_whitespace().map(str::parse).collect::<Result<Vec<T>, _>>().ok()?;
        (!words.is_empty()).then_some(words)
    }

    /// What stands between brackets in a list of choices: `always [madvise] never`.
    pub(super) fn choice(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let (_, rest) = text.split_once('[')?;
        rest.split_once(']').map(|(chosen, _)| chosen.to_owned())
    }

    /// The numbers N of the entries `prefixN` of a directory, ascending.
    pub(super) fn numbered(&self, directory: &str, prefix: &str) -> Vec<usize> {
        let suffix = |name: String| name.strip_prefix(prefix)?.parse().ok();
        let mut numbers: Vec<usize> = self.names(directory).into_iter().filter_map(suffix).collect();
        numbers.sort_unstable();
        numbers
    }

    /// What is in a directory, in order.
    pub(super) fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(directory)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(content: &[u8]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), content).unwrap();
        let root = Root::new(directory.path());
        (directory, root)
    }

    #[test]
    fn values_are_read_in_their_form() {
        let (_directory, file) = root(b" 42\n");
        assert_eq!(file.number::<u64>("/file"), Some(42));
        let (_directory, file) = root(b"32768\t60999\n");
        assert_eq!((file.number::<u64>("file"), file.words("file")), (None, Some(vec![32768_u64, 60999])));
        let (_directory, file) = root(b"always [madvise] never\n");
        assert_eq!(file.choice("file").as_deref(), Some("madvise"));
    }

    #[test]
    fn text_cannot_steer_a_terminal() {
        let (_directory, file) = root(b"a\x1b[2J\xff\0b\n");
        assert_eq!(file.text("file").unwrap(), "a\u{fffd}[2J\u{fffd}\nb");
    }

    #[test]
    fn an_endless_file_ends() {
        assert_eq!(Root::system().bytes("dev/zero").map_or(0, |bytes| bytes.len() as u64), LONGEST_FILE_BYTES);
    }

    #[test]
    fn entries_with_a_number_are_found_in_its_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["cpu10", "cpu2", "cpufreq", "cpu", "node1"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        assert_eq!(Root::new(directory.path()).numbered("/", "cpu"), [2, 10]);
        assert_eq!(Root::new(directory.path()).numbered("/nothing", "cpu"), [0; 0]);
    }
}
