use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::*;
use crate::backend::Limits;
use crate::io_uring::SETTLE_WAIT;
use crate::io_uring::ring::{BUFFERS, Completion};
use crate::io_uring::variants::{VARIANTS, position};
use crate::listen::{Spread, bind};
use crate::stats::Stats;

const ID: Id = Id { key: 3, generation: 0 };

/// A ring that holds as much as it can of what a peer sends; nothing where the kernel grants no such ring.
struct Holding {
    ring: Ring,
    socket: Socket,
    peer: TcpStream,
    /// What is held.
    held: Vec<u8>,
    stats: Arc<Stats>,
    counters: crate::stats::ThreadCounters,
}

impl Holding {
    fn pieces_of(piece_bytes: usize) -> Option<Self> {
        let stats = Arc::new(Stats::default());
        let counters = stats.register();
        let mut ring = match Ring::new(&VARIANTS[position("io_uring-bundle")], &Limits::default()) {
            Ok(ring) => ring,
            Err(error) => {
                assert_ne!(std::env::var("REQUIRE_BACKENDS").as_deref(), Ok("all"), "{error}");
                return None;
            }
        };
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 1, Spread::default()).unwrap();
        let mut peer = TcpStream::connect(listeners.local_addr().unwrap()).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (socket, _) = listeners.sockets()[0].accept().unwrap();
        // Far less than is going to be held.
        SockRef::from(&socket).set_send_buffer_size(4096).unwrap();
        SockRef::from(&peer).set_recv_buffer_size(4096).unwrap();
        let socket = Socket::Descriptor(socket.into());
        ring.receive(&socket, ID, &counters).unwrap();
        let mut held = Vec::new();
        while ring.can_hold(ID, &counters) {
            // 251 is prime: no two pieces are the same.
            let sent: Vec<u8> = (0..=250_u8).cycle().skip(held.len()).take(piece_bytes).collect();
            peer.write_all(&sent).unwrap();
            let input = received(&mut ring, &counters);
            held.extend_from_slice(ring.bytes(&input));
            let range = 0..input.len();
            ring.hold(ID, input, range);
            let came = held.len();
            assert!(came.is_multiple_of(piece_bytes), "a piece came in parts");
        }
        Some(Self { ring, socket, peer, held, stats, counters })
    }

    /// Sends all that is held, or what there is room for where that is to be `reported`.
    fn send_held(&mut self, reported: bool) -> (usize, Payload) {
        let payload = Payload::Held(0..self.held.len());
        self.ring.send(&self.socket, ID, payload, reported, &self.counters).unwrap();
        self.ring.submit(&self.counters).unwrap();
        self.sent()
    }

    /// What arrives while the kernel goes on sending, which it does when this thread enters it.
    fn arrived(&mut self) -> Vec<u8> {
        self.peer.set_nonblocking(true).unwrap();
        let mut arrived = vec![0; self.held.len()];
        let mut arrived_bytes = 0;
        while arrived_bytes < arrived.len() {
            self.ring.submit(&self.counters).unwrap();
            self.ring.wait(Some(Duration::from_millis(1)), &self.counters).unwrap();
            match self.peer.read(&mut arrived[arrived_bytes..]) {
                Ok(more_bytes) => arrived_bytes += more_bytes,
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
        arrived
    }

    fn sent(&mut self) -> (usize, Payload) {
        loop {
            if let Some(Completion::Sent { result, payload, .. }) = self.ring.next() {
                return (result.unwrap(), payload);
            }
            self.ring.wait(Some(SETTLE_WAIT), &self.counters).unwrap();
        }
    }

    fn count(&self, event: Event) -> u64 {
        self.stats.report().count(event)
    }
}

fn received(ring: &mut Ring, counters: &Counters) -> Input {
    loop {
        if let Some(Completion::Received { result, .. }) = ring.next() {
            return result.unwrap().unwrap();
        }
        ring.wait(Some(SETTLE_WAIT), counters).unwrap();
    }
}

#[test]
fn what_is_held_leaves_in_one_send_and_gives_its_buffers_back() {
    let Some(mut holding) = Holding::pieces_of(100) else { return };
    assert_eq!(holding.ring.free_buffers(), BUFFERS - PIECES);
    let (sent_bytes, payload) = holding.send_held(false);
    assert_eq!(sent_bytes, 100 * usize::from(PIECES));
    assert!(holding.ring.give_back(ID, payload).is_none());
    assert_eq!(holding.ring.free_buffers(), BUFFERS);
    let mut arrived = vec![0; sent_bytes];
    holding.peer.read_exact(&mut arrived).unwrap();
    assert!(arrived == holding.held, "other bytes arrived");
    assert_eq!((holding.count(Event::SendBundles), holding.count(Event::BundlesCut)), (1, 0));
}

#[test]
fn a_bundle_that_does_not_fit_goes_out_as_its_peer_reads() {
    let Some(mut holding) = Holding::pieces_of(20_000) else { return };
    let payload = Payload::Held(0..holding.held.len());
    holding.ring.send(&holding.socket, ID, payload, false, &holding.counters).unwrap();
    assert!(holding.arrived() == holding.held, "other bytes arrived");
    let (sent_bytes, _) = holding.sent();
    assert_eq!((sent_bytes, holding.count(Event::SendBundles)), (holding.held.len(), 1));
}

#[test]
fn what_is_left_of_a_bundle_goes_out_after_it() {
    let Some(mut holding) = Holding::pieces_of(20_000) else { return };
    let (sent_bytes, _) = holding.send_held(true);
    assert!(sent_bytes < holding.held.len(), "the bundle was not cut");
    let rest = holding.ring.copy_held(ID, sent_bytes, Vec::new(), &holding.counters);
    assert_eq!(holding.ring.free_buffers(), BUFFERS);
    assert!(matches!(holding.ring.bundles.places[ID.key as usize], Place::Unused));
    holding.ring.send_rest(&holding.socket, ID, rest, false, &holding.counters).unwrap();
    holding.ring.submit(&holding.counters).unwrap();
    assert!(holding.arrived() == holding.held, "other bytes arrived");
    assert_eq!(holding.count(Event::BundlesCut), 1);
    // The number of its ring is free again, and so is the ring.
    assert!(holding.ring.can_hold(ID, &holding.counters));
    assert_eq!(holding.ring.bundles.last_group, 1);
}

#[test]
fn who_is_refused_a_ring_is_counted_once() {
    let Some(mut holding) = Holding::pieces_of(1) else { return };
    // The kernel has a ring of that number already: that of the buffers that are received into.
    holding.ring.bundles.free_groups.push(GROUP);
    let other = Id { key: 5, generation: 0 };
    for _ in 0..2 {
        assert!(!holding.ring.can_hold(other, &holding.counters));
    }
    assert_eq!(holding.count(Event::SendRingsRefused), 1);
    // Also where there are no numbers any more.
    holding.ring.bundles.free_groups.clear();
    holding.ring.bundles.last_group = u16::MAX;
    assert!(!holding.ring.can_hold(Id { key: 6, generation: 0 }, &holding.counters));
    assert_eq!(holding.count(Event::SendRingsRefused), 2);
    // It is no matter for who comes there next.
    holding.ring.bundles.free_groups.push(7);
    holding.ring.forget(other, &holding.counters);
    assert!(holding.ring.can_hold(other, &holding.counters));
}

#[test]
fn who_ends_leaves_neither_buffers_nor_a_ring() {
    let Some(mut holding) = Holding::pieces_of(1) else { return };
    assert!(Entries::register(&holding.ring.uring.submitter(), PIECES, 1).is_err(), "its number is not in use");
    holding.ring.forget(ID, &holding.counters);
    assert_eq!(holding.ring.free_buffers(), BUFFERS);
    assert_eq!(holding.ring.bundles.free_groups, [1]);
    assert!(Entries::register(&holding.ring.uring.submitter(), PIECES, 1).is_ok(), "its number is in use");
}
