//! Replies that wait behind a send, for the backend that sends them together from where they were received.

use std::thread;

use backends::protocol::{ProtocolKind, Raw};
use backends::{Event, ServeReport};

use crate::Subject;
use crate::backpressure::{NeverReading, long_frame};
use crate::client::{Client, HEADER_BYTES, frame};
use crate::server::{Server, Setup};

/// As many replies as wait for each peer; half of the small ones are more than the server holds.
const DEPTH: u64 = 32;

pub(crate) fn small_replies_that_wait_leave_together(backend: Subject) {
    let report = replies_that_wait(backend, 64, DEPTH);
    assert_eq!((report.count(Event::SendBundles), report.count(Event::BundlesCut)), (1, 0));
    assert_eq!(report.count(Event::BundledBytes), DEPTH / 2 * (HEADER_BYTES as u64 + 64));
}

pub(crate) fn long_replies_that_wait_leave_together(backend: Subject) {
    // Before as much waits as has the server stop receiving.
    let waiting = 3;
    let report = replies_that_wait(backend, 16 * 1024, waiting);
    assert!(report.count(Event::SendBundles) > 0, "nothing left together");
    assert!(report.count(Event::BundledBytes) > 0, "all was copied");
}

/// A peer that does not read has a long send wait; what it sends then, one frame after the other, is answered behind that:
/// `one_by_one` of them for certain.
fn replies_that_wait(backend: Subject, payload_bytes: usize, one_by_one: u64) -> ServeReport {
    let server = Server::start(backend, Setup::default());
    let client = Client::connect(&server);
    let first = long_frame();
    client.send(&first);
    let mut sent_bytes = first.len() as u64;
    server.wait_for(Event::BytesReceived, sent_bytes);
    let others: Vec<Vec<u8>> = (0..DEPTH).map(|seed| frame(seed, payload_bytes)).collect();
    let (one_by_one, at_once) = others.split_at(usize::try_from(one_by_one).expect("they are few"));
    for other in one_by_one {
        client.send(other);
        sent_bytes += other.len() as u64;
        server.wait_for(Event::BytesReceived, sent_bytes);
    }
    thread::scope(|scope| {
        scope.spawn(|| client.send(&at_once.concat()));
        client.expect(&first);
        client.expect(&others.concat());
    });
    client.exchange(&frame(1, 100));
    client.finish_sending();
    client.expect_eof();
    server.stop()
}

/// However many peers do not read: a buffer that waits is one that nobody else receives into.
pub(crate) fn half_of_all_buffers_are_not_held(backend: Subject) {
    const REPLIES: u64 = 16;
    let server = Server::start(backend, Setup { send_buffer_bytes: Some(4096), ..Setup::default() });
    let buffers = server.granted("buffers").expect("replies are held in buffers");
    let long = frame(1, 48 * 1024);
    let short = frame(2, 64);
    let mut received_bytes = 0;
    let mut send = |client: &Client, message: &[u8]| {
        client.send(message);
        received_bytes += message.len() as u64;
        server.wait_for(Event::BytesReceived, received_bytes);
    };
    // Enough to hold all of them.
    let clients: Vec<Client> = (0..buffers / REPLIES).map(|_| Client::with_little_room(&server)).collect();
    for client in &clients {
        send(client, &long);
        (0..REPLIES).for_each(|_| send(client, &short));
    }
    for client in clients {
        client.expect(&long);
        (0..REPLIES).for_each(|_| client.expect(&short));
        client.finish_sending();
        client.expect_eof();
    }
    let held = server.stop().count(Event::BundledBytes) / short.len() as u64;
    assert!((1..=buffers / 2).contains(&held), "{held} of {buffers} buffers were held");
}

/// A stream that is read late comes back whole, and not all of it is copied.
pub(crate) fn streams_that_wait_leave_in_bundles(backend: Subject) {
    let server = Server::start(backend, Setup::of(ProtocolKind::Raw(Raw)));
    NeverReading::connect(&server).read_everything();
    let report = server.stop();
    assert!(report.count(Event::SendBundles) > 0 && report.count(Event::BundledBytes) > 0, "all was copied");
    assert_eq!(report.count(Event::SendRingsRefused), 0);
}
