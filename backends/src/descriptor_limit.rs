//! The limit on descriptors of this process, also where a sandbox refuses to say it.
#![expect(unsafe_code)]

use std::{fs, io};

/// A limit; none where it is infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// What holds.
    pub soft: Option<u64>,
    /// How far that may be raised.
    pub hard: Option<u64>,
}

impl DescriptorLimit {
    /// That of this process. Where prlimit64 is refused, which is what the C library asks with, it is read under `/proc`.
    ///
    /// # Errors
    ///
    /// Where neither says it.
    pub fn read() -> io::Result<Self> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call writes to `limit`, which lives until it has returned.
        if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
            let finite = |number: libc::rlim_t| (number != libc::RLIM_INFINITY).then_some(number);
            return Ok(Self { soft: finite(limit.rlim_cur), hard: finite(limit.rlim_max) });
        }
        let refused = crate::refusal::refused("prlimit64", io::Error::last_os_error());
        fs::read_to_string("/proc/self/limits").ok().and_then(|table| Self::of_table(&table)).ok_or(refused)
    }

    fn of_table(table: &str) -> Option<Self> {
        let row = table.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let mut numbers = row.split_whitespace().map(|word| match word {
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
        let table = fs::read_to_string("/proc/self/limits").unwrap();
        assert_eq!(DescriptorLimit::of_table(&table), Some(DescriptorLimit::read().unwrap()));
        let row = "Max open files            1024                 unlimited            files     ";
        assert_eq!(DescriptorLimit::of_table(row), Some(DescriptorLimit { soft: Some(1024), hard: None }));
        assert_eq!(DescriptorLimit::of_table("Max open files  many  1  files"), None);
    }
}
