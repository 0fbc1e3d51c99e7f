//! Receiving: one operation per connection, which goes on into one provided buffer after the other.

use std::io;
use std::os::fd::AsFd;

use io_uring::opcode;
use rustix::io::Errno;

use super::super::buffer_ring::{Buffer, GROUP};
use super::operation::{Id, Kind, NOBODY};
use super::{Ring, fd};
use crate::stats::Counters;

impl Ring {
    /// Receives from `socket` until that ends.
    pub(in crate::io_uring) fn receive(&mut self, socket: impl AsFd, id: Id, counters: &Counters) -> io::Result<()> {
        let receive = opcode::RecvMulti::new(fd(&socket), GROUP).build();
        self.push(receive, Kind::Receive, id, counters)
    }

    /// Ends the receive of `id`.
    pub(in crate::io_uring) fn cancel_receive(&mut self, id: Id, counters: &Counters) -> io::Result<()> {
        let cancel = opcode::AsyncCancel::new(Kind::Receive.user_data(id)).build();
        self.push(cancel, Kind::Cancel, NOBODY, counters)
    }

    pub(super) fn received(
        &mut self,
        result: Result<u32, Errno>,
        buffer: Option<Buffer>,
    ) -> Result<Option<Buffer>, Errno> {
        match (result, buffer) {
            (Ok(1..), Some(buffer)) => Ok(Some(buffer)),
            (result, unused) => {
                // The end of the stream, or an error, may still have taken a buffer.
                if let Some(buffer) = unused {
                    self.buffers.recycle(buffer);
                }
                result.map(|_| None)
            }
        }
    }

    /// What was received into `buffer`.
    pub(in crate::io_uring) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        self.buffers.bytes(buffer)
    }

    /// Gives a buffer back to the kernel.
    pub(in crate::io_uring) fn recycle(&mut self, buffer: Buffer) {
        self.buffers.recycle(buffer);
    }

    /// Buffers that the kernel can receive into.
    pub(in crate::io_uring) fn free_buffers(&self) -> u16 {
        self.buffers.free()
    }
}
