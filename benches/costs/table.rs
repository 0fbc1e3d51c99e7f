//! The costs: what is done, and how often for a count that is worth its name.

use std::hint::black_box;
use std::time::{Duration, Instant};

use backends::rehearsal::Framing;
use harness::load::rehearsal::{Recording, Stage};
use harness::load::{Arrivals, Pace};
use harness::results::Record;

const PAYLOAD_BYTES: u32 = 64;
const PIPELINED: u32 = 16;
const CONNECTIONS: usize = 64;

/// A recorded trial of an open loop, whose latencies are as varied as latencies are.
const TRIAL: &str = include_str!("trial.json");

/// A step of ours that is done over and over.
pub(crate) struct Cost {
    /// Within the group.
    pub(crate) name: &'static str,
    /// What it is the cost of.
    pub(crate) of: &'static str,
    /// So often, and twice as often, it is done to count its instructions.
    pub(crate) times: u64,
    /// Does it that many times, and says how long that took: without what had to be there before.
    pub(crate) run: fn(u64) -> Duration,
}

/// All of them, in the order in which a request and then its trial meet them.
pub(crate) const COSTS: &[Cost] = &[
    Cost { name: "frame", of: "message", times: 16_000, run: frame },
    Cost { name: "frame_of_16", of: "message", times: 16_000, run: frame_of_16 },
    Cost { name: "turn_closed", of: "request", times: 16_000, run: turn_closed },
    Cost { name: "turn_open", of: "request", times: 16_000, run: turn_open },
    Cost { name: "record", of: "latency", times: 16_000, run: record },
    Cost { name: "record_open", of: "latency", times: 16_000, run: record_open },
    Cost { name: "serialise", of: "trial", times: 10, run: serialise },
];

/// Does `step` that many times.
pub(crate) fn timed(times: u64, mut step: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        step();
    }
    start.elapsed()
}

/// A receive that brought one message: it is found, its reply gathered and counted.
pub(crate) fn frame(messages: u64) -> Duration {
    let mut framing = Framing::new(1, PAYLOAD_BYTES);
    timed(messages, || _ = black_box(black_box(&mut framing).answer()))
}

/// A receive that brought sixteen, for each of them.
fn frame_of_16(messages: u64) -> Duration {
    let mut framing = Framing::new(PIPELINED as usize, PAYLOAD_BYTES);
    let receives = messages.div_ceil(PIPELINED.into());
    let elapsed = timed(receives, || _ = black_box(black_box(&mut framing).answer()));
    // Whoever asked for fewer than a receive brings is told what so many take.
    elapsed.mul_f64(messages as f64 / (receives * u64::from(PIPELINED)) as f64)
}

/// A turn of the generator for each request, one in flight on each connection.
fn turn_closed(requests: u64) -> Duration {
    turn(requests, Pace::Closed)
}

/// The same where requests are due at set times: the agenda comes on top, and what is recorded of lateness.
fn turn_open(requests: u64) -> Duration {
    turn(requests, Pace::Open { rate_rps: 1e6, arrivals: Arrivals::Constant })
}

fn turn(requests: u64, pace: Pace) -> Duration {
    let stage = Stage::new(CONNECTIONS, PAYLOAD_BYTES, pace);
    let mut rehearsal = stage.rehearse();
    let elapsed = timed(requests, || black_box(&mut rehearsal).turn());
    assert_eq!(rehearsal.finish(), (requests, 0), "every request is answered and recorded");
    elapsed
}

/// All that is written down of a request in a closed loop.
fn record(latencies: u64) -> Duration {
    recorded(latencies, false)
}

/// The same in an open loop, where there are three histograms.
fn record_open(latencies: u64) -> Duration {
    recorded(latencies, true)
}

fn recorded(latencies: u64, open_loop: bool) -> Duration {
    let mut recording = Recording::new(open_loop);
    // From 5 µs to 2 ms, most of them short, in no order that a processor could learn.
    let varied: Vec<u64> = (0..1024_u64).map(|n| n * 389 % 1024).map(|n| 5_000 + n * n * n / 500).collect();
    let mut varied = varied.iter().cycle();
    let elapsed = timed(latencies, || recording.request(*black_box(varied.next().expect("an endless row"))));
    assert_eq!(recording.recorded(), latencies);
    elapsed
}

/// A trial that ended, to its line in a results file.
fn serialise(trials: u64) -> Duration {
    let trial = recorded_trial();
    timed(trials, || _ = black_box(serde_json::to_vec(black_box(&trial)).expect("it was written before")))
}

fn recorded_trial() -> Record {
    serde_json::from_str(TRIAL).expect("a recorded trial is read by every later version")
}
