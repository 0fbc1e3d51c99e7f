//! Memory that the kernel locks for rings: their queues, and the rings in which buffers are provided.
//!
//! All of a user's processes share one allowance, `RLIMIT_MEMLOCK`, unless they are privileged (`CAP_IPC_LOCK`); which memory
//! is charged to it differs from kernel to kernel (before Linux 5.12 the queues, and again since 6.14, with what is
//! registered). What a ring had is given back by a thread of the kernel after it was closed.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::refusal::refused;
use crate::resource_limit::ResourceLimit;

/// Far longer than closed rings take to give back what they had.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(5);

/// What the queues of a ring take with so many entries: 64 bytes for a submission, 16 for a completion, and a page of
/// counters.
pub(super) fn queues_bytes(submissions: u32, completions: u32) -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let entries = |entries: u32| u64::from(entries.checked_next_power_of_two().unwrap_or(u32::MAX));
    let submissions = (entries(submissions) * 64).next_multiple_of(PAGE_BYTES);
    submissions + (entries(completions) * 16 + PAGE_BYTES).next_multiple_of(PAGE_BYTES)
}

/// Asks again for a while, where rings that were closed just now may still have what is needed.
pub(super) fn patiently<T>(needed_bytes: u64, ask: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Err(error) if is_short(&error) && fits(needed_bytes, limit_bytes()) && Instant::now() < deadline => {
                thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// Whether the kernel had no memory, or would not lock any more.
pub(super) fn is_short(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOMEM.raw_os_error())
}

/// Puts a failed call in words; where memory was short, with what is needed, what may be locked, and how to change that.
pub(super) fn explained(what: &str, needed_bytes: u64, error: io::Error) -> io::Error {
    if !is_short(&error) {
        return refused(what, error);
    }
    io::Error::new(error.kind(), format!("{what}: {error}; {}", in_words(needed_bytes, limit_bytes())))
}

fn in_words(needed_bytes: u64, limit_bytes: Option<u64>) -> String {
    let kib = |bytes: u64| bytes.div_ceil(1024);
    match limit_bytes {
        Some(limit_bytes) => format!(
            "{} KiB of locked memory are needed, and RLIMIT_MEMLOCK allows {} KiB to all rings of this user together: raise \
             it (ulimit -l, memlock in /etc/security/limits.conf, LimitMEMLOCK= of a service, --ulimit memlock= of a \
             container)",
            kib(needed_bytes),
            kib(limit_bytes)
        ),
        None => {
            format!("{} KiB of memory are needed, see the limit of the control group (memory.max)", kib(needed_bytes))
        }
    }
}

fn fits(needed_bytes: u64, limit_bytes: Option<u64>) -> bool {
    limit_bytes.is_none_or(|limit_bytes| needed_bytes <= limit_bytes)
}

/// None where any amount may be locked.
fn limit_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if locks_any(&status) { None } else { ResourceLimit::locked_memory().ok()?.soft }
}

/// Whether a process with that `status` file has `CAP_IPC_LOCK`, which is above the limit.
fn locks_any(status: &str) -> bool {
    /// Of linux/capability.h.
    const IPC_LOCK: u64 = 14;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> IPC_LOCK & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn short() -> io::Error {
        Errno::NOMEM.into()
    }

    #[test]
    fn the_limit_is_named_with_what_is_needed_and_what_there_is() {
        let words = in_words(86_016, Some(65_536));
        assert!(words.starts_with("84 KiB of locked memory are needed, and RLIMIT_MEMLOCK allows 64 KiB "), "{words}");
        assert!(words.contains("ulimit -l") && words.contains("LimitMEMLOCK="), "{words}");
        assert!(!in_words(86_016, None).contains("MEMLOCK"));
        let other = explained("io_uring_setup", 1, Errno::INVAL.into()).to_string();
        assert!(!other.contains("locked"), "{other}");
        assert!(explained("io_uring_setup", 1, short()).to_string().starts_with("io_uring_setup: "));
    }

    #[test]
    fn a_privilege_is_above_the_limit() {
        assert!(locks_any("Name:\tx\nCapEff:\t0000000000004000\n") && !locks_any("CapEff:\t0000000000000400\n"));
        assert!(!locks_any(""));
    }

    #[test]
    fn memory_that_comes_back_is_waited_for_and_other_failures_are_not() {
        let asked = Cell::new(0);
        let ask = |succeeds_at: u32, error: fn() -> io::Error| {
            asked.set(0);
            patiently(0, || {
                asked.set(asked.get() + 1);
                if asked.get() < succeeds_at { Err(error()) } else { Ok(asked.get()) }
            })
        };
        assert_eq!(ask(3, short).unwrap(), 3);
        assert!(ask(3, || Errno::INVAL.into()).is_err());
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn more_than_may_ever_be_locked_is_not_waited_for() {
        assert!(fits(1, Some(1)) && fits(u64::MAX, None) && !fits(2, Some(1)));
    }

    #[test]
    fn queues_take_what_their_entries_take() {
        assert_eq!((queues_bytes(256, 4096), queues_bytes(64, 1600)), (86_016, 40_960));
        assert!(queues_bytes(u32::MAX, u32::MAX) > u64::from(u32::MAX));
    }
}
