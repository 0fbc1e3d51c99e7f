//! Connections of a kernel and a peer that do what a script says: every split of the input, every short write, every
//! failure of a call, in every order that can occur. What drives it is the same for tests that try all scripts of a small
//! stream, tests that draw some of a long one, and the fuzzer.
//!
//! What must come back is decided by [`Due`], which shares no code with the protocols.

mod connection;
#[cfg(test)]
mod tests;

use crate::protocol::{Framed, ProtocolKind, Raw};

/// Where a script decides what happens next.
pub(crate) trait Choices {
    /// One of the numbers below `options`, which is not 0. 0 stands for what happens where nothing disturbs.
    fn choose(&mut self, options: usize) -> usize;
}

/// Choices out of bytes: the fuzzer's, or those that a test has drawn. When they are used up nothing disturbs any more.
#[derive(Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Choices for Bytes<'_> {
    fn choose(&mut self, options: usize) -> usize {
        // As many bytes as the largest number takes.
        let mut number = 0;
        let mut largest = options - 1;
        while largest > 0 {
            let Some((&byte, rest)) = self.0.split_first() else { return 0 };
            self.0 = rest;
            number = number << 8 | usize::from(byte);
            largest >>= 8;
        }
        number % options
    }
}

/// What is due to a peer that has sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Both protocols answer with the start of what was sent: that many bytes of it.
    pub(crate) bytes: usize,
    /// How many frames those are; 0 under `raw`.
    pub(crate) frames: u64,
    pub(crate) violation: bool,
}

impl Due {
    /// For `sent`, one byte after the other.
    pub(crate) fn of(protocol: ProtocolKind, sent: &[u8]) -> Self {
        let ProtocolKind::Framed(Framed { max_frame_bytes }) = protocol else {
            return Self { bytes: sent.len(), frames: 0, violation: false };
        };
        let mut due = Self { bytes: 0, frames: 0, violation: false };
        let (mut header_bytes, mut announced) = (0, 0_u64);
        for (byte, end) in sent.iter().zip(1..) {
            if header_bytes < 4 {
                header_bytes += 1;
                announced = announced * 256 + u64::from(*byte);
                if header_bytes == 4 && announced > u64::from(max_frame_bytes) {
                    return Self { violation: true, ..due };
                }
            } else {
                announced -= 1;
            }
            if header_bytes == 4 && announced == 0 {
                due = Self { bytes: end, frames: due.frames + 1, violation: false };
                header_bytes = 0;
            }
        }
        due
    }
}

/// The longest frame that the fuzzer's servers allow: within reach of one byte, so that both sides of it occur.
const FUZZED: Framed = Framed { max_frame_bytes: 40 };

/// One run of the fuzzer: the first half of `input` decides what happens to the second on its way.
///
/// # Panics
///
/// When a connection does not answer as it must.
pub fn fuzz(input: &[u8]) {
    let (script, stream) = input.split_at(input.len() / 2);
    for protocol in [ProtocolKind::Framed(FUZZED), ProtocolKind::Raw(Raw)] {
        connection::converse(protocol, stream, &mut Bytes(script), usize::MAX);
        crate::io_uring::scripted::converse(protocol, stream, &mut Bytes(script), usize::MAX);
        crate::io_uring::scripted::converse_in_bundles(protocol, stream, &mut Bytes(script), usize::MAX);
    }
}
