//! Which CPUs there are, who gets which, and keeping to them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

use backends::refusal::refused;
use nix::errno::Errno;
use nix::sched::{CpuSet as CpuMask, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A set of CPUs by number; written `0,2-3`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CpuSet(BTreeSet<usize>);

impl CpuSet {
    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether that CPU is in it.
    #[must_use]
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.contains(&cpu)
    }

    /// Whether any CPU is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.0.is_disjoint(&other.0)
    }
}

impl FromIterator<usize> for CpuSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> Self {
        Self(cpus.into_iter().collect())
    }
}

impl FromStr for CpuSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cpus = BTreeSet::new();
        for part in text.split(',') {
            let part = part.trim();
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("'{part}' counts down"));
            }
            for cpu in first..=last {
                if !cpus.insert(cpu) {
                    return Err(format!("CPU {cpu} is listed twice"));
                }
            }
        }
        Ok(Self(cpus))
    }
}

fn number(text: &str) -> Result<usize, String> {
    let cpu: usize =
        text.parse().map_err(|_| format!("'{text}' is not a CPU number; expected a list such as 0,2-3"))?;
    if cpu < CpuMask::count() { Ok(cpu) } else { Err(format!("no CPU has the number {cpu}")) }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if_eq(&(last + 1)) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

/// Why threads could not be kept to a set of CPUs.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Some of them do not exist, are offline, or are kept from this process by its cpuset.
    #[error("this process may not use CPU {missing}; it may use {granted}")]
    NotGranted {
        /// What was asked for in vain.
        missing: CpuSet,
        /// What the kernel would give.
        granted: CpuSet,
    },
    /// The kernel refused for another reason.
    #[error("{0}")]
    Refused(io::Error),
}

/// Keeps the calling thread, and the threads and processes that it starts from now on, to `cpus`.
///
/// # Errors
///
/// [`PinError`] where not all of `cpus` can be used; which those are is asked of the kernel, not guessed.
pub fn pin(cpus: &CpuSet) -> Result<(), PinError> {
    let before = affinity().map_err(PinError::Refused)?;
    let set = |cpus: &CpuSet| sched_setaffinity(THIS_THREAD, &mask(cpus)?);
    let refused = |error| PinError::Refused(refused("sched_setaffinity", error));
    match set(cpus) {
        // What the kernel says when nothing is left of the set.
        Err(Errno::EINVAL) => return Err(PinError::NotGranted { missing: cpus.clone(), granted: before }),
        result => result.map_err(refused)?,
    }
    // The kernel drops what it does not grant without a word.
    let granted = affinity().map_err(PinError::Refused)?;
    if granted == *cpus {
        return Ok(());
    }
    set(&before).map_err(refused)?;
    Err(PinError::NotGranted { missing: CpuSet(&cpus.0 - &granted.0), granted: before })
}

/// How the system calls name the thread that makes them.
const THIS_THREAD: Pid = Pid::from_raw(0);

fn affinity() -> io::Result<CpuSet> {
    let mask = sched_getaffinity(THIS_THREAD).map_err(|error| refused("sched_getaffinity", error))?;
    Ok((0..CpuMask::count()).filter(|&cpu| mask.is_set(cpu) == Ok(true)).collect())
}

fn mask(cpus: &CpuSet) -> Result<CpuMask, Errno> {
    let mut mask = CpuMask::new();
    cpus.iter().try_for_each(|cpu| mask.set(cpu))?;
    Ok(mask)
}

/// The CPUs that this thread may use, those of one core together.
pub fn cores() -> io::Result<Vec<CpuSet>> {
    let usable = affinity()?;
    let mut cores: Vec<CpuSet> = Vec::new();
    for cpu in usable.iter() {
        if cores.iter().any(|core| core.contains(cpu)) {
            continue;
        }
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        // A kernel that does not say has no siblings to keep together.
        let siblings = fs::read_to_string(path).ok().and_then(|list| list.trim().parse::<CpuSet>().ok());
        let mut core: BTreeSet<usize> = siblings.unwrap_or_default().0.intersection(&usable.0).copied().collect();
        core.insert(cpu);
        cores.push(CpuSet(core));
    }
    Ok(cores)
}

