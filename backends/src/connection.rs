//! One connection of a server that calls `recv` and `send` itself: shared by every blocking and readiness backend.
//!
//! Invariant: while replies are waiting to be sent nothing more is received from that peer. So the memory of a
//! connection is bounded by one incomplete unit of the protocol and the replies to one receive, whatever the peer
//! does, and TCP pushes back on the peer.

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use crate::buffers::{Buffers, RECEIVE_BYTES};
use crate::protocol::Protocol;
use crate::replies::Gather;
use crate::stats::{Counters, Event, Syscall};

/// The longest beginning of a unit that is copied in order to be received after. It leaves room to receive.
const LONGEST_CARRIED_BYTES: usize = 32 * 1024;

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The peer has sent all it wanted to send.
    Eof,
    /// The peer broke the protocol.
    Violation,
    /// The socket failed: a reset, mostly.
    Error,
}

impl Ended {
    /// Counts why.
    pub(crate) fn count(&self, counters: &Counters) {
        match self {
            Ended::Eof => {}
            Ended::Violation => counters.event(Event::Violations),
            Ended::Error => counters.event(Event::ConnectionErrors),
        }
    }
}

/// What a call that may wait has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Bytes moved.
    Some,
    /// The kernel had no bytes or no room, or the socket's time-out passed.
    None,
}

/// The two calls that move bytes: where tests put a kernel that does what they say. Monomorphised, so that it costs
/// nothing.
pub(crate) trait Calls {
    /// Appends to `received` what has come, as far as its capacity goes; 0 bytes at the end of the stream.
    fn receive_into(&self, received: &mut Vec<u8>) -> rustix::io::Result<usize>;
    /// How many of `bytes` the kernel took.
    fn send_from(&self, bytes: &[u8]) -> rustix::io::Result<usize>;
}

impl<S: AsFd> Calls for S {
    fn receive_into(&self, received: &mut Vec<u8>) -> rustix::io::Result<usize> {
        recv(self, spare_capacity(received), RecvFlags::empty()).map(|(received_bytes, _)| received_bytes)
    }

    fn send_from(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        send(self, bytes, SendFlags::NOSIGNAL)
    }
}

/// What a receive has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// As many bytes as there was room for; there may be more.
    Full,
    /// Fewer bytes than there was room for: all that the kernel had.
    Short,
    /// No byte: the kernel had none, or the socket's time-out passed.
    Nothing,
}

impl Received {
    pub(crate) fn moved(self) -> Moved {
        match self {
            Received::Full | Received::Short => Moved::Some,
            Received::Nothing => Moved::None,
        }
    }
}

/// A connected socket and what is unfinished on it.
pub(crate) struct Connection<P: Protocol, S = OwnedFd> {
    socket: S,
    session: P::Session,
    /// The start of a unit that is not complete.
    input: Vec<u8>,
    /// Replies that the kernel had no room for, of which `output_sent` bytes are gone by now.
    output: Vec<u8>,
    output_sent: usize,
    /// When bytes moved last; kept up only where there is an idle time-out.
    pub(crate) last_moved: Instant,
}

impl<P: Protocol, S: Calls> Connection<P, S> {
    pub(crate) fn new(socket: S, now: Instant) -> Self {
        Self {
            socket,
            session: P::Session::default(),
            input: Vec::new(),
            output: Vec::new(),
            output_sent: 0,
            last_moved: now,
        }
    }

    /// Whether replies are waiting for room in the kernel.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Receives once, lets the protocol answer, and sends the answer once. Not to be called while there is output.
    ///
    /// # Errors
    ///
    /// When the connection is over. After a violation there may still be output: the replies to what came before it.
    pub(crate) fn receive(&mut self, protocol: &P, buffers: &mut Buffers, counters: &Counters) -> Result<Moved, Ended> {
        self.receive_some(protocol, buffers, counters).map(Received::moved)
    }

