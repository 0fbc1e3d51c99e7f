//! One connection: reads a frame, lets its time pass, echoes it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::thread::set_current_timer_slack;

use crate::behaviour::{Behaviour, is_nth, now_ns};

const HEADER_BYTES: usize = 4;
const MAX_PAYLOAD_BYTES: usize = 16 << 20;

/// Serves a connection to its end.
pub(crate) fn serve(mut stream: &TcpStream, number: u64, behaviour: &Behaviour, began_ns: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    set_current_timer_slack(NonZeroU64::new(1))?;
    let muted = is_nth(number, behaviour.mute);
    let mut input = Frames { stream, buffer: vec![0; 64 * 1024], read: 0, taken: 0 };
    for frame in 0.. {
        let next = match behaviour.frame_bytes {
            None => input.next()?,
            Some(bytes) => input.next_of(bytes)?,
        };
        let Some(bytes) = next else { return Ok(()) };
        let read_ns = now_ns();
        if is_nth(frame, behaviour.reset) {
            // Closing it resets it then.
            return Ok(set_socket_linger(stream, Some(Duration::ZERO))?);
        }
        behaviour.wait(frame, read_ns, began_ns);
        if is_nth(frame, behaviour.mangle) && bytes.len() > HEADER_BYTES {
            bytes[HEADER_BYTES] ^= 1;
        }
        // The first frame is the greeting, without which there is no connection.
        if frame == 0 || !muted {
            stream.write_all(bytes)?;
        }
    }
    Ok(())
}

/// Whole frames from a stream.
struct Frames<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
    read: usize,
    taken: usize,
}

impl Frames<'_> {
    /// The next one with its header; none at the end of the stream.
    fn next(&mut self) -> io::Result<Option<&mut [u8]>> {
        if !self.fill(HEADER_BYTES)? {
            return Ok(None);
        }
        let header = self.buffer[self.taken..][..HEADER_BYTES].try_into().expect("it is as long as that");
        let payload_bytes = u32::from_be_bytes(header) as usize;
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.next_of(HEADER_BYTES + payload_bytes)
    }

    /// The next so many bytes; none at the end of the stream.
    fn next_of(&mut self, frame_bytes: usize) -> io::Result<Option<&mut [u8]>> {
        if !self.fill(frame_bytes)? {
            return Ok(None);
        }
        self.taken += frame_bytes;
        Ok(Some(&mut self.buffer[self.taken - frame_bytes..self.taken]))
    }

    /// Whether so many bytes are there that were not taken yet.
    fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        if self.taken == self.read {
            (self.taken, self.read) = (0, 0);
        }
        if self.buffer.len() - self.taken < bytes {
            self.buffer.copy_within(self.taken..self.read, 0);
            (self.taken, self.read) = (0, self.read - self.taken);
            self.buffer.resize(self.buffer.len().max(bytes), 0);
        }
        while self.read - self.taken < bytes {
            match self.stream.read(&mut self.buffer[self.read..])? {
                0 => return Ok(false),
                read => self.read += read,
            }
        }
        Ok(true)
    }
}
