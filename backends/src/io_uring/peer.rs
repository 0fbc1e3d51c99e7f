//! One connection of the completion loop: what is received, sent and owed on it.

use std::mem;
use std::ops::Range;
use std::time::Instant;

use super::ring::{Id, Payload, Socket};
use crate::buffers::Buffers;
use crate::protocol::{Protocol, Violation};
use crate::replies::Gather;
use crate::stats::Counters;

/// When more output than this waits behind what is being sent, a peer is not received from any more. What arrives before
/// the receive has been cancelled comes on top, once: at most what the buffer ring holds, and as much again where the
/// kernel does not wait to be asked for completions. It is received from again when nothing waits, and no more than this is
/// being sent.
///
/// So a connection holds twice this at most, or the longest unit that its protocol allows, and what came on top.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;

#[expect(clippy::struct_excessive_bools)] // Independent facts; most of their combinations occur.
pub(super) struct Peer<P: Protocol> {
    pub(super) socket: Socket,
    pub(super) id: Id,
    pub(super) receiving: Receiving,
    /// Whether a send is in flight; only ever one.
    pub(super) sending: bool,
    /// Whether that is so much that nothing is to wait behind it.
    sends_much: bool,
    /// Sends that are over, but which the network may still read from the memory that they lent it.
    pub(super) loans: u32,
    /// To be closed when nothing is in flight, nothing is owed and nothing is lent any more.
    pub(super) ending: bool,
    pub(super) last_moved: Instant,
    /// Whether nothing was sent since something was received, and no receive has to follow: a reset may have been missed.
    pub(super) unanswered: bool,
    abandoned: bool,
    /// Whether the socket was shut down to make what is in flight end.
    shut_down: bool,
    session: P::Session,
    /// The start of a unit that is not complete.
    input: Vec<u8>,
    /// Bytes of replies behind the send in flight that wait where they were received.
    held_bytes: usize,
    /// Replies behind those.
    output: Vec<u8>,
}

/// What becomes of what the peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiving {
    /// The kernel receives it.
    Armed,
    /// The receive is being cancelled: too much output waits, or the connection or the server is to end.
    Pausing,
    /// It waits in the kernel until the output is gone.
    Paused,
    /// It waits in the kernel until a buffer is free.
    Starved,
    /// There is no more.
    Ended,
}

/// What to do about what was received.
pub(super) enum Reply {
    /// Send this part of it; the rest, if any, is kept.
    Direct(Range<usize>),
    /// This part of it has to wait, directly behind what waits already.
    Behind(Range<usize>),
    /// Nothing; replies, if any, are in the output.
    Queued,
}

impl<P: Protocol> Peer<P> {
    pub(super) fn new(socket: Socket, id: Id, now: Instant) -> Self {
        Self {
            socket,
            id,
            receiving: Receiving::Ended,
            sending: false,
            sends_much: false,
            loans: 0,
            ending: false,
            unanswered: false,
            abandoned: false,
            shut_down: false,
            last_moved: now,
            session: P::Session::default(),
            input: Vec::new(),
            held_bytes: 0,
            output: Vec::new(),
        }
    }

    /// Has the protocol answer what was received.
    ///
    /// # Errors
    ///
    /// A violation; the replies to what came before it are in the output.
    pub(super) fn receive(
        &mut self,
        protocol: &P,
        received: &[u8],
        buffers: &mut Buffers,
        counters: &Counters,
    ) -> Result<Reply, Violation> {
        let resumed = !self.input.is_empty();
        let input = if resumed {
            self.input.extend_from_slice(received);
            counters.copied(received.len());
            &self.input
        } else {
            received
        };
        let mut replies = Gather::new(input, &mut self.output);
        let parsed = protocol.receive(&mut self.session, input, &mut replies);
        let direct = replies.finish(counters);

        let in_place = !direct.is_empty() && !self.sending && parsed.is_ok();
        let all_taken = parsed.as_ref().is_ok_and(|&taken| taken == input.len());
        if resumed && in_place && all_taken && direct.start == 0 {
            // A long unit goes out from where it was gathered.
            let input = mem::replace(&mut self.input, mem::take(&mut self.output));
            self.output = input;
            self.output.truncate(direct.end);
            return Ok(Reply::Queued);
        }
        let waits_in_place = !resumed && self.sending && parsed.is_ok() && !direct.is_empty();
        if (resumed || !in_place) && !waits_in_place && !direct.is_empty() {
            append(&mut self.output, &input[direct.clone()], buffers, counters);
        }
        let taken = parsed?;
        if !resumed {
            if !all_taken {
                self.input = buffers.take();
                self.input.extend_from_slice(&received[taken..]);
                counters.copied(self.input.len());
            }
            return Ok(match (in_place, waits_in_place) {
                (true, _) => Reply::Direct(direct),
                (_, true) => Reply::Behind(direct),
                _ => Reply::Queued,
            });
        }
        if all_taken {
            buffers.give_back(mem::take(&mut self.input));
        } else {
            self.input.drain(..taken);
            counters.copied(if taken > 0 { self.input.len() } else { 0 });
        }
        Ok(Reply::Queued)
    }

