//! Gathers the replies to one receive, so that they leave in one send and, where possible, uncopied.

use std::ops::Range;

use crate::protocol::Replies;
use crate::stats::{Counters, Event};

/// Replies in order: either one unbroken part of the input, to be sent from there, or bytes in the output.
///
/// Invariant: what is `direct` comes after everything in `output`; so it stays empty where there is output.
pub(crate) struct Gather<'a> {
    input: &'a [u8],
    output: &'a mut Vec<u8>,
    direct: Range<usize>,
    replies: u64,
}

impl<'a> Gather<'a> {
    /// Replies to `input`, behind what is in `output` already.
    pub(crate) fn new(input: &'a [u8], output: &'a mut Vec<u8>) -> Self {
        Self { input, output, direct: 0..0, replies: 0 }
    }

    /// Counts the replies and returns the part of the input that is to be sent, empty where all is in the output.
    pub(crate) fn finish(self, counters: &Counters) -> Range<usize> {
        counters.events(Event::Replies, self.replies);
        self.direct
    }
}

impl Replies for Gather<'_> {
    #[inline]
    fn echo(&mut self, range: Range<usize>) {
        self.replies += 1;
        if !self.output.is_empty() {
            self.output.extend_from_slice(&self.input[range]);
        } else if self.direct.is_empty() {
            self.direct = range;
        } else if self.direct.end == range.start {
            self.direct.end = range.end;
        } else {
            self.output.extend_from_slice(&self.input[self.direct.clone()]);
            self.output.extend_from_slice(&self.input[range]);
            self.direct = 0..0;
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.replies += 1;
        self.output.extend_from_slice(&self.input[self.direct.clone()]);
        self.output.extend_from_slice(bytes);
        self.direct = 0..0;
    }
}
