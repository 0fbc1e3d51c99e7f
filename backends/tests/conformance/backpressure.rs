//! A peer that sends and never reads: the server stops taking from it, remembers little, and loses nothing.

use std::io::{ErrorKind, Write};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use backends::{Event, IoModel, ReceiptValue};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

use crate::Subject;
use crate::client::{Client, HEADER_BYTES, frame};
use crate::server::{PROTOCOLS, Server, Setup};

const FRAME_BYTES: usize = HEADER_BYTES + 16 * 1024;

/// What a peer would send if the server let it: many times what the kernel's buffers hold.
static OFFERED: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..4096).map(|seed| frame(seed, FRAME_BYTES - HEADER_BYTES)).collect::<Vec<_>>().concat());

/// A frame whose answer does not fit into the kernel's buffers on both sides while its peer does not read: the longest
/// that is allowed by default.
pub(crate) fn long_frame() -> Vec<u8> {
    frame(1, 16 * 1024 * 1024)
}

/// What a server may hold for one connection, beside what lies in the kernel.
fn held_bytes_max(backend: Subject) -> u64 {
    const BUFFERS_BYTES: u64 = 16 * 1024 * 1024;
    match backend.info().model {
        // Nothing is received while a reply waits: a frame that is not complete, and what a receive or two bring.
        IoModel::Blocking | IoModel::Readiness => 1024 * 1024,
        // The kernel fills all the buffers that it was given before it hears that it should stop.
        IoModel::Completion if is_asked_for_completions(backend) => BUFFERS_BYTES + 2 * 1024 * 1024,
        // It goes on by itself meanwhile, and fills those that it is given back, too.
        IoModel::Completion => 2 * BUFFERS_BYTES + 2 * 1024 * 1024,
    }
}

/// Whether the kernel works out completions only when the server waits for them.
fn is_asked_for_completions(backend: Subject) -> bool {
    let receipt = backend.probe().expect("a backend that runs is available");
    receipt
        .entries()
        .any(|entry| matches!(entry, ("ring_flags", ReceiptValue::List(flags)) if flags.contains(&"DEFER_TASKRUN")))
}

/// What may go out of the hands of a peer that never reads: all that its server may hold, and what the kernel's buffers
/// do, on both sides and in both directions.
fn taken_bytes_max(backend: Subject) -> usize {
    match backend.info().model {
        IoModel::Completion if !is_asked_for_completions(backend) => OFFERED.len() / 8 * 7,
        _ => OFFERED.len() / 2,
    }
}

pub(crate) fn a_peer_that_never_reads_is_read_from_no_more(backend: Subject) {
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        let other = Client::connect(&server);
        other.exchange(&frame(1, 100));

        let never_reading = NeverReading::connect(&server);
        let (taken, offered) = (never_reading.taken_bytes, OFFERED.len());
        assert!(taken < taken_bytes_max(backend), "{taken} of {offered} bytes were taken from a peer that never reads");
        let report = server.report();
        let held = report.count(Event::BytesReceived) - report.count(Event::BytesSent);
        assert!(held <= held_bytes_max(backend), "{held} bytes are held for a peer that never reads");

        other.exchange(&frame(2, 100_000));
        never_reading.read_everything();
        other.exchange(&frame(3, 100));
    }
}

pub(crate) fn peers_that_never_read_starve_nobody(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let other = Client::connect(&server);
    let never_reading: Vec<NeverReading> = thread::scope(|scope| {
        let connecting: Vec<_> = (0..16).map(|_| scope.spawn(|| NeverReading::connect(&server))).collect();
        connecting.into_iter().map(|client| client.join().expect("connecting does not fail")).collect()
    });
    other.stream(&frame(1, 1024 * 1024));
    Client::connect(&server).exchange(&frame(2, 100));
    for never_reading in never_reading {
        never_reading.read_everything();
    }
}

/// A client that has sent until nothing more was taken, and has not read yet.
pub(crate) struct NeverReading {
    pub(crate) client: Client,
    taken_bytes: usize,
}

impl NeverReading {
    pub(crate) fn connect(server: &Server) -> Self {
        let client = Client::connect(server);
        client.stream.set_nonblocking(true).expect("an open socket takes options");
        let mut taken_bytes = 0;
        while taken_bytes < OFFERED.len() {
            match (&client.stream).write(&OFFERED[taken_bytes..]) {
                Ok(written_bytes) => taken_bytes += written_bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !becomes_writable(&client) {
                        break;
                    }
                }
                Err(error) => panic!("the server does not take what is sent: {error}"),
            }
        }
        client.stream.set_nonblocking(false).expect("an open socket takes options");
        Self { client, taken_bytes }
    }

    /// Reads at last, and checks every byte. What is missing of the last frame is sent while doing so.
    pub(crate) fn read_everything(self) {
        let end = self.taken_bytes.next_multiple_of(FRAME_BYTES);
        thread::scope(|scope| {
            scope.spawn(|| {
                self.client.send(&OFFERED[self.taken_bytes..end]);
                self.client.finish_sending();
            });
            self.client.expect(&OFFERED[..end]);
        });
        self.client.expect_eof();
    }
}

/// Whether there is room to send again before long. Where a slow machine makes the answer wrong, less was sent than
/// could have been, which no test minds.
fn becomes_writable(client: &Client) -> bool {
    let long = Timespec::try_from(Duration::from_millis(200)).expect("a short time is representable");
    let mut fds = [PollFd::new(&client.stream, PollFlags::OUT)];
    retry_on_intr(|| poll(&mut fds, Some(&long))).expect("poll takes a socket") > 0
}
