//! The ring in which memory is provided to the kernel: entries that each name a piece of it, taken from the head by the
//! kernel and put at the tail by us.
//!
//! The `io-uring` crate registers such a ring but does not manage it; this is the counterpart of liburing's
//! `io_uring_buf_ring_add` and `io_uring_buf_ring_advance`.
#![expect(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::memory::Memory;

/// A registered ring of entries, empty at first.
#[derive(Debug)]
pub(super) struct Entries {
    memory: Memory,
    /// A power of two.
    places: u16,
    /// Where the next entry goes; the kernel learns of it when it is published.
    tail: u16,
}

impl Entries {
    /// What a ring with so many places takes, in whole pages.
    pub(super) fn bytes(places: u16) -> u64 {
        (u64::from(places) * size_of::<BufRingEntry>() as u64).next_multiple_of(4096)
    }

    /// Registers a ring with so many places, a power of two up to 32,768, as that `group`.
    pub(super) fn register(submitter: &Submitter<'_>, places: u16, group: u16) -> io::Result<Self> {
        assert!(places.is_power_of_two() && places <= 1 << 15, "{places} places");
        let memory = Memory::new(usize::from(places) * size_of::<BufRingEntry>())?;
        // SAFETY: the mapping holds that many entries. The kernel reads it only, and keeps its pages for as long as the
        // ring is registered, also where the mapping goes first.
        unsafe { submitter.register_buf_ring_with_flags(memory.start().as_ptr() as u64, places, group, 0) }?;
        Ok(Self { memory, places, tail: 0 })
    }

    /// Puts a piece of memory at the tail, from the next [`publish`](Self::publish) on.
    ///
    /// # Safety
    ///
    /// The ring has a free place. The memory stays what and where it is until the kernel is done with the operation that
    /// takes it; where that receives, nobody else reads or writes there.
    pub(super) unsafe fn put(&mut self, start: NonNull<u8>, bytes: u32, id: u16) {
        let index = usize::from(self.tail & (self.places - 1));
        let mut entry = self.memory.at(index * size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: entry `index` is within the mapping and, lying between the published tail and the head, not read by
        // the kernel. The tail shares its place with a part of entry 0 that the setters do not write.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(start.as_ptr() as u64);
        entry.set_len(bytes);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see all entries.
    pub(super) fn publish(&self) {
        // SAFETY: the mapping starts with an entry, and zeroed memory is a valid one.
        let tail = unsafe { BufRingEntry::tail(self.memory.start().as_ptr().cast()) };
        // SAFETY: aligned, within the mapping, and apart from here only read, by the kernel.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }.store(self.tail, Ordering::Release);
    }
}
