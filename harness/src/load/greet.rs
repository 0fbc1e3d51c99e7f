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

/// The longest payload that a greeting has: a fresh socket has room for it, so that no send is short.
const LONGEST_PAYLOAD_BYTES: u32 = 4096;

/// How long a request to cancel may go unseen.
const LONGEST_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Sends a greeting on every connection and awaits its echo until `deadline`. Connections that have broken are left for
/// the run to find.
///
/// A greeting is as long as the requests that follow, for some servers know one length only (neper's `tcp_rr`); where
/// those are long it is a frame without payload.
pub(super) fn greet(
    target: SocketAddr,
    sockets: &[OwnedFd],
    payload_bytes: u32,
    deadline: Instant,
    cancel: &AtomicBool,
) -> Result<(), LoadError> {
    let greeting = greeting(payload_bytes);
    for socket in sockets {
        // A fresh socket has room for it; an error will come up again.
        let _ = send(socket, &greeting, SendFlags::NOSIGNAL);
    }
    let mut silent: Vec<Silent> = sockets.iter().map(|socket| Silent::new(socket, &greeting)).collect();
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

/// Length of the greeting before requests of `frame_bytes`.
pub(super) fn greeting_bytes(frame_bytes: usize) -> usize {
    if frame_bytes <= HEADER_BYTES + LONGEST_PAYLOAD_BYTES as usize { frame_bytes } else { HEADER_BYTES }
}

/// A frame of zeros.
fn greeting(payload_bytes: u32) -> Vec<u8> {
    let payload_bytes = if payload_bytes <= LONGEST_PAYLOAD_BYTES { payload_bytes } else { 0 };
    let mut frame = vec![0; HEADER_BYTES + payload_bytes as usize];
    frame[..HEADER_BYTES].copy_from_slice(&payload_bytes.to_be_bytes());
    frame
}

/// A connection whose answer is not complete.
struct Silent<'a> {
    socket: &'a OwnedFd,
    greeting: &'a [u8],
    received_bytes: usize,
    is_echo: bool,
}

impl<'a> Silent<'a> {
    fn new(socket: &'a OwnedFd, greeting: &'a [u8]) -> Self {
        Self { socket, greeting, received_bytes: 0, is_echo: true }
    }

    /// Receives what has come; true when no more is to be awaited.
    fn is_over(&mut self) -> bool {
        let awaited = &self.greeting[self.received_bytes..];
        let mut answer = [0; HEADER_BYTES + LONGEST_PAYLOAD_BYTES as usize];
        let answer = &mut answer[..awaited.len()];
        match recv(self.socket, &mut *answer, RecvFlags::empty()) {
            Ok((_, bytes @ 1..)) => {
                self.is_echo &= answer[..bytes] == awaited[..bytes];
                self.received_bytes += bytes;
                self.received_bytes == self.greeting.len() || !self.is_echo
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Ok(_) | Err(_) => true,
        }
    }

    fn is_no_echo(&self) -> bool {
        !self.is_echo
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
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_server_that_knows_one_length_of_requests_understands_the_greeting() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let connected = TcpStream::connect(target).unwrap();
        connected.set_nonblocking(true).unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [1; HEADER_BYTES + 64];
            socket.read_exact(&mut request).unwrap();
            socket.write_all(&request).unwrap();
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        greet(target, &[connected.into()], 64, deadline, &AtomicBool::new(false)).unwrap();
        server.join().unwrap();
    }

    #[test]
    fn the_greeting_is_as_long_as_it_is_said_to_be() {
        for payload_bytes in [0, 64, LONGEST_PAYLOAD_BYTES, LONGEST_PAYLOAD_BYTES + 1, 1 << 20] {
            let frame_bytes = HEADER_BYTES + payload_bytes as usize;
            assert_eq!(greeting(payload_bytes).len(), greeting_bytes(frame_bytes), "{payload_bytes}");
        }
    }

    #[test]
    fn a_server_that_does_not_accept_is_not_taken_for_one_that_serves() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let connected = OwnedFd::from(TcpStream::connect(target).unwrap());
        let silent = greet(target, &[connected], 64, Instant::now(), &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(silent, LoadError::Silent { answered: 0, count: 1, .. }), "{silent}");
    }
}
