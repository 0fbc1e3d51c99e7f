//! The thread of the kernel that takes submissions for `io_uring-sqpoll` runs on the account of its server.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use backends::protocol::{ProtocolKind, Raw};
use backends::{Limits, Receipt, ServeJob, Spread, Stats, Stop};
use rustix::time::{ClockId, clock_gettime};

/// Far more than the clocks of threads differ from that of the process.
const ENOUGH: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn the_thread_of_the_kernel_counts_as_cpu_time_of_the_process() {
    let backend = backends::backend("io_uring-sqpoll").unwrap();
    if let Err(unavailable) = backend.probe() {
        assert_ne!(std::env::var("REQUIRE_BACKENDS").as_deref(), Ok("all"), "{unavailable}");
        return;
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

        let before = CpuTimes::now();
        let start = Instant::now();
        let used = loop {
            client.write_all(b"?").unwrap();
            client.read_exact(&mut [0]).unwrap();
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
