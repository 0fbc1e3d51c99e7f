//! A peer that sends and never reads: the server stops taking from it, remembers little, and loses nothing.

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use backends::protocol::{ProtocolKind, Raw};
use backends::{Event, IoModel, Isolation, ReceiptValue, Syscall, Waiting};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

use crate::client::{Client, HEADER_BYTES, frame};
use crate::queues::Queues;
use crate::server::{PROTOCOLS, Server, Setup};
use crate::sizes::SIZES;
use crate::stopping::wait_until_arrived;
use crate::{Subject, wait};

const FRAME_BYTES: usize = HEADER_BYTES + 16 * 1024;

/// What a peer would send if the server let it: many times what the kernel's buffers hold.
static OFFERED: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..4096).map(|seed| frame(seed, FRAME_BYTES - HEADER_BYTES)).collect::<Vec<_>>().concat());

/// A frame whose answer does not fit into the kernel's buffers on both sides while its peer does not read: the longest
/// that is allowed by default.
pub(crate) fn long_frame() -> Vec<u8> {
    frame(1, 16 * 1024 * 1024)
}

/// What a peer reads, each time that it does.
const READ_NOW_AND_THEN: [usize; 3] = [8 * 1024 * 1024, 100_000, 9 * 1024 * 1024];

/// What the kernel may hold of an answer on the side of the server, before it doubles that.
const LITTLE_SEND_BUFFER_BYTES: usize = 64 * 1024;

/// What a server may hold for one connection, beside what lies in the kernel.
fn held_bytes_max(backend: Subject, server: &Server) -> u64 {
    /// What one receive brings or is being sent, what waits until it is too much, and a frame that is not complete.
    const ALWAYS_BYTES: u64 = 256 * 1024;
    let shared_bytes = server.granted("buffers").unwrap_or(0) * server.granted("buffer_bytes").unwrap_or(0);
    let fillings = match backend.info().model {
        // Nothing is received while a reply waits.
        IoModel::Blocking | IoModel::Readiness => 0,
        // The kernel fills all the buffers that are shared before it hears that it should stop.
        IoModel::Completion if is_asked_for_completions(backend) => 1,
        // It goes on by itself meanwhile: between the call that gives the buffers back and the one of its turns in which
        // the cancellation takes effect it fills all of them once more.
        IoModel::Completion => 2,
    };
    ALWAYS_BYTES + fillings * shared_bytes
}

/// Whether the kernel works out completions only when the server waits for them.
fn is_asked_for_completions(backend: Subject) -> bool {
    let receipt = backend.probe().expect("a backend that runs is available");
    receipt
        .entries()
        .any(|entry| matches!(entry, ("ring_flags", ReceiptValue::List(flags)) if flags.contains(&"DEFER_TASKRUN")))
}

pub(crate) fn a_peer_that_never_reads_is_read_from_no_more(backend: Subject) {
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        let other = Client::connect(&server);
        other.exchange(&frame(1, 100));
        let received_before = server.count(Event::BytesReceived);

        let never_reading = NeverReading::connect(&server);
        let (held, held_max) = (never_reading.held_bytes(&server, received_before), held_bytes_max(backend, &server));
        assert!(held <= held_max, "{held} bytes are held for a peer that never reads, where {held_max} are allowed");

        other.exchange(&frame(2, 100_000));
        never_reading.read_everything();
        other.exchange(&frame(3, 100));
    }
}

pub(crate) fn peers_that_read_now_and_then_are_owed_no_more(backend: Subject) {
    let peers = match backend.info().isolation {
        Isolation::Full => SIZES.reading_now_and_then,
        Isolation::Places(places) => places.min(SIZES.reading_now_and_then),
    };
    for protocol in PROTOCOLS.into_iter().take(SIZES.protocols_read_so) {
        let server = Server::start(backend, Setup::of(protocol));
        let mut reading: Vec<NeverReading> = (0..peers).map(|_| NeverReading::connect(&server)).collect();
        let held_max = held_bytes_max(backend, &server);
        for read_bytes in READ_NOW_AND_THEN {
            for peer in &mut reading {
                peer.read_some(read_bytes);
                peer.offer_more();
                let held = peer.held_bytes_of_one(&server);
                assert!(
                    held <= held_max,
                    "{held} bytes are held for one of {peers} peers, where {held_max} are allowed"
                );
            }
        }
        thread::scope(|scope| {
            for peer in reading {
                scope.spawn(|| peer.read_everything());
            }
        });
    }
}

