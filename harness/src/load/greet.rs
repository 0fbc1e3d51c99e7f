//! Sees that a server serves every connection, before there is load on any.
//!
//! TCP connects before a server has accepted. A thread that accepts among hundreds that serve already may not run again
//! for seconds once there is load, and connections that it did not come to would stand still for the whole run.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::error::LoadError;
use super::traffic::HEADER_BYTES;

/// A frame without payload.
const GREETING: [u8; HEADER_BYTES] = [0; HEADER_BYTES];

/// How long a request to cancel may go unseen.
const LONGEST_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Sends a greeting on every connection and awaits its echo until `deadline`. Connections that have broken are left for
/// the run to find.
pub(super) fn greet(
    target: SocketAddr,
    sockets: &[OwnedFd],
    deadline: Instant,
    cancel: &AtomicBool,
) -> Result<(), LoadError> {
    for socket in sockets {
        // A fresh socket has room for four bytes; an error will come up again.
        let _ = send(socket, &GREETING, SendFlags::NOSIGNAL);
    }
    let mut silent: Vec<Silent> = sockets.iter().map(Silent::new).collect();
    while !silent.is_empty() {
        if cancel.load(Ordering::Relaxed) {
            return Err(LoadError::Cancelled);
        }
        if Instant::now() >= deadline {
            let answered = sockets.len() - silent.len();
            return Err(LoadError::Silent { target, answered, count: sockets.len() });
        }
        let mut readable = wait(&silent)?.into_iter();
        let mut heard = silent.extract_if(.., |connection| readable.next().unwrap_or(false) && connection.is_over());
        if heard.any(|connection| connection.is_no_echo()) {
            return Err(LoadError::NoEcho { target });
        }
    }
    Ok(())
}

/// A connection whose answer is not complete.
struct Silent<'a> {
    socket: &'a OwnedFd,
    answer: [u8; HEADER_BYTES],
    received_bytes: usize,
}

impl<'a> Silent<'a> {
    fn new(socket: &'a OwnedFd) -> Self {
        Self { socket, answer: GREETING, received_bytes: 0 }
    }

    /// Receives what has come; true when no more is to be awaited.
    fn is_over(&mut self) -> bool {
        match recv(self.socket, &mut self.answer[self.received_bytes..], RecvFlags::empty()) {
            Ok((_, bytes @ 1..)) => {
                self.received_bytes += bytes;
                self.received_bytes == GREETING.len()
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Ok(_) | Err(_) => true,
        }
    }

    fn is_no_echo(&self) -> bool {
        self.answer != GREETING
    }
}

/// Which connections have something to say.
fn wait(silent: &[Silent<'_>]) -> Result<Vec<bool>, LoadError> {
    let mut fds: Vec<_> = silent.iter().map(|connection| PollFd::new(connection.socket, PollFlags::IN)).collect();
    match poll(&mut fds, Some(&LONGEST_WAIT)) {
        Ok(_) | Err(Errno::INTR) => Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(cause) => Err(LoadError::Kernel { what: "wait for the first answers", cause: cause.into() }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_server_that_does_not_accept_is_not_taken_for_one_that_serves() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let connected = OwnedFd::from(TcpStream::connect(target).unwrap());
        let silent = greet(target, &[connected], Instant::now(), &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(silent, LoadError::Silent { answered: 0, count: 1, .. }), "{silent}");
    }
}
