//! The ring of provided buffers: the kernel takes one from its head for each receive, we put it back at its tail.
//!
//! Invariant: a buffer belongs either to the kernel (it is in the ring) or to the one [`Buffer`] with its number and the
//! identity of its ring.
#![expect(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use io_uring::Submitter;

use super::entries::Entries;
use super::lent;
use super::locked_memory::{explained, patiently};
use super::memory::Memory;

/// Buffers do not lie a multiple of 4 KiB apart, or their first lines, the only ones that small messages touch, would
/// compete for the same few sets of the caches.
const PADDING_BYTES: usize = 192;
/// The group of the buffers that are received into.
pub const GROUP: u16 = 0;

/// The identity of the ring that is registered next. It does not come round in the life of a process.
static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(0);

/// How many buffers there are, and how large each is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// A power of two up to 32,768, as the kernel demands.
    pub buffers: u16,
    /// The size of each.
    pub buffer_bytes: u32,
}

impl Shape {
    fn stride_bytes(self) -> usize {
        self.buffer_bytes as usize + PADDING_BYTES
    }
}

/// A buffer with what was received into it; ours until it is recycled.
#[derive(Debug)]
pub struct Buffer {
    /// The identity of its ring: in another one, its number is that of another buffer.
    ring: u64,
    id: u16,
    len: u32,
}

impl Buffer {
    /// Bytes received.
    #[expect(clippy::len_without_is_empty, reason = "what holds nothing is never handed out")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }
}

/// The ring and its buffers.
#[derive(Debug)]
pub struct BufferRing {
    /// No other ring of this process has it, nor had it.
    identity: u64,
    shape: Shape,
    entries: Entries,
    bytes: Memory,
    /// Buffers that are ours.
    taken: u16,
}

impl BufferRing {
    /// Registers a ring full of buffers.
    ///
    /// # Panics
    ///
    /// If the shape is not one.
    ///
    /// # Safety
    ///
    /// It is to be dropped only when nothing can receive into it any more: every receive has seen its last completion,
    /// and the ring that it is registered with is closed.
    pub unsafe fn register(submitter: &Submitter<'_>, shape: Shape) -> io::Result<Self> {
        assert!(shape.buffers > 0 && shape.buffer_bytes > 0, "{shape:?}");
        let bytes = Memory::new(usize::from(shape.buffers) * shape.stride_bytes())?;
        let needed_bytes = Entries::bytes(shape.buffers);
        let registered = patiently(needed_bytes, || Entries::register(submitter, shape.buffers, GROUP));
        let entries = registered.map_err(|error| {
            explained("a ring of provided buffers (Linux 5.19 or newer) is refused", needed_bytes, error)
        })?;
        let identity = NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed);
        let mut ring = Self { identity, shape, entries, bytes, taken: shape.buffers };
        for id in 0..shape.buffers {
            ring.recycle(Buffer { ring: identity, id, len: 0 });
        }
        ring.publish();
        Ok(ring)
    }

    /// Takes over a buffer that a completion names.
    ///
    /// # Panics
    ///
    /// If there is no such buffer, or it does not hold that much.
    ///
    /// # Safety
    ///
    /// The kernel has just handed out buffer `id` with `len` bytes in it, and nobody took it over yet.
    pub unsafe fn take(&mut self, id: u16, len: u32) -> Buffer {
        // Checked, because a wrong number from the kernel would otherwise become a wild pointer.
        assert!(
            id < self.shape.buffers && len <= self.shape.buffer_bytes,
            "the kernel named buffer {id} with {len} bytes"
        );
        self.taken += 1;
        lent::to_us(self.address(id).as_ptr(), len as usize);
        Buffer { ring: self.identity, id, len }
    }

    /// What was received.
    ///
    /// # Panics
    ///
    /// If the buffer is one of another ring.
    #[must_use]
    pub fn bytes(&self, buffer: &Buffer) -> &[u8] {
        assert_eq!(buffer.ring, self.identity, "a buffer of another ring");
        // SAFETY: the mapping is zeroed, so initialised; and while a `Buffer` of this ring exists the kernel does not
        // write there.
        unsafe { slice::from_raw_parts(self.address(buffer.id).as_ptr(), buffer.len()) }
    }

    /// Gives a buffer back, from the next [`publish`](Self::publish) on.
    ///
    /// # Panics
    ///
    /// If the buffer is one of another ring.
    #[expect(clippy::needless_pass_by_value)] // The buffer must not be usable afterwards.
    pub fn recycle(&mut self, buffer: Buffer) {
        assert_eq!(buffer.ring, self.identity, "a buffer of another ring");
        let address = self.address(buffer.id);
        lent::to_kernel(address.as_ptr(), self.shape.stride_bytes());
        // SAFETY: there is a place for each buffer. The kernel has this one for itself until it hands it out again, and the
        // memory lasts as whoever registered it promised.
        unsafe { self.entries.put(address, self.shape.buffer_bytes, buffer.id) };
        self.taken -= 1;
    }

    /// Lets the kernel see all recycled buffers.
    pub fn publish(&self) {
        self.entries.publish();
    }

    /// Buffers that the kernel can receive into, published or not.
    #[must_use]
    pub fn free(&self) -> u16 {
        self.shape.buffers - self.taken
    }

    fn address(&self, id: u16) -> NonNull<u8> {
        self.bytes.at(usize::from(id) * self.shape.stride_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use io_uring::IoUring;

    use super::*;

    #[test]
    fn a_buffer_of_another_ring_is_not_accepted() {
        let Ok((uring, other_uring)) = IoUring::new(4).and_then(|uring| Ok((uring, IoUring::new(4)?))) else {
            // Refused here; what backends say about that has tests of its own.
            return;
        };
        let shape = Shape { buffers: 2, buffer_bytes: 4096 };
        // SAFETY: nothing ever receives into them.
        let mut ring = unsafe { BufferRing::register(&uring.submitter(), shape) }.unwrap();
        // SAFETY: as above.
        let mut other = unsafe { BufferRing::register(&other_uring.submitter(), shape) }.unwrap();
        // SAFETY: nothing receives, so that this stands for the kernel handing a buffer out.
        let buffer = unsafe { ring.take(1, 5) };
        // SAFETY: as above.
        let own = unsafe { other.take(1, 5) };
        assert_eq!((ring.bytes(&buffer), other.bytes(&own)), (&[0; 5][..], &[0; 5][..]));
        assert!(catch_unwind(AssertUnwindSafe(|| other.bytes(&buffer).len())).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| other.recycle(buffer))).is_err());
        assert_eq!((ring.free(), other.free()), (1, 1));
        other.recycle(own);
        assert_eq!(other.free(), 2);
        drop((uring, other_uring));
    }
}
