//! Group `throughput`: as many requests as go through, over connections × depth.

use criterion::{Criterion, SamplingMode, Throughput};

use crate::loaded::{self, Cell};
use crate::place::Place;

const PAYLOAD_BYTES: u32 = 64;

/// Connections and depth: many requests on one connection, one on each of many, many on each of many.
const SHAPES: [(usize, usize); 3] = [(1, 16), (64, 1), (64, 16)];

/// Adds the group. Requests are its elements; its bytes are those of the payload, counted once.
pub(crate) fn add_to(criterion: &mut Criterion, place: &Place) {
    let mut group = criterion.benchmark_group("throughput");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: PAYLOAD_BYTES.into() });
    for (connections, depth) in SHAPES {
        let cell = Cell { connections, depth, payload_bytes: PAYLOAD_BYTES };
        for &backend in &place.backends {
            loaded::add(&mut group, place, backend, &format!("{connections}x{depth}"), cell);
        }
    }
    group.finish();
}
