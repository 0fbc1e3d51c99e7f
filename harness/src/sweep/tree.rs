//! What a program costs with all that it has started, seen from outside.
//!
//! The guard that started it is the root of the tree and not part of it. What a process used that has ended is known to
//! the one that waited for it, in the end the guard.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use rustix::param::clock_ticks_per_second;

use super::process::{CpuReading, Process};
use crate::cpus::CpuSet;
use crate::environment::field;
use crate::process_tree::{descendants, numbers, stat_field};
use crate::run_delay::ThreadCounts;

/// User and system time of the children that were waited for, and of theirs: fields of `/proc/PID/stat`.
const ENDED_CHILDREN: [usize; 2] = [16, 17];

/// A tree that lost a process while it was read is read again, at most so many times.
const READINGS: usize = 3;

/// To read of so many threads what the kernel knows of each takes a few milliseconds.
pub(super) const MOST_THREADS: usize = 128;

/// All processes below a guard.
#[derive(Debug)]
pub(super) struct Tree {
    guard: u32,
}

/// The threads of a tree at one moment.
#[derive(Clone, Debug)]
pub(super) struct ThreadsReading {
    pub(super) at: Instant,
    /// How many there are.
    pub(super) count: usize,
    /// Nothing where there are more than [`MOST_THREADS`].
    switches: Option<BTreeMap<u32, Switches>>,
    /// Where any of them may run; of [`MOST_THREADS`] of them, where there are more.
    cpus: CpuSet,
    /// How long each of them ran and waited for a CPU; nothing where there are more than [`MOST_THREADS`].
    pub(super) counts: Option<ThreadCounts>,
}

/// Of one thread since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Switches {
    pub(super) voluntary: u64,
    pub(super) involuntary: u64,
}

impl Tree {
    pub(super) fn new(guard: u32) -> Self {
        Self { guard }
    }

    /// All that there are now.
    pub(super) fn processes(&self) -> Vec<u32> {
        descendants(self.guard)
    }

    /// CPU time of all that runs, to the nanosecond, and of all that has ended, in ticks; nothing where processes ended
    /// faster than they could be read.
    pub(super) fn cpu(&self) -> Option<CpuReading> {
        (0..READINGS).find_map(|_| self.cpu_of(&descendants(self.guard)))
    }

    /// The ended come first. Whoever has joined them before its own clock is read has none any more, so that nothing is
    /// counted twice or not at all.
    fn cpu_of(&self, processes: &[u32]) -> Option<CpuReading> {
        let ended = processes.iter().chain([&self.guard]).map(|&process| ended_children_ns(process));
        let ended_ns = ended.sum::<Option<u64>>()?;
        let running = processes.iter().map(|&process| Some(Process::new(process).cpu()?.cpu_ns));
        let running_ns = running.sum::<Option<u64>>()?;
        Some(CpuReading { at: Instant::now(), cpu_ns: running_ns + ended_ns })
    }

    /// The most memory that each process ever held, together. What they share counts in each of them.
    pub(super) fn max_rss_bytes(&self) -> Option<u64> {
        let processes = descendants(self.guard);
        let held: Vec<u64> = processes.iter().filter_map(|&process| Process::new(process).max_rss_bytes()).collect();
        (!held.is_empty()).then(|| held.iter().sum())
    }

    /// Only some are looked at where there are so many that it would keep the load generator from its CPU.
    pub(super) fn threads(&self) -> ThreadsReading {
        let of =
            |process: u32| numbers(&format!("/proc/{process}/task")).into_iter().map(move |thread| (process, thread));
        let ids: Vec<(u32, u32)> = descendants(self.guard).into_iter().flat_map(of).collect();
        let all = ids.len() <= MOST_THREADS;
        let counts = if all { ThreadCounts::read(ids.iter().copied()) } else { None };
        let mut switches = BTreeMap::new();
        let mut cpus = Vec::new();
        // Evenly spread, so that no process hides behind another's threads.
        for &(process, thread) in ids.iter().step_by(ids.len().div_ceil(MOST_THREADS).max(1)) {
            let status = fs::read_to_string(format!("/proc/{process}/task/{thread}/status")).unwrap_or_default();
            if let Some(of_thread) = Switches::read(&status) {
                switches.insert(thread, of_thread);
                cpus.extend(field(&status, "Cpus_allowed_list").and_then(|list| list.parse::<CpuSet>().ok()));
            }
        }
        ThreadsReading {
            at: Instant::now(),
            // Those that ended meanwhile are not there any more.
            count: if all { switches.len() } else { ids.len() },
            switches: all.then_some(switches),
            cpus: cpus.iter().flat_map(CpuSet::iter).collect(),
            counts,
        }
    }
}

impl ThreadsReading {
    /// Whether any of them may run elsewhere than on `cpus`.
    pub(super) fn leaves(&self, cpus: &CpuSet) -> bool {
        self.cpus.iter().any(|cpu| !cpus.contains(cpu))
    }

