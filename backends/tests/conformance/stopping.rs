//! A stop ends the server within a bound, whatever its peers do, and takes no answer from those who asked before.
//!
//! That `serve` returns is checked by [`Server::stop`] itself.

use std::fs;
use std::io::ErrorKind;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use backends::{Event, Limits};

use crate::backpressure::{long_frame, offer};
use crate::client::{Client, frame};
use crate::queues::Queues;
use crate::report::sends_zero_copy;
use crate::server::{PROTOCOLS, Server, Setup};
use crate::{Subject, wait};

/// Longer than any stop may take that has nothing to wait for, and than any client waits.
const LONG: Duration = Duration::from_mins(2);

pub(crate) fn patient() -> Setup {
    Setup::limited(Limits { drain_timeout: LONG, ..Limits::default() })
}

pub(crate) fn stops_without_connections(backend: Subject) {
    let server = Server::start(backend, patient().apart(backend, 1));
    let address = server.address;
    stops_at_once(server);
    // No thread of the server listens on in a descriptor table of its own.
    let refused = TcpStream::connect(address).expect_err("nobody listens any more");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

pub(crate) fn stops_while_idle(backend: Subject) {
    stops_with_idle_clients(Server::start(backend, patient()));
}

pub(crate) fn stops_all_threads(backend: Subject) {
    stops_with_idle_clients(Server::start(backend, Setup { threads: 2, ..patient() }));
}

fn stops_with_idle_clients(server: Server) {
    let clients: Vec<Client> = (0..10).map(|_| Client::connect(&server)).collect();
    for client in &clients {
        client.exchange(&frame(1, 100));
    }
    stops_at_once(server);
    for client in clients {
        client.expect_eof();
    }
}

pub(crate) fn stops_with_half_a_frame_pending(backend: Subject) {
    let server = Server::start(backend, patient());
    let client = Client::connect(&server);
    client.send(&frame(1, 100)[..50]);
    server.wait_for(Event::BytesReceived, 50);
    stops_at_once(server);
    client.expect_eof();
}

/// Stops a server that has nothing to wait for.
fn stops_at_once(server: Server) {
    let start = Instant::now();
    let report = server.stop();
    assert!(start.elapsed() < LONG / 3, "the stop took {:?}", start.elapsed());
    assert_eq!(report.count(Event::Forced), 0);
}

pub(crate) fn stops_while_busy(backend: Subject) {
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        thread::scope(|scope| {
            for seed in 0..4 {
                let client = Client::connect(&server);
                let message = frame(seed, 1000);
                scope.spawn(move || while client.exchange_unless_ended(&message) {});
            }
            wait::until("the clients are busy", || server.count(Event::BytesSent) > 1_000_000);
            server.stop();
        });
    }
}

pub(crate) fn stops_while_long_frames_stream(backend: Subject) {
    let drain_timeout = Duration::from_millis(100);
    let server = Server::start(backend, Setup::limited(Limits { drain_timeout, ..Limits::default() }));
    let message = frame(1, 1024 * 1024);
    thread::scope(|scope| {
        for _ in 0..32 {
            let client = Client::connect(&server);
            let reading = client.stream.try_clone().expect("a descriptor is left");
            let message = &message;
            scope.spawn(move || while (&client.stream).write_all(message).is_ok() {});
            scope.spawn(move || while (&reading).read(&mut vec![0; 256 * 1024]).is_ok_and(|bytes| bytes > 0) {});
        }
        server.wait_for(Event::Accepted, 32);
        wait::until("the clients are busy", || server.count(Event::BytesSent) > 64 * message.len() as u64);
        assert_eq!(server.stop().count(Event::Closed), 32);
    });
}

pub(crate) fn stops_with_a_peer_that_never_reads(backend: Subject) {
    let drain_timeout = Duration::from_millis(300);
    let server = Server::start(backend, Setup::limited(Limits { drain_timeout, ..Limits::default() }));
    let _owed = owed_more_than_fits(&server);
    let start = Instant::now();
    let report = server.stop();
    assert!(start.elapsed() >= drain_timeout, "given up after {:?} already", start.elapsed());
    assert_eq!(report.count(Event::Forced), 1, "the one that never reads is closed by force");
}

pub(crate) fn stops_with_an_answer_that_lies_in_the_kernel(backend: Subject) {
    if sends_zero_copy(backend) {
        // The kernel reads it from the server's memory: until the peer has it, the connection is as open as one that is
        // owed something. What the peer gets of it, once that is closed by force, is the start at most.
        let drain_timeout = Duration::from_millis(300);
        let server = Server::start(backend, with_room(Setup::limited(Limits { drain_timeout, ..Limits::default() })));
        let (client, answer) = leaves_its_answer_in_the_kernel(&server);
        let report = server.stop();
        assert_eq!(report.count(Event::Forced), 1, "the kernel has to let go of what it has not got rid of");
        assert!(client.expect_until_the_end(&answer) < answer.len());
        return;
    }
    let server = Server::start(backend, with_room(patient()));
    let (client, answer) = leaves_its_answer_in_the_kernel(&server);
    stops_at_once(server);
    client.expect(&answer);
    client.expect_eof();
}

