//! Group `payload`: what becomes of throughput as requests grow.

use criterion::{Criterion, SamplingMode, Throughput};

use crate::loaded::{self, Cell};
use crate::place::Place;

/// Enough for both sides to have something to do at any time.
const CONNECTIONS: usize = 4;

const PAYLOADS: [(&str, u32); 4] = [("64B", 64), ("4KiB", 4 << 10), ("64KiB", 64 << 10), ("1MiB", 1 << 20)];

/// Adds the group. Its bytes are those of the payload, counted once though they go both ways.
pub(crate) fn add_to(criterion: &mut Criterion, place: &Place) {
    let mut group = criterion.benchmark_group("payload");
    group.sampling_mode(SamplingMode::Flat);
    for (name, payload_bytes) in PAYLOADS {
        group.throughput(Throughput::Bytes(payload_bytes.into()));
        let cell = Cell { connections: CONNECTIONS, depth: 1, payload_bytes };
        for &backend in &place.backends {
            loaded::add(&mut group, place, backend, name, cell);
        }
    }
    group.finish();
}
