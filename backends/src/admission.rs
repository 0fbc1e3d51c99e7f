//! Who is let in: the limit on open connections, and what to do when the kernel cannot hand one over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use crate::stats::{Counters, Event};

/// How long accepting rests when descriptors or memory have run out, unless a connection closes before.
///
/// The connection that could not be accepted stays in the listener's queue, which therefore stays readable: without
/// a rest the loop would spin.
pub(crate) const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The number of connections open in all threads of a server, and its limit.
#[derive(Debug)]
pub(crate) struct Admission {
    open: AtomicUsize,
    max_connections: usize,
}

impl Admission {
    pub(crate) fn new(max_connections: Option<usize>) -> Self {
        Self { open: AtomicUsize::new(0), max_connections: max_connections.unwrap_or(usize::MAX) }
    }

    /// Counts a connection in, unless the limit is reached; then the caller closes it.
    pub(crate) fn admit(&self, counters: &Counters) -> bool {
        let admitted = self.open.fetch_add(1, Ordering::Relaxed) < self.max_connections;
        if admitted {
            counters.event(Event::Accepted);
        } else {
            self.leave();
            counters.event(Event::OverLimit);
        }
        admitted
    }

    /// Counts a connection out that was admitted.
    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What to do after `accept` failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptFailure {
    /// Nobody is waiting.
    NobodyWaits,
    /// That one connection was lost; the next may be fine.
    TryNext,
    /// Nobody can be accepted for now: rest for [`ACCEPT_REST`].
    Rest,
    /// The listener itself is unusable.
    Fatal,
}

impl AcceptFailure {
    /// Sorts the errors of accept(2), which passes on errors that are pending on the new connection.
    pub(crate) fn of(error: Errno) -> Self {
        match error {
            Errno::AGAIN => Self::NobodyWaits,
            Errno::CONNABORTED
            | Errno::INTR
            | Errno::PERM
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::OPNOTSUPP
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET => Self::TryNext,
            Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => Self::Fatal,
            // EMFILE, ENFILE, ENOBUFS and ENOMEM; and whatever else may last, for to try again at once would spin.
            _ => Self::Rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stats::Stats;

    #[test]
    fn the_limit_counts_who_is_in() {
        let stats = Arc::new(Stats::default());
        let counters = stats.register();
        let admission = Admission::new(Some(2));
        assert!(admission.admit(&counters));
        assert!(admission.admit(&counters));
        assert!(!admission.admit(&counters));
        assert!(!admission.admit(&counters), "who was not let in takes no place");
        admission.leave();
        assert!(admission.admit(&counters));
        let report = stats.report();
        assert_eq!((report.count(Event::Accepted), report.count(Event::OverLimit)), (3, 2));
    }

    #[test]
    fn a_limit_of_none_lets_nobody_in() {
        let counters = Arc::new(Stats::default()).register();
        assert!(!Admission::new(Some(0)).admit(&counters));
    }

    #[test]
    fn failures_of_the_peer_do_not_end_the_server() {
        // What accept(2) lists as errors that were pending on the new connection, and a signal.
        let passing = [
            Errno::CONNABORTED,
            Errno::INTR,
            Errno::NETDOWN,
            Errno::PROTO,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::NONET,
            Errno::HOSTUNREACH,
            Errno::NETUNREACH,
            Errno::OPNOTSUPP,
            Errno::PERM,
        ];
        for error in passing {
            assert_eq!(AcceptFailure::of(error), AcceptFailure::TryNext, "{error}");
        }
    }

    #[test]
    fn shortage_and_the_unknown_make_accepting_rest() {
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ACCESS] {
            assert_eq!(AcceptFailure::of(error), AcceptFailure::Rest, "{error}");
        }
    }

    #[test]
    fn an_empty_queue_is_no_failure() {
        assert_eq!(AcceptFailure::of(Errno::AGAIN), AcceptFailure::NobodyWaits);
    }

    #[test]
    fn an_unusable_listener_ends_the_server() {
        for error in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            assert_eq!(AcceptFailure::of(error), AcceptFailure::Fatal, "{error}");
        }
    }
}
