//! Opening connections, as fast as the server accepts them.
//!
//! On loopback a handshake is over in microseconds, or the server's listen queue was full and the kernel dropped it;
//! it would try again only after a second. What is undecided for longer is therefore given up and tried anew, so that
//! a short queue costs milliseconds.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, getsockname, socket_with, sockopt};

use super::error::LoadError;
use super::greet::greet;
use crate::descriptors;

/// Connections begun at a time; fits into the listen queues of most servers.
const PENDING: usize = 64;
/// How long a handshake may take, and how long a full listen queue is left alone.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// For all connections together, greetings included.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Opens `count` connections and sees that the server serves them, with a request of `payload_bytes` on each:
/// non-blocking, without delay for small segments.
pub(super) fn connect(
    target: SocketAddr,
    count: usize,
    payload_bytes: u32,
    cancel: &AtomicBool,
) -> Result<Vec<OwnedFd>, LoadError> {
    let deadline = Instant::now() + TIMEOUT;
    let goes_on = |_: usize| !cancel.load(Ordering::Relaxed);
    let connected = open(target, count, deadline, |_| begin(target), goes_on)?;
    greet(target, &connected, payload_bytes, deadline, cancel)?;
    Ok(connected)
}

/// Opens `count` connections until `deadline`; `begin` is given how many were begun before. `goes_on` is told in
/// every turn how many are open.
pub(super) fn open(
    target: SocketAddr,
    count: usize,
    deadline: Instant,
    begin: impl Fn(usize) -> Result<OwnedFd, LoadError>,
    mut goes_on: impl FnMut(usize) -> bool,
) -> Result<Vec<OwnedFd>, LoadError> {
    let start = Instant::now();
    let mut connected = Vec::with_capacity(count);
    let mut pending: Vec<OwnedFd> = Vec::with_capacity(PENDING);
    while connected.len() < count {
        if !goes_on(connected.len()) {
            return Err(LoadError::Cancelled);
        }
        if Instant::now() >= deadline {
            return Err(LoadError::ConnectTimeout {
                target,
                connected: connected.len(),
                count,
                after: start.elapsed(),
            });
        }
        while pending.len() < PENDING && connected.len() + pending.len() < count {
            pending.push(begin(connected.len() + pending.len())?);
        }
        let decided = wait(&pending)?;
        if !decided.contains(&true) {
            pending.clear();
        }
        let mut decided = decided.into_iter();
        for socket in pending.extract_if(.., |_| decided.next().unwrap_or(false)) {
            finish(target, &socket)?;
            connected.push(socket);
        }
    }
    Ok(connected)
}

/// Raises the soft limit on descriptors as far as it goes, which has to be far enough for `connections`.
pub(super) fn allow_descriptors(connections: usize) -> Result<(), LoadError> {
    let needed = descriptors::needed(connections);
    let limit = descriptors::raise_limit();
    if limit < needed { Err(LoadError::Descriptors { needed, limit }) } else { Ok(()) }
}

fn begin(target: SocketAddr) -> Result<OwnedFd, LoadError> {
    let socket = socket_to(target, SocketFlags::NONBLOCK)
        .and_then(|socket| sockopt::set_tcp_nodelay(&socket, true).map(|()| socket))
        .map_err(|cause| no_socket(target, cause))?;
    begin_over(socket, target)
}

/// A socket that can be connected to `target`.
pub(super) fn socket_to(target: SocketAddr, flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    socket_with(family, SocketType::STREAM, flags | SocketFlags::CLOEXEC, None)
}

/// Why there is no socket that can be connected to `target`.
pub(super) fn no_socket(target: SocketAddr, errno: Errno) -> LoadError {
    match errno {
        Errno::AFNOSUPPORT => LoadError::NoAddress { target },
        cause => LoadError::Kernel { what: "open a socket", cause: cause.into() },
    }
}

/// Begins to connect `socket`.
pub(super) fn begin_over(socket: OwnedFd, target: SocketAddr) -> Result<OwnedFd, LoadError> {
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(failed(target, errno)),
    }
}

/// Which of the connections are decided, one way or the other.
fn wait(pending: &[OwnedFd]) -> Result<Vec<bool>, LoadError> {
    let mut fds: Vec<_> = pending.iter().map(|socket| PollFd::new(socket, PollFlags::OUT)).collect();
    match poll(&mut fds, Some(&PATIENCE)) {
        Ok(_) | Err(Errno::INTR) => Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(cause) => Err(LoadError::Kernel { what: "wait for connections", cause: cause.into() }),
    }
}

fn finish(target: SocketAddr, socket: &OwnedFd) -> Result<(), LoadError> {
    let outcome = sockopt::socket_error(socket).unwrap_or_else(Err);
    // Where nothing listens on a port of the ephemeral range, the kernel may pick that very port for our end, and TCP
    // then connects the socket to itself.
    let own = getsockname(socket).and_then(SocketAddr::try_from);
    match outcome {
        Ok(()) if own == Ok(target) => Err(LoadError::Refused { target }),
        Ok(()) => Ok(()),
        Err(errno) => Err(failed(target, errno)),
    }
}

/// Whether a socket can have the target's own address, as loopback has it where it is up and its family is not disabled.
/// The kernel refuses a connection to it in the same way where no port is left.
fn has_address(target: SocketAddr) -> bool {
    let any_port = SocketAddr::new(target.ip(), 0);
    socket_to(target, SocketFlags::empty()).is_ok_and(|socket| rustix::net::bind(&socket, &any_port).is_ok())
}

/// Why a connection could not be opened, or why nobody can open one.
pub(super) fn failed(target: SocketAddr, errno: Errno) -> LoadError {
    match errno {
        Errno::CONNREFUSED => LoadError::Refused { target },
        Errno::NETUNREACH => LoadError::NoAddress { target },
        Errno::ADDRNOTAVAIL if !has_address(target) => LoadError::NoAddress { target },
        Errno::ADDRNOTAVAIL => LoadError::PortsUsedUp { target },
        errno => LoadError::Connect { target, cause: io::Error::from(errno) },
    }
}
