//! What an event loop does by the clock: rest before it accepts again, close idle connections, end a drain.
//!
//! A loop reads the clock only while something of this is pending; most turns do not.

use std::time::{Duration, Instant};

use crate::admission::ACCEPT_REST;
use crate::backend::Limits;

/// For the kernel to end the operations of sockets that were shut down; it takes it no time, but is trusted no further.
const FORCE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the kernel has that time anew where it has done something in it: a busy machine may keep the loop from its
/// CPU for longer, and closing takes a few turns.
const FORCE_TIMEOUTS: u32 = 5;

/// The clock of one loop, and what is due by it.
#[derive(Debug)]
pub(crate) struct Timers {
    /// When this turn began; kept up only while something depends on it.
    now: Instant,
    phase: Phase,
    idle_timeout: Option<Duration>,
    drain_timeout: Duration,
    next_idle_scan: Option<Instant>,
    force_timeouts_left: u32,
}

/// What a loop does about new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// They are taken.
    Accepting,
    /// Descriptors or memory ran out; accepting is tried again then, or when a connection closes.
    RestingUntil(Instant),
    /// The server is stopping; what is still open then is closed by force.
    DrainingUntil(Instant),
    /// It was closed by force; what the kernel has not let go of then is given up, unless it is at work on it.
    ForcedUntil(Instant),
}

/// What has fallen due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Accept again.
    Accept,
    /// Close what is still open.
    Force,
    /// Leave: the kernel does not let go of what was closed by force.
    GiveUp,
    /// Close connections on which nothing has moved since then.
    CloseIdleSince(Instant),
}

impl Timers {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            now: Instant::now(),
            phase: Phase::Accepting,
            idle_timeout: limits.idle_timeout,
            drain_timeout: limits.drain_timeout,
            next_idle_scan: None,
            force_timeouts_left: FORCE_TIMEOUTS,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the stop was requested.
    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.phase, Phase::DrainingUntil(_) | Phase::ForcedUntil(_))
    }

    /// How long the next wait may last; forever, unless something is due by the clock.
    pub(crate) fn timeout(&self, any_open: bool) -> Option<Duration> {
        let phase_ends = match self.phase {
            Phase::Accepting => None,
            Phase::RestingUntil(due) | Phase::DrainingUntil(due) | Phase::ForcedUntil(due) => Some(due),
        };
        let scan = self.next_idle_scan.filter(|_| any_open);
        let next = [phase_ends, scan].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// A wait is over; `timed` if it had a time-out.
    pub(crate) fn turn_begins(&mut self, timed: bool) {
        if timed || self.idle_timeout.is_some() {
            self.now = Instant::now();
        }
    }

    /// Bytes have moved on a connection.
    #[inline]
    pub(crate) fn touch(&self, last_moved: &mut Instant) {
        if self.idle_timeout.is_some() {
            *last_moved = self.now;
        }
    }

    /// A connection was opened; returns when that was.
    pub(crate) fn opened(&mut self) -> Instant {
        if self.next_idle_scan.is_none() {
            self.next_idle_scan = self.idle_timeout.map(|idle_timeout| self.now + scan_gap(idle_timeout));
        }
        self.now
    }

    /// A connection was closed; if descriptors had run out, there is one now.
    pub(crate) fn closed(&mut self) {
        if let Phase::RestingUntil(due) = &mut self.phase {
            *due = self.now;
        }
    }

    /// Descriptors or memory ran out.
    pub(crate) fn rest(&mut self) {
        self.phase = Phase::RestingUntil(Instant::now() + ACCEPT_REST);
    }

    /// The stop was requested.
    pub(crate) fn drain(&mut self) {
        self.phase = Phase::DrainingUntil(Instant::now() + self.drain_timeout);
    }

    /// The kernel has done something in this turn: what was closed by force is not given up in it.
    pub(crate) fn kernel_works(&mut self) {
        if let Phase::ForcedUntil(due) = &mut self.phase
            && self.now >= *due
            && self.force_timeouts_left > 0
        {
            self.force_timeouts_left -= 1;
            *due = self.now + FORCE_TIMEOUT;
        }
    }

    /// The next thing that has fallen due, if any; each is told once.
    pub(crate) fn next_due(&mut self) -> Option<Due> {
        match self.phase {
            Phase::RestingUntil(due) if self.now >= due => {
                self.phase = Phase::Accepting;
                return Some(Due::Accept);
            }
            Phase::DrainingUntil(due) if self.now >= due => {
                self.phase = Phase::ForcedUntil(self.now + FORCE_TIMEOUT);
                return Some(Due::Force);
            }
            Phase::ForcedUntil(due) if self.now >= due => return Some(Due::GiveUp),
            _ => {}
        }
        let idle_timeout = self.idle_timeout?;
        self.next_idle_scan.take_if(|due| self.now >= *due)?;
        self.next_idle_scan = Some(self.now + scan_gap(idle_timeout));
        Some(Due::CloseIdleSince(self.now.checked_sub(idle_timeout)?))
    }
}

