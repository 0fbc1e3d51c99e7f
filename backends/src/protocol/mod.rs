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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::framed::HEADER_BYTES;
    use super::*;

    /// Replies as the bytes that a peer gets.
    struct Sent<'a> {
        input: &'a [u8],
        bytes: &'a mut Vec<u8>,
    }

    impl Replies for Sent<'_> {
        fn echo(&mut self, range: Range<usize>) {
            self.bytes.extend_from_slice(&self.input[range]);
        }

        fn send(&mut self, bytes: &[u8]) {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// What is answered to pieces that arrive one after the other; what is not taken is offered again, as backends do.
    fn replies_to<'a, P: Protocol>(
        protocol: &P,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<u8>, Violation> {
        let mut session = P::Session::default();
        let (mut input, mut bytes) = (Vec::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            let taken = protocol.receive(&mut session, &input, &mut Sent { input: &input, bytes: &mut bytes })?;
            input.drain(..taken);
        }
        Ok(bytes)
    }

    fn frame(payload: &[u8]) -> Vec<u8> {
        [&u32::try_from(payload.len()).unwrap().to_be_bytes()[..], payload].concat()
    }

    /// Cuts `stream` at places that follow from `cuts`.
    fn pieces<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let starts = [0].into_iter().chain(ends.clone());
        starts.zip(ends).map(|(start, end)| &stream[start..end]).collect()
    }

    #[test]
    fn a_frame_is_answered_when_its_last_byte_has_come() {
        for payload in [&b""[..], b"x", b"0123456789"] {
            let frame = frame(payload);
            let (last, rest) = frame.split_last().unwrap();
            assert_eq!(replies_to(&Framed::default(), [rest]), Ok(vec![]));
            assert_eq!(replies_to(&Framed::default(), [rest, &[*last]]), Ok(frame));
        }
    }

    #[test]
    fn raw_answers_every_byte_as_it_comes() {
        assert_eq!(replies_to(&Raw, [&b"a"[..], b"bc"]), Ok(b"abc".to_vec()));
        assert_eq!(replies_to(&Raw, [&[0xff; 4][..]]), Ok(vec![0xff; 4]));
    }

    #[test]
    fn the_limit_is_the_longest_frame_allowed() {
        let protocol = Framed { max_frame_bytes: 10 };
        let longest = frame(&[1; 10]);
        assert_eq!(replies_to(&protocol, [&longest[..]]), Ok(longest));
        let violation = Violation::FrameTooLong { payload_bytes: 11, max_frame_bytes: 10 };
        // Its header is enough.
        assert_eq!(replies_to(&protocol, [&frame(&[1; 11])[..HEADER_BYTES]]), Err(violation));
        let violation = Violation::FrameTooLong { payload_bytes: u32::MAX, max_frame_bytes: 10 };
        assert_eq!(replies_to(&protocol, [&[0xff; HEADER_BYTES][..]]), Err(violation));
    }

    #[test]
    fn what_came_before_a_violation_is_answered() {
        let protocol = Framed { max_frame_bytes: 10 };
        let good = [frame(b"one"), frame(b"two")].concat();
        let input = [&good, &frame(&[0; 11])[..]].concat();
        let mut bytes = Vec::new();
        assert!(protocol.receive(&mut (), &input, &mut Sent { input: &input, bytes: &mut bytes }).is_err());
        assert_eq!(bytes, good);
    }

    proptest! {
        // The same cases in every run, so that a failure is one of the change that is tested.
        #![proptest_config(ProptestConfig {
            cases: 500,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn framed_answers_alike_however_the_stream_is_cut(
            payloads in vec(vec(any::<u8>(), 0..40), 0..12),
            cut_off in vec(any::<u8>(), 0..4),
            cuts in vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let frames: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
            // At most three bytes are never a frame.
            let stream = [&frames[..], &cut_off].concat();
            prop_assert_eq!(replies_to(&Framed::default(), pieces(&stream, &cuts)), Ok(frames));
        }

        #[test]
        fn raw_answers_alike_however_the_stream_is_cut(
            stream in vec(any::<u8>(), 0..400),
            cuts in vec(any::<prop::sample::Index>(), 0..40),
        ) {
            prop_assert_eq!(replies_to(&Raw, pieces(&stream, &cuts)), Ok(stream));
        }

        #[test]
        fn any_bytes_are_frames_or_a_violation(
            stream in vec(0_u8..4, 0..400),
            cuts in vec(any::<prop::sample::Index>(), 0..40),
        ) {
            // Small numbers, so that lengths on both sides of the limit occur.
            let protocol = Framed { max_frame_bytes: 2 };
            let whole = replies_to(&protocol, [&stream[..]]);
            prop_assert_eq!(replies_to(&protocol, pieces(&stream, &cuts)), whole.clone());
            if let Ok(bytes) = whole {
                prop_assert!(stream.starts_with(&bytes));
            }
        }
    }
}
