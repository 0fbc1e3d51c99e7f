//! What keeps the kernel from doing what was asked of it, in words: the call, its error, and the likely cause.
//!
//! A call that every Linux has is refused by something between it and this process: the seccomp filter of a container or a
//! sandbox, a missing privilege, or a limit. Which it is can be read under `/proc`.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// The failure of `call`, such as `pidfd_open`, with the likely cause where it was refused.
#[must_use]
pub fn refused(call: &str, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    let seccomp = || fs::read_to_string("/proc/self/status").is_ok_and(|status| is_filtered(&status));
    let cause = match Errno::from_io_error(&error) {
        Some(Errno::PERM | Errno::ACCESS) if call == IO_URING_SETUP => ring_cause(io_uring_disabled(), seccomp()),
        Some(Errno::PERM | Errno::ACCESS | Errno::NOSYS) if seccomp() => FILTERED.to_owned(),
        Some(Errno::PERM | Errno::ACCESS) => "it takes a privilege that this process does not have".to_owned(),
        Some(Errno::NOSYS) => "this kernel does not have it".to_owned(),
        _ => String::new(),
    };
    with_cause(&format!("{call}: {error}"), &cause, error.kind())
}

/// Why a thread or a process could not be started: which limit is reached, or what refuses the call.
#[must_use]
pub fn start_refused(error: io::Error) -> io::Error {
    match Errno::from_io_error(&error) {
        Some(Errno::AGAIN) => {
            let limit = reached_limit(Path::new("/"));
            with_cause(&format!("the limit on processes and threads is reached: {error}"), &limit, error.kind())
        }
        // The name of what `fork` and `pthread_create` come to; clone itself is tried where this is not there.
        Some(Errno::PERM | Errno::ACCESS | Errno::NOSYS) => refused("clone3", error),
        _ => error,
    }
}

/// How the reason begins of a backend that gets no ring, whatever it asks for.
pub const NO_RINGS: &str = "io_uring is not to be had here";

/// The call that makes a ring.
pub(crate) const IO_URING_SETUP: &str = "io_uring_setup";

const FILTERED: &str = "refused by a seccomp filter, such as that of a container or a sandbox; allow it in its profile";

fn with_cause(what: &str, cause: &str, kind: io::ErrorKind) -> io::Error {
    let cause = if cause.is_empty() { String::new() } else { format!(" ({cause})") };
    io::Error::new(kind, format!("{what}{cause}"))
}

