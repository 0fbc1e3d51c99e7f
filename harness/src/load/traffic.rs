//! What connections send, and what must come back.
//!
//! All connections send the same endless stream, a fixed table of frames over and over, each from a frame of its own
//! on. Nothing is built or copied per request: to send is to hand the kernel a slice of the table, to check an answer
//! is to compare it with one. Frames of the table differ from each other as far as their payload can tell them apart,
//! so an answer that is lost, doubled, swapped or meant for another connection is seen.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Length of the header: the payload's length, big-endian.
pub(super) const HEADER_BYTES: usize = 4;

/// Small frames repeat after this many bytes at the earliest; it stays in the L2 cache beside the socket buffers.
const TABLE_BYTES: usize = 64 * 1024;
/// Large frames make do with fewer of them, for the sake of memory.
const MAX_TABLE_BYTES: usize = 64 * 1024 * 1024;
/// Enough that two connections seldom await the same frame.
const FRAMES: usize = 16;

/// More than this in one send only makes its time less exact.
const MAX_SEND_BYTES: usize = 256 * 1024;

/// The table of frames.
#[derive(Debug)]
pub(super) struct Traffic {
    table: Box<[u8]>,
    frame_bytes: usize,
}

impl Traffic {
    /// A table for connections with at most `depth` frames in flight.
    pub(super) fn new(payload_bytes: u32, depth: usize) -> Self {
        let frame_bytes = HEADER_BYTES + payload_bytes as usize;
        // One more than are in flight, and one to spare, or an answer could be taken for one of the round before.
        let wanted = FRAMES.max(depth + 2).max(TABLE_BYTES.div_ceil(frame_bytes));
        let frames = wanted.min(MAX_TABLE_BYTES / frame_bytes).max(2);

        let mut table = vec![0; frames * frame_bytes].into_boxed_slice();
        Pcg64Mcg::seed_from_u64(0).fill_bytes(&mut table);
        for (number, frame) in table.chunks_exact_mut(frame_bytes).enumerate() {
            let (header, payload) = frame.split_at_mut(HEADER_BYTES);
            header.copy_from_slice(&payload_bytes.to_be_bytes());
            // Random bytes alone would make some short payloads equal.
            let number = number.to_le_bytes();
            let numbered_bytes = payload.len().min(number.len());
            payload[..numbered_bytes].copy_from_slice(&number[..numbered_bytes]);
        }
        Self { table, frame_bytes }
    }

    pub(super) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// Where in the table the connection of that number begins.
    pub(super) fn start_of(&self, connection: usize) -> usize {
        // Fractions of the golden ratio are as far apart as can be, so that connections which are a few requests ahead
        // of each other do not send the same.
        let fraction = connection.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF;
        let frames = self.table.len() / self.frame_bytes;
        ((fraction * frames) >> 32) * self.frame_bytes
    }

    /// `at` moved on by `bytes`, which are at most one table.
    fn advance(&self, at: usize, bytes: usize) -> usize {
        let next = at + bytes;
        if next < self.table.len() { next } else { next - self.table.len() }
    }

    /// `at` moved back by `bytes`, which are at most one table.
    fn retreat(&self, at: usize, bytes: usize) -> usize {
        if at >= bytes { at - bytes } else { at + self.table.len() - bytes }
    }
}

/// The sending end of a connection's stream.
#[derive(Debug)]
pub(super) struct Outgoing {
    at: usize,
    unsent_bytes: usize,
}

impl Outgoing {
    pub(super) fn new(start: usize) -> Self {
        Self { at: start, unsent_bytes: 0 }
    }

    /// Lets one more frame go.
    pub(super) fn add_frame(&mut self, traffic: &Traffic) {
        self.unsent_bytes += traffic.frame_bytes;
    }

    /// What to send next, in one piece; empty when everything was sent.
    pub(super) fn unsent<'t>(&self, traffic: &'t Traffic) -> &'t [u8] {
        let rest = &traffic.table[self.at..];
        &rest[..rest.len().min(self.unsent_bytes).min(MAX_SEND_BYTES)]
    }

    /// Takes note that the kernel took `bytes` of what was [`unsent`](Self::unsent).
    pub(super) fn sent(&mut self, traffic: &Traffic, bytes: usize) {
        self.at = traffic.advance(self.at, bytes);
        self.unsent_bytes -= bytes;
    }

    /// Takes back the last `bytes` of what was [`sent`](Self::sent), at most one table.
    pub(super) fn not_sent(&mut self, traffic: &Traffic, bytes: usize) {
        self.at = traffic.retreat(self.at, bytes);
        self.unsent_bytes += bytes;
    }
}

/// The receiving end of a connection's stream.
#[derive(Debug)]
pub(super) struct Incoming {
    at: usize,
    /// What has come of the frame that is not complete yet.
    partial_bytes: usize,
    /// Whether that part differed from what was expected, and was counted.
    partial_differs: bool,
}

/// What one piece of the stream contained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// Frames that it completed.
    pub(super) frames: usize,
    /// Frames in which it, and no piece before it, differed from what was expected.
    pub(super) mismatches: u64,
}

impl Incoming {
    pub(super) fn new(start: usize) -> Self {
        Self { at: start, partial_bytes: 0, partial_differs: false }
    }

    /// What has come of the frame that is not complete yet.
    pub(super) fn partial_bytes(&self) -> usize {
        self.partial_bytes
    }

