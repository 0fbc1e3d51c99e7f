//! Listening sockets: one set of options for every backend.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// The longest queue of connections not yet accepted that is asked for; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;

/// Binds `threads` listeners (at least one) to `address`; with port 0 they share the one that the kernel picks.
///
/// More than one thread means `SO_REUSEPORT`: the kernel spreads connections over the listeners by a hash of the
/// addresses and ports, so a few connections can spread unevenly. They are non-blocking; a backend that wants to
/// wait in `accept` sets that back.
///
/// # Errors
///
/// What `bind` and `listen` say, in particular that the address is in use.
pub fn bind(address: SocketAddr, threads: usize) -> io::Result<Vec<TcpListener>> {
    let first = listener(address, threads > 1)?;
    let bound = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..threads {
        listeners.push(listener(bound, true)?);
    }
    Ok(listeners)
}

fn listener(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
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

    use super::*;

    #[test]
    fn accepted_sockets_inherit_nodelay() {
        let listener = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }

    #[test]
    fn several_threads_share_one_port() {
        let listeners = bind("[::1]:0".parse().unwrap(), 3).unwrap();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        assert_eq!(ports, [ports[0]; 3]);
    }

    #[test]
    fn one_thread_does_not_share_its_port() {
        let taken = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let again = bind(taken[0].local_addr().unwrap(), 1);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
