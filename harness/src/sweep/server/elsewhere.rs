//! A server that listens, and not where it was asked to: on `::1` where clients come to 127.0.0.1, on a port of its own.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::tree::Tree;
use super::listener::{Listener, Open, tcp_listeners};
use crate::foreign::ForeignServer;
use crate::plain::plain;
use crate::process_tree::descendants;

/// Between two looks. Each reads what all processes of the server have open.
const INTERVAL: Duration = Duration::from_millis(100);
/// A server may open another port first, of its metrics for instance, and then the one that it was given. So what it has open
/// must stay the same for so long, and it must not be at work meanwhile: this for another address of that port,
const SAME_PORT_GRACE: Duration = Duration::from_secs(1);
/// and this for anything else, unless the server was given more than the usual time to start.
const OTHER_GRACE: Duration = Duration::from_secs(3);
/// A server that has used more of a CPU, as a share of the time, is at work: it may still come to listen.
const MOST_BUSY: f64 = 0.05;

/// Sees where a server listens as long as it does not where it should.
#[derive(Debug)]
pub(super) struct Elsewhere {
    address: SocketAddr,
    root: u32,
    /// Whether somewhere else may be where it listens first.
    is_patient: bool,
    looked: Option<Instant>,
    places: Vec<Place>,
    /// Since when it has been so, and what CPU time the server had used by then.
    since: Instant,
    used_ns: Option<u64>,
}

impl Elsewhere {
    /// Of the server below `root` that was asked to listen on `address`, and has so long to start.
    pub(super) fn new(address: SocketAddr, root: u32, start_timeout: Duration) -> Self {
        let is_patient = start_timeout > ForeignServer::START_TIMEOUT;
        Self { address, root, is_patient, looked: None, places: Vec::new(), since: Instant::now(), used_ns: None }
    }

    /// Looks, now and then; says where the server listens when it is certain that it will not come to listen where it should.
    pub(super) fn is_certain(&mut self) -> Option<String> {
        if self.looked.is_some_and(|looked| looked.elapsed() < INTERVAL) {
            return None;
        }
        self.looked = Some(Instant::now());
        let places = places(self.address, &descendants(self.root));
        let used_ns = Tree::new(self.root).cpu().map(|reading| reading.cpu_ns);
        let used = used_ns.zip(self.used_ns).map_or(0, |(now, before)| now.saturating_sub(before));
        let is_at_work = used as f64 > MOST_BUSY * self.grace().as_nanos() as f64;
        if places != self.places || is_at_work {
            (self.places, self.since, self.used_ns) = (places, Instant::now(), used_ns);
        }
        let may_come = self.is_patient && !self.is_on_same_port();
        if self.since.elapsed() >= self.grace() && !may_come { self.said() } else { None }
    }

    /// Where it listens, as far as that was seen; none where it does not.
    pub(super) fn said(&self) -> Option<String> {
        let (first, more) = self.places.split_first()?;
        let more = if more.is_empty() { String::new() } else { format!(" (and on {} more)", more.len()) };
        let advice = match first {
            Place::Tcp(seen) if seen.port() == self.address.port() => "write {host} where its command takes an address",
            Place::Tcp(seen) if seen.ip() == self.address.ip() => "write {port} where its command takes a port",
            Place::Tcp(_) => "write {host} and {port} where its command takes an address and a port",
            Place::Unix(_) | Place::Udp(_) => "have it listen on TCP",
        };
        Some(format!("the server listens on {}{more}, not on {}: {advice}", first.name(), self.address))
    }

    fn grace(&self) -> Duration {
        if self.is_on_same_port() { SAME_PORT_GRACE } else { OTHER_GRACE }
    }

    fn is_on_same_port(&self) -> bool {
        let port = self.address.port();
        self.places.iter().any(|place| matches!(place, Place::Tcp(seen) if seen.port() == port))
    }
}

/// Where a server can be reached. The likeliest mistakes come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Unix(String),
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Udp(address) => format!("{address} over UDP"),
            Self::Unix(path) => format!("the Unix socket {}", plain(path)),
        }
    }
}

