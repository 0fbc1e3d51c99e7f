//! Zeroed, page-aligned memory that the kernel may write to.
#![expect(unsafe_code)]

use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::lent;

/// An anonymous mapping, unmapped on drop. Pages cost memory only once they are touched.
#[derive(Debug)]
pub(super) struct Memory {
    start: NonNull<u8>,
    bytes: usize,
}

impl Memory {
    /// Maps `bytes`, which is not 0.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        // SAFETY: a null hint for a new private mapping touches no existing one.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes })
    }

    /// The first byte; page-aligned.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The byte at `offset`, which lies within the mapping.
    pub(super) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.bytes);
        // SAFETY: within one mapping, as just asserted.
        unsafe { self.start.add(offset) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // What is mapped there next is not the kernel's.
        lent::to_us(self.start.as_ptr(), self.bytes);
        // SAFETY: mapped by `new` with this length and not unmapped since.
        // A failure would leak the mapping; there is nothing better to do with it here.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
