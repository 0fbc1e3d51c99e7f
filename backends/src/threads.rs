//! `threads`: a thread for every connection, blocking calls, no event loop.
//!
//! Two system calls per message and nothing to keep track of; what it costs is a stack and a wake-up per connection.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::acceptor::Acceptor;
use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::buffers::Buffers;
use crate::connection::{Connection, Moved};
use crate::open_sockets::OpenSockets;
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
        workers::serve::<Threads<'_>>(self.info().threading, &job, stop)
    }
}

fn receipt() -> Receipt {
    Receipt::new().text("interface", "blocking recvfrom and sendto").number("stack_bytes", STACK_BYTES as u64)
}

/// A thread that accepts, and starts a thread for everybody it lets in.
struct Threads<'a> {
    acceptor: Acceptor<'a>,
    open: OpenSockets<OwnedFd>,
}

impl<'a> Worker<'a> for Threads<'a> {
    fn start(context: Context<'a>) -> io::Result<Self> {
        Ok(Self { acceptor: Acceptor::new(context), open: OpenSockets::new() })
    }

    fn receipt(&self) -> Receipt {
        receipt()
    }

    fn run<P: Protocol>(&mut self, protocol: &P) -> io::Result<()> {
        let this = &*self;
        let Acceptor { context, counters } = &this.acceptor;
        thread::scope(|scope| {
            let accepted = this.acceptor.accept_until_stop(None, || {}, |socket| this.serve(scope, protocol, socket));
            this.open.drain(context.limits.drain_timeout, counters);
            accepted
        })
    }

    fn counters(&self) -> &ThreadCounters {
        &self.acceptor.counters
    }
}

impl Threads<'_> {
    fn serve<'s, P: Protocol>(&'s self, scope: &'s Scope<'s, '_>, protocol: &'s P, socket: OwnedFd) {
        let context = &self.acceptor.context;
        let socket = Arc::new(socket);
        let key = self.open.insert(Arc::clone(&socket));
        let thread = thread::Builder::new().name("connection".into()).stack_size(STACK_BYTES);
        let spawned = thread.spawn_scoped(scope, move || {
            let counters = context.stats.register();
            converse(socket, protocol, context.limits.idle_timeout, &counters);
            self.open.remove(key);
            context.admission.leave();
        });
        if spawned.is_err() {
            self.open.remove(key);
            self.acceptor.unservable();
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
            let moved = connection.receive(protocol, &mut buffers, counters);
            counters.event(Event::Wakeups);
            moved
        };
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
