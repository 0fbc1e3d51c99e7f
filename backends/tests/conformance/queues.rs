//! What the kernel holds of one connection, in its own words: how much that is follows from how it tunes its buffers, and
//! says nothing about a server.

use std::net::TcpStream;

use crate::kept::{as_listed, listed_sockets};

/// What lies in both sockets of a connection. What has arrived and is not acknowledged yet lies in both for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queues {
    /// Sent by the client and not received by the server.
    pub(crate) to_server_bytes: u64,
    /// Sent by the server and not received by the client.
    pub(crate) to_client_bytes: u64,
}

impl Queues {
    /// None where a socket is not in the list: some can be left out of it while others come and go.
    pub(crate) fn of(client: &TcpStream) -> Option<Self> {
        let address = client.local_addr().expect("an open socket has an address");
        let server = as_listed(client.peer_addr().expect("the client is connected"));
        let client = as_listed(address);
        let sockets = listed_sockets(address);
        let (client_out_bytes, client_in_bytes) = queued_bytes(&sockets, &client, &server)?;
        let (server_out_bytes, server_in_bytes) = queued_bytes(&sockets, &server, &client)?;
        Some(Self {
            to_server_bytes: client_out_bytes + server_in_bytes,
            to_client_bytes: server_out_bytes + client_in_bytes,
        })
    }
}

/// What one socket has not got rid of, and what has not been received from it.
fn queued_bytes(sockets: &str, local: &str, remote: &str) -> Option<(u64, u64)> {
    let is_it = |fields: &Vec<&str>| fields.get(1) == Some(&local) && fields.get(2) == Some(&remote);
    let fields = sockets.lines().map(|line| line.split_whitespace().collect()).find(is_it)?;
    let (out, input) = fields.get(4)?.split_once(':')?;
    Some((u64::from_str_radix(out, 16).ok()?, u64::from_str_radix(input, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::wait;

    #[test]
    fn what_nobody_has_received_is_in_the_queues() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let mut server = listener.accept().unwrap().0;
            let become_queues = |to_server_bytes, to_client_bytes| {
                let expected = Queues { to_server_bytes, to_client_bytes };
                wait::until(&format!("{expected:?}"), || Queues::of(&client) == Some(expected));
            };
            become_queues(0, 0);
            (&client).write_all(&[0; 1000]).unwrap();
            server.write_all(&[0; 500]).unwrap();
            become_queues(1000, 500);
            server.read_exact(&mut [0; 600]).unwrap();
            become_queues(400, 500);
            client.read_exact(&mut [0; 500]).unwrap();
            assert_eq!(Queues::of(&client).map(|queues| queues.to_client_bytes), Some(0));
        }
    }
}