/// Divides the CPUs of `cores`: at least half of them, and enough for `server_threads` where that leaves the client a
/// core, to the server. The client gets the odd one: it has to be faster than what it measures.
///
/// Siblings stay on one side, since two threads of one core slow each other down. A single core is divided
/// nevertheless, and a single CPU goes to both, as there is no other way.
#[must_use]
pub fn split(cores: &[CpuSet], server_threads: usize) -> (CpuSet, CpuSet) {
    if let [core] = cores {
        if core.len() < 2 {
            return (core.clone(), core.clone());
        }
        let singles: Vec<CpuSet> = core.iter().map(|cpu| CpuSet::from_iter([cpu])).collect();
        return split(&singles, server_threads);
    }
    let cpus: usize = cores.iter().map(CpuSet::len).sum();
    let wanted = server_threads.max(cpus / 2);
    let (mut server, mut client) = (CpuSet::default(), CpuSet::default());
    for (index, core) in cores.iter().enumerate() {
        let last = index + 1 == cores.len();
        let side = if server.len() < wanted && !last { &mut server } else { &mut client };
        side.0.extend(&core.0);
    }
    (server, client)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> CpuSet {
        text.parse().unwrap()
    }

    #[test]
    fn lists_and_ranges_are_read() {
        assert_eq!(set("0,2-3"), CpuSet::from_iter([0, 2, 3]));
        assert_eq!(set("7").to_string(), "7");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a", "1,", "-1", "3-1", "1,1", "0-2,1", "0-99999999999", "99999", "1-2-3"] {
            assert!(text.parse::<CpuSet>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(cpus in proptest::collection::btree_set(0_usize..1024, 1..40)) {
            let cpus = CpuSet(cpus);
            prop_assert_eq!(cpus.to_string().parse::<CpuSet>().unwrap(), cpus);
        }
    }

    fn split_of(cores: &[&str], server_threads: usize) -> (String, String) {
        let cores: Vec<CpuSet> = cores.iter().map(|core| set(core)).collect();
        let (server, client) = split(&cores, server_threads);
        (server.to_string(), client.to_string())
    }

    #[test]
    fn siblings_stay_on_one_side() {
        assert_eq!(split_of(&["0,4", "1,5", "2,6", "3,7"], 1), ("0-1,4-5".into(), "2-3,6-7".into()));
    }

    #[test]
    fn the_client_gets_the_odd_core() {
        assert_eq!(split_of(&["0", "1", "2"], 1), ("0".into(), "1-2".into()));
    }

    #[test]
    fn server_threads_get_a_cpu_each_where_one_is_left() {
        assert_eq!(split_of(&["0", "1", "2", "3"], 3), ("0-2".into(), "3".into()));
        assert_eq!(split_of(&["0", "1"], 9), ("0".into(), "1".into()));
    }

    #[test]
    fn a_single_core_is_divided_and_a_single_cpu_shared() {
        assert_eq!(split_of(&["0-1"], 1), ("0".into(), "1".into()));
        assert_eq!(split_of(&["5"], 1), ("5".into(), "5".into()));
    }

    #[test]
    fn pinning_is_granted_for_what_is_there_and_refused_for_what_is_not() {
        // A thread of its own: the others of this test keep their CPUs.
        std::thread::spawn(|| {
            let usable = affinity().unwrap();
            pin(&usable).unwrap();
            let Err(PinError::NotGranted { missing, .. }) = pin(&set("0-1023")) else { panic!("granted 1024 CPUs") };
            assert!(!missing.is_empty());
            assert_eq!(affinity().unwrap(), usable, "a refusal changes nothing");
        })
        .join()
        .unwrap();
    }
}
