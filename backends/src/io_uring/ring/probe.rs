//! Asks the running kernel for everything that the ring uses.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};

use super::operation::NOBODY;
use super::{Completion, Payload, Ring};
use crate::backend::Receipt;
use crate::kernel::failed;
use crate::listen::bind;
use crate::stats::Counters;

/// Tries every operation once, because the number of a kernel says little about what a vendor's kernel grants.
pub(in crate::io_uring) fn probe() -> io::Result<Receipt> {
    let counters = Counters::new();
    let mut ring = Ring::new()?;
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), 1)?.remove(0);
    ring.accept(&listener, &counters)?;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::io::write(&theirs, b"?")?;
    ring.receive(&ours, NOBODY, &counters)?;
    // More than a socket holds, so that it must come out as a short send.
    let unsent = vec![0; 16 * 1024 * 1024];
    let too_much = unsent.len();
    ring.send(&ours, NOBODY, Payload::Copied(unsent, 0..too_much), &counters)?;
    ring.wait(Some(Duration::from_secs(1)), &counters)?;
    let (mut received, mut sent_short) = (false, false);
    while let Some(completion) = ring.next() {
        match completion {
            Completion::Accepted { result: Err(error), .. } => {
                return Err(failed("multishot accept (Linux 5.19 or newer) is refused", error));
            }
            Completion::Received { result: Ok(Some(_)), last: false, .. } => received = true,
            Completion::Received { result, .. } => {
                let error = result.err().map_or(io::ErrorKind::Unsupported.into(), io::Error::from);
                return Err(failed("multishot receive (Linux 6.0 or newer) is refused", error));
            }
            Completion::Sent { result, .. } => {
                let sent_bytes = result.map_err(|error| failed("a send that does not wait is refused", error))?;
                // Kernels before 6.1 could say that nothing was sent when something was.
                sent_short = sent_bytes > 0 && sent_bytes == readable_bytes(&theirs)?;
            }
            _ => {}
        }
    }
    if !received || !sent_short {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a multishot receive or a short silent send (Linux 6.0 or newer) does not complete as documented",
        ));
    }
    Ok(ring.receipt())
}

/// Reads all that has arrived.
fn readable_bytes(socket: &OwnedFd) -> io::Result<usize> {
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
