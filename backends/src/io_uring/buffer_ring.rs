//! The ring of provided buffers: the kernel takes one from its head for each receive, we put it back at its tail.
//!
//! The `io-uring` crate registers such a ring but does not manage it; this is the counterpart of liburing's
//! `io_uring_buf_ring_add` and `io_uring_buf_ring_advance`.
//!
//! Invariant: a buffer belongs either to the kernel (it is in the ring) or to the one [`Buffer`] with its number.
#![expect(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::memory::Memory;
use crate::kernel::failed;

/// How many buffers there are; a power of two, as the kernel demands.
pub(super) const BUFFERS: u16 = 512;
/// The size of each: a message of 16 KiB with its header fits in. With 16 KiB such messages came in two pieces, were put
/// together by copying, and cost a fifth more; small ones touch the first page only and cost the same.
pub(super) const BUFFER_BYTES: u32 = 32 * 1024;
/// From one buffer to the next. Were it a multiple of 4 KiB, the first lines of all buffers, the only ones that small
/// messages touch, would compete for the same few sets of the caches.
const STRIDE_BYTES: usize = BUFFER_BYTES as usize + 192;
/// The only group that a ring of ours has.
pub(super) const GROUP: u16 = 0;

/// A buffer with what was received into it; ours until it is recycled.
#[derive(Debug)]
pub(super) struct Buffer {
    id: u16,
    len: u32,
}

impl Buffer {
    /// Bytes received.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }
}

/// The ring and its buffers.
pub(super) struct BufferRing {
    entries: Memory,
    bytes: Memory,
    /// Where the next recycled buffer goes; the kernel learns of it when it is published.
    tail: u16,
    /// Buffers that are ours.
    taken: u16,
}

impl BufferRing {
    /// Registers a ring full of buffers.
    pub(super) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let entries = Memory::new(usize::from(BUFFERS) * size_of::<BufRingEntry>())?;
        let bytes = Memory::new(usize::from(BUFFERS) * STRIDE_BYTES)?;
        // SAFETY: the mapping holds `BUFFERS` entries and is kept until the ring is closed: see `Ring`'s drop.
        unsafe { submitter.register_buf_ring_with_flags(entries.start().as_ptr() as u64, BUFFERS, GROUP, 0) }
            .map_err(|error| failed("a ring of provided buffers (Linux 5.19 or newer) is refused", error))?;
        let mut ring = Self { entries, bytes, tail: 0, taken: BUFFERS };
        for id in 0..BUFFERS {
            ring.recycle(Buffer { id, len: 0 });
        }
        ring.publish();
        Ok(ring)
    }

    /// Takes over a buffer that a completion names.
    ///
    /// # Safety
    ///
    /// The kernel has just handed out buffer `id` with `len` bytes in it, and nobody took it over yet.
    pub(super) unsafe fn take(&mut self, id: u16, len: u32) -> Buffer {
        // Checked, because a wrong number from the kernel would otherwise become a wild pointer.
        assert!(id < BUFFERS && len <= BUFFER_BYTES, "the kernel named buffer {id} with {len} bytes");
        self.taken += 1;
        Buffer { id, len }
    }

    /// What was received.
    pub(super) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        // SAFETY: the mapping is zeroed, so initialised; and while a `Buffer` exists the kernel does not write there.
        unsafe { slice::from_raw_parts(self.address(buffer.id).as_ptr(), buffer.len()) }
    }

    /// Gives a buffer back, from the next [`publish`](Self::publish) on.
    #[expect(clippy::needless_pass_by_value)] // The buffer must not be usable afterwards.
    pub(super) fn recycle(&mut self, buffer: Buffer) {
        let index = usize::from(self.tail & (BUFFERS - 1));
        let mut entry = self.entries.at(index * size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        let address = self.address(buffer.id);
        // SAFETY: entry `index` is within the mapping and, lying between the published tail and the head, not read by
        // the kernel. The tail shares its place with a part of entry 0 that the setters do not write.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(address.as_ptr() as u64);
        entry.set_len(BUFFER_BYTES);
        entry.set_bid(buffer.id);
        self.tail = self.tail.wrapping_add(1);
        self.taken -= 1;
    }

    /// Lets the kernel see all recycled buffers.
    pub(super) fn publish(&self) {
        // SAFETY: the mapping starts with an entry, and zeroed memory is a valid one.
        let tail = unsafe { BufRingEntry::tail(self.entries.start().as_ptr().cast()) };
        // SAFETY: aligned, within the mapping, and apart from here only read, by the kernel.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }.store(self.tail, Ordering::Release);
    }

    /// Buffers that the kernel can receive into, published or not.
    pub(super) fn free(&self) -> u16 {
        BUFFERS - self.taken
    }

    fn address(&self, id: u16) -> NonNull<u8> {
        self.bytes.at(usize::from(id) * STRIDE_BYTES)
    }
}
