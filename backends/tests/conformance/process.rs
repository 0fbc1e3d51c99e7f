//! What belongs to the process that a test runs in: its threads, their descriptors, its memory, signals.
//!
//! Tests that use this run alone.
#![expect(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, mem, process, ptr, thread};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::wait::{self, DEADLINE};

/// Sets the soft limit of `resource`, which the hard one allows, and returns the one before.
pub(crate) fn limit(resource: Resource, soft: Option<u64>) -> Option<u64> {
    let mut limit = getrlimit(resource);
    let before = mem::replace(&mut limit.current, soft);
    setrlimit(resource, limit).expect("a soft limit may be set to anything up to the hard one");
    before
}

/// Gives the calling thread a descriptor table of its own, empty but for the standard streams.
///
/// Both ends of every connection are in this process, and a limit on descriptors holds for each table: so a server, or
/// a crowd of clients, has all of it to itself. The thread may not use, nor drop, what another thread has opened.
pub(crate) fn own_descriptor_table() {
    // SAFETY: it reads and writes no memory of ours. What is closed are this thread's copies, which nothing owns.
    let left = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) };
    assert_eq!(left, 0, "needs close_range (Linux 5.9 or newer): {}", io::Error::last_os_error());
}

/// Set in the flags of a thread that the kernel has started to do `io_uring`'s work (`PF_IO_WORKER`).
const WORKS_FOR_IO_URING: u32 = 0x10;

/// The threads of this process, but for those of the kernel that work for it: `io_uring` has some, and they handle no
/// signal. Their names tell them apart only once they have run.
pub(crate) fn threads() -> BTreeSet<i32> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux lists the threads of a process");
    let numbers = tasks.filter_map(|task| {
        let task = task.ok()?;
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        // Behind the name, which may contain anything: state, five numbers, flags.
        let flags: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(6)?.parse().ok()?;
        (flags & WORKS_FOR_IO_URING == 0).then(|| task.file_name().into_string().ok()?.parse().ok())?
    });
    numbers.collect()
}

/// How many descriptors are open in the table of each thread.
pub(crate) fn descriptors() -> BTreeMap<i32, usize> {
    let open = |thread| Some(fs::read_dir(format!("/proc/self/task/{thread}/fd")).ok()?.count());
    // A thread may end meanwhile.
    threads().into_iter().filter_map(|thread| Some((thread, open(thread)?))).collect()
}

/// Whether no thread of `before` has more descriptors now; those that have ended have none.
pub(crate) fn descriptors_are_back(before: &BTreeMap<i32, usize>) -> bool {
    let now = descriptors();
    before.iter().all(|(thread, before)| now.get(thread).is_none_or(|now| now <= before))
}

/// Memory of this process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What it has touched of its heap and stacks, counted page by page.
    pub(crate) touched: u64,
    /// What it has reserved for them (`VmData`).
    pub(crate) reserved: u64,
}

/// The memory of this process, but for what its allocator keeps to use it again. Under the address sanitizer always
/// none: its allocator keeps what is freed, on purpose, and has tables for all of it; what is forgotten it finds itself.
pub(crate) fn memory() -> Memory {
    if cfg!(asan) {
        return Memory { touched: 0, reserved: 0 };
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: it gives back to the kernel what is free, and nothing else.
    unsafe {
        libc::malloc_trim(0);
    }
    let bytes = |file: &str, name: &str| {
        let table = fs::read_to_string(format!("/proc/self/{file}")).expect("Linux describes a process");
        let line = table.lines().find_map(|line| line.strip_prefix(name)).expect("memory is described");
        let kib: u64 = line.trim_matches([' ', '\t', 'k', 'B']).parse().expect("an amount is a number");
        kib * 1024
    };
    // `RssAnon` of `status` lacks what CPUs have not handed in yet, on some kernels.
    Memory { touched: bytes("smaps_rollup", "Anonymous:"), reserved: bytes("status", "VmData:") }
}

/// Whether `round` can be repeated until it takes no more memory than `slack_bytes`. What is kept to be used again is
/// taken in one of the first rounds; what leaks is taken in each.
pub(crate) fn expect_memory_taken_once(slack_bytes: u64, rounds_max: usize, mut round: impl FnMut()) -> usize {
    let mut taken_bytes = Vec::new();
    while taken_bytes.len() < rounds_max {
        let before = memory();
        round();
        let taken = memory().touched.saturating_sub(before.touched);
        taken_bytes.push(taken);
        if taken <= slack_bytes {
            return taken_bytes.len();
        }
    }
    panic!("{taken_bytes:?} bytes were taken in rounds that should need {slack_bytes} at most");
}

/// Waits until no more memory is touched than there was `before`, and `slack_bytes`.
pub(crate) fn expect_memory_back(before: Memory, slack_bytes: u64) {
    let grown = || memory().touched.saturating_sub(before.touched);
    let start = Instant::now();
    // A thread of a connection may end a moment after its connection.
    while grown() > slack_bytes {
        assert!(start.elapsed() < DEADLINE, "{} bytes are kept, where {slack_bytes} are allowed", grown());
        thread::sleep(Duration::from_millis(10));
    }
}

/// The signal that interrupts.
const SIGNAL: libc::c_int = libc::SIGUSR1;

/// How often it was handled.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Whether threads stay in the handler for now, and how many do.
static HOLDS: AtomicBool = AtomicBool::new(false);
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Calls only what may be called in the middle of anything.
extern "C" fn handle(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
    if HOLDS.load(Ordering::Acquire) {
        HELD.fetch_add(1, Ordering::Relaxed);
        while HOLDS.load(Ordering::Acquire) {
            // SAFETY: a plain system call, which gives the CPU to somebody else.
            unsafe { libc::sched_yield() };
        }
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does `work` while `threads`, which run, do nothing at all. Interruptions are handled already.
pub(crate) fn while_held(threads: &BTreeSet<i32>, work: impl FnOnce()) {
    let _holds = Holds::begin();
    for thread in threads {
        interrupt(*thread);
    }
    wait::until("all threads are held", || HELD.load(Ordering::Relaxed) == threads.len());
    work();
}

/// Lets go of the threads in the end, also where a test fails.
struct Holds;

impl Holds {
    fn begin() -> Self {
        HOLDS.store(true, Ordering::Release);
        Self
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        HOLDS.store(false, Ordering::Release);
        while HELD.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
    }
}

/// From now on a signal that is sent by [`interrupt`] is handled, and ends the call that it finds its thread in:
/// without `SA_RESTART` the kernel does not go on with it by itself.
pub(crate) fn handle_interruptions() {
    // SAFETY: all zero is a valid action: the default one, with no flags and no other signal blocked.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handle as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler uses nothing but atomics, which is allowed in one, and has the type that goes with no flags.
    let set = unsafe { libc::sigaction(SIGNAL, &raw const action, ptr::null_mut()) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Sends the signal to a thread of this process, if it has not ended.
pub(crate) fn interrupt(thread: i32) {
    // SAFETY: it reads and writes no memory of ours, and reaches no other process.
    unsafe { libc::syscall(libc::SYS_tgkill, process::id(), thread, SIGNAL) };
}

/// How many signals were handled so far.
pub(crate) fn interruptions() -> u64 {
    HANDLED.load(Ordering::Relaxed)
}
