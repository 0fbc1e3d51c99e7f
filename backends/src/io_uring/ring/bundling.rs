//! Send bundles: replies that have to wait stay in the provided buffers that they came in, and leave together in one send,
//! which takes them from a ring of their connection.
//!
//! Invariants: what a bundle sends is kept here until that has completed; and a ring is filled only while no bundle from it
//! is in flight. How many bytes went out is known from the completion alone: what is not sent in full may have taken what it
//! did not send, or nothing, so its ring is given up, and the rest is copied.
#![expect(unsafe_code)]

use std::mem;
use std::ops::Range;
use std::ptr::NonNull;

use io_uring::{opcode, squeue};

use super::super::buffer_ring::{Buffer, BufferRing, GROUP};
use super::super::entries::Entries;
use super::Ring;
use super::completion::{Input, Payload};
use super::operation::Id;
use super::socket::Socket;
use crate::stats::{Counters, Event, Syscall};

/// As many replies can be held for one connection. Each keeps a buffer from everybody else.
pub(super) const PIECES: u16 = 16;

/// What bundles send is told to the sanitizer by numbers from here on: no connection has such a one.
const NOT_A_CONNECTION: usize = usize::MAX / 2;

/// What is held, by connection.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    places: Vec<Place>,
    /// Groups that were in use and are not any more.
    free_groups: Vec<u16>,
    /// Groups up to this one are in use, or free again.
    last_group: u16,
}

#[derive(Debug, Default)]
enum Place {
    /// Nothing had to wait on this connection yet.
    #[default]
    Unused,
    /// The kernel did not grant a ring.
    Refused,
    Ring(Box<SendRing>),
}

/// The ring that sends of one connection take from.
#[derive(Debug)]
struct SendRing {
    group: u16,
    entries: Entries,
    /// In order. No more than there are entries.
    pieces: Vec<Piece>,
    /// How many of them, from the first on, are in flight.
    in_flight: usize,
}

/// A reply where it was received.
#[derive(Debug)]
struct Piece {
    buffer: Buffer,
    range: Range<usize>,
}

impl Bundles {
    fn ring(&mut self, id: Id) -> &mut SendRing {
        match &mut self.places[id.key as usize] {
            Place::Ring(ring) => ring,
            Place::Unused | Place::Refused => unreachable!("nothing is held for connection {}", id.key),
        }
    }
}

impl Ring {
    /// Whether another reply of a connection can be held. The first that is to be has a ring registered.
    pub(in crate::io_uring) fn can_hold(&mut self, id: Id, counters: &Counters) -> bool {
        if !self.features.send_bundles {
            return false;
        }
        let key = id.key as usize;
        if key >= self.bundles.places.len() {
            self.bundles.places.resize_with(key + 1, Place::default);
        }
        if matches!(self.bundles.places[key], Place::Unused) {
            self.bundles.places[key] = self.register_send_ring(counters);
        }
        match &self.bundles.places[key] {
            Place::Ring(ring) => ring.pieces.len() < usize::from(PIECES),
            Place::Unused | Place::Refused => false,
        }
    }

    fn register_send_ring(&mut self, counters: &Counters) -> Place {
        let bundles = &mut *self.bundles;
        let group = bundles.free_groups.pop().or_else(|| {
            bundles.last_group = bundles.last_group.checked_add(1)?;
            Some(bundles.last_group)
        });
        let Some(group) = group else {
            counters.event(Event::SendRingsRefused);
            return Place::Refused;
        };
        counters.syscall(Syscall::IoUringRegister);
        let Ok(entries) = Entries::register(&self.uring.submitter(), PIECES, group) else {
            // Mostly because its page would be one more than may be locked (`RLIMIT_MEMLOCK`).
            bundles.free_groups.push(group);
            counters.event(Event::SendRingsRefused);
            return Place::Refused;
        };
        let pieces = Vec::with_capacity(PIECES.into());
        Place::Ring(Box::new(SendRing { group, entries, pieces, in_flight: 0 }))
    }

    /// Keeps a reply that [can be held](Self::can_hold) where it was received, to be sent after those that are held already.
    pub(in crate::io_uring) fn hold(&mut self, id: Id, input: Input, range: Range<usize>) {
        let Input::Provided(buffer) = input else { unreachable!("memory of a connection is not held") };
        let pieces = &mut self.bundles.ring(id).pieces;
        assert!(pieces.len() < usize::from(PIECES), "more is held for connection {} than its ring can list", id.key);
        pieces.push(Piece { buffer, range });
    }

