//! Words of a command line that a reader is to type: quoted such that a shell takes each for what it is.

use std::borrow::Cow;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::plain::is_plain;

/// One word.
#[must_use]
pub fn quoted(word: &str) -> String {
    let needs_none = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(needs_none) {
        return word.to_owned();
    }
    // Only a NUL cannot be quoted, and no program could be given one.
    shlex::try_quote(word).map_or_else(|_| quoted(&word.replace('\0', "")), Cow::into_owned)
}

/// A path, which need be no text: what cannot be shown is escaped, so that it survives a terminal that does not show it.
#[must_use]
pub fn quoted_path(path: &Path) -> String {
    match path.to_str() {
        Some(text) if is_plain(text) => quoted(text),
        _ => escaped(path.as_os_str().as_bytes()),
    }
}

/// A flag that takes a path; one that begins with a hyphen would be taken for a flag of its own.
#[must_use]
pub fn flag(name: &str, path: &Path) -> String {
    let separator = if path.as_os_str().as_bytes().starts_with(b"-") { '=' } else { ' ' };
    format!("{name}{separator}{}", quoted_path(path))
}

/// As `$'…'`, which bash, zsh, ksh and the POSIX shell of 2024 read.
fn escaped(bytes: &[u8]) -> String {
    let mut text = "$'".to_owned();
    for &byte in bytes {
        match byte {
            b'\\' | b'\'' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text + "'"
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_every_path_as_it_was() {
        for path in [&b"run.jsonl"[..], b"my run.jsonl", b"it's", b"$(x)`y`", b"a\nb\x1b[2J", b"\xff\xfe 'x'\\", b"-x"]
        {
            let command = format!("printf %s {}", quoted_path(Path::new(OsStr::from_bytes(path))));
            assert!(is_plain(&command), "{command}");
            let Ok(ended) = Command::new("bash").args(["-c", &command]).output() else { return };
            assert_eq!(ended.stdout, path, "{command}");
        }
        assert_eq!(flag("--output", Path::new("-x y")), "--output='-x y'");
        assert_eq!(flag("--output", Path::new("run.jsonl")), "--output run.jsonl");
    }
}