    /// Checks the next piece of the stream, of any length. All frames have one length, so that after a difference
    /// the rest is still compared with what belongs there.
    pub(super) fn receive(&mut self, traffic: &Traffic, mut piece: &[u8]) -> Received {
        let mut received = Received::default();
        while !piece.is_empty() {
            let (of_frame, rest) = piece.split_at(piece.len().min(traffic.frame_bytes - self.partial_bytes));
            if !self.partial_differs && !traffic.table[self.at..].starts_with(of_frame) {
                self.partial_differs = true;
                received.mismatches += 1;
            }
            self.at = traffic.advance(self.at, of_frame.len());
            self.partial_bytes += of_frame.len();
            if self.partial_bytes == traffic.frame_bytes {
                received.frames += 1;
                self.partial_bytes = 0;
                self.partial_differs = false;
            }
            piece = rest;
        }
        received
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    #[test]
    fn a_table_holds_whole_frames_that_differ() {
        for (payload_bytes, depth) in [(2, 1), (64, 1), (64, 4096), (5000, 1), (1 << 20, 3)] {
            let traffic = Traffic::new(payload_bytes, depth);
            let frames: Vec<_> = traffic.table.chunks(traffic.frame_bytes).collect();
            assert!(frames.len() >= depth + 2 && frames.len() >= FRAMES);
            assert!(traffic.table.len() >= TABLE_BYTES);
            assert!(frames.iter().all(|frame| frame[..HEADER_BYTES] == payload_bytes.to_be_bytes()));
            assert!(frames.iter().all(|frame| frame.len() == traffic.frame_bytes));
            assert_eq!(frames.iter().collect::<HashSet<_>>().len(), frames.len());
        }
    }

    #[test]
    fn a_table_of_large_frames_is_bounded() {
        let traffic = Traffic::new(16 * 1024 * 1024, 1024);
        assert!(traffic.table.len() <= MAX_TABLE_BYTES);
        assert!(traffic.table.len() / traffic.frame_bytes >= 2);
    }

    #[test]
    fn neighbouring_connections_begin_far_apart() {
        let traffic = Traffic::new(64, 1);
        let starts: Vec<_> = (0..100).map(|connection| traffic.start_of(connection)).collect();
        assert!(starts.iter().all(|start| start % traffic.frame_bytes == 0 && *start < traffic.table.len()));
        assert!(starts.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 100 * traffic.frame_bytes));
    }

    #[test]
    fn sending_goes_on_where_the_kernel_stopped_and_around_the_table() {
        let traffic = Traffic::new(996, 1);
        let last_frame = traffic.table.len() - 1000;
        let mut outgoing = Outgoing::new(last_frame);
        assert!(outgoing.unsent(&traffic).is_empty());
        outgoing.add_frame(&traffic);
        outgoing.add_frame(&traffic);
        assert_eq!(outgoing.unsent(&traffic), &traffic.table[last_frame..]);
        outgoing.sent(&traffic, 300);
        assert_eq!(outgoing.unsent(&traffic), &traffic.table[last_frame + 300..]);
        outgoing.sent(&traffic, 700);
        assert_eq!(outgoing.unsent(&traffic), &traffic.table[..1000]);
        outgoing.sent(&traffic, 1000);
        assert!(outgoing.unsent(&traffic).is_empty());
        // Taken back as far as into the frame before.
        outgoing.not_sent(&traffic, 1300);
        assert_eq!(outgoing.unsent(&traffic), &traffic.table[last_frame + 700..]);
    }

    proptest! {
        #[test]
        fn any_split_of_the_true_stream_is_accepted(
            payload_bytes in 0_u32..6000,
            connection in 0_usize..100,
            frames in 1_usize..40,
            cuts in vec(any::<Index>(), 0..30),
        ) {
            let traffic = Traffic::new(payload_bytes, 1);
            let stream = stream(&traffic, connection, frames);
            let received = receive(&traffic, connection, &stream, &cuts);
            prop_assert_eq!(received, Received { frames, mismatches: 0 });
        }

        #[test]
        fn exactly_the_frames_with_flipped_bytes_are_reported(
            payload_bytes in 0_u32..6000,
            connection in 0_usize..100,
            frames in 1_usize..40,
            cuts in vec(any::<Index>(), 0..30),
            flips in vec((any::<Index>(), 1_u8..), 1..10),
        ) {
            let traffic = Traffic::new(payload_bytes, 1);
            let mut stream = stream(&traffic, connection, frames);
            let truth = stream.clone();
            for (at, flip) in flips {
                stream[at.index(truth.len())] ^= flip;
            }
            let frame_bytes = traffic.frame_bytes;
            let touched = stream.chunks(frame_bytes).zip(truth.chunks(frame_bytes)).filter(|(a, b)| a != b).count();
            let received = receive(&traffic, connection, &stream, &cuts);
            prop_assert_eq!(received, Received { frames, mismatches: touched as u64 });
        }
    }

    /// The bytes of that many frames, as a connection sends them.
    fn stream(traffic: &Traffic, connection: usize, frames: usize) -> Vec<u8> {
        let mut outgoing = Outgoing::new(traffic.start_of(connection));
        (0..frames).for_each(|_| outgoing.add_frame(traffic));
        let mut stream = Vec::new();
        while !outgoing.unsent(traffic).is_empty() {
            let piece = outgoing.unsent(traffic);
            stream.extend_from_slice(piece);
            outgoing.sent(traffic, piece.len());
        }
        stream
    }

    fn receive(traffic: &Traffic, connection: usize, stream: &[u8], cuts: &[Index]) -> Received {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut incoming = Incoming::new(traffic.start_of(connection));
        let pieces = cuts.windows(2).map(|cut| incoming.receive(traffic, &stream[cut[0]..cut[1]]));
        pieces.fold(Received::default(), |sum, piece| Received {
            frames: sum.frames + piece.frames,
            mismatches: sum.mismatches + piece.mismatches,
        })
    }
}
