//! What a server keeps of connections that have ended: no socket. Every server of the suite is asked before it is stopped.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::Path;

use backends::Listeners;

/// The sockets of one server, found in the kernel's lists by those that it listens on.
pub(crate) struct Sockets {
    /// As the list of a thread's descriptors names them.
    listening: BTreeSet<String>,
    address: SocketAddr,
}

impl Sockets {
    pub(crate) fn of(listeners: &Listeners) -> Self {
        let listed = |listener: &TcpListener| {
            let link = fs::read_link(format!("/proc/thread-self/fd/{}", listener.as_raw_fd()));
            link.expect("an open socket is listed").to_string_lossy().into_owned()
        };
        Self {
            listening: listeners.sockets().iter().map(listed).collect(),
            address: listeners.local_addr().expect("a bound listener has an address"),
        }
    }

    /// How many sockets, beside those that listen, are open in the tables of the server's threads; none in that of
    /// a thread which has ended.
    ///
    /// The threads must have tables of their own: in that of the process are sockets of others.
    pub(crate) fn in_tables(&self) -> usize {
        let tasks = fs::read_dir("/proc/self/task").expect("Linux lists the threads of a process");
        let threads = tasks.map(|task| task.expect("a thread has a number").path());
        // Those of connections share the table of the thread that accepted them, and would be counted once more.
        let servers =
            threads.filter(|thread| fs::read_to_string(thread.join("comm")).is_ok_and(|name| name == "server\n"));
        let tables = servers.map(|thread| sockets_in(&thread.join("fd")).unwrap_or_else(|error| panic!("{error}")));
        let ours = tables.filter(|table| table.iter().any(|socket| self.listening.contains(socket)));
        ours.map(|table| table.iter().filter(|socket| !self.listening.contains(*socket)).count()).sum()
    }

    /// How many sockets that were accepted from this server's address are open towards peers that have not reset, in
    /// whatever table: those of a ring are listed nowhere else.
    pub(crate) fn in_the_network(&self) -> usize {
        let sockets = listed_sockets(self.address);
        let local = as_listed(self.address);
        let is_open = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // Established, or closed by the peer alone. Who was not accepted yet has no inode.
            fields.get(1) == Some(&&local[..])
                && matches!(fields.get(3), Some(&("01" | "08")))
                && fields.get(9).is_some_and(|inode| *inode != "0")
        };
        sockets.lines().filter(is_open).count()
    }
}

/// The kernel's list of sockets with addresses like this one, a line each.
pub(crate) fn listed_sockets(address: SocketAddr) -> String {
    let file = if address.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    fs::read_to_string(file).expect("Linux lists its sockets")
}

/// The address as the list of sockets has it: words in the byte order of the machine.
pub(crate) fn as_listed(address: SocketAddr) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().expect("four bytes")));
    let ip: Vec<String> = words.map(|word| format!("{word:08X}")).collect();
    format!("{}:{:04X}", ip.concat(), address.port())
}

/// The sockets that are open in a table; none where its thread has ended.
fn sockets_in(table: &Path) -> io::Result<Vec<String>> {
    let mut sockets = Vec::new();
    let entries = match fs::read_dir(table) {
        Err(error) if has_ended(&error) => return Ok(sockets),
        entries => entries?,
    };
    for entry in entries {
        match entry.and_then(|entry| fs::read_link(entry.path())) {
            Ok(target) => sockets.extend(target.to_str().filter(|name| name.starts_with("socket:")).map(str::to_owned)),
            // It was closed since it was listed.
            Err(error) if has_ended(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sockets)
}

fn has_ended(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpStream};
    use std::sync::mpsc;
    use std::thread;

    use backends::Spread;

    use super::*;

    /// A thread that is named like a server's, and keeps what it has accepted until it is told not to.
    #[test]
    fn a_socket_that_is_kept_is_seen() {
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        for address in [SocketAddr::from(([127, 0, 0, 1], 0)), address] {
            let (send_sockets, sockets) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let server = thread::Builder::new().name("server".into()).spawn(move || {
                crate::process::own_descriptor_table();
                let listeners = backends::bind(address, 1, Spread::default()).unwrap();
                send_sockets.send(Sockets::of(&listeners)).unwrap();
                listeners.sockets()[0].set_nonblocking(false).unwrap();
                let kept = listeners.sockets()[0].accept().unwrap();
                send_sockets.send(Sockets::of(&listeners)).unwrap();
                released.recv().unwrap();
                drop(kept);
                send_sockets.send(Sockets::of(&listeners)).unwrap();
                let _ = released.recv();
            });
            let seen = || {
                let sockets = sockets.recv().unwrap();
                ((sockets.in_tables(), sockets.in_the_network()), sockets.address)
            };
            let (before, address) = seen();
            assert_eq!(before, (0, 0));
            let client = TcpStream::connect(address).unwrap();
            drop(client);
            assert_eq!(seen().0, (1, 1), "a socket is kept whose peer has gone");
            release.send(()).unwrap();
            assert_eq!(seen().0, (0, 0));
            drop(release);
            server.unwrap().join().unwrap();
        }
    }
}
