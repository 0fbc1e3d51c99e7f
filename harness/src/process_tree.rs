//! A process and all that came of it, found under `/proc`.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A child belongs to the thread that started it. To read so many lists takes as long as to ask all processes of most
/// machines.
const MOST_LISTS: usize = 64;

/// The processes below `root`, which is not among them; parents come before their children. Those that have ended and
/// were not waited for are among them.
///
/// What begins or ends meanwhile may be missed. Nobody who starts below `root` can leave if `root` is the subreaper of
/// what it started.
#[must_use]
pub fn descendants(root: u32) -> Vec<u32> {
    // Not every kernel is built to list children; then all processes are asked for their parents.
    let lists_children = Path::new("/proc/thread-self/children").exists();
    let all = LazyCell::new(by_parent);
    below(root, |process| {
        let listed = if lists_children { children(process, MOST_LISTS) } else { None };
        listed.unwrap_or_else(|| all(process))
    })
}

/// Those processes, so that no other is meant by them whatever becomes of them: a number may go to a stranger when its
/// process was waited for, a handle does not, and whoever is still below `root` when it is held is who was meant.
///
/// # Errors
///
/// Where the kernel, or a sandbox, gives no such handles, or sends them no signals.
pub fn handles(root: u32) -> Result<Vec<Handle>, Errno> {
    let mut held = Vec::new();
    for id in descendants(root) {
        match pid(id).map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            Some(Ok(handle)) => held.push((id, Handle(handle))),
            // It has ended meanwhile.
            Some(Err(Errno::SRCH)) | None => {}
            Some(Err(refused)) => return Err(refused),
        }
    }
    let there = descendants(root);
    Ok(held.into_iter().filter(|(id, _)| there.contains(id)).map(|(_, handle)| handle).collect())
}

/// A process that no other takes the place of.
#[derive(Debug)]
pub struct Handle(OwnedFd);

impl Handle {
    /// Sends a signal; false where that is refused. To send it to one that has ended is as well.
    pub(crate) fn send(&self, signal: Signal) -> bool {
        matches!(pidfd_send_signal(&self.0, signal), Ok(()) | Err(Errno::SRCH))
    }
}

/// The children of the process that asks, also those that have ended: the number of each is its own until it is waited for,
/// which no other process can do.
#[must_use]
pub fn own_children() -> Vec<Pid> {
    let this = std::process::id();
    let listed = Path::new("/proc/thread-self/children").exists().then(|| children(this, usize::MAX)).flatten();
    listed.unwrap_or_else(|| by_parent()(this)).into_iter().filter_map(pid).collect()
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(id.try_into().ok()?)
}

/// Whether a process has ended, and waits for its parent to hear of it; false where it is not there any more.
#[must_use]
pub fn is_dead(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// The numbers that name the entries of a directory under `/proc`.
#[must_use]
pub fn numbers(directory: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The `n`-th field of a `stat` file, counted from 1 as in proc(5). The name of the program, the second, may hold
/// anything, so that only those after it can be asked for.
#[must_use]
pub fn stat_field(stat: &str, n: usize) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(n.checked_sub(3)?)?.parse().ok()
}

fn below(root: u32, children: impl Fn(u32) -> Vec<u32>) -> Vec<u32> {
    let mut found = children(root);
    let mut asked = 0;
    while let Some(&process) = found.get(asked) {
        for child in children(process) {
            // A child that changes its parent meanwhile may be met twice.
            if child != root && !found.contains(&child) {
                found.push(child);
            }
        }
        asked += 1;
    }
    found
}

/// None where that takes more than so many lists.
fn children(process: u32, most_lists: usize) -> Option<Vec<u32>> {
    let tasks = format!("/proc/{process}/task");
    let threads = numbers(&tasks);
    if threads.len() > most_lists {
        return None;
    }
    let lists = threads.iter().filter_map(|task| fs::read_to_string(format!("{tasks}/{task}/children")).ok());
    Some(lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect())
}

fn by_parent() -> impl Fn(u32) -> Vec<u32> {
    const PARENT: usize = 4;
    let mut children: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for process in numbers("/proc") {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        if let Some(parent) = stat_field(&stat, PARENT) {
            children.entry(parent).or_default().push(process);
        }
    }
    move |process| children.get(&process.into()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn grandchildren_are_found_both_ways() {
        let script = "sleep 600 & echo $!; read end; kill $!; wait";
        let mut child =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        assert_eq!(descendants(child.id()), [grandchild]);
        let this = std::process::id();
        let listed = |process| children(process, usize::MAX).unwrap();
        for found in [descendants(this), below(this, listed), below(this, by_parent())] {
            let place = |id| found.iter().position(|&found| found == id).unwrap();
            assert!(place(child.id()) < place(grandchild), "{found:?}");
            assert!(!found.contains(&this));
        }
        assert_eq!(children(this, 0), None);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_program_may_be_called_anything() {
        let stat = "17 (a) b (c) S 16 17";
        assert_eq!((stat_field(stat, 4), stat_field(stat, 5), stat_field(stat, 6)), (Some(16), Some(17), None));
        assert_eq!((stat_field(stat, 1), stat_field("", 4)), (None, None));
    }
}
