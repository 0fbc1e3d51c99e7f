//! What no peer may exceed: the length of a frame, the number of connections, the time without a byte.

use std::collections::VecDeque;
use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use backends::protocol::{Framed, ProtocolKind};
use backends::{Event, Limits};

use crate::backpressure::{NeverReading, long_frame};
use crate::client::{Client, HEADER_BYTES, frame};
use crate::report::sends_zero_copy;
use crate::server::{Server, Setup};
use crate::stopping::with_room;
use crate::{Subject, wait};

const MAX_FRAME_BYTES: u32 = 1000;

fn short_frames() -> Setup {
    Setup::of(ProtocolKind::Framed(Framed { max_frame_bytes: MAX_FRAME_BYTES }))
}

pub(crate) fn an_over_long_frame_ends_its_connection_only(backend: Subject) {
    let server = Server::start(backend, short_frames());
    let longest = frame(1, MAX_FRAME_BYTES as usize);
    let over_long = frame(2, MAX_FRAME_BYTES as usize + 1);
    let other = Client::connect(&server);
    other.exchange(&longest);
    other.send(&longest[..500]);

    let violating = Client::connect(&server);
    let answered = [longest.clone(), frame(3, 0), frame(4, 10)].concat();
    violating.send(&[&answered, &over_long[..]].concat());
    violating.expect(&answered);
    violating.expect_end();

    other.send(&longest[500..]);
    other.expect(&longest);
    let report = server.stop();
    assert_eq!(report.count(Event::Violations), 1);
    assert_eq!(report.count(Event::ConnectionErrors), 0);
    assert_eq!(report.count(Event::Replies), 5);
}

pub(crate) fn an_over_long_frame_is_refused_by_its_header(backend: Subject) {
    let server = Server::start(backend, short_frames());
    for announced in [MAX_FRAME_BYTES + 1, u32::MAX] {
        let client = Client::connect(&server);
        client.exchange(&frame(1, 10));
        let received = server.count(Event::BytesReceived);
        let header = announced.to_be_bytes();
        client.send(&header[..2]);
        server.wait_for(Event::BytesReceived, received + 2);
        client.send(&header[2..]);
        client.expect_end();
    }
    assert_eq!(server.stop().count(Event::Violations), 2);
}

pub(crate) fn what_came_before_an_over_long_frame_is_answered_in_full(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let client = Client::connect(&server);
    let before = long_frame();
    let (last, rest) = before.split_last().expect("a frame has a header at least");
    client.send(rest);
    server.wait_for(Event::BytesReceived, rest.len() as u64);
    // In one segment, so that the violation is seen while most of the answer still waits for room.
    client.send(&[&[*last], &u32::MAX.to_be_bytes()[..]].concat());
    server.wait_for(Event::BytesReceived, (before.len() + HEADER_BYTES) as u64);
    client.expect(&before);
    client.expect_end();
    assert_eq!(server.stop().count(Event::Violations), 1);
}

pub(crate) fn one_connection_over_the_limit_is_closed(backend: Subject) {
    let server = Server::start(backend, Setup::limited(at_most(2)));
    limit_of_two_holds(&server);
}

pub(crate) fn the_connection_limit_is_that_of_all_threads(backend: Subject) {
    let server = Server::start(backend, Setup { threads: 2, ..Setup::limited(at_most(2)) });
    limit_of_two_holds(&server);
}

fn at_most(connections: usize) -> Limits {
    Limits { max_connections: Some(connections), ..Limits::default() }
}

fn limit_of_two_holds(server: &Server) {
    let message = frame(1, 100);
    let [first, second] = [Client::connect(server), Client::connect(server)];
    first.exchange(&message);
    second.exchange(&message);
    for refused in 1..=3 {
        Client::connect(server).expect_end();
        assert_eq!(server.count(Event::OverLimit), refused);
    }
    first.exchange(&message);
    second.exchange(&message);

    drop(first);
    server.wait_for(Event::Closed, 1);
    // A server may count the connection as closed a moment before it lets another in.
    wait::until("another connection is let in", || Client::connect(server).exchange_unless_ended(&message));
    second.exchange(&message);
    assert_eq!(server.count(Event::Accepted), 3);
}

/// On an idle machine the first is long enough. A busy one may keep peers, or the server, from what they do for longer than
/// that: then the same is seen with a longer one.
const IDLE_TIMEOUTS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9), Duration::from_secs(27)];

fn impatient(idle_timeout: Duration) -> Setup {
    Setup::limited(Limits { idle_timeout: Some(idle_timeout), ..Limits::default() })
}

pub(crate) fn an_idle_connection_is_closed_and_a_busy_one_is_not(backend: Subject) {
    assert!(
        IDLE_TIMEOUTS.into_iter().any(|idle_timeout| only_the_idle_were_closed(backend, idle_timeout)),
        "a busy connection is closed, or an idle one too late"
    );
}