    /// As [`receive`](Self::receive), and says whether there may be more: for a loop that is not told of it again.
    #[inline]
    pub(crate) fn receive_some(
        &mut self,
        protocol: &P,
        buffers: &mut Buffers,
        counters: &Counters,
    ) -> Result<Received, Ended> {
        debug_assert!(!self.has_output());
        // A unit longer than one receive is gathered where it will be answered from. A short beginning is taken along into
        // the buffer of the loop, which is hot in the cache, where that of a connection is not: with 16 KiB frames, 16 in
        // flight, that is most receives.
        let gathers = self.input.len() > LONGEST_CARRIED_BYTES;
        let received = if gathers {
            self.input.reserve(RECEIVE_BYTES);
            &mut self.input
        } else {
            buffers.receive.clear();
            buffers.receive.extend_from_slice(&self.input);
            counters.copied(self.input.len());
            &mut buffers.receive
        };
        let room_bytes = received.capacity() - received.len();
        counters.syscall(Syscall::Recvfrom);
        let rest = match retry_on_intr(|| self.socket.receive_into(received)) {
            Ok(0) => return Err(Ended::Eof),
            Ok(received_bytes) => {
                counters.events(Event::BytesReceived, received_bytes as u64);
                if received_bytes < room_bytes { Received::Short } else { Received::Full }
            }
            Err(Errno::AGAIN) => return Ok(Received::Nothing),
            Err(_) => return Err(Ended::Error),
        };

        let mut replies = Gather::new(received, &mut self.output);
        let parsed = protocol.receive(&mut self.session, received, &mut replies);
        let direct = replies.finish(counters);
        let reply = &received[direct.clone()];
        let sent_bytes = if reply.is_empty() { 0 } else { send_once(&self.socket, reply, counters)? };

        let all_taken = parsed.as_ref().is_ok_and(|&taken| taken == received.len());
        if sent_bytes < reply.len() {
            if gathers && all_taken {
                // The rest of a long answer goes out from where it is.
                mem::swap(&mut self.input, &mut self.output);
                self.output_sent = direct.start + sent_bytes;
            } else {
                self.output.extend_from_slice(&reply[sent_bytes..]);
                counters.copied(reply.len() - sent_bytes);
            }
        }
        let taken = parsed.map_err(|_| Ended::Violation)?;
        if all_taken {
            buffers.give_back(mem::take(&mut self.input));
        } else if gathers {
            self.input.drain(..taken);
            counters.copied(if taken > 0 { self.input.len() } else { 0 });
        } else {
            if self.input.capacity() == 0 {
                self.input = buffers.take();
            }
            self.input.clear();
            self.input.extend_from_slice(&buffers.receive[taken..]);
            counters.copied(self.input.len());
        }
        Ok(rest)
    }

    /// Sends once from the output.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub(crate) fn flush(&mut self, buffers: &mut Buffers, counters: &Counters) -> Result<Moved, Ended> {
        let sent_bytes = send_once(&self.socket, &self.output[self.output_sent..], counters)?;
        self.output_sent += sent_bytes;
        if self.output_sent == self.output.len() {
            self.output_sent = 0;
            buffers.give_back(mem::take(&mut self.output));
        }
        Ok(if sent_bytes > 0 { Moved::Some } else { Moved::None })
    }

    /// Makes the connection end by itself: what the peer has sent is still answered, then it reads as closed.
    pub(crate) fn stop_receiving(&self, counters: &Counters)
    where
        S: AsFd,
    {
        counters.syscall(Syscall::Shutdown);
        // Fails only where the peer has already gone; the next receive says so.
        let _ = shutdown(&self.socket, Shutdown::Read);
    }

    /// Closes the socket.
    pub(crate) fn close(self, counters: &Counters) {
        counters.syscall(Syscall::Close);
        counters.event(Event::Closed);
        drop(self);
    }
}

