//! The thread of the kernel that takes submissions for `io_uring-sqpoll` runs on the account of its server, and on
//! its CPUs.
#![allow(clippy::disallowed_methods)]

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use backends::protocol::{ProtocolKind, Raw};
use backends::{Limits, Receipt, ServeJob, Spread, Stats, Stop};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Far more than the clocks of threads differ from that of the process.
const ENOUGH: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(20);

/// Held by a test while a server runs: whose thread of the kernel it is cannot be told from its name.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn the_thread_of_the_kernel_counts_as_cpu_time_of_the_process() {
    with_server(|client| {
        let before = CpuTimes::now();
        let start = Instant::now();
        let used = loop {
            exchange(client);
            let used = CpuTimes::now().since(&before);
            if used.kernel > ENOUGH {
                break used;
            }
            assert!(start.elapsed() < DEADLINE, "the thread of the kernel does little: {used:?}");
        };
        let rest = used.process.saturating_sub(used.ours);
        assert!(rest > used.kernel / 2, "the thread of the kernel is missing: {used:?}");
    });
}

#[test]
fn the_thread_of_the_kernel_keeps_to_the_cpus_of_the_server() {
    // On a machine with one CPU there is nowhere else to go.
    let allowed = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|&cpu| allowed.is_set(cpu)).unwrap();
    let mut one = CpuSet::new();
    one.set(first);
    // The server is started from here, and inherits it.
    sched_setaffinity(None, &one).unwrap();
    with_server(|client| {
        exchange(client);
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let allowed: Vec<String> = tasks.filter_map(|task| cpus_of_kernel_thread(&task.ok()?)).collect();
        // Rings that were tried on the way to the last may still be taken down.
        let keeps = allowed.iter().all(|cpus| *cpus == first.to_string());
        assert!(keeps && !allowed.is_empty(), "on CPU {first} of {allowed:?}");
    });
}

/// Serves one client with `io_uring-sqpoll`, where this machine can.
fn with_server(work: impl FnOnce(&mut TcpStream)) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let backend = backends::backend("io_uring-sqpoll").unwrap();
    if let Err(unavailable) = backend.probe() {
        assert_ne!(std::env::var("REQUIRE_BACKENDS").as_deref(), Ok("all"), "{unavailable}");
        return;
    }
    // The rings that were there before are still being taken down.
    let start = Instant::now();
    while fs::read_dir("/proc/self/task").unwrap().any(|task| task.is_ok_and(|task| is_of_kernel(&task))) {
        assert!(start.elapsed() < DEADLINE, "threads of the kernel outlive their rings");
        thread::yield_now();
    }
    let listeners = backends::bind("127.0.0.1:0".parse().unwrap(), 1, Spread::default()).unwrap();
    let address = listeners.local_addr().unwrap();
    let stop = Stop::new().unwrap();
    let (granted, receipts) = mpsc::channel();
    thread::scope(|scope| {
        let ready = move |_: &Receipt| granted.send(()).unwrap();
        let stop = &stop;
        scope.spawn(move || {
            let (protocol, stats) = (ProtocolKind::Raw(Raw), Arc::new(Stats::default()));
            let job = ServeJob { listeners, protocol, limits: Limits::default(), stats, ready: &ready };
            backend.serve(job, stop).unwrap();
        });
        // Also where something fails here, which would wait for the server else.
        let _stopped = StopOnDrop(stop);
        receipts.recv_timeout(DEADLINE).unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        work(&mut client);
    });
}

fn exchange(client: &mut TcpStream) {
    client.write_all(b"?").unwrap();
    client.read_exact(&mut [0]).unwrap();
}

/// Whether it polls a submission queue.
fn is_of_kernel(task: &DirEntry) -> bool {
    fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("iou-sqp"))
}

/// Where it may run, as a list; nothing of other threads, and of one that has ended.
fn cpus_of_kernel_thread(task: &DirEntry) -> Option<String> {
    let status = is_of_kernel(task).then(|| fs::read_to_string(task.path().join("status")).ok())??;
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(cpus.trim().to_owned())
}

struct StopOnDrop<'a>(&'a Stop);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// CPU time by thread, and of the process.
struct CpuTimes {
    process_ns: u64,
    /// Its number and name, and its time.
    of_threads: HashMap<(OsString, String), u64>,
}

/// CPU time within a while.
#[derive(Debug)]
struct Used {
    process: Duration,
    /// Of threads that poll submission queues.
    kernel: Duration,
    /// Of all others.
    ours: Duration,
}

impl CpuTimes {
    fn now() -> Self {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        // A thread may end while it is looked at: the rings that the probe tried are still being taken down.
        let of_threads = tasks.filter_map(|task| time_of(&task.ok()?)).collect();
        let of_process: Duration = clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap();
        Self { process_ns: u64::try_from(of_process.as_nanos()).unwrap(), of_threads }
    }

    fn since(&self, before: &Self) -> Used {
        let process = Duration::from_nanos(self.process_ns - before.process_ns);
        let mut used = Used { process, kernel: Duration::ZERO, ours: Duration::ZERO };
        for (thread, time_ns) in &self.of_threads {
            let sum = if thread.1.starts_with("iou-sqp") { &mut used.kernel } else { &mut used.ours };
            *sum += Duration::from_nanos(time_ns - before.of_threads.get(thread).unwrap_or(&0));
        }
        used
    }
}

fn time_of(task: &DirEntry) -> Option<((OsString, String), u64)> {
    let name = fs::read_to_string(task.path().join("comm")).ok()?;
    let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
    Some(((task.file_name(), name), schedstat.split_whitespace().next()?.parse().ok()?))
}
