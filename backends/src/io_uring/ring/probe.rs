//! Asks the running kernel for everything that a variant uses, by using it: the number of a kernel says little about
//! what a vendor's kernel grants.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv};

use super::operation::NOBODY;
use super::{Completion, Features, Payload, Ring, Socket};
use crate::backend::{Limits, Receipt};
use crate::io_uring::variants::Variant;
use crate::kernel::failed;
use crate::listen::{Spread, bind};
use crate::stats::Counters;

/// Far longer than any operation here takes, also where others keep threads of the kernel from the CPUs.
const PATIENCE: Duration = Duration::from_secs(10);
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
    let tried = trial.exchange(&socket, &mut client);
    // Before the socket is closed, which operations name.
    trial.ring.settle();
    let closed = trial.close(socket);
    tried.and(closed)?;
    Ok(trial.ring.receipt(false))
}

struct Trial {
    features: Features,
    ring: Ring,
    counters: Counters,
}

impl Trial {
    fn accept(&mut self) -> io::Result<(Socket, TcpStream)> {
        // As that of a server, which does not wait.
        let listeners = bind((Ipv4Addr::LOCALHOST, 0).into(), 1, Spread::default())?;
        self.ring.accept(&listeners.sockets()[0], false, &self.counters)?;
        let client = TcpStream::connect(listeners.local_addr()?)?;
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

    fn exchange(&mut self, socket: &Socket, client: &mut TcpStream) -> io::Result<()> {
        self.receive(socket, client)?;
        if self.features.send_bundles {
            self.bundle(socket, client)?;
        }
        self.send(socket, client, LITTLE_BYTES)?;
        if self.features.silent_sends {
            self.send(socket, client, TOO_MUCH_BYTES)?;
        }
        self.cancel(socket)?;
        self.shut_down(socket, client)
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

    /// Sends two messages back from where they were received, in one send.
    fn bundle(&mut self, socket: &Socket, client: &mut TcpStream) -> io::Result<()> {
        const WHAT: &str = "a send bundle (Linux 6.10 or newer)";
        for message in [b"1", b"2"] {
            client.write_all(message)?;
            let result = self.until("a receive", |completion| match completion {
                Completion::Received { result, .. } => Some(result),
                _ => None,
            })?;
            let input = result.map_err(|error| failed("a receive is refused", error))?;
            let input = input.ok_or_else(|| unlike("a receive"))?;
            if !self.ring.can_hold(NOBODY, &self.counters) {
                let why = "a ring that sends take from is refused: it locks a page, which RLIMIT_MEMLOCK has to allow (ulimit -l)";
                return Err(io::Error::new(ErrorKind::OutOfMemory, why));
            }
            let range = 0..input.len();
            self.ring.hold(NOBODY, input, range);
        }
        self.ring.send(socket, NOBODY, Payload::Held(0..2), false, &self.counters)?;
        self.ring.submit(&self.counters)?;
        let (result, payload) = self.until(WHAT, |completion| match completion {
            Completion::Sent { result, payload, .. } => Some((result, payload)),
            _ => None,
        })?;
        let sent_bytes = result.map_err(|error| failed(&format!("{WHAT} is refused"), error))?;
        self.ring.give_back(NOBODY, payload);
        let mut arrived = [0; 2];
        if sent_bytes != 2 || client.read_exact(&mut arrived).is_err() || arrived != *b"12" {
            return Err(unlike(WHAT));
        }
        Ok(())
    }

    /// Sends so many bytes, for which there is room at once or not.
    fn send(&mut self, socket: &Socket, client: &mut TcpStream, bytes: usize) -> io::Result<()> {
        // Zeros, which take no memory until they are written to.
        let payload = Payload::Copied(vec![0; bytes], 0..bytes);
        self.ring.send(socket, NOBODY, payload, false, &self.counters)?;
        // A silent success is known from now on, and ends no wait.
        self.ring.submit(&self.counters)?;
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
        if sent_bytes == 0 || (sent_bytes < bytes) != (bytes == TOO_MUCH_BYTES) || !arrives(client, sent_bytes)? {
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

    /// Ends a receive as a server does that stops.
    fn cancel(&mut self, socket: &Socket) -> io::Result<()> {
        if !self.features.multishot_receive {
            // The one before has ended.
            self.ring.receive(socket, NOBODY, &self.counters)?;
        }
        self.ring.cancel_receive(NOBODY, &self.counters)?;
        let result = self.until("the end of a receive", |completion| match completion {
            Completion::Received { result, last: true, .. } => Some(result),
            _ => None,
        })?;
        match result {
            Err(Errno::CANCELED) => Ok(()),
            _ => Err(unlike("the cancelling of a receive")),
        }
    }

    /// Also an operation where sockets live in a table of the ring.
    fn shut_down(&mut self, socket: &Socket, client: &mut TcpStream) -> io::Result<()> {
        self.ring.shut_down(socket, Shutdown::Both, &self.counters)?;
        self.ring.await_shut_downs(&self.counters)?;
        match client.read(&mut [0]) {
            Ok(0) => Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            _ => Err(unlike("a shutdown")),
        }
    }

    /// Also an operation where sockets live in a table of the ring.
    fn close(&mut self, socket: Socket) -> io::Result<()> {
        let is_operation = matches!(socket, Socket::Direct(_));
        self.ring.close(socket, &self.counters)?;
        if is_operation {
            self.until("a close", |completion| matches!(completion, Completion::Closed).then_some(()))?;
        }
        Ok(())
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
