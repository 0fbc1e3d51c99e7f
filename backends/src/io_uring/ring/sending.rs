//! Sending: one operation per connection at a time, and what becomes of those that say nothing.
#![expect(unsafe_code)]

use std::io;

use io_uring::{opcode, squeue};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::completion::{Completion, Payload};
use super::operation::{Id, Kind};
use super::socket::Socket;
use super::{MSG_WAITALL, Ring};
use crate::stats::{Counters, Event};

/// A send in flight.
pub(super) struct Sending {
    payload: Payload,
    /// The bytes that the kernel was asked to send.
    asked_bytes: usize,
    /// A completion for it was seen; so it is not a silent success.
    spoke: bool,
}

impl Ring {
    /// Sends `payload` to `socket`. A connection sends one payload at a time, for two sends in
    /// flight on one socket may overtake each other (liburing #1001). The kernel goes on by itself after short sends,
    /// unless each is to be `reported`.
    ///
    /// Most sends find room at once. Where they are silent, such a one is over when `io_uring_enter` returns, and posts
    /// no completion (`IOSQE_CQE_SKIP_SUCCESS`): a completion would end the wait that follows before any request has
    /// come. A short send counts as a failure with `MSG_WAITALL`, and speaks up.
    pub(in crate::io_uring) fn send(
        &mut self,
        socket: &Socket,
        id: Id,
        payload: Payload,
        reported: bool,
        counters: &Counters,
    ) -> io::Result<()> {
        // A bundle that came out short would have to be copied; and what waits behind a send mostly has to wait longer.
        if !self.features.silent_sends || matches!(payload, Payload::Held(_)) {
            return self.send_rest(socket, id, payload, reported, counters);
        }
        self.silent.push(id);
        let flags = SendFlags::DONTWAIT.bits() | MSG_WAITALL;
        self.push_send(socket, id, payload, Kind::SendSilent, (flags, squeue::Flags::SKIP_SUCCESS), counters)
    }

    /// Sends a payload, or what a send that did not wait has left of it, waiting for room.
    pub(in crate::io_uring) fn send_rest(
        &mut self,
        socket: &Socket,
        id: Id,
        payload: Payload,
        reported: bool,
        counters: &Counters,
    ) -> io::Result<()> {
        // Nothing at all is sent only to see whether that fails: no memory is to be lent for it.
        if self.features.zero_copy_sends && !payload.is_empty() {
            return self.send_zero_copy(socket, id, payload, reported, counters);
        }
        self.send_copying(socket, id, payload, reported, counters)
    }

    /// As [`send_rest`](Self::send_rest), never from where it lies.
    pub(in crate::io_uring) fn send_copying(
        &mut self,
        socket: &Socket,
        id: Id,
        payload: Payload,
        reported: bool,
        counters: &Counters,
    ) -> io::Result<()> {
        let flags = match payload {
            _ if !reported => MSG_WAITALL,
            // The kernel waits until all of a bundle is sent, asked to or not. What is left of it is reported by another send.
            Payload::Held(_) => SendFlags::DONTWAIT.bits(),
            _ => 0,
        };
        self.push_send(socket, id, payload, Kind::SendWaiting, (flags, squeue::Flags::empty()), counters)
    }