    /// Queues a reply behind those that are queued already.
    pub(super) fn queue(&mut self, reply: &[u8], buffers: &mut Buffers, counters: &Counters) {
        append(&mut self.output, reply, buffers, counters);
    }

    /// A reply that was [behind](Reply::Behind) the others is held where it was received.
    pub(super) fn hold(&mut self, reply_bytes: usize) {
        assert!(self.output.is_empty(), "what is held for connection {} would overtake its output", self.id.key);
        self.held_bytes += reply_bytes;
    }

    /// What was held is sent otherwise: with the rest of what is in flight.
    pub(super) fn hold_nothing(&mut self) {
        self.sends_much |= self.held_bytes > MAX_OUTPUT_BYTES;
        self.held_bytes = 0;
    }

    /// Takes what is to be sent next: all that is held, or else everything that waits.
    pub(super) fn take_output(&mut self) -> Option<Payload> {
        if self.held_bytes > 0 {
            self.sends_much = self.held_bytes > MAX_OUTPUT_BYTES;
            return Some(Payload::Held(0..mem::take(&mut self.held_bytes)));
        }
        self.sends_much = self.output.len() > MAX_OUTPUT_BYTES;
        let output = mem::take(&mut self.output);
        let range = 0..output.len();
        (!output.is_empty()).then_some(Payload::Copied(output, range))
    }

    /// Nothing, to be sent if something was received since the last send.
    ///
    /// A multishot receive that delivers bytes can miss a reset that came right behind them, and then waits for ever:
    /// liburing #1549, seen on Linux 6.18. The end of a TCP stream it is told of, but not that. A send of nothing fails
    /// after a reset, and is silent otherwise.
    pub(super) fn take_test_for_reset(&mut self) -> Option<Payload> {
        let is_open = mem::take(&mut self.unanswered) && !self.ending;
        is_open.then(|| Payload::Copied(Vec::new(), 0..0))
    }

    /// Drops what is owed: there is nobody to send it to. False when that was done before.
    pub(super) fn abandon(&mut self) -> bool {
        self.ending = true;
        self.held_bytes = 0;
        self.output = Vec::new();
        self.input = Vec::new();
        !mem::replace(&mut self.abandoned, true)
    }

    /// Whether what is owed was dropped.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// Whether the socket was not yet shut down by us; from now on it counts as that.
    pub(super) fn shut_down_first(&mut self) -> bool {
        !mem::replace(&mut self.shut_down, true)
    }

    /// Whether replies wait that are not being sent.
    pub(super) fn has_output(&self) -> bool {
        self.held_bytes > 0 || !self.output.is_empty()
    }

    /// Whether too much waits to take in more; behind a long send also the start of a unit that may be as long.
    pub(super) fn is_clogged(&self) -> bool {
        self.held_bytes + self.output.len() > MAX_OUTPUT_BYTES || (self.sends_much() && !self.input.is_empty())
    }

    /// Whether so much is being sent that nothing more is to be received before that is over.
    pub(super) fn sends_much(&self) -> bool {
        self.sends_much && self.sending
    }
}

/// Appends to an output, whose memory comes from the buffers to spare.
fn append(output: &mut Vec<u8>, bytes: &[u8], buffers: &mut Buffers, counters: &Counters) {
    if output.capacity() == 0 {
        *output = buffers.take();
    }
    output.extend_from_slice(bytes);
    counters.copied(bytes.len());
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    use super::*;
    use crate::protocol::Framed;
    use crate::stats::Stats;

    #[test]
    #[should_panic(expected = "would overtake its output")]
    fn nothing_is_held_behind_what_is_copied() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let id = Id::new(3, 0);
        let mut peer = Peer::<Framed>::new(Socket::Descriptor(stream.into()), id, Instant::now());
        peer.queue(b"first", &mut Buffers::new(), &Arc::new(Stats::default()).register());
        peer.hold(6);
    }

    #[test]
    fn an_idle_connection_is_small() {
        // What a loop holds for each, besides a place for a send in flight.
        assert!(size_of::<Peer<Framed>>() <= 112);
    }
}
