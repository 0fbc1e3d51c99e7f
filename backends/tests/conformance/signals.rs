//! Signals that interrupt whatever call a server is in: no byte is lost, and no connection.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use backends::{Event, Isolation, Limits};

use crate::client::{Client, frame};
use crate::server::{Server, Setup};
use crate::sizes::SIZES;
use crate::wait::DEADLINE;
use crate::{Subject, process, wait};

/// So little that most sends of long answers are short, or wait.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// A long answer.
const ANSWER_BYTES: usize = 500_000;

pub(crate) fn signals_cost_no_byte(backend: Subject) {
    let Interrupted { server, clients, threads } = Interrupted::start(backend);
    let (done, earlier) = (AtomicBool::new(false), process::interruptions());
    thread::scope(|scope| {
        for (client, seed) in clients.iter().zip(0..) {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    client.stream(&frame(seed, ANSWER_BYTES));
                    client.exchange(&frame(seed + 1, 100));
                }
            });
        }
        let _done = wait::SetOnDrop(&done);
        // New connections are let in, too.
        for seed in 0..20 {
            interrupt_all(&threads);
            let client = Client::connect(&server);
            client.exchange(&frame(seed, 100));
            client.finish_sending();
            client.expect_eof();
        }
        wait::until_within(3 * DEADLINE, "all signals are handled", || {
            (0..20).for_each(|_| interrupt_all(&threads));
            process::interruptions() - earlier >= SIZES.signals
        });
    });
    for client in &clients {
        client.exchange(&frame(1, 1000));
    }
    server.wait_for(Event::Closed, 20);
    let report = server.stop();
    assert_eq!(report.count(Event::ConnectionErrors), 0);
    assert_eq!(report.count(Event::AcceptPaused), 0);
    assert_eq!(report.count(Event::BytesSent), report.count(Event::BytesReceived));
}

pub(crate) fn stops_amid_signals(backend: Subject) {
    let Interrupted { server, clients, threads } = Interrupted::start(backend);
    let message = frame(1, ANSWER_BYTES);
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) {
                interrupt_all(&threads);
            }
        });
        let _stopped = wait::SetOnDrop(&stopped);
        for client in &clients {
            client.send(&message);
        }
        server.wait_for(Event::BytesReceived, (clients.len() * (104 + message.len())) as u64);
        server.request_stop();
        for client in &clients {
            client.expect(&message);
            client.expect_eof();
        }
        assert_eq!(server.stop().count(Event::Forced), 0);
    });
}

/// A server whose threads are known and can be interrupted, and its clients.
struct Interrupted {
    server: Server,
    clients: Vec<Client>,
    threads: BTreeSet<i32>,
}

impl Interrupted {
    fn start(backend: Subject) -> Self {
        process::handle_interruptions();
        let others = process::threads();
        let limits = Limits { drain_timeout: DEADLINE, ..Limits::default() };
        let setup = Setup { send_buffer_bytes: Some(SEND_BUFFER_BYTES), threads: 2, ..Setup::limited(limits) };
        let server = Server::start(backend, setup);
        // No more than can wait for room at once, whichever thread gets them, where each that waits takes a place.
        let most = match backend.info().isolation {
            Isolation::Full => 6,
            Isolation::Places(places) => places.min(6),
        };
        let clients: Vec<Client> = (0..most).map(|_| Client::connect(&server)).collect();
        // After an answer the thread of a connection, too, is known to run.
        for client in &clients {
            client.exchange(&frame(1, 100));
        }
        let threads = process::threads().difference(&others).copied().collect();
        Self { server, clients, threads }
    }
}

fn interrupt_all(threads: &BTreeSet<i32>) {
    for thread in threads {
        process::interrupt(*thread);
    }
}
