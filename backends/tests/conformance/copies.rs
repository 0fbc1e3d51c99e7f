//! What a server copies by itself, to the byte, and how much it does for one wake-up.

use backends::protocol::{ProtocolKind, Raw};
use backends::{Event, IoModel, Waiting};

use crate::Subject;
use crate::client::{Client, frame};
use crate::server::{Server, Setup};

const ROUNDS: usize = 20;
/// Frames that come in one piece: they fit into any buffer that a server receives into.
const TOGETHER: usize = 16;
const PAYLOAD_BYTES: usize = 100;
const FRAME_BYTES: usize = 104;
/// How much of a frame comes first, where it comes in two pieces.
const FIRST_BYTES: usize = 30;
/// Beyond those for requests: for a connection that comes and goes, for the stop, and for each thread that it ends.
const WAKEUPS_BESIDE: usize = 16;

/// They stand in one receive as they are to be sent, so they are sent from there.
pub(crate) fn frames_that_come_together_take_one_wake_up_and_no_copy(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let client = Client::connect(&server);
    for round in 0..ROUNDS {
        client.exchange(&frame(round as u64, PAYLOAD_BYTES).repeat(TOGETHER));
    }
    drop(client);
    server.wait_for(Event::Closed, 1);
    let report = server.stop();
    assert_eq!(report.count(Event::Replies), (ROUNDS * TOGETHER) as u64);
    assert_eq!(report.count(Event::BytesCopied), 0);
    let wakeups = usize::try_from(report.count(Event::Wakeups)).expect("they are few");
    let least = match backend.info().waiting {
        Waiting::Sleeps => ROUNDS,
        Waiting::KernelSpins => 1,
        Waiting::Spins => 0,
    };
    // Of a completion loop, others may say that what was sent is sent, and that its memory is read no more.
    let most = if backend.info().waiting == Waiting::Spins { 0 } else { 3 * ROUNDS + WAKEUPS_BESIDE };
    assert!((least..=most).contains(&wakeups), "{wakeups} wake-ups in {ROUNDS} rounds, not {least} to {most}");
}

/// What is received, in however many pieces, is what is sent: nothing has to wait for anything.
pub(crate) fn pieces_of_a_stream_are_not_copied(backend: Subject) {
    let server = Server::start(backend, Setup::of(ProtocolKind::Raw(Raw)));
    let client = Client::connect(&server);
    for round in 0..ROUNDS {
        client.exchange(&frame(round as u64, PAYLOAD_BYTES)[..FIRST_BYTES]);
    }
    drop(client);
    assert_eq!(server.stop().count(Event::BytesCopied), 0);
}

/// The first piece is put aside. A server that receives into a buffer of its own choice puts it before the second; one that
/// is told where the second lies puts that behind the first. Whole frames before it are sent from where they are.
pub(crate) fn a_frame_in_two_pieces_is_copied_to_lie_in_one(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let client = Client::connect(&server);
    let two_frames = [frame(1, PAYLOAD_BYTES), frame(2, PAYLOAD_BYTES)].concat();
    let (first, second) = two_frames.split_at(FRAME_BYTES + FIRST_BYTES);
    for round in 0..ROUNDS {
        client.send(first);
        client.expect(&two_frames[..FRAME_BYTES]);
        server.wait_for(Event::BytesReceived, (round * two_frames.len() + first.len()) as u64);
        client.send(second);
        client.expect(&two_frames[FRAME_BYTES..]);
    }
    drop(client);
    let copied = usize::try_from(server.stop().count(Event::BytesCopied)).expect("they are few");
    match (backend.info().model, backend.info().waiting) {
        (IoModel::Completion, _) => assert_eq!(copied, ROUNDS * FRAME_BYTES),
        // It puts the first piece before where the second would lie each time that it looks in vain.
        (_, Waiting::Spins) => {
            assert!(copied >= ROUNDS * 2 * FIRST_BYTES && copied.is_multiple_of(FIRST_BYTES), "{copied}");
        }
        _ => assert_eq!(copied, ROUNDS * 2 * FIRST_BYTES),
    }
}
