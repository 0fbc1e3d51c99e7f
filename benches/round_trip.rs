//! Group `round_trip`: one connection, one request in flight.
//!
//! Most of it is the waking of a CPU that has nothing else to do, twice.

use criterion::{Criterion, SamplingMode};

use crate::loaded::{self, Cell};
use crate::place::Place;

const CELL: Cell = Cell { connections: 1, depth: 1, payload_bytes: 64 };

/// Adds the group.
pub(crate) fn add_to(criterion: &mut Criterion, place: &Place) {
    let mut group = criterion.benchmark_group("round_trip");
    group.sampling_mode(SamplingMode::Flat);
    for &backend in &place.backends {
        loaded::add(&mut group, place, backend, "64B", CELL);
    }
    group.finish();
}