/// A quarter of the time-out keeps scans rare and closes them in time (see `Limits::idle_timeout`); the minimum keeps
/// an absurdly short one from becoming a busy loop.
fn scan_gap(idle_timeout: Duration) -> Duration {
    (idle_timeout / 4).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers(idle_timeout: Option<Duration>) -> Timers {
        Timers::new(&Limits { idle_timeout, drain_timeout: Duration::ZERO, ..Limits::default() })
    }

    #[test]
    fn nothing_is_due_while_nothing_is_pending() {
        let mut timers = timers(None);
        timers.opened();
        timers.turn_begins(true);
        assert_eq!((timers.timeout(true), timers.next_due()), (None, None));
    }

    #[test]
    fn accepting_goes_on_when_a_connection_closes() {
        let mut timers = timers(None);
        timers.rest();
        timers.turn_begins(true);
        assert!(timers.timeout(true).is_some_and(|timeout| timeout <= ACCEPT_REST));
        assert_eq!(timers.next_due(), None);
        timers.closed();
        assert_eq!((timers.next_due(), timers.phase()), (Some(Due::Accept), Phase::Accepting));
    }

    #[test]
    fn a_drain_is_forced_once() {
        let mut timers = timers(None);
        timers.drain();
        timers.turn_begins(true);
        assert!(timers.is_stopping());
        assert_eq!((timers.next_due(), timers.next_due()), (Some(Due::Force), None));
        assert!(timers.is_stopping());
    }

    #[test]
    fn what_was_closed_by_force_is_given_up_when_the_kernel_does_nothing_and_at_last_in_any_case() {
        let mut timers = timers(None);
        timers.drain();
        timers.turn_begins(true);
        assert_eq!(timers.next_due(), Some(Due::Force));
        for _ in 0..FORCE_TIMEOUTS {
            // A turn that came as late as can be.
            timers.now += FORCE_TIMEOUT;
            timers.kernel_works();
            assert_eq!(timers.next_due(), None);
        }
        timers.now += FORCE_TIMEOUT;
        timers.kernel_works();
        assert_eq!(timers.next_due(), Some(Due::GiveUp));
    }

    #[test]
    fn idle_connections_are_looked_for_while_there_are_any() {
        let idle_timeout = Duration::from_millis(4);
        let mut timers = timers(Some(idle_timeout));
        assert_eq!(timers.timeout(true), None);
        let opened = timers.opened();
        assert_eq!(timers.timeout(false), None);
        assert!(timers.timeout(true).is_some());
        while timers.now < opened + 2 * idle_timeout {
            timers.turn_begins(false);
        }
        let Some(Due::CloseIdleSince(since)) = timers.next_due() else { panic!("a scan is due") };
        assert!(since > opened);
    }
}
