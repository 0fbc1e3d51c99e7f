//! A [`Connection`] over calls that do what a script says.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;

use super::{Choices, Due};
use crate::buffers::Buffers;
use crate::connection::{Calls, Connection, Ended, Moved};
use crate::protocol::{Protocol, ProtocolKind};
use crate::stats::{Event, Stats};

/// Serves a peer that sends `stream` and then no more, and checks every step. Calls receive any number of bytes; at most so
/// many of them may be `disturbed`: fail, find nothing, or send less than they were given.
pub(crate) fn converse(protocol: ProtocolKind, stream: &[u8], choices: &mut impl Choices, disturbed: usize) {
    match protocol {
        ProtocolKind::Framed(framed) => converse_in(protocol, &framed, stream, choices, disturbed),
        ProtocolKind::Raw(raw) => converse_in(protocol, &raw, stream, choices, disturbed),
    }
}

fn converse_in<P: Protocol>(
    kind: ProtocolKind,
    protocol: &P,
    stream: &[u8],
    choices: &mut impl Choices,
    disturbed: usize,
) {
    let stats = Arc::new(Stats::default());
    let counters = stats.register();
    let kernel = Kernel::new(stream, choices, disturbed);
    let mut buffers = Buffers::new();
    let mut connection = Connection::<P, &Kernel<'_, _>>::new(&kernel, Instant::now());
    let mut violated = false;
    let ended = loop {
        let before = kernel.moved_bytes();
        let moved = if connection.has_output() {
            connection.flush(&mut buffers, &counters)
        } else {
            connection.receive(protocol, &mut buffers, &counters)
        };
        let due = kernel.check(kind);
        if kernel.reset.get() {
            break moved;
        }
        if !connection.has_output() {
            assert_eq!(kernel.sent_bytes(), due.bytes, "bytes went out, and nothing waits");
        }
        match moved {
            Ok(Moved::Some) => assert!(kernel.moved_bytes() > before, "nothing moved"),
            Ok(Moved::None) => assert_eq!(kernel.moved_bytes(), before, "something moved"),
            Err(Ended::Violation) => violated = true,
            Err(_) => break moved,
        }
        assert_eq!(violated, due.violation, "a violation");
        if violated && !connection.has_output() {
            break Err(Ended::Violation);
        }
    };
    let reset = kernel.reset.get();
    match ended {
        Err(Ended::Eof) => assert!(!reset && kernel.received.get() == stream.len()),
        Err(Ended::Violation) => assert!(!reset && violated),
        Err(Ended::Error) => assert!(reset),
        Ok(_) => panic!("a failure was not seen"),
    }
    connection.close(&counters);
    let report = stats.report();
    assert_eq!(report.count(Event::BytesReceived), kernel.received.get() as u64);
    assert_eq!(report.count(Event::BytesSent), kernel.sent_bytes() as u64);
    if matches!(kind, ProtocolKind::Framed(_)) {
        assert_eq!(report.count(Event::Replies), kernel.check(kind).frames);
    }
}

/// Calls that do what the choices say.
struct Kernel<'a, C> {
    stream: &'a [u8],
    choices: RefCell<&'a mut C>,
    disturbances_left: Cell<usize>,
    /// Bytes of the stream that were received.
    received: Cell<usize>,
    sent: RefCell<Vec<u8>>,
    /// A call has failed; none may follow.
    reset: Cell<bool>,
}

impl<'a, C: Choices> Kernel<'a, C> {
    fn new(stream: &'a [u8], choices: &'a mut C, disturbed: usize) -> Self {
        Self {
            stream,
            choices: RefCell::new(choices),
            disturbances_left: Cell::new(disturbed),
            received: Cell::new(0),
            sent: RefCell::new(Vec::new()),
            reset: Cell::new(false),
        }
    }

    fn sent_bytes(&self) -> usize {
        self.sent.borrow().len()
    }

    fn moved_bytes(&self) -> usize {
        self.received.get() + self.sent_bytes()
    }

    /// Whether nothing went out but what was due then; returns that.
    fn check(&self, kind: ProtocolKind) -> Due {
        let due = Due::of(kind, &self.stream[..self.received.get()]);
        assert!(self.stream[..due.bytes].starts_with(&self.sent.borrow()), "other bytes went out than were due");
        due
    }

    /// A number below `options`, of which all but 0 are disturbances.
    fn disturbance(&self, options: usize) -> usize {
        let left = self.disturbances_left.get();
        let chosen = if left == 0 { 0 } else { self.choices.borrow_mut().choose(options) };
        self.disturbances_left.set(left - usize::from(chosen > 0));
        chosen
    }

    fn fails(&self, disturbance: usize) -> Errno {
        match disturbance {
            1 => Errno::AGAIN,
            2 => Errno::INTR,
            _ => {
                self.reset.set(true);
                Errno::CONNRESET
            }
        }
    }
}

impl<C: Choices> Calls for &Kernel<'_, C> {
    fn receive_into(&self, received: &mut Vec<u8>) -> rustix::io::Result<usize> {
        assert!(!self.reset.get(), "a receive after a failure");
        match self.disturbance(4) {
            0 => {}
            disturbance => return Err(self.fails(disturbance)),
        }
        let rest = &self.stream[self.received.get()..];
        let most = rest.len().min(received.capacity() - received.len());
        if rest.is_empty() {
            return Ok(0);
        }
        assert!(most > 0, "a receive without room is taken for the end of the stream");
        let received_bytes = most - self.choices.borrow_mut().choose(most);
        received.extend_from_slice(&rest[..received_bytes]);
        self.received.set(self.received.get() + received_bytes);
        Ok(received_bytes)
    }

    fn send_from(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        assert!(!self.reset.get(), "a send after a failure");
        assert!(!bytes.is_empty(), "a send of nothing");
        // Everything; a failure; or fewer, down to none.
        let disturbance = self.disturbance(4 + bytes.len());
        let sent_bytes = match disturbance {
            0 => bytes.len(),
            1..4 => return Err(self.fails(disturbance)),
            shorter => bytes.len() - (shorter - 3),
        };
        self.sent.borrow_mut().extend_from_slice(&bytes[..sent_bytes]);
        Ok(sent_bytes)
    }
}