pub(crate) fn a_flood_behind_a_violation_is_not_taken(backend: Subject) {
    let setup = Setup { send_buffer_bytes: Some(LITTLE_SEND_BUFFER_BYTES), ..Setup::default() };
    let server = Server::start(backend, setup);
    let client = Client::connect(&server);
    let before = long_frame();
    let (last, rest) = before.split_last().expect("a frame has a header at least");
    client.send(rest);
    server.wait_for(Event::BytesReceived, rest.len() as u64);
    // In one segment, so that the violation is seen while most of the answer still waits for room.
    client.send(&[&[*last], &u32::MAX.to_be_bytes()[..]].concat());
    let received_before = (before.len() + HEADER_BYTES) as u64;
    server.wait_for(Event::BytesReceived, received_before);
    offer(&client).expect("the connection lasts until all is answered");
    let (taken, taken_max) = (server.count(Event::BytesReceived) - received_before, held_bytes_max(backend, &server));
    assert!(taken <= taken_max, "{taken} bytes are taken after a violation, where {taken_max} are allowed");
    Client::connect(&server).exchange(&frame(1, 100));

    // It is closed with the flood unread, and the network then drops what it did not deliver yet.
    let answered = client.expect_until_the_end(&before);
    let answered_min = before.len() - 4 * LITTLE_SEND_BUFFER_BYTES;
    assert!(answered >= answered_min, "{answered} bytes of the answer came, where {answered_min} are due");
    server.wait_for(Event::Closed, 2);
    let report = server.stop();
    assert_eq!((report.count(Event::Violations), report.count(Event::ConnectionErrors)), (1, 0));
}

/// System calls for each request of somebody else, where many peers do not read: no more than where there are none.
pub(crate) fn peers_that_never_read_cost_nobody_else_calls(backend: Subject) {
    const REQUESTS: u64 = 200;
    if backend.info().waiting != Waiting::Sleeps {
        return;
    }
    // Where completions come by themselves, some need no call and others one of their own: how many is a matter of luck.
    if backend.info().model == IoModel::Completion && !is_asked_for_completions(backend) {
        return;
    }
    let peers = match backend.info().isolation {
        Isolation::Full => 100,
        Isolation::Places(places) => places - 1,
    };
    // So little that no answer to them fits.
    let server = Server::start(backend, Setup { send_buffer_bytes: Some(4096), ..Setup::of(ProtocolKind::Raw(Raw)) });
    let other = Client::connect(&server);
    let calls_of_requests = || {
        let calls = || server.report().syscalls().map(|(_, count)| count).sum::<u64>();
        let before = calls();
        for seed in 0..REQUESTS {
            other.exchange(&frame(seed, 100));
        }
        calls() - before
    };
    let calls_alone = calls_of_requests();
    let long = frame(1, 48 * 1024);
    let never_reading: Vec<Client> = (0..peers)
        .map(|_| {
            let client = Client::with_little_room(&server);
            let received_before = server.count(Event::BytesReceived);
            client.send(&long);
            wait::until("a peer that does not read is received from", || {
                server.count(Event::BytesReceived) > received_before
            });
            client
        })
        .collect();
    let calls = calls_of_requests();
    assert!(
        calls < calls_alone * 3 / 2,
        "{REQUESTS} requests took {calls} system calls, and {calls_alone} without {peers} peers that do not read"
    );
    thread::scope(|scope| {
        for client in &never_reading {
            scope.spawn(|| client.expect(&long));
        }
    });
}

