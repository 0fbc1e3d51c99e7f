//! Whose a listener is: that of a program with all that it has started, or that of somebody else.
//!
//! The kernel lists listeners by inode under `/proc/net`, and what a process has open by the same number. Where that may
//! not be read, as of a process of another user, or shows nothing, as of a socket that lies in the table of an `io_uring`,
//! nothing is claimed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::{fmt, fs, io};

use rustix::io::Errno;

use super::wait::printable;
use crate::process_tree::{descendants, is_dead, numbers};

/// Whose a listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The tree's, as far as can be seen.
    Tree,
    /// Certainly of nobody in the tree.
    Stranger(Stranger),
}

/// Who listens where somebody else should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stranger {
    /// With its name, where it may be seen.
    process: Option<(u32, String)>,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((id, name)) => write!(f, "process {id} ({name})"),
            None => f.write_str("a process that cannot be seen from here"),
        }
    }
}

/// What listens where a server should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// The kernel does not show its sockets.
    Hidden,
    /// None.
    Nothing,
    /// One, and whose it is.
    Listener(Owner),
}

/// What listens where a connection to `address` arrives, seen without making one: a server that accepts once only would
/// lose that once.
pub(super) fn look(address: SocketAddr, root: u32) -> Sight {
    match tcp_listeners() {
        None => Sight::Hidden,
        Some(found) if reached(&found, address).is_empty() => Sight::Nothing,
        Some(_) => Sight::Listener(owner(address, root)),
    }
}

/// Whose the listeners are that a connection to `address` may reach; `root` is not part of its tree.
pub(super) fn owner(address: SocketAddr, root: u32) -> Owner {
    let listeners = reached(&tcp_listeners().unwrap_or_default(), address);
    let tree = descendants(root);
    let Held { missing, mut opaque } = Held::by(&tree, &listeners);
    if missing.is_empty() {
        return Owner::Tree;
    }
    // What has ended meanwhile has nothing open.
    let there = descendants(root);
    opaque.retain(|process| there.contains(process) && !is_dead(*process));
    if !opaque.is_empty() {
        return Owner::Tree;
    }
    // Only for its name, so that one table of each is enough.
    let mut others = numbers("/proc").into_iter().filter(|process| !tree.contains(process));
    let holder = others.find(|&process| {
        let mut open = Open::default();
        open.look_into(&format!("/proc/{process}/fd"));
        !open.inodes.is_disjoint(&missing)
    });
    // Processes of the tree may have begun meanwhile, but none of them can have left it.
    if holder.is_some_and(|holder| descendants(root).contains(&holder)) {
        return Owner::Tree;
    }
    Owner::Stranger(Stranger { process: holder.map(|id| (id, name(id))) })
}

/// The processes that listen where a connection to `address` goes, as far as that can be seen.
#[must_use]
pub fn listening_processes(address: SocketAddr) -> Vec<u32> {
    let listeners = reached(&tcp_listeners().unwrap_or_default(), address);
    if listeners.is_empty() {
        return Vec::new();
    }
    let listens = |process: &u32| {
        let open = Open::in_threads(*process, |open| open.inodes.is_disjoint(&listeners));
        !open.inodes.is_disjoint(&listeners)
    };
    numbers("/proc").into_iter().filter(listens).collect()
}

/// What of some listeners processes have open.
#[derive(Debug)]
struct Held {
    /// These none of them has.
    missing: BTreeSet<u64>,
    /// Not everything that these have open can be seen.
    opaque: Vec<u32>,
}

impl Held {
    fn by(processes: &[u32], listeners: &BTreeSet<u64>) -> Self {
        let mut held = Self { missing: listeners.clone(), opaque: Vec::new() };
        for &process in processes {
            if held.missing.is_empty() {
                break;
            }
            let open = Open::in_threads(process, |open| !open.inodes.is_superset(&held.missing));
            held.missing.retain(|inode| !open.inodes.contains(inode));
            held.opaque.extend((!open.is_all()).then_some(process));
        }
        held
    }
}

/// The sockets that a process has open.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) inodes: BTreeSet<u64>,
    /// How many threads were looked at.
    threads: usize,
    /// Whether something was hidden.
    hides: bool,
}

