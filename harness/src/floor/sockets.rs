//! Connections on loopback, both ends of which are ours.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::sockopt;

use super::{FloorError, PATIENCE};

/// The ends of one connection: non-blocking, without delay for small segments.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) server: TcpStream,
    pub(super) client: TcpStream,
}

/// Opens `count` connections.
pub(super) fn open(count: usize) -> Result<Vec<Ends>, FloorError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(FloorError::kernel("listen on loopback"))?;
    let opened = (0..count).map(|_| Ends::open(&listener)).collect::<io::Result<_>>();
    opened.map_err(FloorError::kernel("connect on loopback"))
}

impl Ends {
    fn open(listener: &TcpListener) -> io::Result<Self> {
        let client = TcpStream::connect_timeout(&listener.local_addr()?, PATIENCE)?;
        let server = loop {
            // Ours is in the queue already; strangers may be before it.
            let (server, peer) = listener.accept()?;
            if peer == client.local_addr()? {
                break server;
            }
        };
        for end in [&server, &client] {
            end.set_nodelay(true)?;
            end.set_nonblocking(true)?;
            // Closed with a reset: what comes after is not to find its ports in TIME_WAIT.
            sockopt::set_socket_linger(end, Some(Duration::ZERO))?;
        }
        Ok(Self { server, client })
    }
}