fn io_uring_disabled() -> Option<u64> {
    fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

fn ring_cause(disabled: Option<u64>, filtered: bool) -> String {
    match disabled {
        Some(disabled @ 1..) => format!("see the sysctl kernel.io_uring_disabled, which is {disabled}"),
        _ if filtered => FILTERED.to_owned(),
        // A security module may forbid it as well (the hook uring_allowed, Linux 6.15).
        _ => "refused by a container, a sandbox or a security module".to_owned(),
    }
}

fn is_filtered(status: &str) -> bool {
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

/// Which limit it is: of the control groups above this process the first that is full or has refused one; where none is, those
/// that are left.
fn reached_limit(root: &Path) -> String {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    for (mount, group) in groups.lines().filter_map(pids_group) {
        let mount = root.join(mount);
        let mut place: PathBuf = group.trim_start_matches('/').into();
        loop {
            let file = |name: &str| fs::read_to_string(mount.join(&place).join(name)).ok();
            let number = |name: &str| file(name)?.trim().parse::<u64>().ok();
            if let Some(most) = number("pids.max") {
                let refused = file("pids.events").is_some_and(|events| events.lines().any(has_refused));
                let named = format!("pids.max {most} of the control group /{}", place.display());
                if number("pids.current").is_some_and(|current| current >= most) {
                    return named;
                }
                // Since it was made, so that it may not have been this time.
                if refused {
                    return format!("most likely {named}, which has refused some before; or ulimit -u");
                }
            }
            if !place.pop() {
                break;
            }
        }
    }
    let mut others = String::new();
    let limits = fs::read_to_string(root.join("proc/self/limits")).unwrap_or_default();
    let of_user = limits.lines().find_map(|line| line.strip_prefix("Max processes")?.split_whitespace().next());
    let of_user = of_user.map_or(String::new(), |most| format!(", {most} here"));
    // A String takes any text.
    let _ = write!(others, "see ulimit -u{of_user}, pids.max of the control group, and kernel.threads-max");
    others
}

/// Where the `pids` controller of a line of `/proc/self/cgroup` is mounted, and the group there: version 2, or version 1.
fn pids_group(line: &str) -> Option<(&'static str, &str)> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
    if controllers.is_empty() {
        return Some(("sys/fs/cgroup", group));
    }
    controllers.split(',').any(|name| name == "pids").then_some(("sys/fs/cgroup/pids", group))
}

/// A line of `pids.events` that counts refusals.
fn has_refused(line: &str) -> bool {
    line.strip_prefix("max ").is_some_and(|count| count.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_no_sysctl_forbids_is_not_blamed_on_it() {
        assert_eq!(ring_cause(Some(2), true), "see the sysctl kernel.io_uring_disabled, which is 2");
        for disabled in [Some(0), None] {
            assert!(ring_cause(disabled, true).contains("seccomp"), "{disabled:?}");
            assert!(!ring_cause(disabled, false).contains("sysctl"), "{disabled:?}");
        }
    }

    #[test]
    fn the_call_and_its_error_are_named() {
        let said = refused("pidfd_open", Errno::PERM).to_string();
        assert!(said.starts_with("pidfd_open: Operation not permitted (os error 1) ("), "{said}");
        assert_eq!(refused("pidfd_open", Errno::SRCH).to_string(), "pidfd_open: No such process (os error 3)");
        assert_eq!(start_refused(Errno::NOMEM.into()).to_string(), io::Error::from(Errno::NOMEM).to_string());
    }

    #[test]
    fn filters_and_groups_are_read() {
        assert!(is_filtered("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!is_filtered("Seccomp:\t0\nSeccomp_filters:\t2\n"));
        assert_eq!(pids_group("0::/a/b"), Some(("sys/fs/cgroup", "/a/b")));
        assert_eq!(pids_group("5:pids,rdma:/a"), Some(("sys/fs/cgroup/pids", "/a")));
        assert_eq!((pids_group("3:cpu:/a"), pids_group("nonsense")), (None, None));
        assert!(has_refused("max 3") && !has_refused("max 0"));
    }

    #[test]
    fn the_group_that_is_full_is_named_wherever_it_is_above() {
        let root = std::env::temp_dir().join(format!("refusal-{}", std::process::id()));
        let group = root.join("sys/fs/cgroup/full/inner");
        fs::create_dir_all(&group).unwrap();
        fs::create_dir_all(root.join("proc/self")).unwrap();
        fs::write(root.join("proc/self/cgroup"), "0::/full/inner\n").unwrap();
        fs::write(
            root.join("proc/self/limits"),
            "Max processes             100                  100       processes\n",
        )
        .unwrap();
        fs::write(group.join("pids.max"), "max\n").unwrap();
        let full = group.parent().unwrap();
        fs::write(full.join("pids.max"), "8\n").unwrap();
        fs::write(full.join("pids.current"), "7\n").unwrap();
        fs::write(full.join("pids.events"), "max 0\n").unwrap();
        let free = reached_limit(&root);
        fs::write(full.join("pids.current"), "8\n").unwrap();
        let of_group = reached_limit(&root);
        fs::remove_dir_all(&root).unwrap();
        assert!(free.starts_with("see ulimit -u, 100 here"), "{free}");
        assert_eq!(of_group, "pids.max 8 of the control group /full");
    }
}
