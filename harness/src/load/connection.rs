//! How far one connection has come. Knows nothing of sockets, and so serves every engine.

use rustix::io::Errno;

use super::in_flight::{InFlight, Request};
use super::schedule::Schedule;
use super::traffic::{Incoming, Outgoing, Received, Traffic};

/// A connection's requests from their schedule to their answers.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) schedule: Schedule,
    pub(super) in_flight: InFlight,
    pub(super) outgoing: Outgoing,
    incoming: Incoming,
    /// Whether an entry in its thread's agenda will send the next request.
    pub(super) on_agenda: bool,
    /// Nothing more is sent or expected.
    pub(super) lost: bool,
    pub(super) in_window: InWindow,
}

/// Whether anything of a connection was measured, and should have been.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InWindow {
    /// A request was due in the window.
    pub(super) was_due: bool,
    /// A request that was sent in the window was answered.
    pub(super) was_answered: bool,
}

/// Why a connection ended before the run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Loss {
    #[error("the server closed a connection")]
    Closed,
    #[error("the server sent more than it was asked for")]
    Unsolicited,
    #[error("a connection broke: {0}")]
    Broken(Errno),
}

impl Loss {
    /// Whether the server ended the connection, in order or not.
    pub(super) fn is_the_servers(self) -> bool {
        matches!(self, Self::Closed | Self::Broken(Errno::CONNRESET | Errno::PIPE))
    }
}

impl Connection {
    pub(super) fn new(schedule: Schedule, start: usize, depth: usize) -> Self {
        Self {
            schedule,
            in_flight: InFlight::new(depth),
            outgoing: Outgoing::new(start),
            incoming: Incoming::new(start),
            on_agenda: false,
            lost: false,
            in_window: InWindow::default(),
        }
    }

    /// From when on the next request could be sent: it is due, and there is room for it. None if it waits for an
    /// answer first, or in vain.
    pub(super) fn ready_ns(&self, now_ns: u64) -> Option<u64> {
        if self.lost {
            return None;
        }
        let room_since_ns = self.in_flight.room_since_ns()?;
        Some(self.schedule.due_ns(now_ns).max(room_since_ns))
    }

    /// Lets the next request, which must be ready, go.
    pub(super) fn release(&mut self, traffic: &Traffic, now_ns: u64) -> Request {
        let request = Request { due_ns: self.schedule.due_ns(now_ns), sent_ns: now_ns };
        self.schedule.advance();
        self.in_flight.push(request);
        self.outgoing.add_frame(traffic);
        request
    }

    /// Takes out all requests in flight, since they will not be answered, and counts those sent before `end_ns`.
    pub(super) fn give_up_in_flight(&mut self, end_ns: u64) -> usize {
        let in_flight = self.in_flight.len();
        (0..in_flight).filter(|_| self.in_flight.pop(end_ns).sent_ns < end_ns).count()
    }

    /// Checks a piece of what the server sends.
    pub(super) fn receive(&mut self, traffic: &Traffic, piece: &[u8]) -> Result<Received, Loss> {
        let awaited_bytes = self.in_flight.len() * traffic.frame_bytes() - self.incoming.partial_bytes();
        if piece.len() > awaited_bytes {
            return Err(Loss::Unsolicited);
        }
        Ok(self.incoming.receive(traffic, piece))
    }
}
