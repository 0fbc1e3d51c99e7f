//! What a server does by itself for what it has received, without a kernel that moves the bytes: for whoever wants to know
//! what that costs. It is the code that servers run, and no other.

use std::sync::Arc;

use crate::protocol::{Framed, Protocol};
use crate::replies::Gather;
use crate::stats::{Event, Stats, ThreadCounters};

/// One receive that brought whole frames, to be answered over and over.
pub struct Framing {
    protocol: Framed,
    received: Vec<u8>,
    output: Vec<u8>,
    counters: ThreadCounters,
    stats: Arc<Stats>,
}

impl Framing {
    /// A receive of so many frames of that payload.
    #[must_use]
    pub fn new(frames: usize, payload_bytes: u32) -> Self {
        let frame = [&payload_bytes.to_be_bytes()[..], &vec![0x5a; payload_bytes as usize]].concat();
        let stats = Arc::new(Stats::default());
        let counters = stats.register();
        Self { protocol: Framed::default(), received: frame.repeat(frames), output: Vec::new(), counters, stats }
    }

    /// Finds the frames, gathers their replies and counts them. Returns what would be sent, from where it would be sent.
    ///
    /// # Panics
    ///
    /// When the frames are longer than the protocol allows.
    #[inline]
    pub fn answer(&mut self) -> &[u8] {
        let mut replies = Gather::new(&self.received, &mut self.output);
        self.protocol.receive(&mut (), &self.received, &mut replies).expect("frames that are short enough");
        let direct = replies.finish(&self.counters);
        &self.received[direct]
    }

    /// Frames that were answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.stats.report().count(Event::Replies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_answered_with_itself_each_time() {
        let mut framing = Framing::new(16, 64);
        for round in 1..=3 {
            assert_eq!(framing.answer().len(), 16 * (4 + 64));
            assert_eq!(framing.answered(), round * 16);
        }
        let received = framing.received.clone();
        assert_eq!(framing.answer(), received);
    }
}
