//! Sees that a server serves every connection, before there is load on any.
//!
//! TCP connects before a server has accepted. A thread that accepts among hundreds that serve already may not run again
//! for seconds once there is load, and connections that it did not come to would stand still for the whole run.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::error::LoadError;
use super::traffic::HEADER_BYTES;

/// What is received with one call at most.
const RECEIVE_BYTES: usize = 128 * 1024;
/// The server has so much more time for greetings that are long, at most: no echo is slower.
const SLOWEST_BYTES_PER_S: f64 = 10e6;
const LONGEST_EXTENSION_S: f64 = 60.0;
/// And only as long as bytes move: in this time some do.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a request to cancel may go unseen.
const LONGEST_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Sends a greeting on every connection and awaits its echo until `deadline`, and longer where greetings are long and on their way.
/// Connections that have broken are left for the run to find.
///
/// A greeting is as long as the requests that follow, for some servers know one length only (neper's `tcp_rr`, `NetPIPE`,
/// sockperf) and would wait for the rest of any other.
pub(super) fn greet(
    target: SocketAddr,
    sockets: &[OwnedFd],
    payload_bytes: u32,
    deadline: Instant,
    cancel: &AtomicBool,
) -> Result<(), LoadError> {
    let greeting = greeting(payload_bytes);
    let begin = Instant::now();
    let extension_s = (greeting.len() * sockets.len()) as f64 / SLOWEST_BYTES_PER_S;
    let longest = deadline + Duration::from_secs_f64(extension_s.min(LONGEST_EXTENSION_S));
    let (mut moved_bytes, mut moved) = (0, begin);
    let mut buffer = vec![0; greeting.len().min(RECEIVE_BYTES)];
    let mut silent: Vec<Silent> = sockets.iter().map(|socket| Silent::new(socket, &greeting)).collect();
    for connection in &mut silent {
        connection.send();
    }
    while !silent.is_empty() {
        if cancel.load(Ordering::Relaxed) {
            return Err(LoadError::Cancelled);
        }
        let now = Instant::now();
        let on_the_way: usize = silent.iter().map(|connection| connection.sent_bytes + connection.received_bytes).sum();
        let all_moved_bytes = on_the_way + 2 * greeting.len() * (sockets.len() - silent.len());
        if all_moved_bytes != moved_bytes {
            (moved_bytes, moved) = (all_moved_bytes, now);
        }
        if now >= longest || (now >= deadline && now - moved >= LONGEST_PAUSE) {
            let (answered, count) = (sockets.len() - silent.len(), sockets.len());
            return Err(LoadError::Silent { target, answered, count, after: begin.elapsed() });
        }
        let mut ready = wait(&silent)?.into_iter();
        let heard =
            silent.extract_if(.., |connection| ready.next().unwrap_or(false) && connection.is_over(&mut buffer));
        if heard.into_iter().any(|connection| !connection.is_echo) {
            return Err(LoadError::NoEcho { target });
        }
    }
    Ok(())
}

/// A frame of zeros.
fn greeting(payload_bytes: u32) -> Vec<u8> {
    let mut frame = vec![0; HEADER_BYTES + payload_bytes as usize];
    frame[..HEADER_BYTES].copy_from_slice(&payload_bytes.to_be_bytes());
    frame
}

/// A connection whose answer is not complete.
struct Silent<'a> {
    socket: &'a OwnedFd,
    greeting: &'a [u8],
    sent_bytes: usize,
    received_bytes: usize,
    is_echo: bool,
}

impl<'a> Silent<'a> {
    fn new(socket: &'a OwnedFd, greeting: &'a [u8]) -> Self {
        Self { socket, greeting, sent_bytes: 0, received_bytes: 0, is_echo: true }
    }

    /// Sends what the socket has room for; an error comes up again where its answer is received.
    fn send(&mut self) {
        while !self.unsent().is_empty() {
            match send(self.socket, self.unsent(), SendFlags::NOSIGNAL) {
                Ok(bytes) => self.sent_bytes += bytes,
                Err(_) => return,
            }
        }
    }

    fn unsent(&self) -> &'a [u8] {
        &self.greeting[self.sent_bytes..]
    }

    /// Sends and receives what can be; true when no more is to be awaited.
    fn is_over(&mut self, buffer: &mut [u8]) -> bool {
        self.send();
        let awaited = &self.greeting[self.received_bytes..];
        let most = awaited.len().min(buffer.len());
        let answer = &mut buffer[..most];
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

    fn awaits(&self) -> PollFlags {
        if self.unsent().is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }
}

/// On which connections something can be done.
fn wait(silent: &[Silent<'_>]) -> Result<Vec<bool>, LoadError> {
    let mut fds: Vec<_> = silent.iter().map(|connection| PollFd::new(connection.socket, connection.awaits())).collect();
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
        // The longest does not fit into the buffers of a connection.
        for payload_bytes in [0_u32, 64, 16 << 10, 8 << 20] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let target = listener.local_addr().unwrap();
            let connected = TcpStream::connect(target).unwrap();
            connected.set_nonblocking(true).unwrap();
            let server = thread::spawn(move || {
                let (mut socket, _) = listener.accept().unwrap();
                let mut request = vec![1; HEADER_BYTES + payload_bytes as usize];
                socket.read_exact(&mut request).unwrap();
                socket.write_all(&request).unwrap();
            });
            let deadline = Instant::now() + Duration::from_secs(10);
            greet(target, &[connected.into()], payload_bytes, deadline, &AtomicBool::new(false)).unwrap();
            server.join().unwrap();
        }
    }

    #[test]
    fn a_long_greeting_is_echoed_piece_by_piece() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let connected = TcpStream::connect(target).unwrap();
        connected.set_nonblocking(true).unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut echoed = 0;
            while echoed < HEADER_BYTES + (8 << 20) {
                let mut piece = [0; 4096];
                let bytes = socket.read(&mut piece).unwrap();
                socket.write_all(&piece[..bytes]).unwrap();
                echoed += bytes;
            }
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        greet(target, &[connected.into()], 8 << 20, deadline, &AtomicBool::new(false)).unwrap();
        server.join().unwrap();
    }

    #[test]
    fn a_server_that_does_not_accept_is_not_taken_for_one_that_serves() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let connected = OwnedFd::from(TcpStream::connect(target).unwrap());
        let silent = greet(target, &[connected], 0, Instant::now(), &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(silent, LoadError::Silent { answered: 0, count: 1, .. }), "{silent}");
    }
}
