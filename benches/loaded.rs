//! One backend under the load of the harness, as a bench: what one request takes, of the time that passes.
//!
//! Criterion asks how long so many requests take; the generator is bounded by time. So a window is opened that is as long
//! as these requests are expected to take, and the time that they took follows from how many were answered. A bound by
//! number would have to be shared by the threads of the generator and be looked at for every request, and its last
//! requests would find the connections of the others silent already; this way the load is that of a sweep to the letter.
//! What a window begins or ends in the middle of is an error of at most the requests in flight in those of the window.
//!
//! Opening connections and warming up is not in the window. The connections are closed by a reset: neither side keeps a
//! port in `TIME_WAIT`, and none stays with the server, which is to serve those of the next window only.

use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backends::Backend;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};
use harness::load::{self, Engine, LoadOutcome, LoadPlan, Pace};
use rustix::net::sockopt::set_socket_linger;

use crate::place::Place;
use crate::server::Server;

/// In shorter ones, too little happens to go by.
const SHORTEST_WINDOW: Duration = Duration::from_millis(10);
/// Who leaves requests of such a window without an answer does so for good, and is not only kept from its CPU.
const LONGEST_IN_VAIN: Duration = Duration::from_secs(10);
/// For the kernel to find the sizes of its buffers.
const WARMUP: Duration = Duration::from_millis(10);

/// A closed loop.
#[derive(Clone, Copy)]
pub(crate) struct Cell {
    /// Connections open at once.
    pub(crate) connections: usize,
    /// Requests in flight on each.
    pub(crate) depth: usize,
    /// Payload of each request.
    pub(crate) payload_bytes: u32,
}

/// Adds one bench to `group`. A server runs only while it does.
pub(crate) fn add(
    group: &mut BenchmarkGroup<'_, WallTime>,
    place: &Place,
    backend: &dyn Backend,
    parameter: &str,
    cell: Cell,
) {
    let mut loaded = None;
    group.bench_function(BenchmarkId::new(backend.info().name, parameter), |bencher| {
        let loaded = loaded.get_or_insert_with(|| Loaded::start(place, backend, cell));
        bencher.iter_custom(|requests| loaded.time_of(requests));
    });
    if let Some(Loaded { server, .. }) = loaded {
        server.stop();
    }
}

/// A server and what is known of its speed.
struct Loaded<'a> {
    server: Server<'a>,
    place: &'a Place,
    cell: Cell,
    /// What a request took last.
    expected: Duration,
}

impl<'a> Loaded<'a> {
    fn start(place: &'a Place, backend: &dyn Backend, cell: Cell) -> Self {
        Self { server: Server::start(backend, place), place, cell, expected: Duration::ZERO }
    }

    /// How long so many requests take.
    fn time_of(&mut self, requests: u64) -> Duration {
        let mut window = self.expected.mul_f64(requests as f64).max(SHORTEST_WINDOW);
        loop {
            if let Some(answered) = self.answered_in(window) {
                self.expected = window.div_f64(answered as f64);
                return window.mul_f64(requests as f64 / answered as f64);
            }
            if window >= LONGEST_IN_VAIN {
                self.server
                    .give_up(format_args!("requests were not answered, in a window of {window:?} or long after it"));
            }
            window *= 10;
        }
    }

    /// Requests sent in a window of that length, where there were any, and all of them were answered.
    fn answered_in(&mut self, window: Duration) -> Option<u64> {
        let Cell { connections, depth, payload_bytes } = self.cell;
        let plan = LoadPlan {
            target: self.server.address(),
            connections,
            payload_bytes,
            depth,
            pace: Pace::Closed,
            warmup: WARMUP,
            duration: window,
            threads: self.place.client_cpus.len().min(connections),
            cpus: self.place.client_cpus.iter().collect(),
            seed: 0,
            engine: Engine::Auto,
            idle_connections: 0,
        };
        let outcome = load::run(&plan, &mut (), &AtomicBool::new(false));
        match outcome.map_err(|error| error.to_string()).and_then(sound) {
            Ok(outcome) => {
                outcome.connections.iter().for_each(forget_when_closed);
                (outcome.requests > 0 && outcome.unanswered == 0).then_some(outcome.requests)
            }
            Err(reason) => self.server.give_up(reason),
        }
    }
}

/// The outcome, unless something was wrong: then another thing was measured.
fn sound(outcome: LoadOutcome) -> Result<LoadOutcome, String> {
    let LoadOutcome { errors, first_error, mismatches, .. } = &outcome;
    match (errors, mismatches) {
        (0, 0) => Ok(outcome),
        (0, mismatches) => Err(format!("{mismatches} answers differed from what was sent")),
        (errors, _) => Err(format!("{errors} connections failed: {}", first_error.as_deref().unwrap_or_default())),
    }
}

/// Lets a connection be closed so that neither side remembers it.
fn forget_when_closed(connection: &OwnedFd) {
    set_socket_linger(connection, Some(Duration::ZERO)).expect("a socket takes options");
}