impl Open {
    /// Threads may have descriptor tables of their own; they are looked at while that `goes_on`.
    pub(super) fn in_threads(process: u32, goes_on: impl Fn(&Self) -> bool) -> Self {
        let mut open = Self::default();
        for thread in numbers(&format!("/proc/{process}/task")) {
            open.look_into(&format!("/proc/{process}/task/{thread}/fd"));
            if !goes_on(&open) {
                break;
            }
        }
        open
    }

    fn look_into(&mut self, table: &str) {
        self.threads += 1;
        let looked = self.try_look_into(table);
        // A thread that has ended has nothing open.
        let ended = |error: &io::Error| matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::SRCH));
        self.hides |= looked.is_err_and(|error| !ended(&error));
    }

    fn try_look_into(&mut self, table: &str) -> io::Result<()> {
        for entry in fs::read_dir(table)? {
            // What is closed meanwhile is not open.
            let Ok(target) = fs::read_link(entry?.path()) else { continue };
            self.inodes.extend(socket_inode(&target));
            // Sockets may lie in the table of a ring, where nobody sees them.
            self.hides |= target == Path::new("anon_inode:[io_uring]");
        }
        Ok(())
    }

    /// Of a process that shows no thread nothing is known.
    fn is_all(&self) -> bool {
        !self.hides && self.threads > 0
    }
}

fn socket_inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn name(process: u32) -> String {
    printable(&fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default())
}

/// Where anything listens on a port of TCP, as far as the kernel shows it.
pub(in crate::sweep) fn listening_on(port: u16) -> Vec<SocketAddr> {
    let found = tcp_listeners().unwrap_or_default();
    let mut there: Vec<SocketAddr> =
        found.iter().filter(|listener| listener.port == port).map(|found| SocketAddr::new(found.ip, port)).collect();
    there.sort_unstable();
    there.dedup();
    there
}

/// All sockets of TCP that listen; none known where neither table can be read.
pub(super) fn tcp_listeners() -> Option<Vec<Listener>> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables: Vec<String> = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
    (!tables.is_empty()).then(|| tables.iter().flat_map(|table| table.lines().filter_map(Listener::read)).collect())
}

/// The inodes of those that listen on the port, on that address or on any. Of these the kernel prefers the former, and of
/// those on any the ones of the address's own family: one of IPv6 may not even take connections of IPv4.
fn reached(found: &[Listener], address: SocketAddr) -> BTreeSet<u64> {
    let on = |ip: IpAddr| -> BTreeSet<u64> {
        let here = found.iter().filter(|listener| listener.port == address.port() && listener.ip == ip);
        here.map(|listener| listener.inode).collect()
    };
    let (any_v4, any_v6) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let preferred: &[IpAddr] = match address.ip() {
        ip @ IpAddr::V4(_) => &[ip, any_v4, any_v6],
        ip @ IpAddr::V6(_) => &[ip, any_v6],
    };
    preferred.iter().map(|ip| on(*ip)).find(|here| !here.is_empty()).unwrap_or_default()
}

/// A line of `/proc/net/tcp` or `tcp6`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) inode: u64,
}

impl Listener {
    /// None for any other socket.
    fn read(line: &str) -> Option<Self> {
        const LISTEN: &str = "0A";
        Self::in_state(LISTEN, line)
    }

    /// None for a socket in another state.
    pub(super) fn in_state(state: &str, line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (ip, port) = fields.get(1)?.split_once(':')?;
        if *fields.get(3)? != state {
            return None;
        }
        Some(Self { ip: ip_of(ip)?, port: u16::from_str_radix(port, 16).ok()?, inode: fields.get(9)?.parse().ok()? })
    }
}

