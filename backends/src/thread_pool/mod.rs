//! `thread-pool`: a fixed number of workers that make blocking calls.
//!
//! All workers of a server thread wait on one epoll set. Who gets a connection that can be received from receives once,
//! sends the answer however long that takes, and hands the connection back. So a peer that does not read holds a
//! worker, and as many of them as there are workers hold everybody: head-of-line blocking. The suite proves that it is
//! so, and that it ends with the first of them that reads.

mod one_shot;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rustix::net::Shutdown;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use self::one_shot::{EmptySet, OneShotSet};
use crate::acceptor::Acceptor;
use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::buffers::Buffers;
use crate::connection::{Connection, Ended, Moved};
use crate::kernel::failed;
use crate::open_sockets::OpenSockets;
use crate::protocol::Protocol;
use crate::refusal::start_refused;
use crate::stats::{Counters, Event, ServeReport, Syscall, ThreadCounters};
use crate::stop::Stop;
use crate::workers::{self, Context, StopOnDrop, Worker};

/// Workers for each thread that was asked for. More than one, for that is what a pool is: some wait in a call while
/// others work. Any number would do for peers that read, and none is enough for peers that do not.
const WORKERS: usize = 4;

/// For the workers to let go of sockets that were shut down; it takes them no time, but they are trusted no further.
const FORCE_TIMEOUT: Duration = Duration::from_secs(1);

/// A time-out of zero would mean none to the kernel.
const SHORTEST_CALL_TIMEOUT: Duration = Duration::from_millis(1);

pub(crate) struct ThreadPoolBackend;

impl Backend for ThreadPoolBackend {
    fn info(&self) -> &'static BackendInfo {
        &BackendInfo {
            name: "thread-pool",
            is_main: false,
            summary: "4 workers per thread share one epoll set; each receives, and answers with blocking sends",
            use_when: "handling a request blocks or takes long, and every peer can be trusted to read its answers",
            avoid_when: "a peer may not read: each holds a worker, and 4 of them stop everybody (head-of-line blocking)",
            model: IoModel::Blocking,
            threading: Threading::Pool { workers: WORKERS },
            waiting: Waiting::Sleeps,
            isolation: Isolation::Places(WORKERS),
        }
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        match EmptySet::new() {
            Ok(_) => Ok(receipt()),
            Err(error) => Err(Unavailable { reason: error.to_string() }),
        }
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<Pool<'_>>(self.info().threading, &job, stop)
    }
}

fn receipt() -> Receipt {
    Receipt::new()
        .text("interface", "epoll_pwait, blocking recvfrom and sendto")
        .text("trigger", "one-shot")
        .text("shared_by_workers", "one epoll set for each accepting thread")
}

/// A thread that accepts, and the set on which its workers will wait.
struct Pool<'a> {
    acceptor: Acceptor<'a>,
    /// None once it runs.
    set: Option<EmptySet>,
}

impl<'a> Worker<'a> for Pool<'a> {
    fn start(context: Context<'a>) -> io::Result<Self> {
        Ok(Self { acceptor: Acceptor::new(context), set: Some(EmptySet::new()?) })
    }

    fn receipt(&self) -> Receipt {
        receipt()
    }

    fn run<P: Protocol>(&mut self, protocol: &P) -> io::Result<()> {
        let set = self.set.take().map_or_else(EmptySet::new, Ok)?;
        let running = Running {
            acceptor: &self.acceptor,
            set: set.holding(),
            open: OpenSockets::new(),
            began: Instant::now(),
            idle_timeout: self.acceptor.context.limits.idle_timeout,
        };
        thread::scope(|scope| {
            let end = EndOnDrop(&running);
            let workers = (0..WORKERS)
                .map(|_| {
                    let thread = thread::Builder::new().name("worker".into());
                    thread.spawn_scoped(scope, || running.work(protocol))
                })
                .collect::<io::Result<Vec<_>>>()
                .map_err(|error| failed("cannot start a worker", start_refused(error)))?;
            let accepted = running.accept_until_stop();
            running.drain();
            drop(end);
            let join = |worker: ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
            };
            workers.into_iter().map(join).fold(accepted, Result::and)
        })
    }

    fn counters(&self) -> &ThreadCounters {
        &self.acceptor.counters
    }
}

/// What the acceptor and its workers share.
struct Running<'p, 'a, P: Protocol> {
    acceptor: &'p Acceptor<'a>,
    set: OneShotSet<Peer<P>>,
    open: OpenSockets<Place>,
    began: Instant,
    idle_timeout: Option<Duration>,
}

/// A connection, held by one worker or by the set.
struct Peer<P: Protocol> {
    connection: Connection<P, Arc<Place>>,
    place: Arc<Place>,
    /// Where its place is among those that are open.
    key: usize,
}

impl<P: Protocol> AsFd for Peer<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.place.as_fd()
    }
}

