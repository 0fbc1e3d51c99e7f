//! Gathers the replies to one receive, so that they leave in one send and, where possible, uncopied.

use std::mem;
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
    copied_bytes: usize,
}

impl<'a> Gather<'a> {
    /// Replies to `input`, behind what is in `output` already.
    pub(crate) fn new(input: &'a [u8], output: &'a mut Vec<u8>) -> Self {
        Self { input, output, direct: 0..0, replies: 0, copied_bytes: 0 }
    }

    /// Counts the replies and what was copied for them, and returns the part of the input that is to be sent, empty where all is in the output.
    pub(crate) fn finish(self, counters: &Counters) -> Range<usize> {
        counters.events(Event::Replies, self.replies);
        counters.copied(self.copied_bytes);
        self.direct
    }

    /// Puts a part of the input behind what is in the output.
    #[inline]
    fn copy(&mut self, range: Range<usize>) {
        self.copied_bytes += range.len();
        self.output.extend_from_slice(&self.input[range]);
    }

    /// Puts what was to be sent from the input behind what is in the output, for something is to follow that is not there.
    fn copy_direct(&mut self) {
        let direct = mem::replace(&mut self.direct, 0..0);
        self.copy(direct);
    }
}

impl Replies for Gather<'_> {
    #[inline]
    fn echo(&mut self, range: Range<usize>) {
        self.replies += 1;
        if !self.output.is_empty() {
            self.copy(range);
        } else if self.direct.is_empty() {
            self.direct = range;
        } else if self.direct.end == range.start {
            self.direct.end = range.end;
        } else {
            self.copy_direct();
            self.copy(range);
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.replies += 1;
        self.copy_direct();
        self.copied_bytes += bytes.len();
        self.output.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stats::Stats;

    const INPUT: &[u8] = b"abcdefgh";

    /// What is in the output, and what is to be sent from the input after it, once `reply` has replied.
    fn gathered(before: &[u8], reply: impl FnOnce(&mut Gather<'_>)) -> (Vec<u8>, Range<usize>) {
        let counters = Arc::new(Stats::default()).register();
        let mut output = before.to_vec();
        let mut gather = Gather::new(INPUT, &mut output);
        reply(&mut gather);
        let direct = gather.finish(&counters);
        (output, direct)
    }

    #[test]
    fn nothing_is_gathered_from_no_reply() {
        assert_eq!(gathered(b"", |_| ()), (vec![], 0..0));
    }

    #[test]
    fn adjoining_echoes_are_sent_from_the_input() {
        let (output, direct) = gathered(b"", |replies| {
            replies.echo(1..3);
            replies.echo(3..3);
            replies.echo(3..6);
        });
        assert_eq!((&output[..], direct), (&b""[..], 1..6));
    }

    #[test]
    fn echoes_with_a_gap_are_copied() {
        let (output, direct) = gathered(b"", |replies| {
            replies.echo(0..2);
            replies.echo(4..6);
            replies.echo(6..8);
        });
        assert_eq!((&output[..], direct.is_empty()), (&b"abefgh"[..], true));
    }

    #[test]
    fn a_send_between_echoes_keeps_their_order() {
        let (output, direct) = gathered(b"", |replies| {
            replies.echo(0..2);
            replies.send(b"--");
            replies.echo(2..4);
        });
        assert_eq!((&output[..], direct.is_empty()), (&b"ab--cd"[..], true));
    }

    #[test]
    fn an_empty_send_leaves_nothing_behind_its_echo() {
        let (output, direct) = gathered(b"", |replies| {
            replies.echo(0..2);
            replies.send(b"");
            replies.echo(2..4);
        });
        assert_eq!((&output[..], direct.is_empty()), (&b"abcd"[..], true));
    }

    #[test]
    fn replies_come_after_output_that_waits_already() {
        let (output, direct) = gathered(b"before ", |replies| {
            replies.echo(0..2);
            replies.echo(2..4);
        });
        assert_eq!((&output[..], direct.is_empty()), (&b"before abcd"[..], true));
    }

    #[test]
    fn every_reply_is_counted() {
        let stats = Arc::new(Stats::default());
        let counters = stats.register();
        let mut output = Vec::new();
        let mut gather = Gather::new(INPUT, &mut output);
        gather.echo(0..1);
        gather.echo(1..1);
        gather.send(b"x");
        gather.finish(&counters);
        assert_eq!(stats.report().count(Event::Replies), 3);
    }

    #[test]
    fn every_byte_that_is_copied_is_counted() {
        let copied = |before: &[u8], ranges: &[Range<usize>]| {
            let stats = Arc::new(Stats::default());
            let counters = stats.register();
            let mut output = before.to_vec();
            let mut gather = Gather::new(INPUT, &mut output);
            ranges.iter().cloned().for_each(|range| gather.echo(range));
            gather.finish(&counters);
            stats.report().count(Event::BytesCopied)
        };
        assert_eq!(copied(b"", &[1..3, 3..6]), 0);
        assert_eq!(copied(b"", &[0..2, 4..6, 6..8]), 6);
        assert_eq!(copied(b"before ", &[0..2, 2..4]), 4);
    }
}
