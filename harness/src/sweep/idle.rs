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

/// The server before the idle connections were opened, and when it had accepted all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct IdleLook {
    /// What it had done before.
    pub(super) opened: Report,
    /// Its memory then and afterwards.
    pub(super) before: Option<u64>,
    pub(super) after: Option<u64>,
    /// How many connections each of its threads had accepted when all idle ones were open; nothing without any.
    pub(super) accepted_per_thread: Vec<u64>,
}

impl IdleLook {
    /// None without idle connections, where it could not be read, and where memory shrank: then something else was given
    /// back meanwhile, and what the connections took is not known.
    pub(super) fn bytes_per_connection(&self, connections: usize) -> Option<f64> {
        per(self.after?.checked_sub(self.before?)? as f64, connections as f64)
    }
}

/// What the server has done so far.
///
/// # Errors
///
/// A sentence for people.
pub(super) fn report(server: &mut Server) -> Result<Report, String> {
    server.report().map_err(|error| format!("the server did not say how many connections it has accepted: {error}"))
}

/// Returns what the server has done when it serves `connections` more than `before`. A connection that is accepted during
/// the window would be work that is taken for that of the busy ones. `shares_table`: whether all of its threads have one
/// table of descriptors.
///
/// # Errors
///
/// A sentence for people, where that does not come about.
pub(super) fn wait_until_accepted(
    server: &mut Server,
    before: &Report,
    connections: usize,
    shares_table: bool,
    cancel: &AtomicBool,
) -> Result<Report, String> {
    let each = TIMEOUT_EACH.saturating_mul(u32::try_from(connections).unwrap_or(u32::MAX));
    let deadline = Instant::now() + TIMEOUT + each;
    let served_before = served(before);
    loop {
        let report = report(server)?;
        let more = served(&report).saturating_sub(served_before);
        if more >= connections as u64 {
            return Ok(report);
        }
        if cancel.load(Ordering::Relaxed) {
            return Err("interrupted".to_owned());
        }
        // Whom it turned away does not come again.
        let is_refused = count(&report, REFUSED) > count(before, REFUSED);
        if is_refused || Instant::now() >= deadline {
            return Err(gave_up(&report, more, connections, shares_table));
        }
        thread::sleep(PAUSE);
    }
}

/// Connections that it has accepted and not closed. One that it then has no thread or no place for counts as both.
fn served(report: &Report) -> u64 {
    count(report, "accepted").saturating_sub(count(report, "closed"))
}

/// Connections that it had no thread or no place for.
const REFUSED: &str = "refused_unservable";

fn gave_up(report: &Report, served: u64, connections: usize, shares_table: bool) -> String {
    let raise = if shares_table {
        "its threads share one table: raise the limit, ulimit -Hn"
    } else {
        "ask for more --server-threads, or raise the limit, ulimit -Hn"
    };
    let why = match (count(report, REFUSED), count(report, "accept_paused")) {
        (0, 0) => String::new(),
        (0, paused) => format!(
            " (it ran out of descriptors or memory {}; {raise})",
            crate::figures::counted(usize::try_from(paused).unwrap_or(usize::MAX), "time")
        ),
        (refused, _) => format!(
            " (it turned {refused} away for which it had no thread or no place: ask for fewer, or raise what 'harness \
             doctor' says of threads and descriptors)"
        ),
    };
    format!("the server serves {served} of {}{why}", crate::figures::counted(connections, "idle connection"))
}

fn count(report: &Report, event: &str) -> u64 {
    report.events.get(event).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_came_on_top_for_each_connection() {
        let memory = IdleLook { before: Some(1000), after: Some(26_000), ..IdleLook::default() };
        assert_eq!(memory.bytes_per_connection(100), Some(250.0));
        assert_eq!(memory.bytes_per_connection(0), None);
        assert_eq!(IdleLook { before: Some(26_001), ..memory.clone() }.bytes_per_connection(100), None);
        assert_eq!(IdleLook { before: None, ..memory }.bytes_per_connection(100), None);
    }

    #[test]
    fn why_not_all_were_accepted_is_said() {
        let mut report = Report::default();
        assert_eq!(gave_up(&report, 7, 9, false), "the server serves 7 of 9 idle connections");
        report.events.insert("accept_paused".to_owned(), 3);
        let own_tables = gave_up(&report, 7, 9, false);
        assert!(own_tables.contains("descriptors or memory 3 times; ask for more --server-threads"), "{own_tables}");
        let one_table = gave_up(&report, 7, 9, true);
        assert!(one_table.contains("ulimit -Hn") && !one_table.contains("--server-threads"), "{one_table}");
        report.events.insert(REFUSED.to_owned(), 2);
        let refused = gave_up(&report, 7, 9, false);
        assert!(refused.contains("it turned 2 away") && refused.contains("harness doctor"), "{refused}");
    }

    #[test]
    fn who_was_let_in_and_turned_away_is_not_served() {
        let events = [("accepted", 9), ("closed", 2), (REFUSED, 2)];
        let events = events.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        assert_eq!(served(&Report { events, ..Report::default() }), 7);
    }
}
