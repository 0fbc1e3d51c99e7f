//! What a server counts while it runs.
//!
//! Invariant: every [`Counters`] has one writing thread. It therefore adds with a plain load and store, which cost
//! what a local variable costs, and any other thread may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

macro_rules! counted {
    ($(#[$enum_doc:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every one of them, in the order in which they are reported.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }
    };
}

counted! {
    /// Something that happened in a server.
    Event {
        /// A connection was accepted and served.
        Accepted => "accepted",
        /// A served connection was closed, for whatever reason.
        Closed => "closed",
        /// A reply was given: a frame answered, or under `raw` a piece of the stream.
        Replies => "requests",
        /// Bytes taken from the kernel.
        BytesReceived => "bytes_received",
        /// Bytes given to the kernel.
        BytesSent => "bytes_sent",
        /// Times that a loop or a thread came back from a call in which it waits for what comes next, and which could wait: of
        /// a loop `epoll_pwait` and its like with a time-out other than 0, or `io_uring_enter` for a completion; of a thread
        /// that serves one connection `recvfrom`; of one that accepts `ppoll`. A send that waits for room is none. A loop that
        /// spins never waits, and has none; one whose completions come without a call has none then.
        Wakeups => "wakeups",
        /// A connection closed because its peer broke the protocol.
        Violations => "violations",
        /// A connection that ended in an error such as a reset.
        ConnectionErrors => "connection_errors",
        /// A connection closed because nothing moved on it for too long.
        IdleClosed => "idle_closed",
        /// A connection accepted and closed at once: the limit was reached.
        OverLimit => "refused_over_limit",
        /// A connection accepted and closed at once: no thread or no place to wait for it could be had.
        Unservable => "refused_unservable",
        /// Accepting paused: no descriptor or no memory was left.
        AcceptPaused => "accept_paused",
        /// A connection still open when the time for draining had passed.
        Forced => "forced_at_stop",
        /// Receives that found no provided buffer left (`io_uring`).
        BuffersExhausted => "buffers_exhausted",
        /// A thread came to a listener that it shares and nobody was there: another was quicker, or the peer had gone.
        AcceptMissed => "accept_missed",
        /// Notices that the network reads no more what was sent from where it lay (`io_uring-zc`).
        ZeroCopyNotices => "zero_copy_notices",
        /// Those of them that said that it had been copied all the same.
        ZeroCopyCopied => "zero_copy_copied",
        /// Sends that were to be zero-copy and were made by copying: so much memory may not be pinned.
        ZeroCopyRefused => "zero_copy_refused",
        /// Sends of several replies from where each was received (`io_uring-bundle`).
        SendBundles => "send_bundles",
        /// Bytes that left so, and were not copied.
        BundledBytes => "bundled_bytes",
        /// Those of the sends that did not go out as a whole; what was left of them was copied after all.
        BundlesCut => "send_bundles_cut",
        /// Connections that the kernel gave no ring to list replies in, and whose replies are copied.
        SendRingsRefused => "send_rings_refused",
        /// Bytes that the server itself moved from one place in its memory to another: beginnings of units, and replies that
        /// had to wait or lay in pieces. What the kernel copies, and what a buffer that grows moves, is not among them.
        BytesCopied => "bytes_copied",
    }
}

counted! {
    /// A system call, by the kernel's name for it: the one that strace shows.
    Syscall {
        /// `accept4`
        Accept4 => "accept4",
        /// `recvfrom`
        Recvfrom => "recvfrom",
        /// `sendto`
        Sendto => "sendto",
        /// `shutdown`
        Shutdown => "shutdown",
        /// `close`, of sockets
        Close => "close",
        /// `pselect6`
        Pselect6 => "pselect6",
        /// `ppoll`
        Ppoll => "ppoll",
        /// `epoll_pwait`
        EpollPwait => "epoll_pwait",
        /// `epoll_ctl`
        EpollCtl => "epoll_ctl",
        /// `read`, of a wake-up descriptor
        Read => "read",
        /// `timerfd_settime`
        TimerfdSettime => "timerfd_settime",
        /// `setsockopt`
        Setsockopt => "setsockopt",
        /// `io_uring_enter`
        IoUringEnter => "io_uring_enter",
        /// `io_uring_register`, of rings that sends take replies from
        IoUringRegister => "io_uring_register",
    }
}

const EVENTS: usize = Event::ALL.len();
const SYSCALLS: usize = Syscall::ALL.len();

/// What one thread counts.
#[derive(Debug)]
pub(crate) struct Counters {
    events: [AtomicU64; EVENTS],
    syscalls: [AtomicU64; SYSCALLS],
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self { events: [const { AtomicU64::new(0) }; EVENTS], syscalls: [const { AtomicU64::new(0) }; SYSCALLS] }
    }

    /// Counts one of `event`.
    #[inline]
    pub(crate) fn event(&self, event: Event) {
        self.events(event, 1);
    }

    /// Counts `n` of `event`.
    #[inline]
    pub(crate) fn events(&self, event: Event, n: u64) {
        add(&self.events[event as usize], n);
    }

    /// Counts `bytes` copied by this thread; said where they are copied.
    #[inline]
    pub(crate) fn copied(&self, bytes: usize) {
        self.events(Event::BytesCopied, bytes as u64);
    }

    fn count(&self, event: Event) -> u64 {
        self.events[event as usize].load(Ordering::Relaxed)
    }

    /// Counts one call of `syscall`; said beside the call, whether it then fails or not.
    #[inline]
    pub(crate) fn syscall(&self, syscall: Syscall) {
        add(&self.syscalls[syscall as usize], 1);
    }
}

