//! Runs one loop per server thread: the part of serving that is the same for every backend.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::panic;
use std::sync::{Arc, mpsc};
use std::thread;

use crate::admission::Admission;
use crate::backend::{Limits, Receipt, ServeJob, Threading};
use crate::descriptor_table;
use crate::kernel::failed;
use crate::protocol::{Protocol, ProtocolKind};
use crate::refusal::start_refused;
use crate::stats::{ServeReport, ServerThread, Stats, ThreadCounters};
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

    /// Who is woken for a connection where several threads wait for one listener.
    const WOKEN_BY_SHARED_LISTENER: &'static str = ALL_WHO_WAIT;
}

/// Without anything exclusive about their waits, all threads come for each connection and all but one in vain.
pub(crate) const ALL_WHO_WAIT: &str = "all that wait";

/// What a receipt says of its `spread` where all threads accept from one listener.
pub const SHARED_LISTENER: &str = "shared listener";

/// What a worker is given.
pub(crate) struct Context<'a> {
    /// Of the thread that called `serve`, and closed by it: the worker has a descriptor table of its own, where nothing is
    /// dropped that was opened elsewhere.
    pub(crate) listener: &'a TcpListener,
    pub(crate) limits: Limits,
    pub(crate) admission: Arc<Admission>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) stop: &'a Stop,
    /// Whether other threads accept from `listener`, too.
    pub(crate) shares_listener: bool,
}

/// Runs a `W` for each thread of `job` until `stop`; the first that fails stops the others.
pub(crate) fn serve<'a, W: Worker<'a>>(
    threading: Threading,
    job: &'a ServeJob<'_>,
    stop: &'a Stop,
) -> io::Result<ServeReport> {
    match &job.protocol {
        ProtocolKind::Framed(protocol) => serve_protocol::<W, _>(protocol, threading, job, stop),
        ProtocolKind::Raw(protocol) => serve_protocol::<W, _>(protocol, threading, job, stop),
    }
}

fn serve_protocol<'a, W: Worker<'a>, P: Protocol>(
    protocol: &P,
    threading: Threading,
    job: &'a ServeJob<'_>,
    stop: &'a Stop,
) -> io::Result<ServeReport> {
    let ServeJob { listeners, protocol: _, limits, stats, ready } = job;
    let shares_listener = listeners.are_shared();
    let threads = listeners.of_threads().len();
    let admission = Arc::new(Admission::new(limits.max_connections));

    let ended: io::Result<()> = thread::scope(|scope| {
        // Threads that run already must not outlive a failure to start the others, or of `ready`.
        let _started = StopOnDrop(stop);
        let (granted, receipts) = mpsc::channel();
        let workers = listeners
            .of_threads()
            .enumerate()
            .map(|(place, listener)| {
                let context = Context {
                    listener,
                    limits: limits.clone(),
                    admission: Arc::clone(&admission),
                    stats: Arc::clone(stats),
                    stop,
                    shares_listener,
                };
                let granted = granted.clone();
                thread::Builder::new().name("server".into()).spawn_scoped(scope, move || {
                    let table = Table::own(&context);
                    let _others = StopOnDrop(stop);
                    let mut worker = W::start(context)?;
                    let receipt = worker.receipt().text("descriptors", table.to_string());
                    // The receiver outlives all senders.
                    let _ = granted.send((place, receipt, ServerThread::current(worker.counters())));
                    drop(granted);
                    worker.run(protocol)
                })
            })
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| failed("cannot start a server thread", start_refused(error)))?;
        drop(granted);

        let mut started: Vec<(usize, Receipt, ServerThread)> = receipts.iter().collect();
        if started.len() == threads {
            started.sort_by_key(|(place, ..)| *place);
            let receipt = started[0].1.clone();
            stats.set_server_threads(started.into_iter().map(|(_, _, thread)| thread).collect());
            ready(&shared_by(receipt, threading, threads, shares_listener.then_some(W::WOKEN_BY_SHARED_LISTENER)));
        }
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)))
    });

    ended?;
    Ok(stats.report())
}

/// The descriptor table that a worker uses.
enum Table {
    /// Its own, closed when this is dropped: after the worker, and what requests the stop.
    Own,
    /// That of the process, because of this.
    Shared(io::Error),
}

impl Table {
    /// Has the calling thread leave the descriptor table of the process.
    #[expect(unsafe_code)]
    fn own(context: &Context<'_>) -> Self {
        // SAFETY: a worker, and every thread that it starts, uses these two and what it opens itself; all of that belongs to
        // the worker, which is dropped on this thread. What leaves the thread is its receipt, its counters and its result.
        match unsafe { descriptor_table::own(&[context.listener.as_fd(), context.stop.as_fd()]) } {
            Ok(()) => Self::Own,
            Err(refused) => Self::Shared(refused),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own table"),
            Self::Shared(refused) => write!(f, "shared table: {refused}"),
        }
    }
}

