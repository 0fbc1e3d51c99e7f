//! A [`Peer`] whose completions come as a script says: in any order that the kernel may produce, with sends that are
//! short or fail, and buffers that run out.

use std::fs::File;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::peer::{Peer, Reply};
use super::ring::{Id, Payload, Socket};
use crate::buffers::Buffers;
use crate::protocol::{Protocol, ProtocolKind};
use crate::scripted::{Choices, Due};
use crate::stats::{Counters, Event, Stats};

/// Serves a peer that sends `stream` and then no more. At most so many completions may be `disturbed`: a send that is
/// short or fails, or a receive while buffers are scarce.
pub(crate) fn converse(protocol: ProtocolKind, stream: &[u8], choices: &mut impl Choices, disturbed: usize) {
    converse_with(false, protocol, stream, choices, disturbed);
}

/// As [`converse`], by a server that sends bundles.
pub(crate) fn converse_in_bundles(protocol: ProtocolKind, stream: &[u8], choices: &mut impl Choices, disturbed: usize) {
    converse_with(true, protocol, stream, choices, disturbed);
}

fn converse_with(holds: bool, protocol: ProtocolKind, stream: &[u8], choices: &mut impl Choices, disturbed: usize) {
    match protocol {
        ProtocolKind::Framed(framed) => converse_in(holds, protocol, &framed, stream, choices, disturbed),
        ProtocolKind::Raw(raw) => converse_in(holds, protocol, &raw, stream, choices, disturbed),
    }
}

fn converse_in<P: Protocol>(
    holds: bool,
    kind: ProtocolKind,
    protocol: &P,
    stream: &[u8],
    choices: &mut impl Choices,
    disturbed: usize,
) {
    let stats = Arc::new(Stats::default());
    let counters = stats.register();
    let mut kernel = Kernel {
        stream,
        choices,
        disturbances_left: disturbed,
        received: 0,
        sending: None,
        sent: Vec::new(),
        at_end: false,
        holds,
        held: Vec::new(),
        is_bundle: false,
        buffers: Buffers::new(),
    };
    let nothing = File::open("/dev/null").expect("Linux has a device that holds nothing");
    let mut peer = Peer::<P>::new(Socket::Descriptor(nothing.into()), Id::new(0, 0), Instant::now());
    while kernel.complete_one(protocol, &mut peer, &counters) {
        let due = Due::of(kind, &stream[..kernel.received]);
        assert!(stream[..due.bytes].starts_with(&kernel.sent), "other bytes went out than were due");
        if peer.is_abandoned() {
            assert!(peer.take_output().is_none(), "nobody is there to send it to");
            continue;
        }
        assert_eq!(peer.ending, due.violation || kernel.at_end, "the end");
        assert!(peer.sending || !peer.has_output(), "replies wait for nothing");
        if !peer.sending {
            assert_eq!(kernel.sent.len(), due.bytes, "bytes went out, and nothing waits");
        }
    }
    if matches!(kind, ProtocolKind::Framed(_)) {
        assert_eq!(stats.report().count(Event::Replies), Due::of(kind, &stream[..kernel.received]).frames);
    }
}

/// What is in flight, and what has gone out.
struct Kernel<'a, C> {
    stream: &'a [u8],
    choices: &'a mut C,
    disturbances_left: usize,
    /// Bytes of the stream that were received.
    received: usize,
    /// What is left of the send in flight.
    sending: Option<Vec<u8>>,
    sent: Vec<u8>,
    /// The end of the stream was received.
    at_end: bool,
    /// Whether replies that wait are held.
    holds: bool,
    /// Those that are, behind what is in flight.
    held: Vec<u8>,
    /// Whether what is in flight was held before.
    is_bundle: bool,
    buffers: Buffers,
}

impl<C: Choices> Kernel<'_, C> {
    /// One completion, and what the server does about it; false when there are none any more.
    fn complete_one<P: Protocol>(&mut self, protocol: &P, peer: &mut Peer<P>, counters: &Counters) -> bool {
        let receives = !peer.ending;
        let send_completes = match (receives, self.sending.is_some()) {
            (false, false) => return false,
            (true, true) => self.choices.choose(2) == 1,
            (_, sends) => sends,
        };
        if send_completes {
            self.sent(peer);
        } else {
            self.received(protocol, peer, counters);
        }
        if !peer.sending
            && let Some(payload) = peer.take_output()
        {
            self.is_bundle = matches!(payload, Payload::Held(_));
            let bytes = match payload {
                Payload::Copied(bytes, range) => bytes[range].to_vec(),
                Payload::Held(range) => {
                    assert_eq!(range, 0..self.held.len(), "all that is held");
                    mem::take(&mut self.held)
                }
                Payload::Received(..) | Payload::Lent(..) => panic!("that is not what waits"),
            };
            self.send(peer, bytes);
        }
        true
    }

    fn received<P: Protocol>(&mut self, protocol: &P, peer: &mut Peer<P>, counters: &Counters) {
        let rest = &self.stream[self.received..];
        if rest.is_empty() {
            (self.at_end, peer.ending) = (true, true);
            return;
        }
        let received = &rest[..rest.len() - self.choices.choose(rest.len())];
        self.received += received.len();
        match peer.receive(protocol, received, &mut self.buffers, counters) {
            Ok(Reply::Direct(range)) if self.disturbance(2) == 0 => self.send(peer, received[range].to_vec()),
            // Buffers are scarce.
            Ok(Reply::Behind(range)) if self.holds && self.disturbance(2) == 0 => {
                peer.hold(range.len());
                self.held.extend(&received[range]);
            }
            Ok(Reply::Direct(range) | Reply::Behind(range)) => {
                peer.queue(&received[range], &mut self.buffers, counters);
            }
            Ok(Reply::Queued) => {}
            Err(_) => peer.ending = true,
        }
    }

    fn send<P: Protocol>(&mut self, peer: &mut Peer<P>, bytes: Vec<u8>) {
        assert!(!bytes.is_empty(), "a send of nothing");
        assert!(self.sending.is_none() && !peer.sending, "two sends may overtake each other");
        (self.sending, peer.sending) = (Some(bytes), true);
    }

    fn sent<P: Protocol>(&mut self, peer: &mut Peer<P>) {
        let mut bytes = self.sending.take().expect("something is in flight");
        peer.sending = false;
        // Everything; a failure; or fewer, down to none.
        let sent_bytes = match self.disturbance(2 + bytes.len()) {
            0 => bytes.len(),
            1 => {
                assert!(peer.abandon(), "a connection fails once");
                return;
            }
            shorter => bytes.len() - (shorter - 1),
        };
        let mut rest = bytes.split_off(sent_bytes);
        self.sent.extend(bytes);
        if mem::take(&mut self.is_bundle) && !rest.is_empty() {
            peer.hold_nothing();
            rest.append(&mut self.held);
        }
        if !rest.is_empty() {
            self.send(peer, rest);
        }
    }

    /// A number below `options`, of which all but 0 are disturbances.
    fn disturbance(&mut self, options: usize) -> usize {
        let chosen = if self.disturbances_left == 0 { 0 } else { self.choices.choose(options) };
        self.disturbances_left -= usize::from(chosen > 0);
        chosen
    }
}
