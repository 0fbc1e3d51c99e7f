//! `threads`: a thread for every connection, blocking calls, no event loop.
//!
//! Two system calls per message and nothing to keep track of; what it costs is a stack and a wake-up per connection.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};
use slab::Slab;

use crate::admission::{ACCEPT_REST, AcceptFailure};
use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::buffers::Buffers;
use crate::connection::{Connection, Moved};
use crate::kernel::{failed, timespec};
use crate::protocol::Protocol;
use crate::stats::{Counters, Event, ServeReport, Syscall, ThreadCounters};
use crate::stop::Stop;
use crate::workers::{self, Context, Worker};

/// Enough for this code and a panic message; the default of 2 MiB would only be address space, but 10,000 times.
const STACK_BYTES: usize = 128 * 1024;

/// A time-out of zero would mean none to the kernel.
const SHORTEST_CALL_TIMEOUT: Duration = Duration::from_millis(1);

pub(crate) struct ThreadsBackend;

impl Backend for ThreadsBackend {
    fn info(&self) -> &'static BackendInfo {
        &BackendInfo {
            name: "threads",
            is_main: true,
            summary: "a thread per connection, blocking recv and send",
            use_when: "few connections that live long, and code that has to stay simple",
            avoid_when: "thousands of connections: each costs a stack, and every message a switch between threads",
            model: IoModel::Blocking,
            threading: Threading::ThreadPerConnection,
            waiting: Waiting::Sleeps,
            isolation: Isolation::Full,
        }
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        Ok(receipt())
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<Acceptor<'_>>(self.info().threading, job, stop)
    }
}

fn receipt() -> Receipt {
    Receipt::new().text("interface", "blocking recvfrom and sendto").number("stack_bytes", STACK_BYTES as u64)
}

/// A thread that accepts, and starts a thread for everybody it lets in.
struct Acceptor<'a> {
    context: Context<'a>,
    counters: ThreadCounters,
    open: OpenSockets,
}

impl<'a> Worker<'a> for Acceptor<'a> {
    fn start(context: Context<'a>) -> io::Result<Self> {
        let counters = context.stats.register();
        Ok(Self { context, counters, open: OpenSockets::default() })
    }

    fn receipt(&self) -> Receipt {
        receipt()
    }

    fn run<P: Protocol>(&mut self, protocol: &P) -> io::Result<()> {
        let this = &*self;
        thread::scope(|scope| {
            let accepted = this.accept_until_stop(scope, protocol);
            this.open.drain(this.context.limits.drain_timeout, &this.counters);
            accepted
        })
    }

    fn counters(&self) -> &ThreadCounters {
        &self.counters
    }
}

impl Acceptor<'_> {
    fn accept_until_stop<'s, P: Protocol>(&'s self, scope: &'s Scope<'s, '_>, protocol: &'s P) -> io::Result<()> {
        // The listener does not block, so that a connection which goes away between the two calls is no trap.
        while self.wait(Some(&self.context.listener), None)? {
            self.counters.syscall(Syscall::Accept4);
            match accept_with(&self.context.listener, SocketFlags::CLOEXEC) {
                Ok(socket) => self.serve(scope, protocol, socket),
                Err(error) => match AcceptFailure::of(error) {
                    AcceptFailure::NobodyWaits | AcceptFailure::TryNext => {}
                    AcceptFailure::Rest => {
                        self.counters.event(Event::AcceptPaused);
                        self.wait(None, Some(ACCEPT_REST))?;
                    }
                    AcceptFailure::Fatal => return Err(failed("cannot accept", error)),
                },
            }
        }
        Ok(())
    }

    /// Waits for `listener`, `timeout` or the stop; false once the stop was requested.
    fn wait(&self, listener: Option<&TcpListener>, timeout: Option<Duration>) -> io::Result<bool> {
        let stop = PollFd::new(self.context.stop, PollFlags::IN);
        let mut fds = [stop.clone(), listener.map_or(stop, |listener| PollFd::new(listener, PollFlags::IN))];
        self.counters.syscall(Syscall::Ppoll);
        match poll(&mut fds, timeout.map(timespec).as_ref()) {
            Ok(_) => Ok(fds[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(failed("cannot wait", error)),
        }
    }

    fn serve<'s, P: Protocol>(&'s self, scope: &'s Scope<'s, '_>, protocol: &'s P, socket: OwnedFd) {
        if !self.context.admission.admit(&self.counters) {
            self.counters.syscall(Syscall::Close);
            return;
        }
        let socket = Arc::new(socket);
        let key = self.open.insert(Arc::clone(&socket));
        let thread = thread::Builder::new().name("connection".into()).stack_size(STACK_BYTES);
        let spawned = thread.spawn_scoped(scope, move || {
            let counters = self.context.stats.register();
            converse(socket, protocol, self.context.limits.idle_timeout, &counters);
            self.open.remove(key);
            self.context.admission.leave();
        });
        if spawned.is_err() {
            self.counters.event(Event::Unservable);
            self.counters.event(Event::Closed);
            self.counters.syscall(Syscall::Close);
            self.open.remove(key);
            self.context.admission.leave();
        }
    }
}

