//! Operations of `io_uring` that do nothing: what submitting and completing one costs before it does anything.
#![expect(unsafe_code)]

use std::time::Duration;

use backends::io_uring::granted;
use io_uring::{IoUring, opcode};

use super::price::{BATCH, repeat};
use super::{FloorError, Round};

/// Operations that are submitted together, where it is several.
pub const BATCH_OF_NOPS: u32 = 32;

/// A ring with the flags of the servers under test. To be used on the thread that made it, alone.
pub(super) struct Nops {
    ring: IoUring,
}

impl Nops {
    /// Asks the kernel for it; the error is why there is none.
    pub(super) fn open() -> Result<Self, String> {
        let granted = granted(BATCH_OF_NOPS, 2 * BATCH_OF_NOPS).map_err(|error| error.to_string())?;
        Ok(Self { ring: granted.ring })
    }

    /// What one of `together` costs that are submitted, and waited for, with one call.
    pub(super) fn round(&mut self, slice: Duration, together: u32) -> Result<Round, FloorError> {
        let turns = BATCH.div_ceil(together);
        repeat(slice, turns * together, || (0..turns).try_for_each(|_| self.submit(together)))
    }

    fn submit(&mut self, together: u32) -> Result<(), FloorError> {
        let together = together.min(BATCH_OF_NOPS);
        let mut queue = self.ring.submission();
        for _ in 0..together {
            // SAFETY: a NOP refers to no memory and to no descriptor.
            let pushed = unsafe { queue.push(&opcode::Nop::new().build()) };
            pushed.expect("the queue is as long as the longest batch, and empty");
        }
        drop(queue);
        let done = self.ring.submit_and_wait(together as usize);
        done.map_err(FloorError::kernel("submit to io_uring"))?;
        // All of them: fewer are not waited for.
        let completed = self.ring.completion().count();
        debug_assert_eq!(completed, together as usize);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nop_is_counted() {
        let mut nops = match Nops::open() {
            Ok(nops) => nops,
            Err(why) => return crate::skipped::skipped(&why),
        };
        assert_eq!(nops.round(Duration::ZERO, 1).unwrap().calls, 100);
        assert_eq!(nops.round(Duration::ZERO, BATCH_OF_NOPS).unwrap().calls, 128);
    }
}
