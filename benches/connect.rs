//! Group `connect`: open, one exchange, close; one visit after the other, by a client of the harness that does nothing
//! else.
//!
//! Visits are bounded by number, as criterion wants them. What a server still does when its visitor has closed is in the
//! time of the next visit.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

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
            let (_, visitor) = visited.get_or_insert_with(|| {
                let server = Server::start(backend, place);
                let visitor = Visitor::new(server.address(), PAYLOAD_BYTES, &CANCEL);
                (server, visitor.unwrap_or_else(|error| panic!("nobody can be visited: {error}")))
            });
            bencher.iter_custom(|visits| time_of(visitor, visits));
        });
        if let Some((server, _)) = visited {
            server.stop();
        }
    }
    group.finish();
}

/// How long so many visits take.
fn time_of(visitor: &mut Visitor, visits: u64) -> Duration {
    let made = visitor.visit(visits, &CANCEL).unwrap_or_else(|error| panic!("visits ended: {error}"));
    let Visits { errors, first_error, mismatches, elapsed, .. } = made;
    assert!(errors == 0, "{errors} visits failed: {}", first_error.unwrap_or_default());
    assert!(mismatches == 0, "{mismatches} answers differed from what was sent");
    elapsed
}
