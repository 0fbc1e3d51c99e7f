//! Serving a connection that is reported only when something comes to be: edge-triggered.
//!
//! The rules are those of epoll(7), "Level-triggered and edge-triggered" and question 9:
//!
//! - What was reported is not reported again, so it is remembered until a call has found that it is no longer so.
//! - A receive that got fewer bytes than it had room for has drained the socket; the next byte is a new edge. But an
//!   end that came in the same event is none any more: then it is received from until the end. So it is after urgent
//!   data, at which a receive stops short although more may follow.
//! - A send is over when the kernel says that it has no room; only from then on it reports room.
//! - Whoever has more than others must not starve them: after [`CALLS_PER_TURN`] the others have their turn, and what
//!   is left is done in the next one, which does not wait.

use std::io;

use rustix::event::epoll::EventFlags;

use super::{Hit, Open, Readiness, Token, Turns};
use crate::connection::{Moved, Received};
use crate::protocol::Protocol;

/// Calls made for one connection before the others have their turn: one receive more than a level-triggered loop makes.
const CALLS_PER_TURN: usize = 2;

/// Everything that a connection is ever waited for.
pub(super) const WATCHED: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::PRI);
/// A receive would not wait.
const READABLE: EventFlags = EventFlags::IN.union(UNTIL_EMPTY);
/// A short receive does not mean that there is no more.
const UNTIL_EMPTY: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR).union(EventFlags::PRI);
/// A send would not wait.
const WRITABLE: EventFlags = EventFlags::OUT.union(EventFlags::HUP).union(EventFlags::ERR);

/// What came to be on a descriptor.
#[derive(Clone, Copy)]
pub(crate) struct Edge {
    pub(super) token: Token,
    pub(super) flags: EventFlags,
}

impl Hit for Edge {
    const IS_EDGE: bool = true;

    fn token(self) -> Token {
        self.token
    }

    fn note(self, edges: &mut Edges) {
        edges.readable |= self.flags.intersects(READABLE);
        edges.until_empty |= self.flags.intersects(UNTIL_EMPTY);
        edges.full &= !self.flags.intersects(WRITABLE);
    }
}

/// What is known of a connection and will not be said again.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools)] // Each of them holds or not whatever the others do.
pub(crate) struct Edges {
    /// There may be something to receive.
    readable: bool,
    /// A receive that stops short does not change that.
    until_empty: bool,
    /// The kernel has no room, and will say when it has.
    full: bool,
    /// It is among the unfinished.
    queued: bool,
}

enum Call {
    Flush,
    Receive,
}

impl<P: Protocol> Open<P> {
    /// The call that can go on without being told; None if the next edge has to come first.
    fn next_call(&self) -> Option<Call> {
        if self.connection.has_output() {
            (!self.edges.full).then_some(Call::Flush)
        } else {
            self.edges.readable.then_some(Call::Receive)
        }
    }
}

impl<R: Readiness, P: Protocol> Turns<'_, '_, R, P> {
    /// Takes note of an edge and does what it has made possible.
    #[inline]
    pub(super) fn serve_edge(&mut self, key: usize, edge: R::Hit) -> io::Result<()> {
        let open = &mut self.connections[key];
        edge.note(&mut open.edges);
        // An unfinished one has its turn later in this turn.
        if open.edges.queued { Ok(()) } else { self.go_on(key) }
    }

    /// Goes on with the first `due` of those who had more to do than one turn allows.
    pub(super) fn serve_unfinished(&mut self, due: usize) -> io::Result<()> {
        for position in 0..due {
            let key = self.unfinished[position];
            // It may have been closed meanwhile, and its key be that of another.
            if let Some(open) = self.connections.get_mut(key).filter(|open| open.edges.queued) {
                open.edges.queued = false;
                self.go_on(key)?;
            }
        }
        self.unfinished.drain(..due);
        Ok(())
    }

