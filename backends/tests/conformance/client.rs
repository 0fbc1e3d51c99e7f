//! A client that knows byte for byte what must come back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use socket2::{Domain, SockRef, Socket, Type};

use crate::server::Server;
use crate::wait::DEADLINE;

/// Bytes before the payload of a frame.
pub(crate) const HEADER_BYTES: usize = 4;

/// A frame of `payload_bytes` bytes that look random and follow from `seed`.
pub(crate) fn frame(seed: u64, payload_bytes: usize) -> Vec<u8> {
    let announced = u32::try_from(payload_bytes).expect("a frame is no longer than its header can say");
    let mut frame = announced.to_be_bytes().to_vec();
    frame.extend(noise(seed).take(payload_bytes));
    frame
}

/// Endless bytes that look random and follow from `seed`.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    // SplitMix64, so that neighbouring seeds have nothing in common.
    (1_u64..).flat_map(move |n| {
        let mut word = seed.wrapping_add(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_ne_bytes()
    })
}

/// One connection to the server, whose every call fails instead of hanging.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(server: &Server) -> Self {
        Self::over(TcpStream::connect(server.address).expect("the server listens"))
    }

    /// A client into whose socket next to nothing fits that it does not read.
    pub(crate) fn with_little_room(server: &Server) -> Self {
        let socket =
            Socket::new(Domain::for_address(server.address), Type::STREAM, None).expect("a descriptor is left");
        // Before it connects, for that is when the window is agreed upon.
        socket.set_recv_buffer_size(4096).expect("a fresh socket takes options");
        socket.connect(&server.address.into()).expect("the server listens");
        Self::over(socket.into())
    }

    /// A client over a socket that is connected to the server.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a fresh socket takes options");
        stream.set_read_timeout(Some(DEADLINE)).expect("a fresh socket takes options");
        stream.set_write_timeout(Some(DEADLINE)).expect("a fresh socket takes options");
        Self { stream }
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server takes what is sent");
    }

    /// Receives as many bytes as `expected` has and checks that they are the same.
    pub(crate) fn expect(&self, expected: &[u8]) {
        self.try_expect(expected).expect("the server answers");
    }

    /// Sends `bytes`, which fit into the kernel's buffers, and gets them back.
    pub(crate) fn exchange(&self, bytes: &[u8]) {
        self.send(bytes);
        self.expect(bytes);
    }

    /// Sends `bytes` and gets them back at the same time, however many they are.
    pub(crate) fn stream(&self, bytes: &[u8]) {
        thread::scope(|scope| {
            scope.spawn(|| self.send(bytes));
            self.expect(bytes);
        });
    }

    /// As [`exchange`](Self::exchange), but the server may have ended the connection: then false.
    pub(crate) fn exchange_unless_ended(&self, bytes: &[u8]) -> bool {
        unless_ended(self.try_send(bytes).and_then(|()| self.try_expect(bytes)))
    }

    /// As [`expect`](Self::expect), but the server may have ended the connection: then false.
    pub(crate) fn expect_unless_ended(&self, expected: &[u8]) -> bool {
        unless_ended(self.try_expect(expected))
    }

    /// Lets the server know that nothing more will be sent.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("the connection is open");
    }

    /// Waits for the orderly end of what the server sends.
    pub(crate) fn expect_eof(&self) {
        match self.receive(&mut [0; 64]) {
            Ok(0) => {}
            Ok(surplus_bytes) => panic!("{surplus_bytes} bytes came where the end was expected"),
            Err(error) => panic!("the end was expected: {error}"),
        }
    }

    /// Waits for the end, orderly or by a reset: what a server sends that closes while input is unread.
    pub(crate) fn expect_end(&self) {
        match self.receive(&mut [0; 64]) {
            Ok(0) => {}
            Ok(surplus_bytes) => panic!("{surplus_bytes} bytes came where the end was expected"),
            Err(error) => assert!(is_end(error.kind()), "the end was expected: {error}"),
        }
    }

    /// Receives what comes before the end, orderly or by a reset, and checks that it is what `expected` starts with.
    pub(crate) fn expect_until_the_end(&self, expected: &[u8]) -> usize {
        let (mut buffer, mut received_bytes) = (vec![0; 256 * 1024], 0);
        loop {
            let piece = match self.receive(&mut buffer) {
                Ok(0) => return received_bytes,
                Ok(piece_bytes) => &buffer[..piece_bytes],
                Err(error) if is_end(error.kind()) => return received_bytes,
                Err(error) => panic!("the end was expected: {error}"),
            };
            assert!(expected[received_bytes..].starts_with(piece), "other bytes come after {received_bytes}");
            received_bytes += piece.len();
        }
    }

    /// Whether there is something to receive, or the end.
    pub(crate) fn has_input(&self) -> bool {
        let mut fds = [PollFd::new(&self.stream, PollFlags::IN)];
        retry_on_intr(|| poll(&mut fds, Some(&Timespec::default()))).expect("poll takes a socket") > 0
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("an open socket takes options");
    }

    fn try_send(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
    }

    fn try_expect(&self, expected: &[u8]) -> io::Result<()> {
        let mut buffer = vec![0; expected.len().min(256 * 1024)];
        let mut received_bytes = 0;
        while received_bytes < expected.len() {
            let missing = &expected[received_bytes..];
            let room = missing.len().min(buffer.len());
            let piece = match self.receive(&mut buffer[..room])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                piece_bytes => &buffer[..piece_bytes],
            };
            if let Some(wrong) = piece.iter().zip(missing).position(|(is, should_be)| is != should_be) {
                panic!("byte {} of {} came back changed", received_bytes + wrong, expected.len());
            }
            received_bytes += piece.len();
        }
        Ok(())
    }

    fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.stream).read(room) {
                // Closing a ring of io_uring interrupts the thread that had set it up, here by `Backend::probe`.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => return received,
            }
        }
    }
}

/// False where the server has ended the connection.
fn unless_ended(result: io::Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) if is_end(error.kind()) => false,
        Err(error) => panic!("the server neither answers nor ends the connection: {error}"),
    }
}

/// Whether an error says that the server has closed the connection.
fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
