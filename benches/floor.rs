//! Group `floor`: what the kernel charges for what no server can do without, as `harness floor` measures it.
//!
//! The figures are CPU time, but for a wake-up, and the mean of a slice: criterion asks how long so many calls take, and is
//! told how many times one of them that is.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};
use harness::floor::{BATCH_OF_NOPS, Charge, FloorError, Meter};

use crate::place::Place;

/// Nothing shorter is worth opening sockets for, and nothing longer makes a mean better than ten of these do.
const SHORTEST_SLICE: Duration = Duration::from_millis(1);
const LONGEST_SLICE: Duration = Duration::from_millis(90);
/// How often the other CPU may be too busy.
const TRIES: usize = 100;

const PAYLOADS: [(&str, u32); 3] = [("64B", 64), ("16KiB", 16 << 10), ("64KiB", 64 << 10)];

/// Adds the group.
pub(crate) fn add_to(criterion: &mut Criterion, place: &Place) {
    // The meter keeps this thread to the server's CPU; from here it gets all of them back.
    let _kept = place.kept_to_the_client();
    let mut meter = Meter::open(&place.server_cpus, &place.client_cpus).expect("what the floor is measured with opens");
    let mut group = criterion.benchmark_group("floor");
    group.sampling_mode(SamplingMode::Flat);
    let calls = [
        ("system_call", String::new(), Charge::SystemCall),
        ("epoll_wait_ready", String::new(), Charge::EpollWaitReady),
        ("io_uring_nop", "1".to_owned(), Charge::IoUringNop),
        ("io_uring_nop", BATCH_OF_NOPS.to_string(), Charge::IoUringNopInBatch),
        ("eventfd_write_read", String::new(), Charge::EventfdWriteRead),
        ("context_switch", String::new(), Charge::ContextSwitch),
        ("cross_cpu_wake_up", String::new(), Charge::CrossCpuWakeUp),
    ];
    let echoes = PAYLOADS.into_iter().flat_map(|(name, payload_bytes)| {
        [
            ("echo_one_cpu", name.to_owned(), Charge::EchoOnOneCpu { payload_bytes }),
            ("echo_two_cpus", name.to_owned(), Charge::EchoOnTwoCpus { payload_bytes }),
        ]
    });
    for (name, parameter, charge) in calls.into_iter().chain(echoes) {
        if let Some(why) = meter.missing(charge) {
            eprintln!("floor/{name}/{parameter} is left out: {why}");
            continue;
        }
        let id =
            if parameter.is_empty() { BenchmarkId::from_parameter(name) } else { BenchmarkId::new(name, parameter) };
        let mut expected = Duration::ZERO;
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|calls| {
                let slice = expected.mul_f64(calls as f64).clamp(SHORTEST_SLICE, LONGEST_SLICE);
                let ns = measure(&mut meter, charge, slice);
                expected = Duration::from_secs_f64((ns / 1e9).max(0.0));
                Duration::from_secs_f64((ns * calls as f64 / 1e9).max(0.0))
            });
        });
    }
    group.finish();
}

/// Nanoseconds of one call.
fn measure(meter: &mut Meter, charge: Charge, slice: Duration) -> f64 {
    let tries = (0..TRIES).map(|_| meter.measure(charge, slice));
    let mut worth = tries.skip_while(|round| matches!(round, Err(FloorError::Drowned)));
    let round = worth.next().unwrap_or(Err(FloorError::Drowned));
    round.unwrap_or_else(|error| panic!("{charge:?}: {error}")).ns
}