    fn go_on(&mut self, key: usize) -> io::Result<()> {
        for _ in 0..CALLS_PER_TURN {
            let open = &mut self.connections[key];
            let moved = match open.next_call() {
                None => return Ok(()),
                Some(Call::Flush) => {
                    let moved = open.connection.flush(&mut self.buffers, self.counters);
                    open.edges.full = matches!(moved, Ok(Moved::None));
                    moved
                }
                Some(Call::Receive) => {
                    let received = open.connection.receive_some(self.protocol, &mut self.buffers, self.counters);
                    match received {
                        Ok(Received::Short) => open.edges.readable = open.edges.until_empty,
                        Ok(Received::Nothing) => (open.edges.readable, open.edges.until_empty) = (false, false),
                        Ok(Received::Full) | Err(_) => {}
                    }
                    received.map(Received::moved)
                }
            };
            if open.has_ended(moved, &self.timers, self.counters) {
                return self.close(key);
            }
        }
        let open = &mut self.connections[key];
        if open.next_call().is_some() {
            open.edges.queued = true;
            self.unfinished.push(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::net::{SendFlags, send};
    use socket2::SockRef;

    use super::super::EventLoop;
    use super::super::epoll_et::EpollEt;
    use super::*;
    use crate::admission::Admission;
    use crate::backend::Limits;
    use crate::buffers::RECEIVE_BYTES;
    use crate::listen::{Spread, bind};
    use crate::protocol::{Framed, Raw};
    use crate::stats::{Event, Stats, Syscall};
    use crate::stop::Stop;
    use crate::workers::{Context, Worker};

    /// A loop that a test takes through its turns, one by one.
    struct Stepped<'s, 'l, 'a, P: Protocol> {
        turns: Turns<'l, 'a, EpollEt, P>,
        ready: Vec<Edge>,
        stats: &'s Stats,
    }

    impl<P: Protocol> Stepped<'_, '_, '_, P> {
        fn open(&mut self, socket: impl Into<OwnedFd>) {
            self.turns.open(socket.into());
        }

        fn turn(&mut self) {
            self.turns.turn(&mut self.ready).unwrap();
        }

        fn count(&self, event: Event) -> u64 {
            self.stats.report().count(event)
        }

        fn calls(&self, syscall: Syscall) -> u64 {
            self.stats.report().syscall(syscall)
        }
    }

    fn stepped<P: Protocol>(protocol: &P, test: impl FnOnce(Stepped<'_, '_, '_, P>)) {
        let stop = Stop::new().unwrap();
        let stats = Arc::new(Stats::default());
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 1, Spread::default()).unwrap();
        let listener = listeners.of_threads().next().unwrap();
        // A turn in which nothing happens ends by the clock: an edge that was missed fails a test instead of hanging it.
        let limits = Limits { idle_timeout: Some(std::time::Duration::from_secs(8)), ..Limits::default() };
        let admission = Arc::new(Admission::new(None));
        let stats_of_loop = Arc::clone(&stats);
        let context =
            Context { listener, limits, admission, stats: stats_of_loop, stop: &stop, shares_listener: false };
        let mut event_loop = EventLoop::<EpollEt>::start(context).unwrap();
        test(Stepped { turns: event_loop.turns(protocol), ready: Vec::new(), stats: &stats });
    }

    /// A peer whose calls do not wait, and the server's end.
    fn pair() -> (UnixStream, UnixStream) {
        let (peer, ours) = UnixStream::pair().unwrap();
        for end in [&peer, &ours] {
            end.set_nonblocking(true).unwrap();
        }
        (peer, ours)
    }

    /// What the peer can read now, and whether that was all there will ever be.
    fn read_now(peer: &mut UnixStream) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        match peer.read_to_end(&mut bytes) {
            Ok(_) => (bytes, true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => (bytes, false),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn an_end_that_came_with_the_data_is_seen() {
        stepped(&Raw, |mut server| {
            let (mut peer, ours) = pair();
            peer.write_all(b"last words").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            server.open(ours);
            server.turn();
            assert_eq!(read_now(&mut peer), (b"last words".to_vec(), true));
            assert_eq!((server.count(Event::Closed), server.count(Event::ConnectionErrors)), (1, 0));
        });
    }

    #[test]
    fn a_short_receive_is_the_last_until_the_next_edge() {
        stepped(&Raw, |mut server| {
            let (mut peer, ours) = pair();
            server.open(ours);
            for receives in 1..=3 {
                peer.write_all(b"?").unwrap();
                server.turn();
                assert_eq!(server.calls(Syscall::Recvfrom), receives);
                assert_eq!(read_now(&mut peer), (b"?".to_vec(), false));
            }
            peer.shutdown(Shutdown::Write).unwrap();
            server.turn();
            assert_eq!((server.count(Event::Closed), server.calls(Syscall::Recvfrom)), (1, 4));
            assert_eq!(server.count(Event::Wakeups), 4);
        });
    }

    #[test]
    fn who_sends_more_than_a_turn_takes_waits_for_the_others_and_for_no_edge() {
        // A frame that is not complete: there is nothing to answer, so every call is a receive.
        let mut begun = u32::to_be_bytes(1024 * 1024).to_vec();
        begun.resize(RECEIVE_BYTES * CALLS_PER_TURN + RECEIVE_BYTES / 4, 7);
        stepped(&Framed::default(), |mut server| {
            let (mut greedy, ours) = pair();
            SockRef::from(&greedy).set_send_buffer_size(2 * begun.len()).unwrap();
            greedy.write_all(&begun).unwrap();
            server.open(ours);
            let (mut modest, ours) = pair();
            modest.write_all(&[0, 0, 0, 1, 9]).unwrap();
            server.open(ours);

            server.turn();
            let taken_bytes = server.count(Event::BytesReceived);
            assert_eq!(taken_bytes, (RECEIVE_BYTES * CALLS_PER_TURN + 5) as u64);
            assert_eq!(read_now(&mut modest), (vec![0, 0, 0, 1, 9], false));
            server.turn();
            assert_eq!(server.count(Event::BytesReceived), (begun.len() + 5) as u64);
            assert_eq!(server.calls(Syscall::EpollCtl), 4, "the listener, the stop and two connections, once each");
        });
    }

    #[test]
    fn a_key_that_is_used_again_is_not_the_unfinished_one() {
        let mut begun = u32::to_be_bytes(1024 * 1024).to_vec();
        begun.resize(RECEIVE_BYTES * CALLS_PER_TURN + 1, 7);
        stepped(&Framed::default(), |mut server| {
            let (mut greedy, ours) = pair();
            SockRef::from(&greedy).set_send_buffer_size(2 * begun.len()).unwrap();
            greedy.write_all(&begun).unwrap();
            server.open(ours);
            server.turn();
            assert_eq!(server.turns.unfinished, [0]);
            server.turns.close_all_where(Event::IdleClosed, |_| true).unwrap();
            let (mut next, ours) = pair();
            server.open(ours);
            let receives = server.calls(Syscall::Recvfrom);
            server.turn();
            assert_eq!((server.calls(Syscall::Recvfrom), server.turns.unfinished.len()), (receives, 0));
            next.write_all(&[0; 4]).unwrap();
            server.turn();
            assert_eq!(read_now(&mut next), (vec![0; 4], false));
        });
    }

    /// A peer that does not read, whose answer fills the server's socket.
    fn with_output(server: &mut Stepped<'_, '_, '_, Raw>, message: &[u8]) -> UnixStream {
        let (mut peer, ours) = pair();
        // The kernel makes it the smallest that it allows, a few KB.
        SockRef::from(&ours).set_send_buffer_size(1).unwrap();
        peer.write_all(message).unwrap();
        server.open(ours);
        server.turn();
        assert_eq!(server.count(Event::BytesReceived), message.len() as u64);
        assert!(server.count(Event::BytesSent) < message.len() as u64, "the answer fits into the socket");
        peer
    }

    /// Turn for turn, reads all there is; returns everything.
    fn read_slowly(server: &mut Stepped<'_, '_, '_, Raw>, peer: &mut UnixStream, bytes: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < bytes {
            let (more, ended) = read_now(peer);
            assert!(!more.is_empty() && !ended, "nothing came in a turn, after {} bytes", got.len());
            got.extend(more);
            if got.len() < bytes {
                server.turn();
            }
        }
        got
    }

    #[test]
    fn room_to_send_is_an_edge() {
        let message: Vec<u8> = (0..=250).cycle().take(50_000).collect();
        stepped(&Raw, |mut server| {
            let mut peer = with_output(&mut server, &message);
            assert!(read_slowly(&mut server, &mut peer, message.len()) == message);
            assert!(server.count(Event::Wakeups) > 2, "it went out in pieces");
            assert_eq!(server.calls(Syscall::EpollCtl), 3, "the listener, the stop and the connection, once each");
        });
    }

    #[test]
    fn what_comes_while_output_is_pending_is_received_after_it() {
        let message: Vec<u8> = (0..=250).cycle().take(50_000).collect();
        stepped(&Raw, |mut server| {
            let mut peer = with_output(&mut server, &message);
            let calls_before = (server.calls(Syscall::Recvfrom), server.calls(Syscall::Sendto));
            peer.write_all(b"more").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            server.turn();
            let calls = (server.calls(Syscall::Recvfrom), server.calls(Syscall::Sendto));
            assert_eq!(calls, calls_before, "there is neither room to send nor leave to receive");

            let all = [&message, &b"more"[..]].concat();
            assert!(read_slowly(&mut server, &mut peer, all.len()) == all);
            // The end was reported long ago.
            while server.count(Event::Closed) == 0 {
                assert!(!server.turns.unfinished.is_empty(), "it waits for an edge that has been");
                server.turn();
            }
            assert_eq!(read_now(&mut peer), (vec![], true));
        });
    }

    #[test]
    fn what_follows_urgent_data_is_received_without_another_edge() {
        stepped(&Raw, |mut server| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (ours, _) = listener.accept().unwrap();
            ours.set_nonblocking(true).unwrap();
            peer.write_all(b"before").unwrap();
            send(&peer, b"!", SendFlags::OOB).unwrap();
            peer.write_all(b"after").unwrap();
            poll(&mut [PollFd::new(&ours, PollFlags::PRI)], None).unwrap();
            server.open(ours);
            // The first receive stops at the mark. Two turns, should the kernel have delivered what follows it later.
            while server.count(Event::BytesReceived) < 11 {
                assert!(server.count(Event::Wakeups) < 2, "what follows the mark is left lying");
                server.turn();
            }
            let mut got = [0; 11];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"beforeafter");
        });
    }
}
