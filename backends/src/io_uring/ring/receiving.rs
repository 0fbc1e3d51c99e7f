//! Receiving: one operation per connection, which goes on into one provided buffer after the other, or ends with what
//! lies in the memory of the connection.
#![expect(unsafe_code)]

use std::io;

use io_uring::{cqueue, opcode};
use rustix::io::Errno;

use super::super::buffer_ring::{Buffer, BufferRing, GROUP};
use super::completion::{Completion, Input};
use super::operation::{Id, Kind};
use super::socket::Socket;
use super::{BUFFERS, Ring};
use crate::stats::Counters;

impl Ring {
    /// Receives from `socket`: until that ends, or once.
    pub(in crate::io_uring) fn receive(&mut self, socket: &Socket, id: Id, counters: &Counters) -> io::Result<()> {
        if self.features.multishot_receive {
            let receive = opcode::RecvMulti::new(socket.fd(), GROUP).build().flags(socket.flags());
            return self.push_plain(receive, Kind::Receive, id, counters);
        }
        let (start, bytes) = self.own_memory.lend(id.key as usize);
        let receive = opcode::Recv::new(socket.fd(), start, bytes).build().flags(socket.flags());
        // SAFETY: it receives into memory that is kept as it is until the completion was seen.
        unsafe { self.push(receive, Kind::Receive, id, counters) }
    }

    /// Whether a connection may be received from while something is sent to it. The memory of a connection serves both.
    pub(in crate::io_uring) fn receives_while_sending(&self) -> bool {
        self.features.multishot_receive
    }

    /// Ends the receive of `id`.
    pub(in crate::io_uring) fn cancel_receive(&mut self, id: Id, counters: &Counters) -> io::Result<()> {
        let cancel = opcode::AsyncCancel::new(Kind::Receive.user_data(id)).build();
        self.push_plain(cancel, Kind::CancelReceive, id, counters)
    }

    /// The completion of a receive.
    pub(super) fn received(
        &mut self,
        id: Id,
        entry: &cqueue::Entry,
        result: Result<u32, Errno>,
        last: bool,
    ) -> Completion {
        let bytes = result.unwrap_or(0);
        let input = if let Some(buffers) = &mut *self.buffers {
            let buffer = cqueue::buffer_select(entry.flags()).map(|number| {
                // SAFETY: the kernel names a buffer in the one completion that hands it out.
                unsafe { buffers.take(number, bytes) }
            });
            filled(buffers, bytes, buffer).map(Input::Provided)
        } else {
            // SAFETY: this is the completion of the receive that it was lent to, the only one that there is.
            unsafe { self.own_memory.take_back(id.key as usize, bytes) }.map(Input::Own)
        };
        let more = !last && cqueue::sock_nonempty(entry.flags());
        Completion::Received { id, result: result.map(|_| input), last, more }
    }

    /// What was received into `input`.
    pub(in crate::io_uring) fn bytes<'a>(&'a self, input: &'a Input) -> &'a [u8] {
        match (input, &*self.buffers) {
            (Input::Provided(buffer), Some(buffers)) => buffers.bytes(buffer),
            (Input::Provided(_), None) => unreachable!("a buffer of a ring that has none"),
            (Input::Own(memory), _) => memory,
        }
    }

    /// Gives back what was received into: for the next receive of anybody, or of that connection.
    pub(in crate::io_uring) fn recycle(&mut self, id: Id, input: Input) {
        match (input, &mut *self.buffers) {
            (Input::Provided(buffer), Some(buffers)) => buffers.recycle(buffer),
            (Input::Provided(_), None) => unreachable!("a buffer of a ring that has none"),
            (Input::Own(memory), _) => self.own_memory.keep(id.key as usize, memory),
        }
    }

    /// Frees what is kept for a connection that has ended.
    pub(in crate::io_uring) fn forget(&mut self, id: Id, counters: &Counters) {
        self.own_memory.forget(id.key as usize);
        self.give_up_send_ring(id, counters);
    }

    /// Buffers that the kernel can receive into. Where every connection has its own, they are never scarce.
    pub(in crate::io_uring) fn free_buffers(&self) -> u16 {
        self.buffers.as_ref().map_or(BUFFERS, BufferRing::free)
    }
}

/// A buffer with something in it. The end of the stream, or an error, may have taken one in vain, which goes back.
fn filled(buffers: &mut BufferRing, bytes: u32, buffer: Option<Buffer>) -> Option<Buffer> {
    let buffer = buffer?;
    if bytes > 0 {
        return Some(buffer);
    }
    buffers.recycle(buffer);
    None
}
