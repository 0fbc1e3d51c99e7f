//! What becomes of operations, and what they carried.

use std::ops::Range;

use rustix::io::Errno;

use super::super::buffer_ring::Buffer;
use super::operation::Id;
use super::socket::Socket;

/// Memory with what was received into it; ours until it is given back.
#[derive(Debug)]
pub(in crate::io_uring) enum Input {
    /// A buffer of the ring that all connections share.
    Provided(Buffer),
    /// The memory of the connection itself.
    Own(Vec<u8>),
}

impl Input {
    /// Bytes received.
    pub(in crate::io_uring) fn len(&self) -> usize {
        match self {
            Input::Provided(buffer) => buffer.len(),
            Input::Own(memory) => memory.len(),
        }
    }
}

/// Bytes to send and where they are.
#[derive(Debug)]
pub(in crate::io_uring) enum Payload {
    /// Where they were received.
    Received(Input, Range<usize>),
    /// In memory of our own.
    Copied(Vec<u8>, Range<usize>),
    /// At this place of those that the network may still read.
    Lent(usize, Range<usize>),
    /// All that is held for the connection: where it was received, in several buffers.
    Held(Range<usize>),
}

impl Payload {
    /// Whether nothing is left to be sent.
    pub(in crate::io_uring) fn is_empty(&self) -> bool {
        let (Payload::Received(_, range) | Payload::Copied(_, range) | Payload::Lent(_, range) | Payload::Held(range)) =
            self;
        range.is_empty()
    }

    /// Moves past what was sent; false when there is no more.
    pub(in crate::io_uring) fn advance(&mut self, sent_bytes: usize) -> bool {
        let (Payload::Received(_, range) | Payload::Copied(_, range) | Payload::Lent(_, range) | Payload::Held(range)) =
            self;
        range.start += sent_bytes;
        range.start < range.end
    }
}

/// Something that became of an operation.
#[derive(Debug)]
pub(in crate::io_uring) enum Completion {
    /// A connection, or why there is none. `last`: the accept has ended.
    Accepted { result: Result<Socket, Errno>, last: bool },
    /// What came in, `None` at the end of the stream. `last`: the receive has ended. `more`: it has not, and the kernel
    /// tries at once to receive what waits behind this.
    Received { id: Id, result: Result<Option<Input>, Errno>, last: bool, more: bool },
    /// How many bytes went out, and what they were part of. `lent`: the network may still read it, and a
    /// [`LetGo`](Self::LetGo) follows.
    Sent { id: Id, result: Result<usize, Errno>, payload: Payload, lent: bool },
    /// The network does not read any more what was sent from where it lay, or had `copied` it; `done` is what nobody
    /// needs any more.
    LetGo { id: Id, copied: bool, done: Option<Payload> },
    /// There was no receive to cancel: it has ended, or the kernel is just at work on it.
    NotCancelled { id: Id },
    /// The stop was requested.
    Stopped,
    /// A place in the table of the ring is free again.
    Closed,
    /// Something has been dealt with that nobody waits for: a cancellation, a shutdown.
    Done,
}