    /// Lists all that is held for a connection, and returns the send that takes it.
    pub(super) fn bundle(&mut self, socket: &Socket, id: Id, flags: i32) -> squeue::Entry {
        let Some(buffers) = &*self.buffers else {
            unreachable!("something is held in buffers of a ring that has none")
        };
        let ring = self.bundles.ring(id);
        // Before they are written to: the kernel may not have taken the entries of another bundle.
        assert_eq!(ring.in_flight, 0, "connection {} already sends a bundle", id.key);
        for (number, piece) in (0_u16..).zip(&ring.pieces) {
            let bytes = bytes(buffers, piece);
            let len = u32::try_from(bytes.len()).expect("a buffer is shorter than that");
            self.sanitizer.lend(name(id, number.into()), bytes.as_ptr(), bytes.len());
            // SAFETY: the ring has a place for each piece, and all were taken by the bundles before, or it would have been given
            // up. The buffer is kept as it is until the bundle has completed.
            unsafe { ring.entries.put(NonNull::from(bytes).cast(), len, number) };
        }
        ring.in_flight = ring.pieces.len();
        ring.entries.publish();
        opcode::SendBundle::new(socket.fd(), ring.group).flags(flags).build()
    }

    /// A bundle has completed: the kernel does not read any more what it was to send.
    pub(super) fn bundle_completed(&mut self, id: Id) {
        for number in 0..self.bundles.ring(id).in_flight {
            self.sanitizer.take_back(name(id, number));
        }
    }

    /// Gives back the buffers of a bundle that has completed.
    pub(super) fn end_bundle(&mut self, id: Id) {
        let Some(buffers) = &mut *self.buffers else { unreachable!("a bundle without buffers") };
        let ring = self.bundles.ring(id);
        for piece in ring.pieces.drain(..mem::take(&mut ring.in_flight)) {
            buffers.recycle(piece.buffer);
        }
    }

    /// Copies what is left of a bundle that has completed, from byte `sent_bytes` on, and all that is held behind it. Afterwards
    /// nothing is held for the connection.
    pub(in crate::io_uring) fn copy_held(
        &mut self,
        id: Id,
        sent_bytes: usize,
        mut copy: Vec<u8>,
        counters: &Counters,
    ) -> Payload {
        counters.event(Event::BundlesCut);
        let Some(buffers) = &*self.buffers else { unreachable!("a bundle without buffers") };
        let mut skipped_bytes = sent_bytes;
        for piece in &self.bundles.ring(id).pieces {
            let bytes = bytes(buffers, piece);
            let sent = skipped_bytes.min(bytes.len());
            skipped_bytes -= sent;
            copy.extend_from_slice(&bytes[sent..]);
        }
        counters.copied(copy.len());
        self.end_bundle(id);
        self.give_up_send_ring(id, counters);
        let range = 0..copy.len();
        Payload::Copied(copy, range)
    }

    /// Unregisters the ring of a connection that has no bundle in flight, if there is one, and gives back what is held.
    pub(super) fn give_up_send_ring(&mut self, id: Id, counters: &Counters) {
        let Some(place) = self.bundles.places.get_mut(id.key as usize) else { return };
        let Place::Ring(ring) = mem::take(place) else { return };
        // Its memory would be gone while the kernel reads there.
        assert_eq!(ring.in_flight, 0, "connection {} still sends a bundle", id.key);
        let SendRing { group, entries, pieces, .. } = *ring;
        if let Some(buffers) = &mut *self.buffers {
            for piece in pieces {
                buffers.recycle(piece.buffer);
            }
        }
        counters.syscall(Syscall::IoUringRegister);
        // Does not fail for a group that there is. If it did, its number would be of no use any more.
        if self.uring.submitter().unregister_buf_ring(group).is_ok() {
            self.bundles.free_groups.push(group);
        }
        drop(entries);
    }
}

fn bytes<'a>(buffers: &'a BufferRing, piece: &Piece) -> &'a [u8] {
    &buffers.bytes(&piece.buffer)[piece.range.clone()]
}

/// What the sanitizer knows a piece by that is in flight.
fn name(id: Id, number: usize) -> usize {
    NOT_A_CONNECTION + id.key as usize * usize::from(PIECES) + number
}

// The groups of send rings follow the one that is received into.
const _: () = assert!(GROUP == 0);

#[cfg(test)]
mod tests;