impl<P: Protocol, S: AsFd> AsFd for Connection<P, S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How many bytes the kernel took, 0 where it has no room. A short send means that it has none left for now.
fn send_once(socket: &impl Calls, bytes: &[u8], counters: &Counters) -> Result<usize, Ended> {
    counters.syscall(Syscall::Sendto);
    match retry_on_intr(|| socket.send_from(bytes)) {
        Ok(sent_bytes) => {
            counters.events(Event::BytesSent, sent_bytes as u64);
            Ok(sent_bytes)
        }
        Err(Errno::AGAIN) => Ok(0),
        Err(_) => Err(Ended::Error),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{ErrorKind, Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use socket2::SockRef;

    use super::*;
    use crate::protocol::{Framed, Raw};
    use crate::stats::{ServeReport, Stats};

    /// What a peer does between two turns of the server, in bytes at most.
    #[derive(Clone, Debug)]
    struct Turn {
        sends: usize,
        receives: usize,
    }

    fn turns() -> impl Strategy<Value = Vec<Turn>> {
        let bytes = || prop_oneof![1..100_usize, 1000..100_000_usize];
        vec((bytes(), bytes()).prop_map(|(sends, receives)| Turn { sends, receives }), 1..20)
    }

    fn payload_lengths() -> impl Strategy<Value = Vec<usize>> {
        vec(prop_oneof![0..20_usize, 0..5000_usize, 50_000..200_000_usize], 1..8)
    }

    /// Frames whose bytes differ from their neighbours, so that one in the wrong place shows.
    fn frames(payload_lengths: &[usize]) -> Vec<u8> {
        let mut frames = Vec::new();
        for (number, &payload_bytes) in payload_lengths.iter().enumerate() {
            frames.extend(u32::try_from(payload_bytes).unwrap().to_be_bytes());
            // 251 is prime, so the pattern keeps step with no buffer.
            frames.extend((0..=250_u8).cycle().skip(number * 31).take(payload_bytes));
        }
        frames
    }

    /// Serves a peer that sends `stream`, taking its turns over and over, and returns what it got and what was counted.
    fn serve<P: Protocol>(protocol: &P, stream: &[u8], turns: &[Turn]) -> (Vec<u8>, ServeReport) {
        let (mut peer, socket) = UnixStream::pair().unwrap();
        for end in [&peer, &socket] {
            end.set_nonblocking(true).unwrap();
            // The kernel makes it the smallest that it allows, a few KB: most sends of the server are then short.
            SockRef::from(end).set_send_buffer_size(1).unwrap();
        }
        let stats = Arc::new(Stats::default());
        let counters = stats.register();
        let mut buffers = Buffers::new();
        let mut connection = Connection::<P, _>::new(socket, Instant::now());

        let (mut unsent, mut got) = (stream, Vec::new());
        let mut turns = turns.iter().cycle();
        loop {
            let turn = turns.next().unwrap();
            if !unsent.is_empty() {
                let sent_bytes = or_none(peer.write(&unsent[..turn.sends.min(unsent.len())]));
                unsent = &unsent[sent_bytes..];
                if unsent.is_empty() {
                    peer.shutdown(Shutdown::Write).unwrap();
                }
            }
            let moved = if connection.has_output() {
                connection.flush(&mut buffers, &counters)
            } else {
                connection.receive(protocol, &mut buffers, &counters)
            };
            let mut room = vec![0; turn.receives];
            let got_bytes = or_none(peer.read(&mut room));
            got.extend_from_slice(&room[..got_bytes]);
            match moved {
                Ok(_) => {}
                Err(Ended::Eof) => break,
                Err(ended) => panic!("{ended:?}"),
            }
        }
        drop(connection);
        peer.set_nonblocking(false).unwrap();
        peer.read_to_end(&mut got).unwrap();
        (got, stats.report())
    }

    /// How many bytes moved; none if the call would wait.
    fn or_none(moved: std::io::Result<usize>) -> usize {
        match moved {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            moved => moved.unwrap(),
        }
    }

    /// A kernel that has `incoming` to receive, in pieces of 30 bytes at most, and takes 10 bytes of each send.
    struct Meagre(RefCell<Vec<u8>>);

    impl Calls for Meagre {
        fn receive_into(&self, received: &mut Vec<u8>) -> rustix::io::Result<usize> {
            let mut incoming = self.0.borrow_mut();
            let piece_bytes = incoming.len().min(30);
            received.extend(incoming.drain(..piece_bytes));
            Ok(piece_bytes)
        }

        fn send_from(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
            Ok(bytes.len().min(10))
        }
    }

    #[test]
    fn what_is_put_aside_is_counted_as_copied_each_time() {
        let stats = Arc::new(Stats::default());
        let counters = stats.register();
        let mut buffers = Buffers::new();
        // Two frames of 24 bytes.
        let mut connection = Connection::<Framed, _>::new(Meagre(RefCell::new(frames(&[20, 20]))), Instant::now());
        let copied = || stats.report().count(Event::BytesCopied);
        connection.receive(&Framed::default(), &mut buffers, &counters).unwrap();
        // Of the first frame what was not sent, of the second what has come.
        assert_eq!(copied(), 14 + 6);
        while connection.has_output() {
            connection.flush(&mut buffers, &counters).unwrap();
        }
        assert_eq!(copied(), 14 + 6);
        connection.receive(&Framed::default(), &mut buffers, &counters).unwrap();
        // That beginning, before the rest of it; and again what was not sent.
        assert_eq!(copied(), 14 + 6 + 6 + 14);
    }

    proptest! {
        // The same cases in every run, so that a failure is one of the change that is tested.
        #![proptest_config(ProptestConfig {
            cases: 100,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn every_frame_is_answered_whatever_the_kernel_takes_at_once(
            payload_lengths in payload_lengths(),
            turns in turns(),
        ) {
            let stream = frames(&payload_lengths);
            let (got, report) = serve(&Framed::default(), &stream, &turns);
            prop_assert!(got == stream, "{} bytes came back for {}, or others", got.len(), stream.len());
            prop_assert_eq!(report.count(Event::Replies), payload_lengths.len() as u64);
            prop_assert_eq!(report.count(Event::BytesReceived), stream.len() as u64);
            prop_assert_eq!(report.count(Event::BytesSent), stream.len() as u64);
        }

        #[test]
        fn every_byte_is_answered_whatever_the_kernel_takes_at_once(
            payload_lengths in payload_lengths(),
            turns in turns(),
        ) {
            let stream = frames(&payload_lengths);
            let (got, _) = serve(&Raw, &stream, &turns);
            prop_assert!(got == stream, "{} bytes came back for {}, or others", got.len(), stream.len());
        }
    }
}