pub(crate) fn peers_that_never_read_starve_no_more_than_is_said(backend: Subject) {
    match backend.info().isolation {
        Isolation::Full => starve_nobody(backend, 16),
        Isolation::Places(places) => {
            starve_nobody(backend, places - 1);
            starve_everybody(backend, places);
        }
    }
}

fn starve_nobody(backend: Subject, peers: usize) {
    let server = Server::start(backend, Setup::default());
    let other = Client::connect(&server);
    let never_reading: Vec<NeverReading> = thread::scope(|scope| {
        let connecting: Vec<_> = (0..peers).map(|_| scope.spawn(|| NeverReading::connect(&server))).collect();
        connecting.into_iter().map(|client| client.join().expect("connecting does not fail")).collect()
    });
    other.stream(&frame(1, 1024 * 1024));
    Client::connect(&server).exchange(&frame(2, 100));
    for never_reading in never_reading {
        never_reading.read_everything();
    }
}

/// All `places` are taken by peers that do not read: nobody is answered until one of them does, or goes away.
fn starve_everybody(backend: Subject, places: usize) {
    let server = Server::start(backend, Setup::default());
    let [other, another] = [(); 2].map(|()| Client::connect(&server));
    for client in [&other, &another] {
        client.exchange(&frame(1, 100));
    }
    // An answer may be here a moment before it is counted.
    server.wait_for(Event::BytesSent, 2 * frame(1, 100).len() as u64);
    let before = server.report();
    let long_frame = long_frame();
    let mut never_reading: Vec<Client> = (0..places).map(|_| Client::connect(&server)).collect();
    thread::scope(|scope| {
        for client in &never_reading {
            scope.spawn(|| client.send(&long_frame));
        }
    });
    let all_are_sending = || {
        let report = server.report();
        report.syscall(Syscall::Sendto) - before.syscall(Syscall::Sendto) == places as u64
            && report.count(Event::BytesSent) == before.count(Event::BytesSent)
    };
    wait::until("every place is in a send that does not end", all_are_sending);

    let message = frame(2, 100);
    other.send(&message);
    wait_until_arrived(&other);
    let received_before = server.count(Event::BytesReceived);
    assert!(all_are_sending() && !other.has_input(), "answered while every place is taken");
    assert_eq!(server.count(Event::BytesReceived), received_before, "somebody has time to receive");

    let reading = never_reading.pop().expect("there is a place at least");
    reading.expect(&long_frame);
    other.expect(&message);
    another.exchange(&message);
    reading.exchange(&message);

    // With one place free all is well; with none it takes one that goes away.
    reading.send(&long_frame);
    wait::until("every place is taken again", || {
        let report = server.report();
        report.count(Event::BytesReceived) - before.count(Event::BytesReceived)
            >= ((places + 1) * long_frame.len() + 3 * message.len()) as u64
    });
    another.send(&message);
    reading.reset();
    another.expect(&message);
    for client in never_reading {
        client.expect(&long_frame);
        client.exchange(&message);
    }
}

/// A client that has sent until nothing more was taken, and has not read yet.
pub(crate) struct NeverReading {
    pub(crate) client: Client,
    taken_bytes: usize,
    read_bytes: usize,
}

impl NeverReading {
    pub(crate) fn connect(server: &Server) -> Self {
        Self::try_connect(server).expect("the server takes what is sent")
    }

    /// As [`connect`](Self::connect); an error where the server has ended the connection meanwhile.
    pub(crate) fn try_connect(server: &Server) -> io::Result<Self> {
        // Made before anybody waits for it: on a slow machine, or for a sanitizer, that takes longer than a connection may
        // be idle.
        LazyLock::force(&OFFERED);
        let client = Client::connect(server);
        let taken_bytes = offer(&client)?;
        Ok(Self { client, taken_bytes, read_bytes: 0 })
    }

