//! How many descriptors this process may open: one for each connection, on both sides.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit as far as the hard limit allows and says how far that was.
///
/// # Errors
///
/// What the kernel says; it has no reason to refuse what the hard limit allows.
pub fn raise_limit() -> Result<u64, Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}
