//! What files are called in a report.

use std::path::{Path, PathBuf};

/// The name of each file, with as many of its folders as tell it from the others.
#[must_use]
pub fn apart(paths: &[&Path]) -> Vec<String> {
    let name = |(place, path): (usize, &&Path)| {
        let is_alone = |own: &PathBuf, length| {
            let mut others = paths.iter().enumerate().filter(|(other, _)| *other != place);
            others.all(|(_, other)| tail(other, length) != *own)
        };
        let tails = (1..=path.components().count()).map(|length| (tail(path, length), length));
        let shortest = tails.into_iter().find(|(own, length)| is_alone(own, *length));
        shortest.map_or_else(|| path.to_path_buf(), |(own, _)| own).to_string_lossy().into_owned()
    };
    paths.iter().enumerate().map(name).collect()
}

/// The last parts of a path, or all where there are fewer.
fn tail(path: &Path, length: usize) -> PathBuf {
    path.components().skip(path.components().count().saturating_sub(length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        apart(&paths.iter().map(Path::new).collect::<Vec<_>>())
    }

    #[test]
    fn a_file_is_called_by_its_name_and_by_folders_only_where_another_has_the_name() {
        assert_eq!(names(&["results/a.jsonl", "/tmp/b.jsonl"]), ["a.jsonl", "b.jsonl"]);
        assert_eq!(names(&["x/a/run", "x/b/run", "x/other"]), ["a/run", "b/run", "other"]);
        assert_eq!(names(&["a/x/run", "b/x/run", "c/y/run"]), ["a/x/run", "b/x/run", "y/run"]);
        assert_eq!(names(&["run", "a/run", "/run", "../run"]), ["run", "a/run", "/run", "../run"]);
        // The same one twice is for others to refuse.
        assert_eq!(names(&["a/run", "a/run"]), ["a/run", "a/run"]);
    }
}
