//! Asks the running kernel for everything that a variant uses, by using it: the number of a kernel says little about
//! what a vendor's kernel grants.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv};

use super::operation::NOBODY;
use super::{Completion, Features, Payload, Ring, Socket};
use crate::backend::{Limits, Receipt};
use crate::io_uring::variants::Variant;
use crate::kernel::failed;
use crate::stats::Counters;

/// Far longer than any operation here takes.
const PATIENCE: Duration = Duration::from_secs(1);
/// More than a socket holds, so that a send that does not wait must come out short.
const TOO_MUCH_BYTES: usize = 16 * 1024 * 1024;
/// Fits into any socket.
const LITTLE_BYTES: usize = 1000;

/// Tries every operation once, on a connection with ourselves.
pub(in crate::io_uring) fn probe(variant: &'static Variant) -> io::Result<Receipt> {
    let ring = Ring::new(variant, &Limits::default())?;
    let mut trial = Trial { features: variant.features, ring, counters: Counters::new() };
    let (socket, mut client) = trial.accept()?;
    client.set_read_timeout(Some(PATIENCE))?;
    let exchanged = trial.receive(&socket, &mut client).and_then(|()| trial.send(&socket, &mut client));
    let closed = exchanged.and_then(|()| trial.close(&socket, &mut client));
    // Before the socket is closed, which operations name.
    trial.ring.settle();
    trial.ring.close(socket, &trial.counters)?;
    closed?;
    Ok(trial.ring.receipt())
}

struct Trial {
    features: Features,
    ring: Ring,
    counters: Counters,
}

impl Trial {
    fn accept(&mut self) -> io::Result<(Socket, TcpStream)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        self.ring.accept(&listener, false, &self.counters)?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let accepted = self.until("an accept", |completion| match completion {
            Completion::Accepted { result, last } => Some((result, last)),
            _ => None,
        });
        let (result, last) = accepted?;
        let what = if self.features.multishot_accept { "multishot accept (Linux 5.19 or newer)" } else { "accept" };
        let socket = result.map_err(|error| failed(&format!("{what} is refused"), error))?;
        // It names the listener, which is closed on return.
        if !last {
            self.ring.cancel_accept(&self.counters)?;
            self.until("the end of an accept", |completion| {
                matches!(completion, Completion::Accepted { last: true, .. }).then_some(())
            })?;
        }
        if last == self.features.multishot_accept {
            return Err(unlike("an accept"));
        }
        Ok((socket, client))
    }

    fn receive(&mut self, socket: &Socket, client: &mut TcpStream) -> io::Result<()> {
        self.ring.receive(socket, NOBODY, &self.counters)?;
        client.write_all(b"?")?;
        let (result, last) = self.until("a receive", |completion| match completion {
            Completion::Received { result, last, .. } => Some((result, last)),
            _ => None,
        })?;
        let what = if self.features.multishot_receive { "multishot receive (Linux 6.0 or newer)" } else { "receive" };
        let input = result.map_err(|error| failed(&format!("{what} is refused"), error))?;
        match input {
            Some(input) if last != self.features.multishot_receive && self.ring.bytes(&input) == b"?" => {
                self.ring.recycle(NOBODY, input);
                Ok(())
            }
            _ => Err(unlike(what)),
        }
    }

    fn send(&mut self, socket: &Socket, client: &mut TcpStream) -> io::Result<()> {
        let bytes = if self.features.silent_sends { TOO_MUCH_BYTES } else { LITTLE_BYTES };
        // Zeros, which take no memory until they are written to.
        let payload = Payload::Copied(vec![0; bytes], 0..bytes);
        self.ring.send(socket, NOBODY, payload, false, &self.counters)?;
        let (result, payload) = self.until("a send", |completion| match completion {
            Completion::Sent { result, payload, .. } => Some((result, payload)),
            _ => None,
        })?;
        let what = match self.features {
            Features { silent_sends: true, .. } => "a send that does not wait",
            Features { zero_copy_sends: true, .. } => "a zero-copy send (Linux 6.0 or newer)",
            _ => "a send",
        };
        let sent_bytes = result.map_err(|error| failed(&format!("{what} is refused"), error))?;
        // Kernels before 6.1 could say that nothing was sent when something was.
        if sent_bytes == 0 || (sent_bytes < bytes) != self.features.silent_sends || !arrives(client, sent_bytes)? {
            return Err(unlike(what));
        }
        let is_done = self.ring.give_back(NOBODY, payload).is_some();
        if self.features.zero_copy_sends && !is_done {
            self.until("the notice after a zero-copy send", |completion| {
                matches!(completion, Completion::LetGo { done: Some(_), .. }).then_some(())
            })?;
        }
        Ok(())
    }

    /// What a table of the ring makes operations of.
    fn close(&mut self, socket: &Socket, client: &mut TcpStream) -> io::Result<()> {
        self.ring.shut_down(socket, Shutdown::Both, &self.counters)?;
        self.ring.await_shut_downs(&self.counters)?;
        match client.read(&mut [0]) {
            Ok(0) => Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            _ => Err(unlike("a shutdown")),
        }
    }

    /// Waits until `wanted` takes a completion.
    fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(Completion) -> Option<T>) -> io::Result<T> {
        let start = Instant::now();
        loop {
            while let Some(completion) = self.ring.next() {
                if let Some(found) = wanted(completion) {
                    return Ok(found);
                }
            }
            if start.elapsed() > PATIENCE {
                return Err(failed(what, ErrorKind::TimedOut));
            }
            self.ring.wait(Some(PATIENCE), &self.counters)?;
        }
    }
}

fn unlike(what: &str) -> io::Error {
    io::Error::new(ErrorKind::Unsupported, format!("{what} does not complete as it is documented"))
}

/// Whether exactly that many bytes come.
fn arrives(client: &mut TcpStream, bytes: usize) -> io::Result<bool> {
    let mut piece = vec![0; 256 * 1024];
    let mut arrived_bytes = 0;
    while arrived_bytes < bytes {
        match client.read(&mut piece) {
            Ok(0) => return Ok(false),
            Ok(more_bytes) => arrived_bytes += more_bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    let is_over = matches!(recv(&*client, &mut piece, RecvFlags::DONTWAIT), Err(Errno::AGAIN));
    Ok(is_over && arrived_bytes == bytes)
}
