//! How many descriptors this process may open: one for each connection, on both sides.

use std::fs;
use std::io;
use std::sync::OnceLock;

use backends::refusal::refused;
use backends::resource_limit::ResourceLimit;
use nix::libc::rlim_t;
use nix::sys::resource::{Resource, setrlimit};

/// For all that a process opens besides connections: event loops, timers, files, pipes, and what it inherits.
const OTHER: usize = 128;

/// What `fs.nr_open` is unless it was changed (`sysctl_nr_open` in the kernel's `fs/file.c`).
const USUAL_NR_OPEN: u64 = 1024 * 1024;

/// How many descriptors a process with so many connections needs. The same whenever it is asked, so that what is allowed
/// when a sweep is planned does not fail in its trials.
#[must_use]
pub fn needed(connections: usize) -> u64 {
    connections.saturating_add(OTHER) as u64
}

/// The soft limit that this process was given, before it raised it.
static GIVEN: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit as far as the kernel lets it, and returns the descriptors that may be open from then on. A limit
/// that cannot be raised stays as it is: whether it is enough is for those to decide who know what is needed.
#[must_use]
pub fn raise_limit() -> u64 {
    if let Some((soft, _)) = ThisProcess.limits() {
        GIVEN.get_or_init(|| soft);
    }
    raise(&mut ThisProcess)
}

/// The soft limit that this process was given and has raised since, for programs that are to have what the user's shell would
/// give them; none where it is still that.
#[must_use]
pub fn given_limit() -> Option<u64> {
    let given = *GIVEN.get()?;
    let (soft, _) = ThisProcess.limits()?;
    (soft != given).then_some(given)
}

/// Sets the soft limit.
///
/// # Errors
///
/// The kernel's, in words.
pub fn lower_limit(soft: u64) -> io::Result<()> {
    let hard = ResourceLimit::descriptors()?.hard.unwrap_or(u64::MAX);
    ThisProcess.set(soft, hard).map_err(|error| refused("prlimit64", error))
}

/// What the kernel answers.
trait Kernel {
    /// The soft and the hard limit.
    fn limits(&self) -> Option<(u64, u64)>;
    /// Sets both.
    fn set(&mut self, soft: u64, hard: u64) -> io::Result<()>;
    /// The sysctl `fs.nr_open`.
    fn nr_open(&self) -> Option<u64>;
}

/// A hard limit above `fs.nr_open` is left over from a time when that was higher, or was not given by this kernel. A call
/// that leaves it there is refused whatever the soft limit is to be (EPERM, `do_prlimit` in the kernel's `kernel/sys.c`), so
/// that the hard limit has to come down with the soft one's rise. That takes nothing away: `fs.nr_open` holds all the same.
fn raise(kernel: &mut impl Kernel) -> u64 {
    let nr_open = kernel.nr_open();
    let bound = nr_open.unwrap_or(u64::MAX);
    // Where not even that can be read, the first descriptor that is refused says it.
    let Some((soft, hard)) = kernel.limits() else { return bound };
    let usable = hard.min(nr_open.unwrap_or(USUAL_NR_OPEN));
    let mut attempts = [(hard, hard), (usable, hard), (usable, usable)].into_iter();
    let raised = attempts.find(|&(to, hard)| to > soft && kernel.set(to, hard).is_ok());
    raised.map_or(soft, |(to, _)| to).min(bound)
}

struct ThisProcess;

impl Kernel for ThisProcess {
    fn limits(&self) -> Option<(u64, u64)> {
        let limit = ResourceLimit::descriptors().ok()?;
        // As the kernel has it, no limit is the greatest number.
        Some((limit.soft.unwrap_or(u64::MAX), limit.hard.unwrap_or(u64::MAX)))
    }

    fn set(&mut self, soft: u64, hard: u64) -> io::Result<()> {
        Ok(setrlimit(Resource::RLIMIT_NOFILE, rlim_t::from(soft), rlim_t::from(hard))?)
    }

    fn nr_open(&self) -> Option<u64> {
        fs::read_to_string("/proc/sys/fs/nr_open").ok()?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel with these limits that refuses what `refuses` says.
    struct Made {
        limits: Option<(u64, u64)>,
        nr_open: Option<u64>,
        refuses_all: bool,
    }

    impl Kernel for Made {
        fn limits(&self) -> Option<(u64, u64)> {
            self.limits
        }

        fn set(&mut self, soft: u64, hard: u64) -> io::Result<()> {
            assert!(soft <= hard, "{soft} {hard}");
            let (_, old_hard) = self.limits.expect("nothing is set that could not be read");
            if self.refuses_all || hard > self.nr_open.unwrap_or(USUAL_NR_OPEN) || hard > old_hard {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            self.limits = Some((soft, hard));
            Ok(())
        }

        fn nr_open(&self) -> Option<u64> {
            self.nr_open
        }
    }

    const LINUX: Made = Made { limits: Some((1024, 20_000)), nr_open: Some(USUAL_NR_OPEN), refuses_all: false };

    fn raised(mut kernel: Made) -> (u64, Option<(u64, u64)>) {
        let open = raise(&mut kernel);
        (open, kernel.limits)
    }

    #[test]
    fn a_limit_is_raised_to_the_hard_one() {
        assert_eq!(raised(LINUX), (20_000, Some((20_000, 20_000))));
        let equal = Made { limits: Some((4096, 4096)), ..LINUX };
        assert_eq!(raised(equal), (4096, Some((4096, 4096))));
    }

    #[test]
    fn a_hard_limit_above_what_the_kernel_lets_a_process_open_is_no_reason_to_give_up() {
        for hard in [20_000, u64::MAX] {
            let lowered = Made { limits: Some((1024, hard)), nr_open: Some(4096), ..LINUX };
            assert_eq!(raised(lowered), (4096, Some((4096, 4096))), "{hard}");
        }
        // The soft limit promises more than there is, too.
        let both = Made { limits: Some((20_000, 20_000)), nr_open: Some(4096), ..LINUX };
        assert_eq!(raised(both), (4096, Some((20_000, 20_000))));
        let unknown = Made { limits: Some((1024, u64::MAX)), nr_open: None, ..LINUX };
        assert_eq!(raised(unknown), (USUAL_NR_OPEN, Some((USUAL_NR_OPEN, USUAL_NR_OPEN))));
    }

    #[test]
    fn a_limit_that_may_not_be_raised_stays_and_is_what_there_is() {
        assert_eq!(raised(Made { refuses_all: true, ..LINUX }), (1024, Some((1024, 20_000))));
        let lower_still = Made { refuses_all: true, nr_open: Some(512), ..LINUX };
        assert_eq!(raised(lower_still), (512, Some((1024, 20_000))));
    }

    #[test]
    fn where_no_limit_can_be_read_none_is_claimed() {
        assert_eq!(raised(Made { limits: None, nr_open: None, ..LINUX }), (u64::MAX, None));
        assert_eq!(raised(Made { limits: None, ..LINUX }), (USUAL_NR_OPEN, None));
    }
}
