//! A loop that tests take through its turns, one by one, and what holds for the turns of every loop.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;

use super::{EventLoop, Readiness, Turns};
use crate::admission::Admission;
use crate::backend::Limits;
use crate::buffers::RECEIVE_BYTES;
use crate::listen::{Spread, bind};
use crate::protocol::{Framed, Protocol, Raw, Replies, Violation};
use crate::stats::{Event, Stats, Syscall};
use crate::stop::Stop;
use crate::workers::{Context, Worker};

pub(super) struct Stepped<'s, 'l, 'a, R: Readiness, P: Protocol> {
    pub(super) turns: Turns<'l, 'a, R, P>,
    ready: Vec<R::Hit>,
    stats: &'s Stats,
}

impl<R: Readiness, P: Protocol> Stepped<'_, '_, '_, R, P> {
    pub(super) fn open(&mut self, socket: impl Into<OwnedFd>) {
        self.turns.open(socket.into());
    }

    pub(super) fn turn(&mut self) {
        self.turns.turn(&mut self.ready).unwrap();
    }

    pub(super) fn count(&self, event: Event) -> u64 {
        self.stats.report().count(event)
    }

    pub(super) fn calls(&self, syscall: Syscall) -> u64 {
        self.stats.report().syscall(syscall)
    }
}

