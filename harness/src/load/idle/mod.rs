//! Connections on which nothing is ever sent: what a server with many clients has most of.
//!
//! Their descriptors are kept from the tables of all other threads, so that the limit on open files bounds each of the
//! threads that hold them by itself, and a call of the engine costs what it costs without them. They are closed with a
//! reset, for a hundred thousand ports in `TIME_WAIT` would keep others from listening for a minute.

mod holder;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use self::holder::{Holder, Opened};
use super::Observer;
use super::error::LoadError;
use super::source::Sources;
use crate::descriptors;

/// How long a request to cancel may go unseen.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Idle connections. Dropping it closes them.
#[derive(Debug)]
pub(super) struct Idle {
    holders: Vec<Holder>,
}

impl Idle {
    /// Opens `count` connections to `target`.
    pub(super) fn open(
        target: SocketAddr,
        count: usize,
        observer: &mut dyn Observer,
        cancel: &AtomicBool,
    ) -> Result<Self, LoadError> {
        let mut idle = Self { holders: Vec::new() };
        if count == 0 {
            return Ok(idle);
        }
        let kernel = |what| move |cause| LoadError::Kernel { what, cause };
        let limit = descriptors::raise_limit();
        let most_each = usize::try_from(limit.saturating_sub(descriptors::needed(0))).unwrap_or(usize::MAX).max(1);
        let sources = Sources::of(target)?;
        observer.idle_connections(0, count).map_err(LoadError::Idle)?;
        let begun = Instant::now();
        let mut open = 0;
        while open < count {
            let share = most_each.min(count - open);
            let (opened, reports) = mpsc::channel();
            let holder = Holder::start(target, sources, open..open + share, opened);
            idle.holders.push(holder.map_err(kernel("start a thread"))?);
            loop {
                if cancel.load(Ordering::Relaxed) {
                    return Err(LoadError::Cancelled);
                }
                match reports.recv_timeout(LONGEST_WAIT) {
                    Ok(Opened::Some(some)) => observer.idle_connections(open + some, count).map_err(LoadError::Idle)?,
                    Ok(Opened::All(outcome)) => break outcome.map_err(|error| of_all(error, open, count, begun))?,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => unreachable!("a holder says how it ends, or panics"),
                }
            }
            open += share;
        }
        observer.idle_connections(count, count).map_err(LoadError::Idle)?;
        Ok(idle)
    }

    /// Those that are not open any more, or on which something has come.
    pub(super) fn lost(&mut self) -> u64 {
        self.holders.iter_mut().map(Holder::lost).sum()
    }
}

/// What one holder says of its share, said of all connections: `before` were opened by others.
fn of_all(error: LoadError, before: usize, count: usize, begun: Instant) -> LoadError {
    match error {
        LoadError::ConnectTimeout { target, connected, .. } => {
            LoadError::ConnectTimeout { target, connected: before + connected, count, after: begun.elapsed() }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::load::connect::TIMEOUT;

    /// Fits into the queue of a listener.
    const COUNT: usize = 100;

    #[derive(Default)]
    struct Seen(Vec<usize>);

    impl Observer for Seen {
        fn idle_connections(&mut self, open: usize, all: usize) -> Result<(), String> {
            assert_eq!(all, COUNT);
            self.0.push(open);
            Ok(())
        }
    }

    #[test]
    fn idle_connections_come_from_other_addresses_and_are_open_until_they_are_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut seen = Seen::default();
        let mut idle = Idle::open(listener.local_addr().unwrap(), COUNT, &mut seen, &AtomicBool::new(false)).unwrap();
        // Told of the beginning once, before the first is opened.
        assert_eq!(seen.0, [0, COUNT]);
        let accepted: Vec<_> = (0..COUNT).map(|_| listener.accept().unwrap()).collect();
        assert!(accepted.iter().all(|(_, peer)| peer.ip() != listener.local_addr().unwrap().ip()));
        assert_eq!(idle.lost(), 0);
        drop(idle);
        for (mut stream, _) in accepted {
            let reset = std::io::Read::read(&mut stream, &mut [0]).unwrap_err();
            assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }

    #[test]
    fn those_that_the_server_closed_or_wrote_to_are_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut idle = Idle::open(listener.local_addr().unwrap(), 5, &mut (), &AtomicBool::new(false)).unwrap();
        let mut accepted: Vec<_> = (0..5).map(|_| listener.accept().unwrap().0).collect();
        accepted.pop();
        std::io::Write::write_all(&mut accepted[0], b"?").unwrap();
        assert_eq!(idle.lost(), 2);
    }

    #[test]
    fn a_server_that_accepts_nobody_does_not_keep_a_run_from_being_cancelled() {
        struct Cancels<'a>(&'a AtomicBool);
        impl Observer for Cancels<'_> {
            fn idle_connections(&mut self, _: usize, _: usize) -> Result<(), String> {
                self.0.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        let cancel = AtomicBool::new(false);
        let begun = Instant::now();
        let target = listener.local_addr().unwrap();
        let cancelled = Idle::open(target, COUNT, &mut Cancels(&cancel), &cancel).unwrap_err();
        assert!(matches!(cancelled, LoadError::Cancelled), "{cancelled}");
        // It took as long as opening may take, when only reports were looked at.
        assert!(begun.elapsed() < TIMEOUT / 2, "{:?}", begun.elapsed());
    }

    #[test]
    fn what_one_thread_could_not_open_is_said_of_all() {
        let target = "127.0.0.1:7".parse().unwrap();
        let of_one = LoadError::ConnectTimeout { target, connected: 30, count: 100, after: Duration::ZERO };
        let said = of_all(of_one, 400, 1000, Instant::now()).to_string();
        assert!(said.starts_with("only 430 of 1000 connections to 127.0.0.1:7 were accepted in 0 s"), "{said}");
        let other = of_all(LoadError::Cancelled, 400, 1000, Instant::now());
        assert!(matches!(other, LoadError::Cancelled), "{other}");
    }

    #[test]
    fn an_observer_can_end_it() {
        struct Refuses;
        impl Observer for Refuses {
            fn idle_connections(&mut self, open: usize, all: usize) -> Result<(), String> {
                if open == all { Err("no".to_owned()) } else { Ok(()) }
            }
        }
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let refused = Idle::open(listener.local_addr().unwrap(), 5, &mut Refuses, &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(refused, LoadError::Idle(_)), "{refused}");
    }
}
