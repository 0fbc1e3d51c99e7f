//! What a server says, awaited for a bounded time.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::error_line::error_line;

/// How much of the end of a server's standard error is searched for the error; stacks below one may be long.
const STDERR_TAIL_BYTES: u64 = 64 << 10;
/// How much is shown of a line that has to be quoted whatever it is.
const LINE_CHARS: usize = 300;

/// Adds the line of a server's standard error that says what went wrong.
pub(super) fn with_last_words(stderr: &File, what: String) -> String {
    match error_line(&tail(stderr)) {
        None => what,
        Some(line) => format!("{what}: {line}"),
    }
}

/// The end of a server's standard error.
pub(super) fn tail(stderr: &File) -> Vec<u8> {
    let length = stderr.metadata().map_or(0, |metadata| metadata.len());
    let from = length.saturating_sub(STDERR_TAIL_BYTES);
    let mut tail = vec![0; usize::try_from(length - from).unwrap_or(0)];
    let read = stderr.read_at(&mut tail, from).unwrap_or(0);
    tail.truncate(read);
    tail
}

/// A line of a program that may say anything.
pub(super) fn printable(line: &str) -> String {
    line.trim().chars().filter(|c| !c.is_control()).take(LINE_CHARS).collect()
}

/// Lines from a pipe, each awaited for a bounded time.
#[derive(Debug)]
pub(super) struct Lines<P> {
    pipe: P,
    /// Read, but no whole line yet.
    rest: Vec<u8>,
}

impl<P: Read + AsFd> Lines<P> {
    pub(super) fn new(pipe: P) -> Self {
        Self { pipe, rest: Vec::new() }
    }

    /// The next line, or `None` at the end.
    pub(super) fn next(&mut self, timeout: Duration) -> io::Result<Option<String>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(newline) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=newline).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..newline]).into_owned()));
            }
            readable_within(self.pipe.as_fd(), deadline)?;
            let mut chunk = [0; 4096];
            match self.pipe.read(&mut chunk)? {
                0 => return Ok(None),
                read => self.rest.extend_from_slice(&chunk[..read]),
            }
        }
    }
}

/// Waits until there is something to read, or the end of the file.
pub(super) fn readable_within(fd: BorrowedFd<'_>, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            // A signal to the sweep; whether it ends is decided elsewhere.
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_are_awaited_for_a_bounded_time() {
        let (read, mut write) = io::pipe().unwrap();
        let mut lines = Lines::new(read);
        write.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(lines.next(Duration::from_mins(1)).unwrap().as_deref(), Some("one"));
        assert_eq!(lines.next(Duration::from_mins(1)).unwrap().as_deref(), Some("two"));
        assert_eq!(lines.next(Duration::ZERO).unwrap_err().kind(), io::ErrorKind::TimedOut);
        write.write_all(b"ee\n").unwrap();
        drop(write);
        assert_eq!(lines.next(Duration::from_mins(1)).unwrap().as_deref(), Some("three"));
        assert_eq!(lines.next(Duration::from_mins(1)).unwrap(), None);
    }
}
