//! The buffers of one loop, shared by all its connections.
//!
//! A loop handles one connection at a time, so one receive buffer, always hot in the cache, serves them all; a
//! connection owns memory only while it has something unfinished.

/// Bytes that one receive asks for, at the least, and all that a peer gets of a turn: many long frames in one call, and few
/// that are cut by its end. Measured where 16 messages of 16 KiB were in flight on each connection (docs/SPEED.md): with a
/// quarter of it frames cost twice the CPU, with half of it streams without frames a seventh more on 64 connections; with
/// twice as much, twice a turn, the CPU was the same and fewer requests were served on 512.
pub(crate) const RECEIVE_BYTES: usize = 128 * 1024;

/// Buffers kept for re-use: growing one for each long frame would cost a page fault for every 4 KiB of it.
const SPARE_BUFFERS: usize = 8;
/// Longer buffers are given back to the allocator at once.
const SPARE_BYTES_EACH: usize = 4 * 1024 * 1024;

pub(crate) struct Buffers {
    /// What was received last. Its capacity is [`RECEIVE_BYTES`]; its pages are touched only as far as data came.
    pub(crate) receive: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self { receive: Vec::with_capacity(RECEIVE_BYTES), spare: Vec::new() }
    }

    /// An empty buffer, with capacity where one is to spare.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a buffer that is not needed any more. One without memory would only take the place of another.
    pub(crate) fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS && (1..=SPARE_BYTES_EACH).contains(&buffer.capacity()) {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buffers_with_memory_are_kept() {
        let mut buffers = Buffers::new();
        for _ in 0..2 * SPARE_BUFFERS {
            buffers.give_back(Vec::new());
        }
        buffers.give_back(Vec::with_capacity(SPARE_BYTES_EACH + 1));
        buffers.give_back(Vec::with_capacity(1000));
        assert!(buffers.take().capacity() >= 1000);
        assert_eq!(buffers.take().capacity(), 0);
    }
}
