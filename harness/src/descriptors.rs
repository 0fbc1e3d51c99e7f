//! How many descriptors this process may open: one for each connection, on both sides.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For all that a process opens besides connections: event loops, timers, files, pipes, and what it inherits.
const OTHER: usize = 128;

/// How many descriptors a process with so many connections needs. The same whenever it is asked, so that what is allowed
/// when a sweep is planned does not fail in its trials.
#[must_use]
pub fn needed(connections: usize) -> u64 {
    connections.saturating_add(OTHER) as u64
}

/// Raises the soft limit as far as the hard limit allows and says how far that was.
///
/// # Errors
///
/// What the kernel says; it has no reason to refuse what the hard limit allows.
pub fn raise_limit() -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    // None is no limit at all.
    Ok(maximum.unwrap_or(u64::MAX))
}