/// What the acceptor sees of a connection, whoever holds it.
struct Place {
    socket: OwnedFd,
    /// When bytes moved last, since the pool began; kept up only where there is an idle time-out.
    last_moved_ns: AtomicU64,
    /// It was shut down for being idle, so that what fails from then on is no error of the peer.
    given_up: AtomicBool,
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<P: Protocol> Running<'_, '_, P> {
    fn accept_until_stop(&self) -> io::Result<()> {
        let quarter = self.idle_timeout.map(|idle_timeout| (idle_timeout / 4).max(SHORTEST_CALL_TIMEOUT));
        self.acceptor.accept_until_stop(quarter, || self.close_idle(), |socket| self.open(socket, quarter))
    }

    fn open(&self, socket: OwnedFd, call_timeout: Option<Duration>) {
        let counters = &self.acceptor.counters;
        if call_timeout.is_some() {
            // A send comes back now and then, to say that bytes have moved: see `Limits::idle_timeout`.
            counters.syscall(Syscall::Setsockopt);
            // Fails for no socket that was just accepted.
            let _ = set_socket_timeout(&socket, Timeout::Send, call_timeout);
        }
        let place = Place { socket, last_moved_ns: AtomicU64::new(self.now_ns()), given_up: AtomicBool::new(false) };
        let place = Arc::new(place);
        let key = self.open.insert(Arc::clone(&place));
        let connection = Connection::new(Arc::clone(&place), self.began);
        let peer = Peer { connection, place, key };
        if self.set.add(Box::new(peer), counters).is_err() {
            self.open.remove(key);
            self.acceptor.unservable();
        }
    }

    /// Shuts down on whom nothing has moved for too long; the worker that has them, or gets them now, closes them.
    fn close_idle(&self) {
        let Some(idle_timeout) = self.idle_timeout else { return };
        let now = self.now_ns();
        let counters = &self.acceptor.counters;
        let is_idle = |place: &Place| {
            let idle_ns = now.saturating_sub(place.last_moved_ns.load(Ordering::Relaxed));
            Duration::from_nanos(idle_ns) >= idle_timeout && !place.given_up.swap(true, Ordering::Relaxed)
        };
        let idle = self.open.shut_down_where(Shutdown::Both, counters, is_idle);
        counters.events(Event::IdleClosed, idle);
    }

    fn drain(&self) {
        self.open.drain(self.acceptor.context.limits.drain_timeout, &self.acceptor.counters);
        self.open.wait_until_empty(FORCE_TIMEOUT);
    }

    /// Serves whoever can be received from, until the set has ended.
    fn work(&self, protocol: &P) -> io::Result<()> {
        // A worker that cannot go on ends the pool: the others may not be enough.
        let _others = StopOnDrop(self.acceptor.context.stop);
        let counters = self.acceptor.context.stats.register();
        let mut buffers = Buffers::new();
        while let Some(mut peer) = self.set.wait(&counters)? {
            if !self.answer(&mut peer, protocol, &mut buffers, &counters) {
                self.close(*peer, &counters);
            } else if let Err(peer) = self.set.rearm(peer, &counters) {
                counters.event(Event::ConnectionErrors);
                self.close(*peer, &counters);
            }
        }
        Ok(())
    }

    /// Receives once and sends the answer to its end; false if the connection is over.
    fn answer(&self, peer: &mut Peer<P>, protocol: &P, buffers: &mut Buffers, counters: &Counters) -> bool {
        let received = peer.connection.receive(protocol, buffers, counters);
        // After a violation there may be output: the replies to what came before it.
        let violated = matches!(received, Err(Ended::Violation));
        if !self.goes_on(&peer.place, received, counters) && !violated {
            return false;
        }
        while peer.connection.has_output() {
            let sent = peer.connection.flush(buffers, counters);
            if !self.goes_on(&peer.place, sent, counters) {
                return false;
            }
        }
        !violated
    }

    /// Takes note of what a call has done; false if the connection is over.
    fn goes_on(&self, place: &Place, moved: Result<Moved, Ended>, counters: &Counters) -> bool {
        match moved {
            Ok(Moved::Some) if self.idle_timeout.is_some() => {
                place.last_moved_ns.store(self.now_ns(), Ordering::Relaxed);
                true
            }
            Ok(_) => true,
            Err(ended) => {
                if !place.given_up.load(Ordering::Relaxed) {
                    ended.count(counters);
                }
                false
            }
        }
    }

    fn close(&self, peer: Peer<P>, counters: &Counters) {
        let Peer { connection, place, key } = peer;
        connection.close(counters);
        drop(place);
        self.open.remove(key);
        self.acceptor.context.admission.leave();
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Lets the workers go, however the thread that accepts for them ends.
struct EndOnDrop<'r, 'p, 'a, P: Protocol>(&'r Running<'p, 'a, P>);

impl<P: Protocol> Drop for EndOnDrop<'_, '_, '_, P> {
    fn drop(&mut self) {
        self.0.set.end();
    }
}
