//! Visits: a connection is opened, one request is answered on it, it is closed, and then comes the next.
//!
//! A client that keeps its connections, as a run does, sees nothing of what a server does to accept and to close; one
//! that comes and goes sees little else. Visits are bounded in number and not in time, one after the other, by blocking
//! calls on the calling thread: there is nothing to wait for but this one server.
//!
//! Whoever closes first keeps the connection in `TIME_WAIT` for a minute, and that is the visitor, with the ordinary
//! close of a client and no reset. It does not run out of ports: the address that it comes from changes before half of
//! the ports of one are used. How many connections stay in that state at most, the kernel decides
//! (`net.ipv4.tcp_max_tw_buckets`).

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, recv, send};

use super::connect::{TIMEOUT, connect, failed, no_socket, socket_to};
use super::connection::Loss;
use super::error::LoadError;
use super::source::Sources;
use super::traffic::{Incoming, Outgoing, Traffic};

/// How long one call may wait, and so how long a request to cancel may go unseen.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// As many of them as make up the time in which a server has to answer.
const MOST_WAITS: u128 = TIMEOUT.as_millis() / LONGEST_WAIT.as_millis();

/// A client that comes and goes.
#[derive(Debug)]
pub struct Visitor {
    target: SocketAddr,
    sources: Sources,
    traffic: Traffic,
    /// For one answer, and one byte that was not asked for.
    buffer: Box<[u8]>,
    /// Visits begun so far: every one comes from the address, and sends the frame, that follow from its number.
    begun: usize,
}

/// What came of some visits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visits {
    /// Visits whose request was answered.
    pub answered: u64,
    /// Visits that were refused or cut off, or got more than they had asked for.
    pub errors: u64,
    /// The first error, for people.
    pub first_error: Option<String>,
    /// Answers that differed from what was sent.
    pub mismatches: u64,
    /// From before the first was opened until the last was closed.
    pub elapsed: Duration,
}

impl Visitor {
    /// The longest payload: a fresh connection has room for it, so that no send waits for an answer to be read.
    pub const MAX_PAYLOAD_BYTES: u32 = 4096;

    /// A visitor of `target`, once that has echoed a frame of `payload_bytes` on a connection.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the target is no loopback address, the payload too long, or nobody answers.
    pub fn new(target: SocketAddr, payload_bytes: u32, cancel: &AtomicBool) -> Result<Self, LoadError> {
        if !target.ip().is_loopback() {
            return Err(LoadError::NotLoopback { target });
        }
        if payload_bytes > Self::MAX_PAYLOAD_BYTES {
            let most = Self::MAX_PAYLOAD_BYTES;
            return Err(LoadError::Plan(format!("a payload of more than {most} bytes: ask for less")));
        }
        connect(target, 1, payload_bytes, cancel)?;
        let traffic = Traffic::new(payload_bytes, 1);
        let buffer = vec![0; traffic.frame_bytes() + 1].into_boxed_slice();
        Ok(Self { target, sources: Sources::of(target)?, traffic, buffer, begun: 0 })
    }

    /// Makes `count` visits, unless `cancel` is set meanwhile.
    ///
    /// # Errors
    ///
    /// [`LoadError`], where nothing listens any more, a request stays without an answer for long, or the system is out
    /// of something. What befalls a single visit is counted instead.
    pub fn visit(&mut self, count: u64, cancel: &AtomicBool) -> Result<Visits, LoadError> {
        let mut visits = Visits::default();
        let start = Instant::now();
        for _ in 0..count {
            match self.visit_once(cancel) {
                Ok(mismatches) => {
                    visits.answered += 1;
                    visits.mismatches += mismatches;
                }
                Err(End::Lost(loss)) => {
                    visits.errors += 1;
                    visits.first_error.get_or_insert_with(|| loss.to_string());
                }
                Err(End::Silent) => {
                    let count = usize::try_from(count).unwrap_or(usize::MAX);
                    let answered = usize::try_from(visits.answered).unwrap_or(usize::MAX);
                    return Err(LoadError::Silent { target: self.target, answered, count, after: TIMEOUT });
                }
                Err(End::Failed(error)) => return Err(error),
            }
        }
        visits.elapsed = start.elapsed();
        Ok(visits)
    }

