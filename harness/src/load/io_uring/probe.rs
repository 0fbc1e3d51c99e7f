//! Whether the running kernel does all that the engine relies on.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use backends::io_uring::Shape;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};

use super::ring::{Other, Received, Ring};

/// More than a socket holds, so that it must come out as a short send.
const TOO_MUCH_BYTES: usize = 16 * 1024 * 1024;
/// Far longer than any operation here takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tries every operation once, because the number of a kernel says little about what a vendor's kernel grants.
///
/// # Errors
///
/// What the kernel refuses, or does otherwise than it is documented.
pub(in crate::load) fn probe() -> io::Result<()> {
    let too_much = vec![0; TOO_MUCH_BYTES];
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::io::write(&theirs, b"?")?;
    let mut ring = Ring::new(&[ours], Shape { buffers: 2, buffer_bytes: 4096 })?;

    ring.receive(0)?;
    ring.send(0, &too_much)?;
    ring.wait(PATIENCE)?;
    let Some(Received { result: Ok(Some(_)), last: false, .. }) = ring.next_received() else {
        return Err(unsupported("a receive does not go on by itself, or not into provided buffers"));
    };
    // Kernels before 6.1 could say that nothing was sent when something was.
    match ring.next_other() {
        Some(Other::SentShort { result: Ok(sent_bytes), .. }) if sent_bytes > 0 && sent_bytes == drain(&theirs)? => {}
        _ => return Err(unsupported("a send for which there is no room does not say how much went out")),
    }
    ring.await_room(0)?;
    ring.wait(PATIENCE)?;
    match ring.next_other() {
        Some(Other::Room { .. }) => Ok(()),
        _ => Err(unsupported("room to send cannot be waited for")),
    }
}

fn unsupported(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("{what}; Linux 6.1 or newer is needed"))
}

/// Reads all that has arrived, and says how much that was.
fn drain(socket: &OwnedFd) -> io::Result<usize> {
    let mut piece = vec![0; 64 * 1024];
    let mut sum_bytes = 0;
    loop {
        match recv(socket, &mut piece, RecvFlags::DONTWAIT) {
            Ok((_, bytes)) => sum_bytes += bytes,
            Err(Errno::AGAIN) => return Ok(sum_bytes),
            Err(error) => return Err(error.into()),
        }
    }
}