    fn push_send(
        &mut self,
        socket: &Socket,
        id: Id,
        payload: Payload,
        kind: Kind,
        (send_flags, entry_flags): (u32, squeue::Flags),
        counters: &Counters,
    ) -> io::Result<()> {
        let flags = (send_flags | SendFlags::NOSIGNAL.bits()).cast_signed();
        let (send, asked_bytes) = match &payload {
            Payload::Held(range) => {
                counters.event(Event::SendBundles);
                (self.bundle(socket, id, flags), range.len())
            }
            Payload::Received(_, range) | Payload::Copied(_, range) | Payload::Lent(_, range) => {
                let bytes = &self.memory(&payload)[range.clone()];
                let (start, len) = (bytes.as_ptr(), u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                self.sanitizer.lend(id.key as usize, start, len as usize);
                (opcode::Send::new(socket.fd(), start, len).flags(flags).build(), len as usize)
            }
        };
        let send = send.flags(entry_flags | socket.flags());
        let place = id.key as usize;
        if place >= self.sending.len() {
            self.sending.resize_with(place + 1, || None);
        }
        // Before it is replaced: the kernel may be reading what would be dropped.
        assert!(self.sending[place].is_none(), "connection {place} already sends");
        self.sending[place] = Some(Sending { payload, asked_bytes, spoke: false });
        // SAFETY: it reads what the payload holds, a provided buffer or memory on the heap; the payload stands in
        // `sending` until the send has completed. What is lent there is kept for longer still, and what is held stays held.
        unsafe { self.push(send, kind, id, counters) }
    }

    /// All of the memory that a payload is part of.
    pub(super) fn memory<'a>(&'a self, payload: &'a Payload) -> &'a [u8] {
        match payload {
            Payload::Received(input, _) => self.bytes(input),
            Payload::Copied(bytes, _) => bytes,
            Payload::Lent(place, _) => match &self.lent[*place].memory {
                Payload::Received(input, _) => self.bytes(input),
                Payload::Copied(bytes, _) => bytes,
                Payload::Lent(..) | Payload::Held(_) => unreachable!("only what lies in one piece is lent"),
            },
            Payload::Held(_) => unreachable!("what is held does not lie in one piece"),
        }
    }

    /// Takes back a payload of which nothing is to be sent any more. Memory that came with it is returned, once nothing
    /// reads it.
    pub(in crate::io_uring) fn give_back(&mut self, id: Id, payload: Payload) -> Option<Vec<u8>> {
        match payload {
            Payload::Received(input, _) => {
                self.recycle(id, input);
                None
            }
            Payload::Copied(bytes, _) => Some(bytes),
            Payload::Held(_) => {
                self.end_bundle(id);
                None
            }
            Payload::Lent(place, _) => {
                let memory = self.end_loan(place)?;
                self.give_back(id, memory)
            }
        }
    }

    /// Whether there are sends whose success is known only after the next submission.
    pub(in crate::io_uring) fn has_silent_sends(&self) -> bool {
        !self.silent.is_empty()
    }

    /// How many buffers of those that all connections share come back when the silent sends have succeeded.
    pub(in crate::io_uring) fn silent_buffers(&self) -> usize {
        let is_buffer = |id: &&Id| {
            let sending = &self.sending[id.key as usize];
            sending.as_ref().is_some_and(|sending| matches!(sending.payload, Payload::Received(..)))
        };
        self.silent.iter().filter(is_buffer).count()
    }

    pub(super) fn sent(&mut self, id: Id, result: Option<Result<u32, Errno>>) -> Completion {
        let Sending { payload, asked_bytes, .. } = self.sending[id.key as usize].take().expect("a send completes once");
        let is_bundle = matches!(payload, Payload::Held(_));
        if is_bundle {
            self.bundle_completed(id);
        } else {
            self.sanitizer.take_back(id.key as usize);
        }
        let result = match result {
            None => Ok(asked_bytes),
            Some(Ok(sent_bytes)) => Ok(sent_bytes as usize),
            // No room at once, or interrupted: nothing has gone out. Nobody here cancels a send: the kernel does where a
            // signal keeps it from starting a thread to make it.
            Some(Err(Errno::AGAIN | Errno::INTR | Errno::CANCELED)) => Ok(0),
            // Nor here: the kernel could not take what is listed. What is sent next is copied, and says what else is wrong.
            Some(Err(Errno::NOMEM | Errno::NOBUFS)) if is_bundle => Ok(0),
            Some(Err(error)) => Err(error),
        };
        Completion::Sent { id, result, payload, lent: false }
    }

    /// Finds out which silent sends have succeeded: of those that were made, the ones that no completion speaks of.
    pub(super) fn find_successes(&mut self) {
        for entry in &self.entries {
            if let (Kind::SendSilent, id) = Kind::of(entry.user_data())
                && let Some(sending) = &mut self.sending[id.key as usize]
            {
                sending.spoke = true;
            }
        }
        let sending = &self.sending;
        let succeeded = |id: &Id| sending[id.key as usize].as_ref().is_some_and(|sending| !sending.spoke);
        self.succeeded.extend(self.silent.drain(..).filter(succeeded));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;
    use std::net::TcpStream;
    use std::time::Duration;

    use io_uring::types::Fd;

    use super::*;
    use crate::backend::Limits;
    use crate::io_uring::SETTLE_WAIT;
    use crate::io_uring::ring::operation::NOBODY;
    use crate::io_uring::variants::{VARIANTS, position};
    use crate::listen::{Spread, bind};

    const ID: Id = Id { key: 3, generation: 0 };

    fn sent(ring: &mut Ring, counters: &Counters) -> (Result<usize, Errno>, Payload) {
        loop {
            if let Some(Completion::Sent { result, payload, .. }) = ring.next() {
                return (result, payload);
            }
            ring.wait(Some(SETTLE_WAIT), counters).unwrap();
        }
    }

    /// A ring of that variant, a socket that is connected to the other, and counters; none where the kernel grants no such
    /// ring.
    pub(in crate::io_uring::ring) fn connected(variant: &str) -> Option<(Ring, Socket, TcpStream, Counters)> {
        let ring = match Ring::new(&VARIANTS[position(variant)], &Limits::default()) {
            Ok(ring) => ring,
            Err(error) => {
                assert_ne!(std::env::var("REQUIRE_BACKENDS").as_deref(), Ok("all"), "{variant}: {error}");
                return None;
            }
        };
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 1, Spread::default()).unwrap();
        let peer = TcpStream::connect(listeners.local_addr().unwrap()).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let socket = Socket::Descriptor(listeners.sockets()[0].accept().unwrap().0.into());
        Some((ring, socket, peer, Counters::new()))
    }

    /// Whoever was told that nothing has gone out, and nothing is wrong, sends it again, and it arrives.
    pub(in crate::io_uring::ring) fn is_sent_again(
        (ring, socket, peer, counters): (&mut Ring, Socket, &mut TcpStream, &Counters),
        id: Id,
        bytes: &[u8],
    ) {
        let (result, payload) = sent(ring, counters);
        assert_eq!(result, Ok(0));
        ring.send_rest(&socket, id, payload, false, counters).unwrap();
        let (result, payload) = sent(ring, counters);
        assert_eq!(result, Ok(bytes.len()));
        ring.give_back(id, payload);
        drop(socket);
        let mut arrived = Vec::new();
        peer.read_to_end(&mut arrived).unwrap();
        assert_eq!(arrived, bytes);
    }

    #[test]
    fn a_send_that_was_cancelled_is_made_again() {
        let Some((mut ring, socket, mut peer, counters)) = connected("io_uring-defer") else { return };
        // What is linked to an operation that fails is cancelled.
        let fails = opcode::Shutdown::new(Fd(-1), 2).build().flags(squeue::Flags::IO_LINK);
        ring.push_plain(fails, Kind::Cancel, NOBODY, &counters).unwrap();
        ring.send(&socket, ID, Payload::Copied(b"once".to_vec(), 0..4), false, &counters).unwrap();
        is_sent_again((&mut ring, socket, &mut peer, &counters), ID, b"once");
    }
}
