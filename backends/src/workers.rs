//! Runs one loop per server thread: the part of serving that is the same for every backend.

use std::io;
use std::net::TcpListener;
use std::panic;
use std::sync::{Arc, mpsc};
use std::thread;

use crate::admission::Admission;
use crate::backend::{Limits, Receipt, ServeJob, Threading};
use crate::kernel::failed;
use crate::protocol::{Protocol, ProtocolKind};
use crate::stats::{Event, ServeReport, Stats, ThreadCounters};
use crate::stop::Stop;

/// One server thread of some backend.
pub(crate) trait Worker<'a>: Sized {
    /// Asks the kernel for everything that the loop needs. Called on the thread that will run it.
    fn start(context: Context<'a>) -> io::Result<Self>;

    /// What was granted.
    fn receipt(&self) -> Receipt;

    /// Serves until the stop, then drains. Called once.
    fn run<P: Protocol>(&mut self, protocol: &P) -> io::Result<()>;

    /// What this thread counts.
    fn counters(&self) -> &ThreadCounters;
}

/// What a worker is given.
pub(crate) struct Context<'a> {
    pub(crate) listener: TcpListener,
    pub(crate) limits: Limits,
    pub(crate) admission: Arc<Admission>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) stop: &'a Stop,
}

/// Runs a `W` for each listener of `job` until `stop`; the first that fails stops the others.
pub(crate) fn serve<'a, W: Worker<'a>>(
    threading: Threading,
    job: ServeJob<'_>,
    stop: &'a Stop,
) -> io::Result<ServeReport> {
    match job.protocol {
        ProtocolKind::Framed(protocol) => serve_protocol::<W, _>(&protocol, threading, job, stop),
        ProtocolKind::Raw(protocol) => serve_protocol::<W, _>(&protocol, threading, job, stop),
    }
}

fn serve_protocol<'a, W: Worker<'a>, P: Protocol>(
    protocol: &P,
    threading: Threading,
    job: ServeJob<'_>,
    stop: &'a Stop,
) -> io::Result<ServeReport> {
    let ServeJob { listeners, protocol: _, limits, stats, ready } = job;
    let threads = listeners.len();
    let admission = Arc::new(Admission::new(limits.max_connections));

    let ended: io::Result<Vec<u64>> = thread::scope(|scope| {
        // Threads that run already must not outlive a failure to start the others, or of `ready`.
        let _started = StopOnDrop(stop);
        let (granted, receipts) = mpsc::channel();
        let workers = listeners
            .into_iter()
            .map(|listener| {
                let context = Context {
                    listener,
                    limits: limits.clone(),
                    admission: Arc::clone(&admission),
                    stats: Arc::clone(&stats),
                    stop,
                };
                let granted = granted.clone();
                thread::Builder::new().name("server".into()).spawn_scoped(scope, move || {
                    let _others = StopOnDrop(stop);
                    let mut worker = W::start(context)?;
                    // The receiver outlives all senders.
                    let _ = granted.send(worker.receipt());
                    drop(granted);
                    worker.run(protocol)?;
                    Ok(worker.counters().own(Event::Accepted))
                })
            })
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| failed("cannot start a server thread", error))?;
        drop(granted);

        let receipts: Vec<Receipt> = receipts.iter().collect();
        if let Some(first) = receipts.first().filter(|_| receipts.len() == threads) {
            ready(&shared_by(first.clone(), threading, threads));
        }
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)))
            .collect()
    });

    stats.set_accepted_per_thread(ended?);
    Ok(stats.report())
}

/// Stops the other threads when one ends: it was told to, it failed, or it panicked.
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a Stop);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// The receipt of one loop, as that of all.
fn shared_by(receipt: Receipt, threading: Threading, threads: usize) -> Receipt {
    let receipt = match threading {
        Threading::LoopPerThread => receipt.number("threads", threads as u64),
        Threading::ThreadPerConnection => receipt.number("accepting_threads", threads as u64),
        Threading::Pool { workers } => {
            receipt.number("accepting_threads", threads as u64).number("workers", (workers * threads) as u64)
        }
    };
    if threads > 1 { receipt.text("spread", "SO_REUSEPORT") } else { receipt }
}