/// False where a busy one was closed, too, or it took too long.
fn only_the_idle_were_closed(backend: Subject, idle_timeout: Duration) -> bool {
    let server = Server::start(backend, impatient(idle_timeout));
    let busy = Client::connect(&server);
    let message = frame(1, 100);
    let start = Instant::now();
    let [silent, unfinished] = [Client::connect(&server), Client::connect(&server)];
    unfinished.send(&message[..50]);
    while server.count(Event::IdleClosed) < 2 {
        if start.elapsed() > idle_timeout * 10 || !busy.exchange_unless_ended(&message) {
            return false;
        }
    }
    let closed_after = start.elapsed();
    if !busy.exchange_unless_ended(&message) {
        return false;
    }
    assert!(closed_after > idle_timeout / 2, "closed after {closed_after:?} already");
    silent.expect_eof();
    unfinished.expect_eof();
    drop(busy);
    assert_eq!(server.stop().count(Event::ConnectionErrors), 0);
    true
}

pub(crate) fn a_peer_that_never_reads_is_idle(backend: Subject) {
    let server = Server::start(backend, impatient(IDLE_TIMEOUTS[0]));
    // On a busy machine it may be closed before it has sent all that it could, which is as good.
    let _never_reading = NeverReading::try_connect(&server);
    server.wait_for(Event::IdleClosed, 1);
    server.wait_for(Event::Closed, 1);
}

pub(crate) fn a_half_closed_peer_that_never_reads_is_idle(backend: Subject) {
    // It may be closed for being idle before it has half-closed; then nothing has been seen.
    assert!(
        IDLE_TIMEOUTS.into_iter().any(|idle_timeout| half_closed_peer_was_idle(backend, idle_timeout)),
        "this machine is too busy for a peer to half-close"
    );
}

/// False where it was closed before it had half-closed.
fn half_closed_peer_was_idle(backend: Subject, idle_timeout: Duration) -> bool {
    let server = Server::start(backend, impatient(idle_timeout));
    let client = Client::connect(&server);
    // It must be owed something in the end, or it would be closed for having said all.
    let sent = (&client.stream).write_all(&long_frame());
    let half_closed = sent.and_then(|()| client.stream.shutdown(Shutdown::Write));
    wait::until_within(idle_timeout * 2 + wait::DEADLINE, "it is closed for being idle", || {
        server.count(Event::IdleClosed) == 1
    });
    server.wait_for(Event::Closed, 1);
    half_closed.is_ok()
}

pub(crate) fn a_half_closed_peer_that_leaves_its_answer_in_the_kernel_is_closed(backend: Subject) {
    let zero_copy = sends_zero_copy(backend);
    // Where the kernel reads the answer from the server's memory, the peer holds that for as long as it may be idle.
    let server =
        Server::start(backend, with_room(if zero_copy { impatient(IDLE_TIMEOUTS[0]) } else { Setup::default() }));
    let client = Client::with_little_room(&server);
    let answer = frame(1, 100_000);
    // On a busy machine it may be closed for being idle before that, which is as good.
    let sent = (&client.stream).write_all(&answer);
    let half_closed = sent.and_then(|()| client.stream.shutdown(Shutdown::Write));
    server.wait_for(Event::Closed, 1);
    assert_eq!(server.count(Event::IdleClosed), zero_copy.into());
    assert_eq!(server.stop().count(Event::Forced), 0);
    if !zero_copy {
        // It has said all and was answered all; the rest is between the kernel and the peer.
        half_closed.expect("the connection is open");
        client.expect(&answer);
        client.expect_eof();
    }
}

pub(crate) fn a_slow_but_steady_reader_is_not_idle(backend: Subject) {
    // Where the reader is not steady, or the server does not come to what is, nothing has been seen.
    assert!(
        IDLE_TIMEOUTS.into_iter().any(|idle_timeout| steady_reader_was_served(backend, idle_timeout)),
        "a steady reader is closed, or this machine is too busy for one"
    );
}

/// False where it was closed or was not steady.
fn steady_reader_was_served(backend: Subject, idle_timeout: Duration) -> bool {
    let server = Server::start(backend, impatient(idle_timeout));
    let message = long_frame();
    let client = Client::connect(&server);
    // A machine may be so busy that nothing moves for longer than a connection may be idle.
    if (&client.stream).write_all(&message).is_err() {
        return false;
    }
    // Twice as long as the time-out, in many steps.
    let step_bytes = message.len().div_ceil(128);
    // The server hears of room when a third of its buffer is free: after ten steps or so.
    let mut stretch = VecDeque::from([Instant::now(); 12]);
    for step in message.chunks(step_bytes) {
        thread::sleep(idle_timeout / 64);
        if stretch.pop_front().is_some_and(|began| began.elapsed() > idle_timeout * 3 / 4) {
            return false;
        }
        stretch.push_back(Instant::now());
        if !client.expect_unless_ended(step) {
            return false;
        }
        if server.count(Event::BytesSent) == message.len() as u64 {
            // The rest lies in the kernel: from here on nothing moves any more that the server could see.
            break;
        }
    }
    let was_served = server.count(Event::IdleClosed) == 0;
    client.reset();
    was_served
}
