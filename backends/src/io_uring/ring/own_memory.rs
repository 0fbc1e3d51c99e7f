//! Memory of each connection to receive into: what a server does that has no provided buffers.
//!
//! Invariant: what was lent to the kernel is neither moved, resized nor freed until the receive has completed.
#![expect(unsafe_code)]

/// As long as a provided buffer, so that messages come in the same pieces.
const MEMORY_BYTES: usize = super::BUFFER_BYTES as usize;

/// The memory of all connections, by their place in the table.
#[derive(Debug, Default)]
pub(super) struct OwnMemory {
    places: Vec<Place>,
}

#[derive(Debug, Default)]
struct Place {
    memory: Vec<u8>,
    /// A receive into it has not completed.
    is_lent: bool,
}

impl OwnMemory {
    /// Where to receive, and how much, until it is [taken back](Self::take_back).
    pub(super) fn lend(&mut self, key: usize) -> (*mut u8, u32) {
        if key >= self.places.len() {
            self.places.resize_with(key + 1, Place::default);
        }
        let place = &mut self.places[key];
        // Before it is touched: the kernel may be writing there.
        assert!(!place.is_lent, "connection {key} already receives");
        place.memory.clear();
        place.memory.reserve_exact(MEMORY_BYTES);
        place.is_lent = true;
        (place.memory.as_mut_ptr(), super::BUFFER_BYTES)
    }

    /// Takes the memory back, with `bytes` received into it; none where that is nothing.
    ///
    /// # Safety
    ///
    /// The receive into it has completed, with that many bytes.
    pub(super) unsafe fn take_back(&mut self, key: usize, bytes: u32) -> Option<Vec<u8>> {
        let place = &mut self.places[key];
        assert!(place.is_lent && bytes as usize <= place.memory.capacity(), "the kernel received {bytes} bytes");
        place.is_lent = false;
        if bytes == 0 {
            return None;
        }
        let mut memory = std::mem::take(&mut place.memory);
        // SAFETY: within the capacity, and initialised by the kernel as the caller promises.
        unsafe { memory.set_len(bytes as usize) };
        Some(memory)
    }

    /// Keeps memory for the next receive of a connection.
    pub(super) fn keep(&mut self, key: usize, memory: Vec<u8>) {
        let place = &mut self.places[key];
        // It would be freed while the kernel may be writing there.
        assert!(!place.is_lent, "connection {key} already receives");
        place.memory = memory;
    }

    /// Frees the memory of a connection that has ended, if it has any.
    pub(super) fn forget(&mut self, key: usize) {
        if let Some(place) = self.places.get_mut(key) {
            assert!(!place.is_lent, "connection {key} still receives");
            place.memory = Vec::new();
        }
    }
}
