//! What is sent comes back: every byte, once, in order, however it was cut on its way.

use std::net::Ipv6Addr;
use std::thread;

use backends::Event;
use backends::protocol::{ProtocolKind, Raw};

use crate::Subject;
use crate::client::{Client, HEADER_BYTES, frame};
use crate::server::{PROTOCOLS, Server, Setup};

/// Sizes at which some buffer of some server is just full.
const BUFFER_BYTES: [usize; 3] = [4096, 16 * 1024, 64 * 1024];

pub(crate) fn every_payload_size_comes_back(backend: Subject) {
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        let clients: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
        for payload_bytes in payload_sizes() {
            let frames: Vec<Vec<u8>> = (0..3).map(|seed| frame(seed, payload_bytes)).collect();
            thread::scope(|scope| {
                for (client, frame) in clients.iter().zip(&frames) {
                    scope.spawn(|| client.stream(frame));
                }
            });
        }
    }
}

/// None, one, some, a megabyte, and around every buffer: of the payload alone, and of the frame with its header.
fn payload_sizes() -> Vec<usize> {
    let around_buffers = BUFFER_BYTES
        .iter()
        .flat_map(|&full| [full - 1, full, full + 1])
        .flat_map(|payload_bytes| [payload_bytes - HEADER_BYTES, payload_bytes]);
    [0, 1, 64, 1024 * 1024].into_iter().chain(around_buffers).collect()
}

pub(crate) fn a_message_dripped_byte_by_byte_is_answered_once_complete(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let client = Client::connect(&server);
    let message = frame(1, 64);
    for (byte, received) in message.iter().zip(1..) {
        assert_eq!(server.count(Event::BytesSent), 0, "answered before the frame was complete");
        client.send(&[*byte]);
        // The next byte leaves when this one was taken, so that the server never sees two at once.
        server.wait_for(Event::BytesReceived, received);
    }
    client.expect(&message);
    drop(server);

    let server = Server::start(backend, Setup::of(ProtocolKind::Raw(Raw)));
    let client = Client::connect(&server);
    for byte in message {
        client.exchange(&[byte]);
    }
}

pub(crate) fn a_message_may_be_split_anywhere(backend: Subject) {
    let message = [frame(1, 9), frame(2, 7)].concat();
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        let client = Client::connect(&server);
        let mut received_bytes = 0;
        for split in 1..message.len() {
            let (head, tail) = message.split_at(split);
            client.send(head);
            server.wait_for(Event::BytesReceived, received_bytes + head.len() as u64);
            client.send(tail);
            client.expect(&message);
            received_bytes += message.len() as u64;
        }
    }
}

pub(crate) fn many_frames_may_share_a_segment(backend: Subject) {
    // Short of the 65,483 bytes that one segment carries on loopback.
    let message = (0..1500).map(|seed| frame(seed, (seed % 70) as usize)).collect::<Vec<_>>().concat();
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        let client = Client::connect(&server);
        for _ in 0..3 {
            client.exchange(&message);
        }
    }
}

pub(crate) fn a_long_stream_flows_both_ways(backend: Subject) {
    // Coprime to every buffer, so that frames begin and end everywhere in it.
    let message = (0..300).map(|seed| frame(seed, (seed * 7919 % 50_021) as usize)).collect::<Vec<_>>().concat();
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        Client::connect(&server).stream(&message);
    }
}

pub(crate) fn ipv6_is_served(backend: Subject) {
    let server = Server::start(backend, Setup { ip: Ipv6Addr::LOCALHOST.into(), ..Setup::default() });
    assert!(server.address.is_ipv6());
    let client = Client::connect(&server);
    client.exchange(&frame(1, 1000));
    client.finish_sending();
    client.expect_eof();
}

pub(crate) fn two_threads_share_the_connections(backend: Subject) {
    // The kernel spreads connections by a hash: with 64 of them both threads get some, but for one run in 2^63.
    let connections = 64;
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup { threads: 2, ..Setup::of(protocol) });
        let clients: Vec<Client> = (0..connections).map(|_| Client::connect(&server)).collect();
        for (client, seed) in clients.iter().zip(0..) {
            client.exchange(&frame(seed, 100));
        }
        drop(clients);
        let report = server.stop();
        assert_eq!(report.count(Event::Accepted), connections);
        assert_eq!(report.accepted_per_thread.len(), 2);
        assert!(report.accepted_per_thread.iter().all(|&accepted| accepted > 0), "{:?}", report.accepted_per_thread);
    }
}
