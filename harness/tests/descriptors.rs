//! What is left of a load when it is over. The only test of its process, for it counts what the process has open.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use harness::load::{Engine, LoadPlan, Pace, run};

/// Enough that the kernel does not cancel the receives on all of them in a few turns.
const CONNECTIONS: usize = 500;

#[test]
fn a_load_over_many_connections_leaves_nothing_open() {
    for engine in [Engine::Epoll, Engine::IoUring] {
        if engine.granted(64).is_err() {
            continue;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let before = open_descriptors();
        for _ in 0..2 {
            let server = thread::spawn({
                let listener = listener.try_clone().unwrap();
                move || serve(&listener)
            });
            let plan = LoadPlan {
                target,
                connections: CONNECTIONS,
                payload_bytes: 64,
                depth: 1,
                pace: Pace::Closed,
                warmup: Duration::ZERO,
                duration: Duration::from_millis(200),
                threads: 1,
                cpus: Vec::new(),
                seed: 1,
                engine,
                idle_connections: 0,
            };
            let outcome = run(&plan, &mut (), &AtomicBool::new(false)).unwrap();
            assert_eq!((outcome.errors, outcome.first_error.clone()), (0, None), "{engine:?}");
            drop(outcome);
            // A socket that something in the kernel still holds shows no descriptor; but its peer sees no end.
            assert_eq!(server.join().unwrap(), CONNECTIONS, "{engine:?}: connections that ended");
        }
        assert_eq!(open_descriptors(), before, "{engine:?}");
    }
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Echoes on each connection, and counts those that come to their end.
fn serve(listener: &TcpListener) -> usize {
    let connections = (0..CONNECTIONS).map(|_| {
        let mut stream = listener.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        // Far longer than a run takes.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return true,
                    Ok(bytes) if stream.write_all(&buffer[..bytes]).is_ok() => {}
                    // Reset, with an answer that nobody read.
                    Ok(_) => return true,
                    Err(error) => return error.kind() != ErrorKind::WouldBlock,
                }
            }
        })
    });
    let connections: Vec<_> = connections.collect();
    connections.into_iter().map(|connection| usize::from(connection.join().unwrap())).sum()
}
