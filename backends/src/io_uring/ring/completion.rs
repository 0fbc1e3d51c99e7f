//! What becomes of operations, and what they carried.

use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::super::buffer_ring::Buffer;
use super::operation::Id;

/// Bytes to send and where they are.
#[derive(Debug)]
pub(in crate::io_uring) enum Payload {
    /// In the buffer that they were received into.
    Received(Buffer, Range<usize>),
    /// In memory of our own.
    Copied(Vec<u8>, Range<usize>),
}

impl Payload {
    /// Moves past what was sent; false when there is no more.
    pub(in crate::io_uring) fn advance(&mut self, sent_bytes: usize) -> bool {
        let (Payload::Received(_, range) | Payload::Copied(_, range)) = self;
        range.start += sent_bytes;
        range.start < range.end
    }
}

/// Something that became of an operation.
#[derive(Debug)]
pub(in crate::io_uring) enum Completion {
    /// A connection, or why there is none. `last`: the multishot accept has ended.
    Accepted { result: Result<OwnedFd, Errno>, last: bool },
    /// What came in, `None` at the end of the stream. `last`: the multishot receive has ended.
    Received { id: Id, result: Result<Option<Buffer>, Errno>, last: bool },
    /// How many bytes went out, and what they were part of.
    Sent { id: Id, result: Result<usize, Errno>, payload: Payload },
    /// The stop was requested.
    Stopped,
    /// A cancellation has been dealt with.
    Cancelled,
}
