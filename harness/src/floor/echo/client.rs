//! The client's end of all connections: one request under way on each, and the next as soon as it is answered.

use std::net::TcpStream;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::RECEIVE_BYTES;
use crate::floor::FloorError;

/// The client's ends of the connections, visited in turn.
#[derive(Debug)]
pub(super) struct Client {
    peers: Vec<Peer>,
    /// What every request is.
    request: Vec<u8>,
    buffer: Vec<u8>,
    /// Requests that were answered.
    pub(super) answers: u64,
}

#[derive(Debug)]
struct Peer {
    socket: TcpStream,
    /// Of the request under way.
    sent_bytes: usize,
    answered_bytes: usize,
}

impl Client {
    pub(super) fn new(sockets: impl Iterator<Item = TcpStream>, request: Vec<u8>) -> Self {
        let peer = |socket| Peer { socket, sent_bytes: 0, answered_bytes: 0 };
        Self { peers: sockets.map(peer).collect(), request, buffer: vec![0; RECEIVE_BYTES], answers: 0 }
    }

    /// Visits every connection once.
    pub(super) fn turn(&mut self) -> Result<(), FloorError> {
        for peer in &mut self.peers {
            self.answers += u64::from(peer.take_answer(&self.request, &mut self.buffer)?);
            peer.send_rest(&self.request)?;
        }
        Ok(())
    }
}

impl Peer {
    /// Takes what has come, and says whether the answer is complete with it.
    fn take_answer(&mut self, request: &[u8], buffer: &mut [u8]) -> Result<bool, FloorError> {
        if self.sent_bytes == 0 {
            return Ok(false);
        }
        match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Err(FloorError::Closed),
            Ok((bytes, _)) => self.answered_bytes += bytes,
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(FloorError::kernel("receive on loopback")(errno)),
        }
        if self.answered_bytes > self.sent_bytes {
            return Err(FloorError::Unasked);
        }
        let complete = self.answered_bytes == request.len();
        if complete {
            (self.sent_bytes, self.answered_bytes) = (0, 0);
        }
        Ok(complete)
    }

    fn send_rest(&mut self, request: &[u8]) -> Result<(), FloorError> {
        let unsent = &request[self.sent_bytes..];
        if unsent.is_empty() {
            return Ok(());
        }
        match send(&self.socket, unsent, SendFlags::NOSIGNAL) {
            Ok(sent_bytes) => self.sent_bytes += sent_bytes,
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(FloorError::kernel("send on loopback")(errno)),
        }
        Ok(())
    }
}

#[cfg(test)]
impl Client {
    /// Ends the first connection.
    pub(super) fn hang_up(&self) {
        self.peers[0].socket.shutdown(std::net::Shutdown::Both).unwrap();
    }
}
