//! Limits of this process, also where a sandbox refuses to say them.
#![expect(unsafe_code)]

use std::{fs, io};

/// A limit; none where it is infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// What holds.
    pub soft: Option<u64>,
    /// How far that may be raised.
    pub hard: Option<u64>,
}

impl ResourceLimit {
    /// On open descriptors (`RLIMIT_NOFILE`).
    ///
    /// # Errors
    ///
    /// Where neither the kernel nor /proc says it.
    pub fn descriptors() -> io::Result<Self> {
        Self::read(libc::RLIMIT_NOFILE, "Max open files")
    }

    /// On locked memory, in bytes (`RLIMIT_MEMLOCK`).
    ///
    /// # Errors
    ///
    /// Where neither the kernel nor /proc says it.
    pub fn locked_memory() -> io::Result<Self> {
        Self::read(libc::RLIMIT_MEMLOCK, "Max locked memory")
    }

    /// Where prlimit64 is refused, which is what the C library asks with, it is read under `/proc`, from the row of that name.
    fn read(resource: libc::__rlimit_resource_t, row: &str) -> io::Result<Self> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call writes to `limit`, which lives until it has returned.
        if unsafe { libc::getrlimit(resource, &raw mut limit) } == 0 {
            let finite = |number: libc::rlim_t| (number != libc::RLIM_INFINITY).then_some(number);
            return Ok(Self { soft: finite(limit.rlim_cur), hard: finite(limit.rlim_max) });
        }
        let refused = crate::refusal::refused("prlimit64", io::Error::last_os_error());
        fs::read_to_string("/proc/self/limits").ok().and_then(|table| Self::of_table(&table, row)).ok_or(refused)
    }

    fn of_table(table: &str, row: &str) -> Option<Self> {
        let values = table.lines().find_map(|line| line.strip_prefix(row))?;
        let mut numbers = values.split_whitespace().map(|word| match word {
            "unlimited" => Some(None),
            number => number.parse().ok().map(Some),
        });
        Some(Self { soft: numbers.next()??, hard: numbers.next()?? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_say_the_same() {
        const FILES: &str = "Max open files";
        let table = fs::read_to_string("/proc/self/limits").unwrap();
        let of = |row| ResourceLimit::of_table(&table, row);
        assert_eq!(of(FILES), Some(ResourceLimit::descriptors().unwrap()));
        assert_eq!(of("Max locked memory"), Some(ResourceLimit::locked_memory().unwrap()));
        let row = "Max open files            1024                 unlimited            files     ";
        assert_eq!(ResourceLimit::of_table(row, FILES), Some(ResourceLimit { soft: Some(1024), hard: None }));
        assert_eq!(ResourceLimit::of_table("Max open files  many  1  files", FILES), None);
    }
}
