//! Accepting: one connection at a time, or one operation that goes on until it is cancelled or fails; into descriptors
//! of the process, or into the table of the ring.
#![expect(unsafe_code)]

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use io_uring::opcode;
use io_uring::types::DestinationSlot;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::operation::{Kind, NOBODY};
use super::socket::Socket;
use super::{Completion, Ring, fd};
use crate::stats::Counters;

/// The accept in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepting {
    /// There is none, or it ends by itself or because it was told to.
    Ends,
    GoesOn,
}

impl Ring {
    /// Accepts from `listener`: until that ends, or once. There must be [room](Self::has_room).
    ///
    /// Always once where the listener `is_shared`. Waits for a listener are exclusive, and one that goes on stays at the
    /// head of the list: of several rings that share it, one would get every connection.
    pub(in crate::io_uring) fn accept(
        &mut self,
        listener: &TcpListener,
        is_shared: bool,
        counters: &Counters,
    ) -> io::Result<()> {
        let (listener, close_on_exec) = (fd(listener), SocketFlags::CLOEXEC.bits().cast_signed());
        let direct = self.table.is_some();
        let multishot = self.features.multishot_accept && !is_shared && !self.is_room_scarce();
        let accept = match (multishot, direct) {
            (true, false) => opcode::AcceptMulti::new(listener).flags(close_on_exec).build(),
            (true, true) => opcode::AcceptMulti::new(listener).allocate_file_index(true).build(),
            (false, false) => {
                opcode::Accept::new(listener, ptr::null_mut(), ptr::null_mut()).flags(close_on_exec).build()
            }
            (false, true) => opcode::Accept::new(listener, ptr::null_mut(), ptr::null_mut())
                .file_index(Some(DestinationSlot::auto_target()))
                .build(),
        };
        self.accepting = if multishot { Accepting::GoesOn } else { Accepting::Ends };
        self.push_plain(accept, Kind::Accept, NOBODY, counters)
    }

    /// Ends the accept.
    pub(in crate::io_uring) fn cancel_accept(&mut self, counters: &Counters) -> io::Result<()> {
        self.accepting = Accepting::Ends;
        let cancel = opcode::AsyncCancel::new(Kind::Accept.user_data(NOBODY)).build();
        self.push_plain(cancel, Kind::Cancel, NOBODY, counters)
    }

    /// Whether another connection has a place. The kernel closes one that it accepts without, instead of leaving it in
    /// the queue of the listener, as it does where the process has no descriptor.
    pub(in crate::io_uring) fn has_room(&self) -> bool {
        self.table.as_ref().is_none_or(|table| table.used < table.places)
    }

    /// Whether an accept goes on that could find more connections than there are places.
    pub(in crate::io_uring) fn accepts_too_freely(&self) -> bool {
        self.accepting == Accepting::GoesOn && self.is_room_scarce()
    }

    fn is_room_scarce(&self) -> bool {
        self.table.as_ref().is_some_and(|table| table.places.saturating_sub(table.used) < table.multishot_places)
    }

    /// Whether sockets live in a table of the ring.
    pub(in crate::io_uring) fn has_table(&self) -> bool {
        self.table.is_some()
    }

    /// The completion of a close in the table. Only then the place is free.
    pub(super) fn closed(&mut self) -> Completion {
        if let Some(table) = &mut self.table {
            table.used -= 1;
        }
        Completion::Closed
    }

    /// The completion of an accept, with what it says or why it failed.
    pub(super) fn accepted(&mut self, result: Result<u32, Errno>, last: bool) -> Completion {
        let result = result.map(|number| match &mut self.table {
            None => Socket::Descriptor(owned(number.cast_signed())),
            Some(table) => {
                table.used += 1;
                Socket::Direct(number)
            }
        });
        Completion::Accepted { result, last }
    }
}

/// Takes over a descriptor that a completion names.
fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just installed it for this accept, and nobody else was told.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
