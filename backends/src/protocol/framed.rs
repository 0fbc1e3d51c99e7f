//! `framed`: a 4-byte big-endian length, then that many payload bytes; answered with the same frame.

use super::{Protocol, Replies, Violation};

/// Bytes before the payload of a frame.
pub(super) const HEADER_BYTES: usize = 4;

/// Length-prefixed frames. A frame is answered after all of it has arrived; a length of 0 is legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed {
    /// The longest payload that is not a violation.
    pub max_frame_bytes: u32,
}

impl Default for Framed {
    fn default() -> Self {
        Self { max_frame_bytes: 16 * 1024 * 1024 }
    }
}

impl Protocol for Framed {
    /// Everything there is to know is in the bytes that were not taken yet.
    type Session = ();

    fn receive(&self, (): &mut (), input: &[u8], replies: &mut impl Replies) -> Result<usize, Violation> {
        let mut taken = 0;
        while let Some(header) = input[taken..].first_chunk::<HEADER_BYTES>() {
            let payload_bytes = u32::from_be_bytes(*header);
            if payload_bytes > self.max_frame_bytes {
                return Err(Violation::FrameTooLong { payload_bytes, max_frame_bytes: self.max_frame_bytes });
            }
            // Compared without the header: where `usize` has 32 bits, their sum may not fit.
            if input.len() - taken - HEADER_BYTES < payload_bytes as usize {
                break;
            }
            let end = taken + HEADER_BYTES + payload_bytes as usize;
            replies.echo(taken..end);
            taken = end;
        }
        Ok(taken)
    }
}