    /// Returns how many of its answers, one, differed from what was sent.
    fn visit_once(&mut self, cancel: &AtomicBool) -> Result<u64, End> {
        let number = self.begun;
        self.begun += 1;
        let mut patience = Patience { cancel, waits: 0 };
        patience.check()?;
        let socket = self.open(number, &mut patience)?;
        let start = self.traffic.start_of(number);

        let mut outgoing = Outgoing::new(start);
        outgoing.add_frame(&self.traffic);
        while !outgoing.unsent(&self.traffic).is_empty() {
            match send(&socket, outgoing.unsent(&self.traffic), SendFlags::NOSIGNAL) {
                Ok(bytes) => outgoing.sent(&self.traffic, bytes),
                Err(errno) => patience.after(errno)?,
            }
        }

        let mut incoming = Incoming::new(start);
        let mut mismatches = 0;
        loop {
            match recv(&socket, &mut *self.buffer, RecvFlags::empty()) {
                Ok((_, 0)) => return Err(End::Lost(Loss::Closed)),
                Ok((_, bytes)) if bytes > self.traffic.frame_bytes() - incoming.partial_bytes() => {
                    return Err(End::Lost(Loss::Unsolicited));
                }
                Ok((_, bytes)) => {
                    let received = incoming.receive(&self.traffic, &self.buffer[..bytes]);
                    mismatches += received.mismatches;
                    if received.frames > 0 {
                        return Ok(mismatches);
                    }
                }
                Err(errno) => patience.after(errno)?,
            }
        }
    }

    /// Opens a connection whose calls wait, but not for long.
    fn open(&self, number: usize, patience: &mut Patience<'_>) -> Result<OwnedFd, End> {
        let socket = socket_to(self.target, SocketFlags::empty())
            .and_then(|socket| {
                set_socket_timeout(&socket, Timeout::Recv, Some(LONGEST_WAIT))?;
                set_socket_timeout(&socket, Timeout::Send, Some(LONGEST_WAIT))?;
                Ok(socket)
            })
            .map_err(|cause| no_socket(self.target, cause))?;
        self.sources.bind(&socket, number)?;
        loop {
            match rustix::net::connect(&socket, &self.target) {
                Ok(()) => return Ok(socket),
                // It did not wait any longer. Asked again, it goes on waiting.
                Err(Errno::INPROGRESS | Errno::ALREADY) => patience.after(Errno::AGAIN)?,
                Err(errno @ (Errno::CONNREFUSED | Errno::ADDRNOTAVAIL)) => {
                    return Err(failed(self.target, errno).into());
                }
                Err(errno) => patience.after(errno)?,
            }
        }
    }
}

/// Why a visit did not end as it should.
#[derive(Debug)]
enum End {
    /// Only this one, as far as can be known.
    Lost(Loss),
    /// Nothing came for as long as a server may take.
    Silent,
    /// No other would fare better.
    Failed(LoadError),
}

impl From<LoadError> for End {
    fn from(error: LoadError) -> Self {
        Self::Failed(error)
    }
}

/// How long a visit is still waited for. No clock is read for visits that go well.
struct Patience<'a> {
    cancel: &'a AtomicBool,
    waits: u128,
}

impl Patience<'_> {
    fn check(&self) -> Result<(), End> {
        if self.cancel.load(Ordering::Relaxed) { Err(LoadError::Cancelled.into()) } else { Ok(()) }
    }

    /// Whether to repeat a call that ended with `errno`.
    fn after(&mut self, errno: Errno) -> Result<(), End> {
        self.waits += 1;
        match errno {
            Errno::AGAIN | Errno::INTR if self.waits < MOST_WAITS => self.check(),
            Errno::AGAIN | Errno::INTR => Err(End::Silent),
            errno => Err(End::Lost(Loss::Broken(errno))),
        }
    }
}

#[cfg(test)]
mod tests;
