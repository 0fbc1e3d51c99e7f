//! More at once than a server's queues and buffers hold: it takes its time, and loses nothing.
//!
//! The peers have a descriptor table of their own, so that both they and the server can be as many as the limit allows.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::panic;
use std::sync::mpsc;
use std::thread;

use backends::{Event, Limits};

use crate::client::{Client, frame};
use crate::crowds::raise_descriptor_limit;
use crate::server::{Server, Setup};
use crate::sizes::SIZES;
use crate::wait::DEADLINE;
use crate::{Subject, process};

/// Peers that have connected and sent before the server begins to accept: fewer than the shortest usual backlog takes,
/// and more than a ring has buffers.
const EARLY: usize = 1500;

/// Completions beyond those that the queue of a ring takes.
const TOO_MANY: u64 = 300;

pub(crate) fn a_burst_that_came_before_the_server_is_answered(backend: Subject) {
    raise_descriptor_limit();
    let setup = Setup::default();
    let listeners = setup.bind();
    let address = listeners.local_addr().expect("a bound listener has an address");
    let message = |seed| [frame(seed, 1000), frame(seed + 1, 3000)].concat();
    let server = thread::scope(|scope| {
        let (send_early, early_sent) = mpsc::channel();
        let apart = scope.spawn(move || {
            process::own_descriptor_table();
            let mut clients = Vec::new();
            for seed in 0..SIZES.bursting {
                let client = connect(address);
                client.send(&message(seed as u64));
                clients.push(client);
                if clients.len() == EARLY {
                    send_early.send(()).expect("the test waits");
                }
            }
            for round in 0..2 {
                for (client, seed) in clients.iter().zip(0..) {
                    client.expect(&message(seed));
                    if round == 0 {
                        // The next burst, before the others have read the first.
                        client.send(&message(seed));
                    }
                }
            }
            clients.into_iter().for_each(Client::reset);
        });
        let sent = early_sent.recv_timeout(DEADLINE);
        let server = sent.is_ok().then(|| Server::start_on(listeners, backend, setup));
        apart.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked));
        server.expect("peers connect before the server accepts")
    });
    server.wait_for(Event::Closed, SIZES.bursting as u64);
    let exhausted = server.count(Event::BuffersExhausted);
    let shared_buffers = server.granted("buffers").filter(|buffers| *buffers > 0);
    // Where every connection has memory of its own, there is nothing to run out of.
    assert!(shared_buffers.is_some() || exhausted == 0, "{exhausted} found no buffer, where none are shared");
    if let Some(buffers) = shared_buffers {
        assert!(buffers < EARLY as u64, "the burst fits into {buffers} buffers");
        assert!(exhausted >= EARLY as u64 - buffers, "{EARLY} peers found {buffers} buffers, {exhausted} found none");
    }
    server.stop();
}

pub(crate) fn a_crowd_is_answered_and_drained_at_once(backend: Subject) {
    raise_descriptor_limit();
    process::handle_interruptions();
    let others = process::threads();
    // With nothing to wait for but the kernel.
    let limits = Limits { drain_timeout: DEADLINE, ..Limits::default() };
    let server = Server::start(backend, Setup::limited(limits));
    let threads: BTreeSet<i32> = process::threads().difference(&others).copied().collect();
    // Each of them is a completion when it sends, and one or two of what was armed when it ends.
    let crowd = server.granted("cq_entries").map_or(300, |entries| entries + TOO_MANY);
    let address = server.address;
    let report = thread::scope(|scope| {
        let (send_ready, ready) = mpsc::channel();
        let apart = scope.spawn(move || {
            process::own_descriptor_table();
            let clients: Vec<Client> = (0..crowd).map(|_| connect(address)).collect();
            // Once, so that the server waits for all of them; and then all at once.
            for client in &clients {
                client.exchange(&frame(0, 100));
            }
            process::while_held(&threads, || {
                for (client, seed) in clients.iter().zip(0..) {
                    client.send(&frame(seed, 100));
                }
            });
            for (client, seed) in clients.iter().zip(0..) {
                client.expect(&frame(seed, 100));
            }
            send_ready.send(()).expect("the test waits");
            clients.iter().for_each(Client::expect_eof);
            clients.into_iter().for_each(Client::reset);
        });
        let report = ready.recv().ok().map(|()| server.stop());
        apart.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked));
        report.expect("everybody was answered")
    });
    assert_eq!(report.count(Event::Accepted), crowd);
    assert_eq!(report.count(Event::Forced), 0);
    assert_eq!(report.count(Event::ConnectionErrors), 0);
}

pub(crate) fn stops_in_mid_burst(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let message = frame(1, 3000);
    let clients: Vec<Client> = (0..100).map(|_| Client::connect(&server)).collect();
    for _ in 0..3 {
        for client in &clients {
            client.send(&message);
        }
    }
    server.request_stop();
    for client in &clients {
        is_prefix_then_end(&client.stream, &message.repeat(3), message.len());
    }
    assert_eq!(server.stop().count(Event::Violations), 0);
}

/// Reads to the end, by which answers have come, whole ones, as many as there are.
fn is_prefix_then_end(mut stream: &TcpStream, answers: &[u8], answer_bytes: usize) {
    let mut received = Vec::new();
    // A reset is an end, too: of a connection that was closed while more came in.
    let _ = stream.read_to_end(&mut received);
    assert!(answers.starts_with(&received), "{} bytes came back changed", received.len());
    assert_eq!(received.len() % answer_bytes, 0, "an answer was cut off");
}

fn connect(address: SocketAddr) -> Client {
    Client::over(TcpStream::connect(address).expect("the server listens"))
}