/// Serves one connection to its end.
fn converse<P: Protocol>(socket: Arc<OwnedFd>, protocol: &P, idle_timeout: Option<Duration>, counters: &Counters) {
    // Calls come back after a quarter of the time-out, to look at the clock: see `Limits::idle_timeout`.
    let call_timeout = idle_timeout.map(|idle_timeout| (idle_timeout / 4).max(SHORTEST_CALL_TIMEOUT));
    if call_timeout.is_some() {
        for direction in [Timeout::Recv, Timeout::Send] {
            counters.syscall(Syscall::Setsockopt);
            // Fails for no socket that was just accepted; if it does, this connection has no idle time-out.
            let _ = set_socket_timeout(&socket, direction, call_timeout);
        }
    }
    let mut connection = Connection::new(socket, Instant::now());
    let mut buffers = Buffers::new();
    loop {
        let moved = if connection.has_output() {
            connection.flush(&mut buffers, counters)
        } else {
            connection.receive(protocol, &mut buffers, counters)
        };
        counters.event(Event::Wakeups);
        match moved {
            Ok(Moved::Some) if idle_timeout.is_some() => connection.last_moved = Instant::now(),
            Ok(Moved::None) if idle_timeout.is_some_and(|limit| connection.last_moved.elapsed() >= limit) => {
                counters.event(Event::IdleClosed);
                break;
            }
            Ok(_) => {}
            Err(ended) => {
                ended.count(counters);
                // The replies to what came before a violation.
                while connection.has_output() && matches!(connection.flush(&mut buffers, counters), Ok(Moved::Some)) {}
                break;
            }
        }
    }
    connection.close(counters);
}

/// The sockets of all running threads, so that they can be told to end.
#[derive(Default)]
struct OpenSockets {
    sockets: Mutex<Slab<Arc<OwnedFd>>>,
    /// Told when the last one is gone.
    empty: Condvar,
}

impl OpenSockets {
    fn insert(&self, socket: Arc<OwnedFd>) -> usize {
        self.lock().insert(socket)
    }

    fn remove(&self, key: usize) {
        let mut sockets = self.lock();
        sockets.remove(key);
        if sockets.is_empty() {
            self.empty.notify_all();
        }
    }

    /// Has every thread answer what its peer has sent and end; by force when `timeout` has passed.
    fn drain(&self, timeout: Duration, counters: &Counters) {
        let sockets = self.shut_down(Shutdown::Read, counters);
        let (sockets, _) = self
            .empty
            .wait_timeout_while(sockets, timeout, |sockets| !sockets.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        drop(sockets);
        let forced = self.shut_down(Shutdown::Both, counters);
        counters.events(Event::Forced, forced.len() as u64);
    }

    /// Wakes whoever waits in a call on one of the sockets.
    fn shut_down(&self, how: Shutdown, counters: &Counters) -> MutexGuard<'_, Slab<Arc<OwnedFd>>> {
        let sockets = self.lock();
        for (_, socket) in &*sockets {
            counters.syscall(Syscall::Shutdown);
            // Fails only where the peer has already gone; the thread's next call says so.
            let _ = shutdown(socket, how);
        }
        sockets
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<OwnedFd>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
