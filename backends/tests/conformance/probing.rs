//! Asking the kernel what a backend needs, which a sweep does for every one before it begins.

use crate::{Subject, process, wait};

/// Enough for what each of them left to add up.
const PROBES: u64 = 20;

/// What the allocator keeps of one send that was too long, and some; far less than what so many probes use.
const SLACK_BYTES: u64 = 24 * 1024 * 1024;

pub(crate) fn a_probe_leaves_nothing_behind(backend: Subject) {
    let probe = || _ = backend.probe().expect("what was granted before is granted again");
    // Once beforehand, for what a process keeps to use it again.
    probe();
    let (memory, descriptors) = (process::memory(), process::descriptors());
    (0..PROBES).for_each(|_| probe());
    wait::until("descriptors are back", || process::descriptors_are_back(&descriptors));
    process::expect_memory_back(memory, SLACK_BYTES);
    let reserved = process::memory().reserved.saturating_sub(memory.reserved);
    assert!(reserved < 4 * SLACK_BYTES, "{PROBES} probes keep {reserved} bytes reserved");
}
