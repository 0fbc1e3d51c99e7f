//! What many open connections take, and whether there is that much, before any is opened.
//!
//! Descriptors are counted in tables: the busy connections of the load generator are in one, idle ones in as many as are
//! needed, and each thread of a server of ours has one of its own.

use std::fs;

use crate::environment::{Conditions, Root, ThreadBound};
use crate::{descriptors, figures};

/// Kernel memory for both ends of a connection that carries nothing (measured on Linux 6.18, rounded up).
const KERNEL_BYTES_PER_CONNECTION: u64 = 8 * 1024;

/// Connections that are to be open at once.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// On which nothing is sent.
    pub idle: usize,
    /// All others.
    pub busy: usize,
    /// Whether the server is at `::1`, the one loopback address of IPv6.
    pub ipv6: bool,
    /// Threads of the server, if it is ours.
    pub server_threads: Option<usize>,
    /// A server of ours that has a thread for each connection, by its name.
    pub thread_each: Option<String>,
}

/// What there is; nothing known where that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Descriptors in one table.
    pub descriptors: u64,
    /// Files that may still be opened on this machine.
    pub files: Option<u64>,
    /// Ports that one address may connect from.
    pub ports: Option<u64>,
    /// Memory of this machine to be had without swapping.
    pub memory_bytes: Option<u64>,
    /// The same below the limits of the control groups.
    pub group_memory_bytes: Option<u64>,
    /// How many threads a process may have.
    pub threads: Option<ThreadBound>,
}

impl Room {
    /// Looks.
    #[must_use]
    pub fn of_this_machine(descriptors: u64) -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let conditions = Conditions::of(&Root::system());
        Self {
            descriptors,
            files: read("/proc/sys/fs/file-nr").and_then(|text| files_left(&text)),
            ports: read("/proc/sys/net/ipv4/ip_local_port_range").and_then(|text| ports(&text)),
            memory_bytes: conditions.memory_available_bytes,
            group_memory_bytes: conditions.control_groups.memory_available_bytes,
            threads: ThreadBound::of(&Root::system()),
        }
    }

    /// Refuses connections that need more files than the machine may still open.
    ///
    /// # Errors
    ///
    /// A line for people: what there is too little of, and what to do.
    pub fn check_files(&self, connections: usize) -> Result<(), String> {
        self.files_for(connections, &figures::counted(connections, "connection"))
    }

    /// Each connection is two files, one on each side.
    fn files_for(&self, connections: usize, what: &str) -> Result<(), String> {
        let files = 2 * connections as u64;
        match self.files.filter(|&left| left < files) {
            None => Ok(()),
            Some(left) => Err(format!(
                "{files} open files are needed for {what}, and this machine may open {left} more: raise fs.file-max by {}",
                files - left
            )),
        }
    }
}

impl Crowd {
    /// Refuses a crowd for which there is no room.
    ///
    /// # Errors
    ///
    /// A line for people: what there is too little of, and what to do.
    pub fn check(&self, room: &Room) -> Result<(), String> {
        if self.idle == 0 {
            return Ok(());
        }
        let all = self.idle + self.busy;
        let counted = crate::figures::counted;
        let what = format!("{} and {}", counted(self.idle, "idle connection"), counted(self.busy, "other"));
        if let Some(threads) = self.server_threads {
            let needed = descriptors::needed(fullest_share(all, threads));
            if needed > room.descriptors {
                let fewest = (threads..=all)
                    .find(|&threads| descriptors::needed(fullest_share(all, threads)) <= room.descriptors);
                let threads_enough = fewest.map_or(String::new(), |fewest| format!("--server-threads {fewest}, or "));
                return Err(format!(
                    "{what} need {needed} descriptors in each of the tables of {}, and a process may have {}: \
                     ask for {threads_enough}raise the limit (ulimit -Hn, and fs.nr_open where that is lower)",
                    counted(threads, "server thread"),
                    room.descriptors
                ));
            }
        }
        if let Some((name, bound)) =
            self.thread_each.as_ref().zip(room.threads).filter(|(_, bound)| bound.most < all as u64)
        {
            return Err(format!(
                "{what} need {all} threads of '{name}', and there may be about {} ({}): leave '{name}' out, ask for fewer, or \
                 raise that",
                bound.most, bound.name
            ));
        }
        room.files_for(all, &what)?;
        if let Some(ports) = room.ports.filter(|&ports| self.ipv6 && ports < all as u64) {
            return Err(format!(
                "{what} need {all} ports of ::1, the only loopback address of IPv6, and there are {ports}: widen \
                 net.ipv4.ip_local_port_range, or use 127.0.0.1, which has neighbours"
            ));
        }
        let bytes = all as u64 * KERNEL_BYTES_PER_CONNECTION;
        let mib = |bytes: u64| bytes >> 20;
        if let Some(left) = room.group_memory_bytes.filter(|&left| left < bytes) {
            return Err(format!(
                "{what} need about {} MiB of memory, and {} are left below the limit of this control group: ask for fewer, or \
                 raise it (memory.max, memory.high)",
                mib(bytes),
                mib(left)
            ));
        }
        if let Some(left) = room.memory_bytes.filter(|&left| left < bytes) {
            return Err(format!(
                "{what} need about {} MiB of memory, and {} are left: ask for fewer",
                mib(bytes),
                mib(left)
            ));
        }
        Ok(())
    }
}

