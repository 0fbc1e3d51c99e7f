//! Accepting: one operation that goes on until it is cancelled or fails.
#![expect(unsafe_code)]

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd};

use io_uring::opcode;
use rustix::net::SocketFlags;

use super::operation::{Kind, NOBODY};
use super::{Ring, fd};
use crate::stats::Counters;

impl Ring {
    /// Accepts from `listener` until that ends.
    pub(in crate::io_uring) fn accept(&mut self, listener: &TcpListener, counters: &Counters) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC.bits().cast_signed();
        let accept = opcode::AcceptMulti::new(fd(listener)).flags(flags).build();
        self.push(accept, Kind::Accept, NOBODY, counters)
    }

    /// Ends the accept.
    pub(in crate::io_uring) fn cancel_accept(&mut self, counters: &Counters) -> io::Result<()> {
        let cancel = opcode::AsyncCancel::new(Kind::Accept.user_data(NOBODY)).build();
        self.push(cancel, Kind::Cancel, NOBODY, counters)
    }
}

/// Takes over a descriptor that a completion names.
pub(super) fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just installed it for this accept, and nobody else was told.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
