//! What a server says back to what it is sent. Knows nothing of sockets.

mod framed;
mod raw;

use std::ops::Range;

pub use framed::Framed;
pub use raw::Raw;

/// What a server says back to what it is sent: a state machine per connection.
pub trait Protocol: Clone + Send + Sync {
    /// What is remembered of one connection between two calls of [`receive`](Protocol::receive).
    type Session: Default + Send;

    /// Takes what is complete in `input`, answers through `replies`, and returns how many bytes it took.
    ///
    /// What it did not take is offered again, at the start of `input`, when more has arrived.
    ///
    /// # Errors
    ///
    /// [`Violation`] where no continuation of `input` could be legal. Replies given before it are still sent; then
    /// the connection is closed.
    fn receive(
        &self,
        session: &mut Self::Session,
        input: &[u8],
        replies: &mut impl Replies,
    ) -> Result<usize, Violation>;
}

/// Where a protocol puts its replies, in order.
pub trait Replies {
    /// Answers with a part of the `input` that [`Protocol::receive`] was given; copied only if it must be.
    fn echo(&mut self, range: Range<usize>);
    /// Answers with other bytes.
    fn send(&mut self, bytes: &[u8]);
}

/// How a peer broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame announced more payload than is allowed.
    #[error("a frame of {payload_bytes} bytes, where at most {max_frame_bytes} are allowed")]
    FrameTooLong {
        /// What the frame announced.
        payload_bytes: u32,
        /// What is allowed.
        max_frame_bytes: u32,
    },
}

/// Which protocol a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolKind {
    /// Length-prefixed frames, each answered when all of it has arrived.
    Framed(Framed),
    /// RFC 862: every byte, as soon as it arrives.
    Raw(Raw),
}
