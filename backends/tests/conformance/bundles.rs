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

/// A stream that is read late comes back whole, and not all of it is copied.
pub(crate) fn streams_that_wait_leave_in_bundles(backend: Subject) {
    let server = Server::start(backend, Setup::of(ProtocolKind::Raw(Raw)));
    NeverReading::connect(&server).read_everything();
    let report = server.stop();
    assert!(report.count(Event::SendBundles) > 0 && report.count(Event::BundledBytes) > 0, "all was copied");
    assert_eq!(report.count(Event::SendRingsRefused), 0);
}
