//! How many descriptors this process may open: one for each connection, on both sides.

use std::io;
use std::sync::OnceLock;

use backends::descriptor_limit::DescriptorLimit;
use backends::refusal::refused;
use rustix::process::{Resource, Rlimit, setrlimit};

/// For all that a process opens besides connections: event loops, timers, files, pipes, and what it inherits.
const OTHER: usize = 128;

/// How many descriptors a process with so many connections needs. The same whenever it is asked, so that what is allowed
/// when a sweep is planned does not fail in its trials.
#[must_use]
pub fn needed(connections: usize) -> u64 {
    connections.saturating_add(OTHER) as u64
}

/// What this process was given, before it raised it.
static GIVEN: OnceLock<DescriptorLimit> = OnceLock::new();

/// Raises the soft limit as far as the hard limit allows and says how far that was. Where that is refused, the process goes
/// on with what it has.
///
/// # Errors
///
/// Where the limit cannot be known.
pub fn raise_limit() -> io::Result<u64> {
    let limit = DescriptorLimit::read()?;
    GIVEN.get_or_init(|| limit);
    let raised = limit.soft == limit.hard || set_soft(limit.hard, limit.hard).is_ok();
    // None is no limit at all.
    Ok(if raised { limit.hard } else { limit.soft }.unwrap_or(u64::MAX))
}

/// The soft limit that this process was given and has raised since, for programs that are to have what the user's shell would
/// give them; none where it is still that.
#[must_use]
pub fn given_limit() -> Option<u64> {
    let given = GIVEN.get()?.soft?;
    (DescriptorLimit::read().ok()?.soft != Some(given)).then_some(given)
}

/// Sets the soft limit.
///
/// # Errors
///
/// The kernel's, in words.
pub fn lower_limit(soft: u64) -> io::Result<()> {
    set_soft(Some(soft), DescriptorLimit::read()?.hard)
}

fn set_soft(soft: Option<u64>, hard: Option<u64>) -> io::Result<()> {
    setrlimit(Resource::Nofile, Rlimit { current: soft, maximum: hard }).map_err(|error| refused("prlimit64", error))
}