pub(super) fn stepped<R: Readiness, P: Protocol>(protocol: &P, test: impl FnOnce(Stepped<'_, '_, '_, R, P>)) {
    let stop = Stop::new().unwrap();
    let stats = Arc::new(Stats::default());
    let listeners = bind("127.0.0.1:0".parse().unwrap(), 1, Spread::default()).unwrap();
    let listener = listeners.of_threads().next().unwrap();
    // A turn in which nothing happens ends by the clock: what was missed fails a test instead of hanging it.
    let limits = Limits { idle_timeout: Some(Duration::from_secs(8)), ..Limits::default() };
    let admission = Arc::new(Admission::new(None));
    let stats_of_loop = Arc::clone(&stats);
    let context = Context { listener, limits, admission, stats: stats_of_loop, stop: &stop, shares_listener: false };
    let mut event_loop = EventLoop::<R>::start(context).unwrap();
    test(Stepped { turns: event_loop.turns(protocol), ready: Vec::new(), stats: &stats });
}

/// A peer whose calls do not wait, and the server's end.
pub(super) fn pair() -> (UnixStream, UnixStream) {
    let (peer, ours) = UnixStream::pair().unwrap();
    for end in [&peer, &ours] {
        end.set_nonblocking(true).unwrap();
        // Room for a receive and its answer, and what the kernel needs to keep them.
        SockRef::from(end).set_send_buffer_size(2 * RECEIVE_BYTES).unwrap();
    }
    (peer, ours)
}

/// What the peer can read now, and whether that was all there will ever be.
pub(super) fn read_now(peer: &mut UnixStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    match peer.read_to_end(&mut bytes) {
        Ok(_) => (bytes, true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => (bytes, false),
        Err(error) => panic!("{error}"),
    }
}

/// A peer that has sent more whenever something is received, and gets no answer.
///
/// It is a protocol, for that is what is called between two receives.
#[derive(Clone)]
pub(super) struct Greedy {
    peer: Arc<UnixStream>,
    stopped: Arc<AtomicBool>,
    sent_bytes: Arc<AtomicU64>,
}

impl Greedy {
    /// The peer, who has begun, and the server's end.
    pub(super) fn pair() -> (Self, UnixStream) {
        let (peer, ours) = pair();
        let greedy = Self { peer: Arc::new(peer), stopped: Arc::default(), sent_bytes: Arc::default() };
        greedy.send_more();
        (greedy, ours)
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// As much as one receive takes, so that the next one is filled.
    fn send_more(&self) {
        (&*self.peer).write_all(&vec![7; RECEIVE_BYTES]).unwrap();
        self.sent_bytes.fetch_add(RECEIVE_BYTES as u64, Ordering::Relaxed);
    }
}

impl Protocol for Greedy {
    type Session = ();

    fn receive(&self, (): &mut (), input: &[u8], _: &mut impl Replies) -> Result<usize, Violation> {
        // What a modest peer sends is no occasion.
        if input.len() == RECEIVE_BYTES && !self.stopped.load(Ordering::Relaxed) {
            self.send_more();
        }
        Ok(input.len())
    }
}

fn a_greedy_peer_is_received_from_once_and_then_the_others_are<R: Readiness>() {
    let (greedy, ours) = Greedy::pair();
    let (mut modest, its_end) = pair();
    stepped::<R, _>(&greedy, |mut server| {
        server.open(ours);
        server.open(its_end);
        for turn in 1..=3 {
            modest.write_all(b"?").unwrap();
            server.turn();
            assert_eq!(server.calls(Syscall::Recvfrom), turn * 2);
            assert_eq!(server.count(Event::BytesReceived), turn * (RECEIVE_BYTES as u64 + 1));
        }
    });
}

fn a_message_that_does_not_fill_the_buffer_is_received_once<R: Readiness>() {
    let message = vec![7; RECEIVE_BYTES - 1];
    stepped::<R, _>(&Raw, |mut server| {
        let (mut peer, ours) = pair();
        server.open(ours);
        for messages in 1..=3 {
            peer.write_all(&message).unwrap();
            server.turn();
            let calls = (server.calls(Syscall::Recvfrom), server.calls(Syscall::Sendto));
            assert_eq!(calls, (messages, messages));
            assert!(read_now(&mut peer) == (message.clone(), false));
        }
    });
}

/// 16 frames of 16 KiB that are there at once are answered with so few calls: what their speed rests on (docs/SPEED.md).
fn long_frames_are_answered_many_with_a_call<R: Readiness>() {
    let frames = [&16_384_u32.to_be_bytes()[..], &[7; 16_384]].concat().repeat(16);
    stepped::<R, _>(&Framed::default(), |mut server| {
        let (mut peer, ours) = pair();
        for end in [&peer, &ours] {
            // Room for all of them.
            SockRef::from(end).set_send_buffer_size(4 * frames.len()).unwrap();
        }
        peer.write_all(&frames).unwrap();
        server.open(ours);
        while server.count(Event::Replies) < 16 {
            server.turn();
        }
        let (receives, sends) = (server.calls(Syscall::Recvfrom), server.calls(Syscall::Sendto));
        assert!(receives <= 3 && sends <= 3, "{receives} receives and {sends} sends");
        assert!(read_now(&mut peer) == (frames.clone(), false));
    });
}

fn one_with_pending_output_is_not_received_from_again<R: Readiness>() {
    stepped::<R, _>(&Raw, |mut server| {
        let (mut peer, ours) = pair();
        // The kernel makes it the smallest that it allows, a few KB.
        SockRef::from(&ours).set_send_buffer_size(1).unwrap();
        peer.write_all(&vec![7; RECEIVE_BYTES + 1000]).unwrap();
        server.open(ours);
        server.turn();
        assert_eq!(server.count(Event::BytesReceived), RECEIVE_BYTES as u64);
        assert!(server.count(Event::BytesSent) < RECEIVE_BYTES as u64, "the answer fits into the socket");
    });
}

macro_rules! tests_of {
    ($($name:ident is $readiness:ty)+) => {$(
        mod $name {
            #[test]
            fn a_greedy_peer_is_received_from_once_and_then_the_others_are() {
                super::a_greedy_peer_is_received_from_once_and_then_the_others_are::<$readiness>();
            }

            #[test]
            fn a_message_that_does_not_fill_the_buffer_is_received_once() {
                super::a_message_that_does_not_fill_the_buffer_is_received_once::<$readiness>();
            }

            #[test]
            fn long_frames_are_answered_many_with_a_call() {
                super::long_frames_are_answered_many_with_a_call::<$readiness>();
            }

            #[test]
            fn one_with_pending_output_is_not_received_from_again() {
                super::one_with_pending_output_is_not_received_from_again::<$readiness>();
            }
        }
    )+};
}
tests_of! {
    of_select is super::super::select::Select
    of_poll is super::super::poll::Poll
    of_epoll is super::super::epoll::Epoll
    of_polling is super::super::polling::Polling
    of_epoll_et is super::super::epoll_et::EpollEt
    of_spin is super::super::spin::Spin
}
