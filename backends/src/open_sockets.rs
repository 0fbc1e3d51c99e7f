//! The sockets of connections that other threads serve with blocking calls, so that these can be told to end.

use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};
use slab::Slab;

use crate::stats::{Counters, Event, Syscall};

/// Every connection that is open, as something that has its socket.
pub(crate) struct OpenSockets<S> {
    sockets: Mutex<Slab<Arc<S>>>,
    /// Told when the last one is gone.
    empty: Condvar,
}

impl<S: AsFd> OpenSockets<S> {
    pub(crate) fn new() -> Self {
        Self { sockets: Mutex::new(Slab::new()), empty: Condvar::new() }
    }

    pub(crate) fn insert(&self, socket: Arc<S>) -> usize {
        self.lock().insert(socket)
    }

    pub(crate) fn remove(&self, key: usize) {
        let mut sockets = self.lock();
        let socket = sockets.remove(key);
        if sockets.is_empty() {
            self.empty.notify_all();
        }
        drop(sockets);
        // Closes it, for which nobody else has to wait.
        drop(socket);
    }

    /// Has every thread answer what its peer has sent and end; by force when `timeout` has passed.
    pub(crate) fn drain(&self, timeout: Duration, counters: &Counters) {
        self.shut_down_where(Shutdown::Read, counters, |_| true);
        self.wait_until_empty(timeout);
        let forced = self.shut_down_where(Shutdown::Both, counters, |_| true);
        counters.events(Event::Forced, forced);
    }

    pub(crate) fn wait_until_empty(&self, timeout: Duration) {
        let waited = self.empty.wait_timeout_while(self.lock(), timeout, |sockets| !sockets.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Wakes whoever waits for or in a call on one of those sockets; returns how many they are.
    pub(crate) fn shut_down_where(&self, how: Shutdown, counters: &Counters, which: impl Fn(&S) -> bool) -> u64 {
        let mut shut_down = 0;
        for (_, socket) in self.lock().iter().filter(|(_, socket)| which(socket)) {
            counters.syscall(Syscall::Shutdown);
            // Fails only where the peer has already gone; the next call of its thread says so.
            let _ = shutdown(socket, how);
            shut_down += 1;
        }
        shut_down
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<S>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
