//! Serving a connection that is reported only when something comes to be: edge-triggered.
//!
//! The rules are those of epoll(7), "Level-triggered and edge-triggered" and question 9:
//!
//! - What was reported is not reported again, so it is remembered until a call has found that it is no longer so.
//! - A receive that got fewer bytes than it had room for has drained the socket; the next byte is a new edge. But an
//!   end that came in the same event is none any more: then it is received from until the end. So it is after urgent
//!   data, at which a receive stops short although more may follow.
//! - A send is over when the kernel says that it has no room; only from then on it reports room.
//! - Whoever has more than others must not starve them: after one call the others have their turn, and what is
//!   left is done in the next one, which does not wait.

use std::io;

use rustix::event::epoll::EventFlags;

use super::{Hit, Open, Readiness, Token, Turns};
use crate::connection::{Moved, Received};
use crate::protocol::Protocol;

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

    /// Makes the next call; whoever can go on after it is unfinished.
    fn go_on(&mut self, key: usize) -> io::Result<()> {
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
        if open.next_call().is_some() {
            open.edges.queued = true;
            self.unfinished.push(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::net::{SendFlags, send};
    use socket2::SockRef;

    use super::super::epoll_et::EpollEt;
    use super::super::stepped::{self, Greedy, Stepped, pair, read_now};
    use super::*;
    use crate::buffers::RECEIVE_BYTES;
    use crate::protocol::Raw;
    use crate::stats::{Event, Syscall};

    fn stepped<P: Protocol>(protocol: &P, test: impl FnOnce(Stepped<'_, '_, '_, EpollEt, P>)) {
        stepped::stepped(protocol, test);
    }

    #[test]
    fn an_end_that_came_with_the_data_is_seen() {
        stepped(&Raw, |mut server| {
            let (mut peer, ours) = pair();
            peer.write_all(b"last words").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            server.open(ours);
            server.turn();
            assert_eq!(server.turns.unfinished, [0], "it would wait for an edge that has been");
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
        let (greedy, ours) = Greedy::pair();
        let (mut modest, its_end) = pair();
        modest.write_all(b"?").unwrap();
        stepped(&greedy, |mut server| {
            server.open(ours);
            server.open(its_end);
            server.turn();
            assert_eq!(server.calls(Syscall::Recvfrom), 2);
            assert_eq!(server.count(Event::BytesReceived), RECEIVE_BYTES as u64 + 1);
            greedy.stop();
            // One that fills the buffer, and one that finds nothing more.
            server.turn();
            server.turn();
            assert_eq!(server.turns.unfinished.len(), 0);
            assert_eq!(server.count(Event::BytesReceived), greedy.sent_bytes() + 1);
            assert_eq!(server.calls(Syscall::EpollCtl), 4, "the listener, the stop and two connections, once each");
        });
    }

    #[test]
    fn a_key_that_is_used_again_is_not_the_unfinished_one() {
        let (greedy, ours) = Greedy::pair();
        stepped(&greedy, |mut server| {
            server.open(ours);
            server.turn();
            assert_eq!(server.turns.unfinished, [0]);
            server.turns.close_all_where(Event::IdleClosed, |_| true).unwrap();
            greedy.stop();
            let (mut next, ours) = pair();
            server.open(ours);
            let (receives, bytes) = (server.calls(Syscall::Recvfrom), server.count(Event::BytesReceived));
            server.turn();
            assert_eq!((server.calls(Syscall::Recvfrom), server.turns.unfinished.len()), (receives, 0));
            next.write_all(b"?").unwrap();
            server.turn();
            assert_eq!(server.count(Event::BytesReceived), bytes + 1);
        });
    }

    /// A peer that does not read, whose answer fills the server's socket.
    fn with_output(server: &mut Stepped<'_, '_, '_, EpollEt, Raw>, message: &[u8]) -> UnixStream {
        let (mut peer, ours) = pair();
        // The kernel makes it the smallest that it allows, a few KB.
        SockRef::from(&ours).set_send_buffer_size(1).unwrap();
        peer.write_all(message).unwrap();
        server.open(ours);
        // It sends what there is room for, and then finds that there is none.
        server.turn();
        server.turn();
        assert_eq!(server.count(Event::BytesReceived), message.len() as u64);
        assert!(server.count(Event::BytesSent) < message.len() as u64, "the answer fits into the socket");
        peer
    }

    /// Turn for turn, reads all there is; returns everything.
    fn read_slowly(server: &mut Stepped<'_, '_, '_, EpollEt, Raw>, peer: &mut UnixStream, bytes: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < bytes {
            let (more, ended) = read_now(peer);
            assert!(!more.is_empty(), "nothing came in a turn, after {} bytes", got.len());
            got.extend(more);
            assert!(!ended || got.len() == bytes, "the end came after {} bytes", got.len());
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
            assert!(server.calls(Syscall::Sendto) > 2, "it went out in pieces");
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
                assert!(server.calls(Syscall::EpollPwait) < 2, "what follows the mark is left lying");
                server.turn();
            }
            let mut got = [0; 11];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"beforeafter");
        });
    }
}
