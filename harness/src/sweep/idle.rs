//! What a server of ours does about idle connections: when it has accepted them, and what memory they take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::server::Server;
use crate::control::Report;
use crate::results::per;

/// For a server to accept what is already connected, at least and for each connection; it takes a tenth of that.
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_EACH: Duration = Duration::from_micros(200);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(5);

/// Memory of the server before the idle connections were opened, and when it had accepted all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdleMemory {
    /// Connections accepted before.
    pub(super) accepted: u64,
    pub(super) before: Option<u64>,
    pub(super) after: Option<u64>,
}

impl IdleMemory {
    /// None without idle connections, and where it could not be read.
    pub(super) fn bytes_per_connection(self, connections: usize) -> Option<f64> {
        per(self.after?.saturating_sub(self.before?) as f64, connections as f64)
    }
}

/// Connections that the server has accepted so far.
///
/// # Errors
///
/// A sentence for people.
pub(super) fn accepted(server: &mut Server) -> Result<u64, String> {
    report(server).map(|report| count(&report, "accepted"))
}

/// Returns when the server has accepted `connections` more than `before`. A connection that is accepted during the window
/// would be work that is taken for that of the busy ones.
///
/// # Errors
///
/// A sentence for people, where that does not come about.
pub(super) fn wait_until_accepted(
    server: &mut Server,
    before: u64,
    connections: usize,
    cancel: &AtomicBool,
) -> Result<(), String> {
    let each = TIMEOUT_EACH.saturating_mul(u32::try_from(connections).unwrap_or(u32::MAX));
    let deadline = Instant::now() + TIMEOUT + each;
    loop {
        let report = report(server)?;
        let accepted = count(&report, "accepted") - before.min(count(&report, "accepted"));
        if accepted >= connections as u64 {
            return Ok(());
        }
        if cancel.load(Ordering::Relaxed) {
            return Err("interrupted".to_owned());
        }
        if Instant::now() >= deadline {
            return Err(gave_up(&report, accepted, connections));
        }
        thread::sleep(PAUSE);
    }
}

fn gave_up(report: &Report, accepted: u64, connections: usize) -> String {
    let paused = match count(report, "accept_paused") {
        0 => String::new(),
        paused => format!(" (it ran out of descriptors or memory {paused} times: ask for more --server-threads)"),
    };
    format!("the server accepted {accepted} of {connections} idle connections{paused}")
}

fn report(server: &mut Server) -> Result<Report, String> {
    server.report().map_err(|error| format!("the server did not say how many connections it has accepted: {error}"))
}

fn count(report: &Report, event: &str) -> u64 {
    report.events.get(event).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_came_on_top_for_each_connection() {
        let memory = IdleMemory { accepted: 0, before: Some(1000), after: Some(26_000) };
        assert_eq!(memory.bytes_per_connection(100), Some(250.0));
        assert_eq!(memory.bytes_per_connection(0), None);
        assert_eq!(IdleMemory { before: None, ..memory }.bytes_per_connection(100), None);
    }

    #[test]
    fn why_not_all_were_accepted_is_said() {
        let mut report = Report::default();
        assert_eq!(gave_up(&report, 7, 9), "the server accepted 7 of 9 idle connections");
        report.events.insert("accept_paused".to_owned(), 3);
        assert!(gave_up(&report, 7, 9).contains("descriptors or memory 3 times"));
    }
}