/// One writer, so no locked instruction is needed; see the invariant of this module.
#[inline]
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

/// What all threads of a server count.
#[derive(Debug, Default)]
pub struct Stats {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    running: Vec<Arc<Counters>>,
    /// Threads that have ended, added up.
    ended: ServeReport,
    /// Those that accept, whether they have ended or not.
    server_threads: Vec<ServerThread>,
}

impl Stats {
    /// A set of counters for the calling thread, to be counted in until it is dropped.
    pub(crate) fn register(self: &Arc<Self>) -> ThreadCounters {
        let counters = Arc::new(Counters::new());
        self.lock().running.push(Arc::clone(&counters));
        ThreadCounters { counters, stats: Arc::clone(self) }
    }

    /// The sums over all threads, running and ended, as of now.
    #[must_use]
    pub fn report(&self) -> ServeReport {
        let inner = self.lock();
        let mut report = inner.ended.clone();
        for counters in &inner.running {
            report.add(counters);
        }
        let threads = &inner.server_threads;
        report.accepted_per_thread = threads.iter().map(|thread| thread.counters.count(Event::Accepted)).collect();
        report.thread_ids = threads.iter().map(|thread| thread.id).collect();
        report
    }

    /// Says which of all threads are those that the server was asked to have, in their order.
    pub(crate) fn set_server_threads(&self, threads: Vec<ServerThread>) {
        self.lock().server_threads = threads;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Counters are valid at every step; a thread that panicked elsewhere has not spoilt them.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counters of one thread. Dropping them keeps their sums in the [`Stats`] they came from.
#[derive(Debug)]
pub(crate) struct ThreadCounters {
    counters: Arc<Counters>,
    stats: Arc<Stats>,
}

impl std::ops::Deref for ThreadCounters {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for ThreadCounters {
    fn drop(&mut self) {
        let mut inner = self.stats.lock();
        if let Some(position) = inner.running.iter().position(|other| Arc::ptr_eq(other, &self.counters)) {
            inner.running.swap_remove(position);
        }
        inner.ended.add(&self.counters);
    }
}

/// One of the threads that accept.
#[derive(Debug)]
pub(crate) struct ServerThread {
    id: u32,
    counters: Arc<Counters>,
}

impl ServerThread {
    /// The calling one, which counts in `counters`.
    pub(crate) fn current(counters: &ThreadCounters) -> Self {
        let id = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        Self { id, counters: Arc::clone(&counters.counters) }
    }
}

/// What a server did, from its start to the moment of the report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeReport {
    events: [u64; EVENTS],
    syscalls: [u64; SYSCALLS],
    /// Connections that each server thread accepted: an uneven spread decides results. Empty until the server is ready.
    pub accepted_per_thread: Vec<u64>,
    /// The kernel's numbers of these threads.
    pub thread_ids: Vec<u32>,
}

impl ServeReport {
    /// How often `event` happened.
    #[must_use]
    pub fn count(&self, event: Event) -> u64 {
        self.events[event as usize]
    }

    /// How often `syscall` was made.
    #[must_use]
    pub fn syscall(&self, syscall: Syscall) -> u64 {
        self.syscalls[syscall as usize]
    }

    /// Every event with its count.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Event::ALL.iter().map(|&event| (event.name(), self.count(event)))
    }

    /// Every system call that was made, with its count.
    pub fn syscalls(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Syscall::ALL.iter().map(|&syscall| (syscall.name(), self.syscall(syscall))).filter(|&(_, count)| count > 0)
    }

    fn add(&mut self, counters: &Counters) {
        for (sum, counter) in self.events.iter_mut().zip(&counters.events) {
            *sum += counter.load(Ordering::Relaxed);
        }
        for (sum, counter) in self.syscalls.iter_mut().zip(&counters.syscalls) {
            *sum += counter.load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_adds_up_running_and_ended_threads() {
        let stats = Arc::new(Stats::default());
        let first = stats.register();
        first.event(Event::Accepted);
        first.syscall(Syscall::Accept4);
        drop(first);
        let second = stats.register();
        second.events(Event::Accepted, 2);
        let report = stats.report();
        assert_eq!(report.count(Event::Accepted), 3);
        assert_eq!(report.syscalls().collect::<Vec<_>>(), [("accept4", 1)]);
    }
}
