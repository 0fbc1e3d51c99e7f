//! What a test that is skipped says.

use std::io::Write;

/// Says so past the test harness, which keeps what a test that passes prints to itself.
pub(crate) fn skipped(why: &str) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {why}\n", thread.name().unwrap_or("a test"));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
