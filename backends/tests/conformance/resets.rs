//! Peers that reset while a send to them waits for room: their connections end, and no others do.
//!
//! Where such peers hold up everybody once they are as many as a server has places for, the others are not served
//! before the resets; afterwards all is as it is elsewhere.

use std::thread;

use backends::{Event, Isolation, ServeReport, Syscall};

use crate::client::{Client, HEADER_BYTES, frame};
use crate::crowds::raise_descriptor_limit;
use crate::server::{Server, Setup};
use crate::sizes::SIZES;
use crate::{Subject, process, wait};

/// What the kernel may hold of a reply on the side of the server, before it doubles that. With less than two segments of
/// the loopback's honest peers would wait for delayed acknowledgements.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Far more than the kernel takes at once: a send of it waits.
const WAITING_BYTES: usize = 512 * 1024;

/// A frame that fits into one buffer, to be sent many times.
const SHORT_BYTES: usize = 8 * 1024;

/// How often the spare buffers of a server may grow: they are few, and which peers leave theirs is by chance.
const ROUNDS_MAX: usize = 6;

pub(crate) fn resets_end_sends_in_flight_and_nothing_else(backend: Subject) {
    raise_descriptor_limit();
    let setup = Setup { send_buffer_bytes: Some(SEND_BUFFER_BYTES), ..Setup::default() };
    let server = Server::start(backend, setup);
    let honest: Vec<Client> = (0..4).map(|_| Client::connect(&server)).collect();
    server.use_all_buffers(&honest[0]);
    // Once beforehand, for the memory that a server keeps to use it again.
    send_and_reset(&server, backend, &honest);
    let descriptors = process::descriptors();
    let sent_bytes = SIZES.resetting as u64 * WAITING_BYTES as u64;
    let rounds = process::expect_memory_taken_once(sent_bytes / 4, ROUNDS_MAX, || {
        send_and_reset(&server, backend, &honest);
        wait::until("descriptors are back", || process::descriptors_are_back(&descriptors));
    });
    let report = server.stop();
    assert_eq!(report.count(Event::ConnectionErrors), (1 + rounds) as u64 * SIZES.resetting as u64);
    assert_eq!(report.count(Event::Violations), 0);
}

/// Has [`SIZES.resetting`](SIZES) peers send, not read, and reset, all while `honest` ones get every byte.
fn send_and_reset(server: &Server, backend: Subject, honest: &[Client]) {
    let before = server.report();
    let peers = match backend.info().isolation {
        Isolation::Full => all_not_reading(server, &before),
        Isolation::Places(places) => not_reading_in_every_place(server, &before, places as u64),
    };
    thread::scope(|scope| {
        for (client, seed) in honest.iter().zip(0..) {
            scope.spawn(move || client.stream(&frame(seed, 300_000)));
        }
        peers.into_iter().for_each(Client::reset);
    });
    server.wait_for(Event::Closed, before.count(Event::Closed) + SIZES.resetting as u64);
    for client in honest {
        client.exchange(&frame(2, 1000));
    }
}

/// Peers each of which the server has received from and now sends to.
fn all_not_reading(server: &Server, before: &ServeReport) -> Vec<Client> {
    let received = || server.count(Event::BytesReceived) - before.count(Event::BytesReceived);
    let half = SIZES.resetting / 2;
    let mut peers = with_long_frames(server, half);
    let long_bytes = (half * (HEADER_BYTES + WAITING_BYTES)) as u64;
    wait::until("every long frame was received", || received() == long_bytes);
    // Each of the short ones can be answered from where it was received, and only the first few are.
    peers.extend(with_short_frames(server, half));
    wait::until("short frames were received", || received() >= long_bytes + (half * SHORT_BYTES) as u64);
    let sent = server.count(Event::BytesSent) - before.count(Event::BytesSent);
    assert!(sent < received() / 2, "{sent} of {} bytes went to peers that do not read", received());
    peers
}

/// Peers the first of whom are sent to for as long as they do not read; the others wait for their places.
fn not_reading_in_every_place(server: &Server, before: &ServeReport, places: u64) -> Vec<Client> {
    let half = SIZES.resetting / 2;
    let mut peers = with_long_frames(server, half);
    // Counted before it is called, so that none of those before is missing in `before`.
    let sends = || server.report().syscall(Syscall::Sendto) - before.syscall(Syscall::Sendto);
    wait::until("every place is in a send", || sends() == places);
    peers.extend(with_short_frames(server, half));
    server.wait_for(Event::Accepted, before.count(Event::Accepted) + SIZES.resetting as u64);
    assert_eq!(sends(), places, "a send has ended although its peer does not read");
    peers
}

fn with_long_frames(server: &Server, peers: usize) -> Vec<Client> {
    let long = frame(1, WAITING_BYTES);
    (0..peers).map(|_| not_reading(server, &long)).collect()
}

fn with_short_frames(server: &Server, peers: usize) -> Vec<Client> {
    let short = frame(2, SHORT_BYTES).repeat(WAITING_BYTES / SHORT_BYTES);
    (0..peers).map(|_| not_reading(server, &short)).collect()
}

/// A peer that has sent and takes next to nothing back.
fn not_reading(server: &Server, sent: &[u8]) -> Client {
    let client = Client::with_little_room(server);
    client.send(sent);
    client
}