pub(crate) fn an_answer_that_lies_in_the_kernel_is_read_after_the_stop(backend: Subject) {
    let server = Server::start(backend, with_room(patient()));
    let (client, answer) = leaves_its_answer_in_the_kernel(&server);
    server.request_stop();
    client.expect(&answer);
    client.expect_eof();
    server.wait_for(Event::Closed, 1);
    assert_eq!(server.stop().count(Event::Forced), 0);
}

/// A server whose kernel takes all of an answer that its peer does not read.
pub(crate) fn with_room(setup: Setup) -> Setup {
    Setup { send_buffer_bytes: Some(512 * 1024), ..setup }
}

/// A client that has no room for an answer, does not read it and stays; and that answer, which its server has
/// [room](with_room) to get rid of.
pub(crate) fn leaves_its_answer_in_the_kernel(server: &Server) -> (Client, Vec<u8>) {
    let client = Client::with_little_room(server);
    let answer = frame(1, 100_000);
    client.send(&answer);
    wait::until("all of the answer lies in the kernel", || {
        Queues::of(&client.stream).is_some_and(|queues| queues.to_client_bytes == answer.len() as u64)
    });
    (client, answer)
}

pub(crate) fn a_peer_that_never_reads_holds_up_nobody_who_ends(backend: Subject) {
    // Nothing is closed by force: the machine would have to be slower than any client is patient.
    let server = Server::start(backend, patient());
    let idle = Client::connect(&server);
    idle.exchange(&frame(1, 10));
    let owed = owed_more_than_fits(&server);
    server.request_stop();
    idle.expect_eof();
    owed.reset();
    assert_eq!(server.stop().count(Event::Forced), 0);
}

/// A client that has sent more than its server can get rid of the answer to, and reads nothing.
pub(crate) fn owed_more_than_fits(server: &Server) -> Client {
    let before = server.count(Event::BytesReceived);
    let client = Client::connect(server);
    let message = long_frame();
    client.send(&message);
    server.wait_for(Event::BytesReceived, before + message.len() as u64);
    // Behind it comes what the server may not be ready to take.
    offer(&client).expect("the server takes what is sent");
    client
}

pub(crate) fn answers_what_was_sent_before_the_stop(backend: Subject) {
    // Fits into the receive buffer of a server that has not looked yet.
    let message = (0..50).map(|seed| frame(seed, 1000)).collect::<Vec<_>>().concat();
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup { protocol, ..patient() });
        let clients: Vec<Client> = (0..8).map(|_| Client::connect(&server)).collect();
        for client in &clients {
            client.exchange(&frame(1, 10));
        }
        for client in &clients {
            client.send(&message);
        }
        for client in &clients {
            wait_until_arrived(client);
        }
        server.request_stop();
        for client in &clients {
            client.expect(&message);
            client.expect_eof();
        }
    }
}

pub(crate) fn finishes_a_long_answer_after_the_stop(backend: Subject) {
    let server = Server::start(backend, patient());
    let client = Client::connect(&server);
    let message = long_frame();
    client.send(&message);
    server.wait_for(Event::BytesReceived, message.len() as u64);
    server.request_stop();
    client.expect(&message);
    client.expect_eof();
    assert_eq!(server.stop().count(Event::Forced), 0);
}

/// Waits until all that `client` has sent lies in the server's socket or beyond.
///
/// What was sent before the stop may otherwise arrive after it: on loopback too the kernel may deliver later.
pub(crate) fn wait_until_arrived(client: &Client) {
    let here = client.stream.local_addr().expect("a connected socket has an address");
    wait::until("what was sent has arrived", || unacknowledged_bytes(here) == 0);
}

/// What the kernel still keeps of what the IPv4 socket at `here` has sent, by `proc_pid_net(5)`.
fn unacknowledged_bytes(here: SocketAddr) -> u64 {
    let sockets = fs::read_to_string("/proc/self/net/tcp").expect("Linux lists its sockets");
    let suffix = format!(":{:04X}", here.port());
    let queues = sockets
        .lines()
        .map(str::split_whitespace)
        .filter(|socket| socket.clone().nth(1).is_some_and(|local| local.ends_with(&suffix)))
        .find_map(|mut socket| socket.nth(4))
        .expect("an open socket is listed");
    let (sent, _) = queues.split_once(':').expect("two queues are listed");
    u64::from_str_radix(sent, 16).expect("the length of a queue is a number")
}