impl Drop for Table {
    /// The listener is open here as well, and must not go on taking connections when the server has ended.
    #[expect(unsafe_code)]
    fn drop(&mut self) {
        if matches!(self, Self::Own) {
            // SAFETY: the worker is gone, with the threads that it started, and this thread does nothing more.
            unsafe { descriptor_table::close_all() };
        }
    }
}

/// Stops the other threads when one ends: it was told to, it failed, or it panicked.
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a Stop);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// The receipt of one thread, as that of all. `woken`: by a listener that they share; none where each has its own.
fn shared_by(receipt: Receipt, threading: Threading, threads: usize, woken: Option<&'static str>) -> Receipt {
    let count = threads as u64;
    let receipt = match threading {
        Threading::LoopPerThread => receipt.number("threads", count).text("served_by", "the thread that accepted"),
        Threading::ThreadPerConnection => {
            receipt.number("accepting_threads", count).text("served_by", "a thread of its own")
        }
        Threading::Pool { workers } => {
            let workers = (workers * threads) as u64;
            receipt
                .number("accepting_threads", count)
                .number("workers", workers)
                .text("served_by", "whichever worker is free")
        }
    };
    match woken {
        _ if threads == 1 => receipt.text("spread", "one thread accepts all"),
        None => receipt.text("spread", "SO_REUSEPORT"),
        Some(woken) => receipt.text("spread", SHARED_LISTENER).text("woken_by_listener", woken),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;
    use crate::listen::{Spread, bind};
    use crate::protocol::Raw;

    const THREADS: usize = 4;

    /// Waits for the stop, unless it is its turn to fail.
    struct Waiting<'a> {
        context: Context<'a>,
        counters: ThreadCounters,
        fails_to_run: bool,
    }

    /// What the last of the threads to start does is part of the type: workers are started by it.
    struct Failing<'a, const HOW: u8>(Waiting<'a>);

    const TO_START: u8 = 0;
    const TO_RUN: u8 = 1;
    const NOT: u8 = 2;

    impl<'a, const HOW: u8> Worker<'a> for Failing<'a, HOW> {
        fn start(context: Context<'a>) -> io::Result<Self> {
            // Threads come in any order; the connections that may be open say how many have come.
            let is_last = !context.admission.admit(&context.stats.register());
            if is_last && HOW == TO_START {
                return Err(io::Error::other("it is out of luck"));
            }
            let counters = context.stats.register();
            Ok(Self(Waiting { context, counters, fails_to_run: is_last && HOW == TO_RUN }))
        }

        fn receipt(&self) -> Receipt {
            Receipt::default()
        }

        fn run<P: Protocol>(&mut self, _: &P) -> io::Result<()> {
            if self.0.fails_to_run {
                return Err(io::Error::other("it is out of luck"));
            }
            poll(&mut [PollFd::new(self.0.context.stop, PollFlags::IN)], None)?;
            Ok(())
        }

        fn counters(&self) -> &ThreadCounters {
            &self.0.counters
        }
    }

    /// Serves with threads of which the last one fails; returns how often the server was ready, too. The result of a panic
    /// is none.
    fn serve_failing<const HOW: u8>(ready: fn()) -> (Option<io::Result<ServeReport>>, usize) {
        let (send, ended) = mpsc::channel();
        // On a thread that is left behind where it hangs.
        thread::spawn(move || {
            let was_ready = AtomicUsize::new(0);
            let ready = |_: &Receipt| {
                was_ready.fetch_add(1, Ordering::Relaxed);
                ready();
            };
            let job = ServeJob {
                listeners: bind("127.0.0.1:0".parse().unwrap(), THREADS, Spread::default()).unwrap(),
                protocol: ProtocolKind::Raw(Raw),
                limits: Limits { max_connections: Some(THREADS - 1), ..Limits::default() },
                stats: Arc::new(Stats::default()),
                ready: &ready,
            };
            let stop = Stop::new().unwrap();
            let serve = || serve::<Failing<'_, HOW>>(Threading::LoopPerThread, &job, &stop);
            let served = panic::catch_unwind(AssertUnwindSafe(serve)).ok();
            send.send((served, was_ready.load(Ordering::Relaxed))).expect("the test waits for it");
        });
        ended.recv_timeout(Duration::from_secs(20)).expect("all threads end when one has")
    }

    #[test]
    fn a_thread_that_cannot_start_ends_those_that_run_and_nobody_is_told_of_a_server() {
        let (served, was_ready) = serve_failing::<TO_START>(|| ());
        assert_eq!((served.unwrap().unwrap_err().to_string().as_str(), was_ready), ("it is out of luck", 0));
    }

    #[test]
    fn a_thread_that_gives_up_ends_the_others() {
        let (served, was_ready) = serve_failing::<TO_RUN>(|| ());
        assert_eq!((served.unwrap().unwrap_err().to_string().as_str(), was_ready), ("it is out of luck", 1));
    }

    #[test]
    fn whoever_panics_when_told_that_the_server_is_ready_ends_it() {
        let (served, was_ready) = serve_failing::<NOT>(|| panic!("nobody wants it"));
        assert!(served.is_none() && was_ready == 1);
    }
}
