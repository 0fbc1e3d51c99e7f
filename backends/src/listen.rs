//! Listening sockets: one set of options for every backend, and how connections get from one address to several threads.
//!
//! There is no hand-off, where one thread accepts for the others: a descriptor is a number in the table of whoever
//! accepted it, and a wake-up and a switch would be paid for every connection.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// The longest queue of connections not yet accepted that is asked for; the kernel cuts it to `net.core.somaxconn`.
pub(crate) const BACKLOG: i32 = 65_535;

/// How connections are spread over several threads. With one thread there is nothing to spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// A listener for every thread, all of the same address (`SO_REUSEPORT`): the kernel picks one by a hash of the
    /// addresses and ports, so that a few connections can spread unevenly and many do not.
    #[default]
    ReusePort,
    /// One listener from which every thread accepts: whoever waits and is first gets the connection.
    Shared,
}

/// The listening sockets of a server.
#[derive(Debug)]
pub struct Listeners {
    /// One for each thread, or one for all of them.
    sockets: Vec<TcpListener>,
    threads: usize,
}

/// Listens at `address` for as many threads (at least one); with port 0 they share the port that the kernel picks.
///
/// The sockets are non-blocking; a backend that wants to wait in `accept` sets that back.
///
/// # Errors
///
/// What `bind` and `listen` say, in particular that the address is in use.
pub fn bind(address: SocketAddr, threads: usize, spread: Spread) -> io::Result<Listeners> {
    let own = threads > 1 && spread == Spread::ReusePort;
    let first = listener(address, own)?;
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    if own {
        for _ in 1..threads {
            sockets.push(listener(bound, true)?);
        }
    }
    Ok(Listeners { sockets, threads })
}

impl Listeners {
    /// Where they listen.
    ///
    /// # Errors
    ///
    /// What `getsockname` says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.sockets[0].local_addr()
    }

    /// All of them, for options that are set before anybody serves.
    #[must_use]
    pub fn sockets(&self) -> &[TcpListener] {
        &self.sockets
    }

    /// Whether several threads accept from one socket.
    pub(crate) fn are_shared(&self) -> bool {
        self.sockets.len() < self.threads
    }

    /// The one that each thread accepts from.
    pub(crate) fn of_threads(&self) -> impl ExactSizeIterator<Item = &TcpListener> {
        (0..self.threads).map(|thread| self.sockets.get(thread).unwrap_or(&self.sockets[0]))
    }
}

fn listener(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    // Linux hands the listener's setting to every socket it accepts (`tcp_create_openreq_child` copies the socket),
    // so no call per connection is needed.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::fd::AsRawFd;

    use super::*;

    const SPREADS: [Spread; 2] = [Spread::ReusePort, Spread::Shared];

    #[test]
    fn accepted_sockets_inherit_nodelay() {
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 1, Spread::default()).unwrap();
        let listener = &listeners.sockets[0];
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }

    #[test]
    fn several_threads_share_one_port_or_one_socket() {
        for (spread, sockets) in [(Spread::ReusePort, 3), (Spread::Shared, 1)] {
            let listeners = bind("[::1]:0".parse().unwrap(), 3, spread).unwrap();
            let ports = listeners.of_threads().map(|listener| listener.local_addr().unwrap().port());
            assert_eq!(ports.collect::<Vec<_>>(), [listeners.local_addr().unwrap().port(); 3]);
            let mut descriptors: Vec<_> = listeners.of_threads().map(TcpListener::as_raw_fd).collect();
            descriptors.dedup();
            assert_eq!((descriptors.len(), listeners.are_shared()), (sockets, sockets == 1));
        }
    }

    #[test]
    fn one_thread_shares_neither() {
        for spread in SPREADS {
            let taken = bind("127.0.0.1:0".parse().unwrap(), 1, spread).unwrap();
            assert!(!taken.are_shared());
            let again = bind(taken.local_addr().unwrap(), 1, spread);
            assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
    }
}