/// Connections of the thread that most probably gets most of them, where the kernel spreads them by a hash: five standard
/// deviations above the mean.
fn fullest_share(connections: usize, threads: usize) -> usize {
    let mean = connections.div_ceil(threads);
    if threads == 1 { mean } else { mean + 5 * mean.isqrt() }
}

/// `fs.file-nr`: allocated, unused, most.
fn files_left(text: &str) -> Option<u64> {
    let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().ok());
    let (allocated, most) = (numbers.next()??, numbers.nth(1)??);
    Some(most.saturating_sub(allocated))
}

/// A range, both ends included.
pub(crate) fn ports(text: &str) -> Option<u64> {
    let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().ok());
    let (first, last) = (numbers.next()??, numbers.next()??);
    (last + 1).checked_sub(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        descriptors: 20_000,
        files: Some(1_000_000),
        ports: Some(28_232),
        memory_bytes: Some(16 << 30),
        group_memory_bytes: None,
        threads: Some(ThreadBound { name: "kernel.pid_max", most: 100_099 }),
    };
    const CROWD: Crowd = Crowd { idle: 100_000, busy: 100, ipv6: false, server_threads: Some(6), thread_each: None };

    #[test]
    fn a_limit_is_one_of_each_table() {
        assert_eq!(CROWD.check(&ROOM), Ok(()));
        assert_eq!(Crowd { server_threads: None, ..CROWD }.check(&ROOM), Ok(()));
        let refused = Crowd { server_threads: Some(1), ..CROWD }.check(&ROOM).unwrap_err();
        assert!(refused.contains("need 100228 descriptors") && refused.contains("--server-threads 6"), "{refused}");
        let raised = Room { descriptors: 200_000, ..ROOM };
        assert_eq!(Crowd { server_threads: Some(1), ..CROWD }.check(&raised), Ok(()));
    }

    #[test]
    fn a_thread_for_each_needs_as_many_threads() {
        let crowd = Crowd { thread_each: Some("threads".to_owned()), ..CROWD };
        let refused = crowd.check(&ROOM).unwrap_err();
        assert!(refused.contains("need 100100 threads of 'threads'"), "{refused}");
        assert!(refused.contains("about 100099 (kernel.pid_max): leave 'threads' out"), "{refused}");
        assert_eq!(crowd.check(&Room { threads: None, ..ROOM }), Ok(()));
        let most = Some(ThreadBound { name: "pids.max", most: 100_100 });
        assert_eq!(crowd.check(&Room { threads: most, ..ROOM }), Ok(()));
    }

    #[test]
    fn what_there_is_too_little_of_is_named_with_what_to_do() {
        let refused = |crowd: Crowd, room: Room| crowd.check(&room).unwrap_err();
        assert!(refused(CROWD, Room { files: Some(200_199), ..ROOM }).ends_with("raise fs.file-max by 1"));
        assert!(refused(CROWD, Room { memory_bytes: Some(1 << 20), ..ROOM }).contains("782 MiB of memory"));
        let group = refused(CROWD, Room { group_memory_bytes: Some(300 << 20), ..ROOM });
        assert!(group.contains("782 MiB of memory, and 300 are left below the limit of this control group"), "{group}");
        let ipv6 = refused(Crowd { ipv6: true, ..CROWD }, ROOM);
        assert!(ipv6.contains("need 100100 ports of ::1") && ipv6.contains("there are 28232"), "{ipv6}");
    }

    #[test]
    fn busy_connections_need_files_of_the_machine_too() {
        assert_eq!(Room { files: Some(200), ..ROOM }.check_files(100), Ok(()));
        let refused = Room { files: Some(199), ..ROOM }.check_files(100).unwrap_err();
        assert!(refused.starts_with("200 open files are needed for 100 connections"), "{refused}");
        assert_eq!(Room { files: None, ..ROOM }.check_files(100), Ok(()));
    }

    #[test]
    fn without_idle_connections_nothing_is_refused_here() {
        let nothing = Room {
            descriptors: 0,
            files: Some(0),
            ports: Some(0),
            memory_bytes: Some(0),
            group_memory_bytes: Some(0),
            threads: None,
        };
        assert_eq!(Crowd { idle: 0, ..CROWD }.check(&nothing), Ok(()));
    }

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(files_left("813\t0\t2466170\n"), Some(2_465_357));
        assert_eq!(ports("32768\t60999\n"), Some(28_232));
        assert_eq!((files_left("nonsense"), ports("")), (None, None));
        assert!(Room::of_this_machine(7).ports.is_some_and(|ports| ports > 0));
    }
}