    /// Reads a part of what it is owed, however little has been answered so far.
    fn read_some(&mut self, bytes: usize) {
        let end = self.taken_bytes.min(self.read_bytes + bytes) / FRAME_BYTES * FRAME_BYTES;
        self.client.expect(&OFFERED[self.read_bytes..end.max(self.read_bytes)]);
        self.read_bytes = self.read_bytes.max(end);
    }

    /// Sends again until nothing more is taken.
    fn offer_more(&mut self) {
        self.taken_bytes = offer_from(&self.client, self.taken_bytes).expect("the server takes what is sent");
    }

    /// What the server holds itself of what was taken, once it has come to rest and every byte is found: with the server,
    /// or in the kernel. How much lies there is not bounded here: Linux lets the socket that is received from late grow
    /// up to a limit of the machine (`tcp_rmem`). Nobody else sends since the server had received `received_before` bytes.
    fn held_bytes(&self, server: &Server, received_before: u64) -> u64 {
        let taken_bytes = self.taken_bytes as u64;
        let (mut held_bytes, mut seen) = (0, None);
        wait::until(&format!("each of {taken_bytes} bytes is found with the server or in the kernel"), || {
            let Some(queues) = Queues::of(&self.client.stream) else { return false };
            let received_bytes = server.count(Event::BytesReceived) - received_before;
            let found = Some((queues, received_bytes));
            let is_at_rest = mem::replace(&mut seen, found) == found;
            held_bytes = received_bytes.saturating_sub(queues.to_client_bytes);
            is_at_rest && queues.to_server_bytes + received_bytes == taken_bytes
        });
        held_bytes
    }

    /// As [`held_bytes`](Self::held_bytes), of one peer out of several and after it has read some: what is found nowhere else.
    fn held_bytes_of_one(&self, server: &Server) -> u64 {
        let (mut held_bytes, mut seen) = (0, None);
        wait::until("the server comes to rest", || {
            let Some(queues) = Queues::of(&self.client.stream) else { return false };
            let found = Some((queues, server.count(Event::BytesReceived), server.count(Event::BytesSent)));
            let found_bytes = queues.to_server_bytes + queues.to_client_bytes + self.read_bytes as u64;
            held_bytes = (self.taken_bytes as u64).saturating_sub(found_bytes);
            mem::replace(&mut seen, found) == found
        });
        held_bytes
    }

    /// Reads at last, and checks every byte. What is missing of the last frame is sent while doing so.
    pub(crate) fn read_everything(self) {
        let end = self.taken_bytes.next_multiple_of(FRAME_BYTES);
        thread::scope(|scope| {
            scope.spawn(|| {
                self.client.send(&OFFERED[self.taken_bytes..end]);
                self.client.finish_sending();
            });
            self.client.expect(&OFFERED[self.read_bytes..end]);
        });
        self.client.expect_eof();
    }
}

/// Sends until nothing more is taken, and returns how much was. Says nothing about the server: what it has not come to
/// look at is not taken either. Whoever needs it to be in the middle of an answer sends a [`long_frame`].
pub(crate) fn offer(client: &Client) -> io::Result<usize> {
    offer_from(client, 0)
}

/// As [`offer`], from that byte on; returns where it stopped.
fn offer_from(client: &Client, start: usize) -> io::Result<usize> {
    client.stream.set_nonblocking(true).expect("an open socket takes options");
    let mut taken_bytes = start;
    while taken_bytes < OFFERED.len() {
        match (&client.stream).write(&OFFERED[taken_bytes..]) {
            Ok(written_bytes) => taken_bytes += written_bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if !becomes_writable(client) {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    client.stream.set_nonblocking(false).expect("an open socket takes options");
    Ok(taken_bytes)
}

/// Whether there is room to send again before long. Where a slow machine makes the answer wrong, less was sent than
/// could have been.
fn becomes_writable(client: &Client) -> bool {
    let long = Timespec::try_from(Duration::from_millis(200)).expect("a short time is representable");
    let mut fds = [PollFd::new(&client.stream, PollFlags::OUT)];
    retry_on_intr(|| poll(&mut fds, Some(&long))).expect("poll takes a socket") > 0
}
