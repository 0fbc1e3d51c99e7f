use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use super::*;
use crate::load::traffic::Traffic;
use crate::load::window::Window;
use crate::load::{Engine, LoadPlan, Pace};

const CONNECTIONS: usize = 64;
const PAUSE: Duration = Duration::from_millis(10);

/// With far fewer buffers than there are answers at once, over and over, and pauses in which there are none.
#[test]
fn without_free_buffers_every_answer_is_taken_and_pauses_are_slept_through() {
    if probe().is_err() {
        return;
    }
    let plan = LoadPlan {
        target: ([127, 0, 0, 1], 1).into(),
        connections: CONNECTIONS,
        payload_bytes: 64,
        depth: 1,
        pace: Pace::Closed,
        warmup: Duration::ZERO,
        duration: Duration::from_millis(300),
        threads: 1,
        cpus: Vec::new(),
        seed: 1,
        engine: Engine::IoUring,
        idle_connections: 0,
    };
    let traffic = Traffic::new(plan.payload_bytes, plan.depth);
    let share = Share::deal(&plan, Window::new(plan.warmup, plan.duration), &traffic).remove(0);
    let frame_bytes = share.frame_bytes();
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..CONNECTIONS).map(|_| UnixStream::pair().unwrap()).unzip();
    let server = thread::spawn(move || answer_all_at_once(theirs, frame_bytes));

    let sockets = ours.into_iter().map(OwnedFd::from).collect();
    let io = IoUring::with_shape(sockets, Shape { buffers: 2, buffer_bytes: 4096 }).unwrap();
    let mut run = Run::new(io, share, Clock::start());
    run.start().unwrap();
    run.turn_until_over(&End::new(1)).unwrap();

    let Run { io, share, starvations, .. } = run;
    let enters = io.ring.enters;
    drop(io);
    server.join().unwrap();
    let seen = share.finish(u64::MAX);
    let answers = seen.latency.len();
    assert_eq!((seen.errors, seen.mismatches, seen.censored), (0, 0, 0));
    assert!(answers >= CONNECTIONS as u64 && starvations >= answers / 4, "{answers} answers, {starvations} starved");
    // At most one for each answer and one for each batch of requests; ten for each answer if it did not sleep in pauses.
    assert!(enters < 3 * answers, "{enters} calls for {answers} answers");
}

/// Reads a request on each connection before it answers any.
fn answer_all_at_once(mut connections: Vec<UnixStream>, frame_bytes: usize) {
    let mut frames = vec![vec![0; frame_bytes]; connections.len()];
    loop {
        for (connection, frame) in connections.iter_mut().zip(&mut frames) {
            if connection.read_exact(frame).is_err() {
                return;
            }
        }
        thread::sleep(PAUSE);
        for (connection, frame) in connections.iter_mut().zip(&frames) {
            if connection.write_all(frame).is_err() {
                return;
            }
        }
    }
}
