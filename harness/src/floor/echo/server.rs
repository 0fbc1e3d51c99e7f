//! The server's end of all connections: sends back what comes, and looks again.

use std::net::TcpStream;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::RECEIVE_BYTES;
use crate::floor::FloorError;

/// The server's ends of the connections, visited in turn.
#[derive(Debug)]
pub(super) struct Server {
    peers: Vec<Peer>,
    buffer: Vec<u8>,
    pub(super) counts: Counts,
}

/// What was done since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Bytes that were sent back.
    pub(super) bytes: u64,
    /// Receives that found nothing.
    pub(super) receives_in_vain: u64,
    /// Sends that found no room.
    pub(super) sends_in_vain: u64,
}

impl Counts {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            bytes: self.bytes - before.bytes,
            receives_in_vain: self.receives_in_vain - before.receives_in_vain,
            sends_in_vain: self.sends_in_vain - before.sends_in_vain,
        }
    }
}

#[derive(Debug)]
struct Peer {
    socket: TcpStream,
    /// What was received and found no room to be sent; sent as far as `sent_bytes`.
    owed: Vec<u8>,
    sent_bytes: usize,
}

impl Server {
    pub(super) fn new(sockets: impl Iterator<Item = TcpStream>) -> Self {
        let peer = |socket| Peer { socket, owed: Vec::new(), sent_bytes: 0 };
        Self { peers: sockets.map(peer).collect(), buffer: vec![0; RECEIVE_BYTES], counts: Counts::default() }
    }

    /// Visits every connection once.
    pub(super) fn turn(&mut self) -> Result<(), FloorError> {
        self.peers.iter_mut().try_for_each(|peer| peer.visit(&mut self.buffer, &mut self.counts))
    }
}

impl Peer {
    /// One receive, as servers do that are told of what has come; none before all that it brought is sent.
    fn visit(&mut self, buffer: &mut [u8], counts: &mut Counts) -> Result<(), FloorError> {
        if self.sent_bytes < self.owed.len() {
            self.sent_bytes += send_some(&self.socket, &self.owed[self.sent_bytes..], counts)?;
            return Ok(());
        }
        let received = match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Err(FloorError::Closed),
            Ok((bytes, _)) => &buffer[..bytes],
            Err(Errno::AGAIN) => {
                counts.receives_in_vain += 1;
                return Ok(());
            }
            Err(errno) => return Err(FloorError::kernel("receive on loopback")(errno)),
        };
        let sent_bytes = send_some(&self.socket, received, counts)?;
        if sent_bytes < received.len() {
            self.owed.clear();
            self.owed.extend_from_slice(&received[sent_bytes..]);
            self.sent_bytes = 0;
        }
        Ok(())
    }
}

/// How many of the bytes there was room for.
fn send_some(socket: &TcpStream, bytes: &[u8], counts: &mut Counts) -> Result<usize, FloorError> {
    match send(socket, bytes, SendFlags::NOSIGNAL) {
        Ok(sent_bytes) => {
            counts.bytes += sent_bytes as u64;
            Ok(sent_bytes)
        }
        Err(Errno::AGAIN) => {
            counts.sends_in_vain += 1;
            Ok(0)
        }
        Err(errno) => Err(FloorError::kernel("send on loopback")(errno)),
    }
}