    /// Switches from an earlier reading to this one, of the threads that are there now: the least that there were.
    /// Nothing where not all of them were looked at.
    pub(super) fn since(&self, earlier: &Self) -> Option<Switches> {
        let (now, before) = self.switches.as_ref().zip(earlier.switches.as_ref())?;
        let none = Switches { voluntary: 0, involuntary: 0 };
        Some(now.iter().fold(none, |sum, (thread, now)| {
            // A number that was given to another thread meanwhile begins with that at 0.
            let before = before.get(thread).unwrap_or(&none);
            Switches {
                voluntary: sum.voluntary + now.voluntary.saturating_sub(before.voluntary),
                involuntary: sum.involuntary + now.involuntary.saturating_sub(before.involuntary),
            }
        }))
    }
}

impl Switches {
    fn read(status: &str) -> Option<Self> {
        let count = |name| field(status, name)?.parse().ok();
        Some(Self { voluntary: count("voluntary_ctxt_switches")?, involuntary: count("nonvoluntary_ctxt_switches")? })
    }
}

fn ended_children_ns(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let ticks = ENDED_CHILDREN.map(|n| stat_field(&stat, n)).into_iter().sum::<Option<u64>>()?;
    ticks.checked_mul(1_000_000_000 / clock_ticks_per_second())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

    use super::*;

    /// A shell that does what it is told line by line; the parent of it is this process, which stands for a guard.
    struct Shell {
        child: Child,
        stdin: ChildStdin,
        stdout: BufReader<ChildStdout>,
    }

    impl Shell {
        fn start() -> Self {
            // The outer one stands for the guard.
            let mut child =
                Command::new("sh").args(["-c", "sh; :"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            Self { child, stdin, stdout: BufReader::new(stdout) }
        }

        fn does(&mut self, what: &str) -> String {
            writeln!(self.stdin, "{what}; echo done").unwrap();
            let mut line = String::new();
            self.stdout.read_line(&mut line).unwrap();
            line
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            let _ = self.stdin.write_all(b"exit\n");
            let _ = self.child.wait();
        }
    }

    const WORK: &str = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done";

    #[test]
    fn what_a_child_used_counts_while_it_runs_and_when_it_has_gone() {
        let mut shell = Shell::start();
        let tree = Tree::new(shell.child.id());
        assert_eq!(shell.does(":"), "done\n");
        let idle = tree.cpu().unwrap();
        shell.does(WORK);
        let own = tree.cpu().unwrap();
        assert!(own.cpu_ns - idle.cpu_ns > 1_000_000, "{idle:?} {own:?}");
        // Several times as much, so that it is many ticks.
        let child = "sh -c 'for n in 1 2 3 4 5 6 7 8; do ".to_owned() + WORK + "; done'";
        shell.does(&child);
        let gone = tree.cpu().unwrap();
        let (work_ns, child_ns) = (own.cpu_ns - idle.cpu_ns, gone.cpu_ns - own.cpu_ns);
        assert!(child_ns > 2 * work_ns && child_ns < 40 * work_ns, "{work_ns} and {child_ns}");
    }

    #[test]
    fn the_threads_of_all_processes_are_counted() {
        let mut shell = Shell::start();
        let tree = Tree::new(shell.child.id());
        assert_eq!(shell.does(":"), "done\n");
        assert_eq!(tree.threads().count, 1);
        shell.does("sleep 600 & worker=$!");
        let both = tree.threads();
        assert_eq!(both.count, 2);
        // It waits for a line unless the next is there before it has come to that, as may be while the CPUs are busy.
        let waited_ten_times = (0..1000).any(|_| {
            shell.does(":");
            tree.threads().since(&both).unwrap().voluntary >= 10
        });
        assert!(waited_ten_times, "{:?}", tree.threads().since(&both));
        assert!(tree.max_rss_bytes().unwrap() > 4096);
        shell.does("kill $worker");
    }

    #[test]
    fn of_too_many_threads_only_the_cpus_of_some_are_looked_at() {
        let mut shell = Shell::start();
        let tree = Tree::new(shell.child.id());
        shell.does(&format!("n=0; while [ $n -lt {MOST_THREADS} ]; do sleep 600 & n=$((n+1)); p=\"$p $!\"; done"));
        let threads = tree.threads();
        assert_eq!(threads.count, MOST_THREADS + 1);
        assert!(threads.since(&threads).is_none() && threads.counts.is_none() && tree.cpu().is_some());
        assert!(threads.leaves(&CpuSet::default()));
        shell.does("kill $p");
    }

    #[test]
    fn threads_that_were_seen_once_only_take_nothing_from_the_others() {
        let of = |threads: &[(u32, u64)]| ThreadsReading {
            at: Instant::now(),
            count: threads.len(),
            switches: Some(
                threads.iter().map(|&(id, n)| (id, Switches { voluntary: n, involuntary: 2 * n })).collect(),
            ),
            cpus: "0,2".parse().unwrap(),
            counts: None,
        };
        let since = of(&[(1, 15), (3, 4), (4, 1)]).since(&of(&[(1, 10), (2, 100), (4, 7)]));
        assert_eq!(since, Some(Switches { voluntary: 9, involuntary: 18 }));
        assert!(of(&[]).leaves(&"0-1".parse().unwrap()) && !of(&[]).leaves(&"0-2".parse().unwrap()));
    }
}
