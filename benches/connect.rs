//! Group `connect`: open, one exchange, close; one visit after the other, by a client of the harness that does nothing
//! else.
//!
//! Visits are bounded by number, as criterion wants them. What a server still does when its visitor has closed is in the
//! time of the next visit.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backends::Backend;
use criterion::{BenchmarkId, Criterion, SamplingMode};
use harness::load::{Visitor, Visits};

use crate::place::Place;
use crate::server::Server;

const PAYLOAD_BYTES: u32 = 64;

/// Nobody cancels.
static CANCEL: AtomicBool = AtomicBool::new(false);

/// Adds the group.
pub(crate) fn add_to(criterion: &mut Criterion, place: &Place) {
    let mut group = criterion.benchmark_group("connect");
    group.sampling_mode(SamplingMode::Flat);
    for &backend in &place.backends {
        let mut visited = None;
        group.bench_function(BenchmarkId::new(backend.info().name, "64B"), |bencher| {
            let visited = visited.get_or_insert_with(|| Visited::start(place, backend));
            bencher.iter_custom(|visits| visited.time_of(visits));
        });
        if let Some(Visited { server, .. }) = visited {
            server.stop();
        }
    }
    group.finish();
}

/// A server and who visits it.
struct Visited<'a> {
    server: Server<'a>,
    visitor: Visitor,
}

impl<'a> Visited<'a> {
    fn start(place: &'a Place, backend: &dyn Backend) -> Self {
        let mut server = Server::start(backend, place);
        match Visitor::new(server.address(), PAYLOAD_BYTES, &CANCEL) {
            Ok(visitor) => Self { server, visitor },
            Err(error) => server.give_up(error),
        }
    }

    /// How long so many visits take.
    fn time_of(&mut self, visits: u64) -> Duration {
        let made = self.visitor.visit(visits, &CANCEL);
        match made.map_err(|error| error.to_string()).and_then(sound) {
            Ok(visits) => visits.elapsed,
            Err(reason) => self.server.give_up(reason),
        }
    }
}

/// The visits, unless something was wrong with one: then another thing was measured.
fn sound(visits: Visits) -> Result<Visits, String> {
    let Visits { errors, first_error, mismatches, .. } = &visits;
    match (errors, mismatches) {
        (0, 0) => Ok(visits),
        (0, mismatches) => Err(format!("{mismatches} answers differed from what was sent")),
        (errors, _) => Err(format!("{errors} visits failed: {}", first_error.as_deref().unwrap_or_default())),
    }
}
