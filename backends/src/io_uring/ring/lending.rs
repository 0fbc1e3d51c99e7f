//! Zero-copy sends: the network reads what is sent from where it lies, and says with a second completion, the notice,
//! that it does not any more. Until then the memory is lent.
//!
//! Invariant: lent memory is kept until every send from it has either had its notice or said that none will come.
#![expect(unsafe_code)]

use std::io;
use std::ops::Range;

use io_uring::{cqueue, opcode};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::completion::{Completion, Payload};
use super::operation::{Id, Kind};
use super::socket::Socket;
use super::{MSG_WAITALL, Ring};
use crate::stats::Counters;

/// Asks that the notice say whether the data was copied after all.
const REPORT_USAGE: u16 = 1 << 3;
/// What such a notice says then.
const COPIED: i32 = i32::MIN;

/// Loans are told to the sanitizer by this less their place: no connection has such a one.
const NOT_A_CONNECTION: usize = usize::MAX;

/// Memory that is lent.
#[derive(Debug)]
pub(super) struct Loan {
    id: Id,
    pub(super) memory: Payload,
    /// What is left of it to be sent, when it was last sent from.
    range: Range<usize>,
    /// Sends that may still read it.
    reads: u32,
    /// Nothing is to be sent from it any more.
    is_over: bool,
}

impl Ring {
    /// Sends `payload`, or what is left of one that is lent already, from where it lies.
    pub(super) fn send_zero_copy(
        &mut self,
        socket: &Socket,
        id: Id,
        payload: Payload,
        reported: bool,
        counters: &Counters,
    ) -> io::Result<()> {
        let (place, range) = match payload {
            Payload::Lent(place, range) => (place, range),
            Payload::Held(_) => unreachable!("what is held does not lie in one piece"),
            Payload::Received(_, ref range) | Payload::Copied(_, ref range) => {
                let range = range.clone();
                (self.lent.insert(Loan { id, memory: payload, range: range.clone(), reads: 0, is_over: false }), range)
            }
        };
        let bytes = &self.memory(&self.lent[place].memory)[range.clone()];
        let (start, len) = (bytes.as_ptr(), u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.sanitizer.lend(NOT_A_CONNECTION - place, start, len as usize);
        let flags = SendFlags::NOSIGNAL.bits() | if reported { 0 } else { MSG_WAITALL };
        let send = opcode::SendZc::new(socket.fd(), start, len)
            .flags(flags.cast_signed())
            .zc_flags(REPORT_USAGE)
            .build()
            .flags(socket.flags());
        let loan = &mut self.lent[place];
        loan.range = range;
        loan.reads += 1;
        let name = Id::new(u32::try_from(place).expect("fewer loans than operations"), 0);
        // SAFETY: it reads memory that is lent, and is kept until the last send from it was seen to let go.
        unsafe { self.push(send, Kind::SendZeroCopy, name, counters) }
    }

    /// A completion of a zero-copy send, the first or the second.
    pub(super) fn zero_copy(
        &mut self,
        place: usize,
        entry: &cqueue::Entry,
        result: Result<u32, Errno>,
        last: bool,
    ) -> Completion {
        let loan = &mut self.lent[place];
        // Where no notice will come, the first completion is the last one.
        loan.reads -= u32::from(last);
        let id = loan.id;
        if cqueue::notif(entry.flags()) {
            return Completion::LetGo { id, copied: entry.result() & COPIED != 0, done: self.end_of_loan(place) };
        }
        let payload = Payload::Lent(place, loan.range.clone());
        let result = match result {
            // Nothing has gone out; it is to be tried again. Nobody here cancels a send, but the kernel: see `sent`.
            Err(Errno::AGAIN | Errno::INTR | Errno::CANCELED) => Ok(0),
            other => other.map(|sent_bytes| sent_bytes as usize),
        };
        Completion::Sent { id, result, payload, lent: !last }
    }

    /// Nothing is to be sent any more from what is lent at `place`: the memory, once nothing reads it.
    pub(super) fn end_loan(&mut self, place: usize) -> Option<Payload> {
        self.lent[place].is_over = true;
        self.end_of_loan(place)
    }

    fn end_of_loan(&mut self, place: usize) -> Option<Payload> {
        let Loan { reads, is_over, .. } = self.lent[place];
        if reads > 0 || !is_over {
            return None;
        }
        self.sanitizer.take_back(NOT_A_CONNECTION - place);
        Some(self.lent.remove(place).memory)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use io_uring::squeue;

    use super::*;
    use crate::io_uring::SETTLE_WAIT;
    use crate::io_uring::ring::fd;
    use crate::io_uring::ring::operation::NOBODY;
    use crate::io_uring::ring::sending::tests::{connected, is_sent_again};

    const ID: Id = Id { key: 3, generation: 0 };

    #[test]
    fn a_zero_copy_send_that_was_cancelled_is_made_again() {
        let Some((mut ring, socket, mut peer, counters)) = connected("io_uring-zc") else { return };
        let memory = Payload::Copied(b"once".to_vec(), 0..4);
        let start = ring.memory(&memory).as_ptr();
        let place = ring.lent.insert(Loan { id: ID, memory, range: 0..4, reads: 1, is_over: false });
        let name = Id::new(u32::try_from(place).unwrap(), 0);
        let send = opcode::SendZc::new(socket.fd(), start, 4).zc_flags(REPORT_USAGE).build();
        // SAFETY: it reads memory that is lent.
        unsafe { ring.push(send.flags(squeue::Flags::IO_LINK), Kind::SendZeroCopy, name, &counters) }.unwrap();
        // What cannot be understood has the operation cancelled that it is linked to, as a signal has that is to be made by
        // another thread: with a notice to come.
        let senseless = opcode::PollAdd::new(fd(&peer.as_fd()), 1).multi(true).build();
        ring.push_plain(senseless.flags(squeue::Flags::SKIP_SUCCESS), Kind::Cancel, NOBODY, &counters).unwrap();

        is_sent_again((&mut ring, socket, &mut peer, &counters), ID, b"once");
        while !ring.lent.is_empty() {
            if let Some(Completion::LetGo { id, done, .. }) = ring.next() {
                assert_eq!(id, ID);
                done.and_then(|payload| ring.give_back(ID, payload));
            }
            ring.wait(Some(SETTLE_WAIT), &counters).unwrap();
        }
    }
}
