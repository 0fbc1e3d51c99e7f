//! Visits to servers of few words.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;
use crate::load::traffic::HEADER_BYTES;

const FRAME_BYTES: usize = HEADER_BYTES + 64;

/// Visits a server to which `serve` is all that it does with a connection and the request on it. The first one, of
/// the greeting, is echoed.
fn visited(
    listen: &str,
    count: u64,
    cancel: &AtomicBool,
    serve: impl Fn(usize, &mut TcpStream, &mut [u8]) + Send + Sync,
) -> Result<Visits, LoadError> {
    let listener = TcpListener::bind(listen).unwrap();
    let target = listener.local_addr().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..=usize::try_from(count).unwrap() {
                let (mut stream, peer) = listener.accept().unwrap();
                let mut request = [0; FRAME_BYTES];
                stream.read_exact(&mut request).unwrap();
                if number == 0 {
                    stream.write_all(&request).unwrap();
                } else {
                    assert_eq!(peer.ip() == target.ip(), target.is_ipv6());
                    serve(number, &mut stream, &mut request);
                }
            }
        });
        Visitor::new(target, 64, cancel)?.visit(count, cancel)
    })
}

fn goes_on() -> AtomicBool {
    AtomicBool::new(false)
}

#[test]
fn every_visit_has_a_connection_a_request_and_an_ordinary_close_of_its_own() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let visits = visited(listen, 20, &goes_on(), |_, stream, request| {
            // In two pieces, which may come as one.
            stream.write_all(&request[..30]).unwrap();
            stream.write_all(&request[30..]).unwrap();
            assert_eq!(stream.read(request).unwrap(), 0);
        });
        let expected = Visits { answered: 20, ..Visits::default() };
        assert_eq!(Visits { elapsed: Duration::ZERO, ..visits.unwrap() }, expected);
    }
}

#[test]
fn what_befalls_a_visit_is_counted_and_the_next_is_made() {
    let visits = visited("127.0.0.1:0", 4, &goes_on(), |number, stream, request| match number {
        1 => (),
        2 => {
            request[50] ^= 1;
            stream.write_all(request).unwrap();
        }
        3 => stream.write_all(&request.repeat(2)).unwrap(),
        _ => stream.write_all(request).unwrap(),
    });
    let Visits { answered, errors, first_error, mismatches, .. } = visits.unwrap();
    assert_eq!((answered, errors, mismatches), (2, 2, 1));
    assert_eq!(first_error.unwrap(), "the server closed a connection");
}

#[test]
fn a_server_that_does_not_answer_does_not_keep_visits_from_being_cancelled() {
    let cancel = goes_on();
    let cancelled = visited("127.0.0.1:0", 1, &cancel, |_, stream, request| {
        cancel.store(true, Ordering::Relaxed);
        // Until the visitor has gone.
        assert_eq!(stream.read(request).unwrap(), 0);
    });
    assert!(matches!(cancelled, Err(LoadError::Cancelled)), "{cancelled:?}");
}

#[test]
fn what_no_visit_can_do_anything_about_ends_them() {
    let refused =
        |target: &str, payload_bytes| Visitor::new(target.parse().unwrap(), payload_bytes, &goes_on()).unwrap_err();
    assert!(matches!(refused("192.0.2.1:7", 64), LoadError::NotLoopback { .. }));
    assert!(matches!(refused("127.0.0.1:7", Visitor::MAX_PAYLOAD_BYTES + 1), LoadError::Plan(_)));

    // Where nobody else listens, who might have the port next.
    let listener = TcpListener::bind("127.0.200.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; FRAME_BYTES];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(&request).unwrap();
            drop(listener);
        });
        let mut visitor = Visitor::new(target, 64, &goes_on()).unwrap();
        // The first may still find the listener, and is then reset.
        let gone = visitor.visit(3, &goes_on()).unwrap_err();
        assert!(matches!(gone, LoadError::Refused { .. }), "{gone}");
    });
}
