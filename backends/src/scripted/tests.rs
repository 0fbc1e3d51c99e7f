//! Every script of small streams, and some of long ones.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{Bytes, Choices, Due, connection, fuzz};
use crate::io_uring::scripted as peer;
use crate::protocol::{Framed, ProtocolKind, Raw};

/// The choices of one run after the other, until there is no other run.
#[derive(Default)]
struct All {
    /// What was chosen in this run, and out of how many.
    taken: Vec<(usize, usize)>,
    asked: usize,
}

impl Choices for All {
    fn choose(&mut self, options: usize) -> usize {
        if self.asked == self.taken.len() {
            self.taken.push((0, options));
        }
        let (chosen, out_of) = self.taken[self.asked];
        assert_eq!(out_of, options, "what a connection does follows from the script alone");
        self.asked += 1;
        chosen
    }
}

impl All {
    /// Runs `run` once for every combination of choices, and says how often that was.
    fn runs(mut run: impl FnMut(&mut Self)) -> u64 {
        let mut all = Self::default();
        for runs in 1.. {
            all.asked = 0;
            run(&mut all);
            while all.taken.pop_if(|(chosen, options)| *chosen + 1 == *options).is_some() {}
            match all.taken.last_mut() {
                Some((chosen, _)) => *chosen += 1,
                None => return runs,
            }
        }
        unreachable!("a number of runs has no end")
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_be_bytes()[..], payload].concat()
}

/// Short frames only, so that a violation is one of small streams too.
const FRAMED: ProtocolKind = ProtocolKind::Framed(Framed { max_frame_bytes: 300 });
const RAW: ProtocolKind = ProtocolKind::Raw(Raw);

/// Frames, empty ones among them; then a part of one, or one that is longer than it may be.
fn small_streams() -> [Vec<u8>; 4] {
    let violation = [frame(b"bc"), vec![0, 0, 9, 9, 9]].concat();
    let whole = frame(b"defgh");
    [[frame(b""), frame(b"a")].concat(), violation, whole[..8].to_vec(), whole]
}

type Converse = fn(ProtocolKind, &[u8], &mut All, usize);
const ALL: [Converse; 3] = [connection::converse, peer::converse, peer::converse_in_bundles];

#[test]
fn every_split_of_a_small_stream_is_answered() {
    for converse in ALL {
        let three = [frame(b""), frame(b"a"), frame(b"")].concat();
        for stream in small_streams().into_iter().chain([three]) {
            let runs = All::runs(|all| converse(FRAMED, &stream, all, 0));
            // As many as there are splits of what comes before a violation, and for completions more.
            let taken = stream.len() - usize::from(Due::of(FRAMED, &stream).violation);
            assert!(runs >= 1 << (taken - 1), "{runs} runs of {} bytes", stream.len());
        }
    }
}

#[test]
fn every_split_of_a_small_stream_is_answered_whatever_happens_on_the_way() {
    for converse in ALL {
        for stream in small_streams() {
            All::runs(|all| converse(FRAMED, &stream, all, 1));
        }
        for stream in [frame(b"ab"), [frame(b""), frame(b"")].concat(), vec![0, 0, 1, 45, 9]] {
            All::runs(|all| converse(FRAMED, &stream, all, 2));
        }
        All::runs(|all| converse(RAW, b"abcde", all, 2));
    }
}

#[test]
fn what_the_fuzzer_has_found_before_is_answered() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/framing");
    let inputs: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        fuzz(&input);
    }
}

#[test]
fn every_script_is_run_once() {
    // A split after each byte or not; the peer has no other choice.
    assert_eq!(All::runs(|all| connection::converse(FRAMED, &frame(b"abcd"), all, 0)), 1 << 7);
    // A receive, a send and the end of the stream, of which one may be disturbed: by three failures, or as many short
    // sends as there are bytes.
    assert_eq!(All::runs(|all| connection::converse(RAW, b"a", all, 1)), 1 + 3 + (3 + 1) + 3);
}

#[test]
fn what_is_due_is_what_was_sent_up_to_the_end_of_a_frame() {
    let stream = [frame(b"a"), frame(b""), frame(&[0; 301])].concat();
    let due = |sent_bytes: usize| Due::of(FRAMED, &stream[..sent_bytes]);
    let of = |bytes, frames, violation| Due { bytes, frames, violation };
    assert_eq!((due(0), due(4), due(5)), (of(0, 0, false), of(0, 0, false), of(5, 1, false)));
    assert_eq!((due(8), due(9), due(12)), (of(5, 1, false), of(9, 2, false), of(9, 2, false)));
    assert_eq!((due(13), due(stream.len())), (of(9, 2, true), of(9, 2, true)));
    assert_eq!(Due::of(RAW, &stream[..7]), of(7, 0, false));
}

proptest! {
    // The same cases in every run, so that a failure is one of the change that is tested.
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn long_streams_are_answered_whatever_happens_on_the_way(
        payload_lengths in vec(prop_oneof![3 => 0..300_usize, 1 => 60_000..150_000_usize], 0..8),
        cut_off_bytes in 0..20_usize,
        is_violation in any::<bool>(),
        script in vec(prop_oneof![3 => Just(0_u8), 2 => any::<u8>()], 0..200),
    ) {
        let mut stream = Vec::new();
        for (number, &payload_bytes) in payload_lengths.iter().enumerate() {
            // 251 is prime, so the pattern keeps step with no buffer.
            stream.extend(frame(&(0..=250_u8).cycle().skip(number * 31).take(payload_bytes).collect::<Vec<_>>()));
        }
        stream.extend(vec![if is_violation { 9 } else { 0 }; cut_off_bytes]);
        let framed = ProtocolKind::Framed(Framed { max_frame_bytes: 200_000 });
        for kind in [framed, RAW] {
            connection::converse(kind, &stream, &mut Bytes(&script), usize::MAX);
            peer::converse(kind, &stream, &mut Bytes(&script), usize::MAX);
            peer::converse_in_bundles(kind, &stream, &mut Bytes(&script), usize::MAX);
        }
    }
}