/// Where these processes listen, with `address` not being there: those on its port first. Of sockets for datagrams only one on
/// that very port counts: others are a resolver's.
fn places(address: SocketAddr, processes: &[u32]) -> Vec<Place> {
    let open: BTreeSet<u64> =
        processes.iter().flat_map(|&process| Open::in_threads(process, |_| true).inodes).collect();
    if open.is_empty() {
        return Vec::new();
    }
    let of = |listener: &Listener| SocketAddr::new(listener.ip, listener.port);
    let tcp = tcp_listeners().unwrap_or_default();
    let tcp = tcp.iter().filter(|listener| open.contains(&listener.inode)).map(|listener| Place::Tcp(of(listener)));
    let udp = udp_sockets();
    let udp = udp.iter().filter(|socket| open.contains(&socket.inode) && socket.port == address.port());
    let unix =
        unix_listeners().into_iter().filter(|(inode, _)| open.contains(inode)).map(|(_, path)| Place::Unix(path));
    let mut places: Vec<Place> = tcp.chain(udp.map(|socket| Place::Udp(of(socket)))).chain(unix).collect();
    places.sort_by_key(|place| {
        let is_other_port = !matches!(place, Place::Tcp(seen) if seen.port() == address.port());
        (is_other_port, place.clone())
    });
    places.dedup();
    places
}

fn udp_sockets() -> Vec<Listener> {
    // Bound and not connected: `TCP_CLOSE` stands for it (net/ipv4/udp.c, `udp4_format_sock`).
    const BOUND: &str = "07";
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines().filter_map(|line| Listener::in_state(BOUND, line))).collect()
}

/// Inodes and paths of Unix sockets that accept connections (`__SO_ACCEPTCON`, `proc_pid_net(5)`).
fn unix_listeners() -> Vec<(u64, String)> {
    const ACCEPTS: &str = "00010000";
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let read = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let accepts = *fields.get(3)? == ACCEPTS;
        accepts.then_some(())?;
        Some((fields.get(6)?.parse().ok()?, fields.get(7..)?.join(" ")))
    };
    table.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixListener;
    use std::process;

    use super::*;

    #[test]
    fn listeners_of_every_kind_are_found_and_those_of_the_port_come_first() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let same_port = TcpListener::bind(("127.0.0.2", address.port())).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b.sock");
        let _unix = UnixListener::bind(&path).unwrap();
        let places = places(address, &[process::id()]);
        // Other tests of this process may listen meanwhile.
        assert_eq!(places[0], Place::Tcp(same_port.local_addr().unwrap()));
        for place in
            [Place::Tcp(other.local_addr().unwrap()), Place::Udp(address), Place::Unix(path.display().to_string())]
        {
            assert!(places.contains(&place), "{place:?} in {places:?}");
        }
    }

    #[test]
    fn what_to_write_depends_on_what_is_wrong() {
        let said = |place: Place| {
            let address = "127.0.0.1:28541".parse().unwrap();
            Elsewhere { places: vec![place], ..Elsewhere::new(address, 0, Duration::ZERO) }.said().unwrap()
        };
        assert_eq!(
            said(Place::Tcp("[::1]:28541".parse().unwrap())),
            "the server listens on [::1]:28541, not on 127.0.0.1:28541: write {host} where its command takes an address"
        );
        let other_port = said(Place::Tcp("127.0.0.1:8080".parse().unwrap()));
        assert!(
            other_port.ends_with("not on 127.0.0.1:28541: write {port} where its command takes a port"),
            "{other_port}"
        );
        assert!(said(Place::Unix("/run/x".to_owned())).contains("listens on the Unix socket /run/x, not on"));
        assert!(
            said(Place::Udp("127.0.0.1:28541".parse().unwrap())).contains("listens on 127.0.0.1:28541 over UDP, not")
        );
        assert_eq!(Elsewhere::new("127.0.0.1:1".parse().unwrap(), 0, Duration::ZERO).said(), None);
    }
}
