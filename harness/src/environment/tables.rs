//! The tables under `/proc`.

/// The value of the first line `name: value` in one of the tables under `/proc`.
pub(crate) fn field<'a>(table: &'a str, name: &str) -> Option<&'a str> {
    table.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// Reads `123 kB`, by which the kernel means KiB.
pub(crate) fn kibibytes(value: &str) -> Option<u64> {
    value.strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_tables_are_found_by_their_whole_name() {
        let table = "VmHWMx:\t1 kB\nVmHWM:\t   2048 kB\n";
        assert_eq!(field(table, "VmHWM").and_then(kibibytes), Some(2 * 1024 * 1024));
        assert_eq!(field(table, "VmRSS"), None);
    }
}
