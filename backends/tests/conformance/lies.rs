//! Frames that are not what their header says: they cost their sender, and nobody else.

use std::net::Shutdown;
use std::thread;

use backends::Event;
use backends::protocol::{Framed, ProtocolKind};

use crate::client::{Client, HEADER_BYTES, frame};
use crate::crowds::raise_descriptor_limit;
use crate::server::{Server, Setup};
use crate::sizes::SIZES;
use crate::{Subject, process, wait};

const MAX_FRAME_BYTES: u32 = 1000;

/// What a peer can do after it has said its lie.
#[derive(Clone, Copy, Debug)]
enum Ending {
    HalfClose,
    Close,
    Reset,
}

pub(crate) fn lies_about_lengths_harm_nobody_else(backend: Subject) {
    let server = Server::start(backend, Setup::of(ProtocolKind::Framed(Framed { max_frame_bytes: MAX_FRAME_BYTES })));
    let honest: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    let truth = frame(1, MAX_FRAME_BYTES as usize);
    thread::scope(|scope| {
        for client in &honest {
            let stream = truth.repeat(300);
            scope.spawn(move || client.stream(&stream));
        }
        for before in [Vec::new(), frame(2, 0), truth.clone(), truth.repeat(100)] {
            for lie in broken_promises() {
                tell(&server, &before, &lie, false);
            }
            for lie in over_long_frames() {
                tell(&server, &before, &lie, true);
            }
        }
    });
    for client in &honest {
        client.exchange(&truth);
    }
}

/// Says `lie` after frames that are none, in connections that end in each way.
fn tell(server: &Server, before: &[u8], lie: &[u8], is_violation: bool) {
    for ending in [Ending::HalfClose, Ending::Close, Ending::Reset] {
        let earlier = server.report();
        let client = Client::connect(server);
        client.send(&[before, lie].concat());
        match ending {
            Ending::HalfClose => {
                // Fails where the server has ended the connection already, which it may.
                let _ = client.stream.shutdown(Shutdown::Write);
                client.expect(before);
                client.expect_end();
            }
            Ending::Close => drop(client),
            Ending::Reset => client.reset(),
        }
        server.wait_for(Event::Closed, earlier.count(Event::Closed) + 1);
        let grown = |event| server.count(event) - earlier.count(event);
        match ending {
            // Nothing that is sent before a half-close is lost.
            Ending::HalfClose => {
                assert_eq!(grown(Event::Violations), u64::from(is_violation), "{lie:?}");
                assert_eq!(grown(Event::ConnectionErrors), 0, "{lie:?}");
            }
            Ending::Close | Ending::Reset => {
                assert!(grown(Event::Violations) <= u64::from(is_violation), "{lie:?}, {ending:?}");
            }
        }
    }
}

/// Frames that are cut off: within the header, behind it, and before their last byte.
fn broken_promises() -> Vec<Vec<u8>> {
    let promised = frame(3, MAX_FRAME_BYTES as usize);
    let lengths = (1..=HEADER_BYTES + 1).chain([promised.len() / 2, promised.len() - 1]);
    lengths.map(|bytes| promised[..bytes].to_vec()).collect()
}

/// Headers that announce too much, with nothing and with something behind them.
fn over_long_frames() -> Vec<Vec<u8>> {
    let announced = [MAX_FRAME_BYTES + 1, 1 << 24, 1 << 31, u32::MAX];
    let headers = announced.map(|payload_bytes| payload_bytes.to_be_bytes().to_vec());
    let with_payload = headers.iter().map(|header| [&header[..], &[0; 2 * MAX_FRAME_BYTES as usize]].concat());
    with_payload.chain(headers.clone()).collect()
}

pub(crate) fn floods_of_empty_frames_are_answered(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let other = Client::connect(&server);
    let flood = frame(0, 0).repeat(SIZES.empty_frames);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| Client::connect(&server).stream(&flood));
        }
        other.stream(&frame(1, 500_000));
    });
    assert_eq!(server.count(Event::Replies), 2 * SIZES.empty_frames as u64 + 1);
    server.wait_for(Event::Closed, 2);
}

/// Memory for each peer that has promised the longest frame, 16 MiB, and sent a few bytes of it: room for what may come
/// next, with `threads` also a stack.
const PROMISE_BYTES_MAX: u64 = 512 * 1024;

/// What a server may keep of it all.
const KEPT_BYTES_MAX: u64 = 8 * 1024 * 1024;

pub(crate) fn a_promise_reserves_nothing(backend: Subject) {
    raise_descriptor_limit();
    let announced = frame(2, 16 * 1024 * 1024);
    let server = Server::start(backend, Setup::default());
    let honest = Client::connect(&server);
    server.use_all_buffers(&honest);
    // Once beforehand, for what a server, and the allocator, keep to use it again.
    promise_and_reset(&server, &honest, &announced);
    let (memory, descriptors) = (process::memory(), process::descriptors());
    promise_and_reset(&server, &honest, &announced);

    wait::until("descriptors are back", || process::descriptors_are_back(&descriptors));
    process::expect_memory_back(memory, KEPT_BYTES_MAX);
    honest.exchange(&frame(4, 1000));
}

/// Has [`SIZES.promising`](SIZES) peers send a few bytes of what they have `announced`.
fn promise_and_reset(server: &Server, honest: &Client, announced: &[u8]) {
    let promising = SIZES.promising as u64;
    let (before, earlier) = (process::memory(), server.report());
    let liars: Vec<Client> = (0..promising).map(|_| Client::connect(server)).collect();
    // In pieces, for a server may treat a first one in another way than those that follow.
    for piece in 1..=3 {
        for liar in &liars {
            liar.send(&announced[(piece - 1) * 10..piece * 10]);
        }
        let received = promising * 10 * piece as u64;
        server.wait_for(Event::BytesReceived, earlier.count(Event::BytesReceived) + received);
    }
    let now = process::memory();
    let reserved = now.reserved.saturating_sub(before.reserved) / promising;
    let touched = now.touched.saturating_sub(before.touched) / promising;
    assert!(reserved <= PROMISE_BYTES_MAX, "{reserved} bytes are reserved for a promise");
    assert!(touched <= PROMISE_BYTES_MAX, "{touched} bytes of memory are used by a promise");

    honest.stream(&frame(3, 1_000_000));
    liars.into_iter().for_each(Client::reset);
    server.wait_for(Event::Closed, earlier.count(Event::Closed) + promising);
}
