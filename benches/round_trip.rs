//! One connection, one request in flight: the time from sending 64 bytes to having them back, by backend.
//!
//! Server and client run on threads of one process and are not pinned, so this shows what a round trip costs with
//! wake-ups and all. `harness sweep` is the measurement to decide by.

use std::io::{Read, Write};
use std::net::TcpStream;

use backends::BACKENDS;
use benches::serving;
use criterion::{Criterion, criterion_group, criterion_main};

const PAYLOAD_BYTES: usize = 64;

fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("round_trip");
    for &backend in BACKENDS {
        let name = backend.info().name;
        if let Err(unavailable) = backend.probe() {
            eprintln!("round_trip/{name}: unavailable here: {unavailable}");
            continue;
        }
        serving(backend, |server| {
            let mut stream = TcpStream::connect(server).expect("the server listens");
            stream.set_nodelay(true).expect("a TCP socket");
            let request = frame();
            let mut answer = request.clone();
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    stream.write_all(&request).expect("the server takes requests");
                    stream.read_exact(&mut answer).expect("the server answers");
                });
            });
            assert_eq!(answer, request, "{name} changed what it was sent");
        });
    }
    group.finish();
}

/// A frame whose payload is not all alike.
fn frame() -> Vec<u8> {
    let mut frame = u32::try_from(PAYLOAD_BYTES).expect("a short frame").to_be_bytes().to_vec();
    frame.extend((0..PAYLOAD_BYTES).map(|at| at.to_le_bytes()[0]));
    frame
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