/// An address as words of 32 bits, each printed as this machine reads it. One of IPv4 in IPv6 is that of IPv4.
fn ip_of(hexadecimal: &str) -> Option<IpAddr> {
    if !hexadecimal.is_ascii() {
        return None;
    }
    let words: Vec<u32> = (0..hexadecimal.len() / 8)
        .map(|word| u32::from_str_radix(&hexadecimal[8 * word..][..8], 16).ok())
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(IpAddr::from(bytes));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::from(bytes).to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc;
    use std::thread;

    use socket2::{Domain, Socket, Type};

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// A tree in which nobody listens: its root is one that waits, with a child that does, too.
    struct Silent(Child);

    impl Silent {
        fn start() -> Self {
            let child = Command::new("sh").args(["-c", "cat; :"]).stdin(Stdio::piped()).spawn().unwrap();
            while descendants(child.id()).is_empty() {
                thread::yield_now();
            }
            Self(child)
        }
    }

    impl Drop for Silent {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }

    /// One whose tree this process is in.
    fn parent() -> u32 {
        std::os::unix::process::parent_id()
    }

    /// Who it is is not asked: a process that another test has just started may have this one's listeners for a moment.
    #[track_caller]
    fn is_strange(owner: &Owner) {
        assert!(matches!(owner, Owner::Stranger(_)), "{owner:?}");
    }

    #[test]
    fn a_listener_is_its_trees_and_a_stranger_to_all_others() {
        let silent = Silent::start();
        for ip in ["127.0.0.1", "0.0.0.0", "::"] {
            let Ok(listener) = TcpListener::bind((ip, 0)) else { continue };
            let address = SocketAddr::new(ANY.ip(), listener.local_addr().unwrap().port());
            assert_eq!(owner(address, parent()), Owner::Tree, "{ip}");
            is_strange(&owner(address, silent.0.id()));
        }
    }

    #[test]
    fn one_of_ipv6_alone_is_not_among_those_that_ipv4_reaches() {
        let server = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let Ok(beside) = Socket::new(Domain::IPV6, Type::STREAM, None) else { return };
        beside.set_only_v6(true).unwrap();
        let any_v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        // Where the machine has no IPv6, or somebody has that port.
        if beside.bind(&any_v6.into()).and_then(|()| beside.listen(1)).is_err() {
            return;
        }
        let inode = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).unwrap().st_ino;
        assert_eq!(
            reached(&tcp_listeners().unwrap(), SocketAddr::new(ANY.ip(), port)),
            BTreeSet::from([inode(server.as_fd())])
        );
        let loopback_v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
        assert_eq!(reached(&tcp_listeners().unwrap(), loopback_v6), BTreeSet::from([inode(beside.as_fd())]));
    }

    #[test]
    fn a_listener_in_the_table_of_one_thread_is_found() {
        let (opened, opens) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            // Opened there and used nowhere else.
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).unwrap();
            let listener = TcpListener::bind(ANY).unwrap();
            opened.send(listener.local_addr().unwrap()).unwrap();
            let _ = ends.recv();
        });
        let address = opens.recv().unwrap();
        assert_eq!(owner(address, parent()), Owner::Tree);
        is_strange(&owner(address, Silent::start().0.id()));
        drop(end);
        thread.join().unwrap();
    }

    #[test]
    fn where_not_everything_is_seen_nobody_is_a_stranger() {
        let listener = TcpListener::bind(ANY).unwrap();
        let listeners = reached(&tcp_listeners().unwrap(), listener.local_addr().unwrap());
        assert_eq!(listeners.len(), 1);
        let silent = Silent::start();
        let held = Held::by(&[silent.0.id()], &listeners);
        assert!(held.missing == listeners && held.opaque.is_empty(), "{held:?}");
        assert!(Held::by(&[std::process::id()], &listeners).missing.is_empty());
        // A process that is hidden; and a ring, which may hold any socket.
        let nowhere = BTreeSet::from([u64::MAX]);
        assert_eq!(Held::by(&[u32::MAX], &nowhere).opaque, [u32::MAX]);
        if let Ok(_ring) = io_uring::IoUring::new(1) {
            assert_eq!(Held::by(&[std::process::id()], &nowhere).opaque, [std::process::id()]);
        }
        assert_eq!(owner("127.0.0.1:1".parse().unwrap(), silent.0.id()), Owner::Tree, "nobody listens there");
    }

    #[test]
    fn listeners_are_read_of_both_tables() {
        let v4 = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0";
        assert_eq!(
            Listener::read(v4),
            Some(Listener { ip: ANY.ip(), port: 8080, inode: 31337 }),
            "as a machine prints it that has the low byte first"
        );
        assert_eq!(Listener::read(&v4.replace(" 0A ", " 01 ")), None);
        let any = v4.replace("0100007F", "00000000000000000000000000000000");
        assert!(Listener::read(&any).unwrap().ip.is_unspecified());
        let mapped = v4.replace("0100007F", "0000000000000000FFFF00000100007F");
        assert_eq!(Listener::read(&mapped).unwrap().ip, ANY.ip());
        for wrong in ["  sl  local_address rem_address   st", "", "0: zz:1F90 0 0A", "0: 0100007F:1F90 0 0A 1 2"] {
            assert_eq!(Listener::read(wrong), None, "{wrong}");
        }
    }
}
