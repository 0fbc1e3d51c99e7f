//! Entering the kernel: submitting, waiting, and doing without the call where a thread of the kernel submits.

use std::io;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use rustix::io::Errno;

use super::Ring;
use crate::io_uring::patience::until_nothing_is_left;
use crate::io_uring::{SETTLE_PATIENCE, SETTLE_WAIT};
use crate::kernel::failed;
use crate::stats::{Counters, Event, Syscall};

impl Ring {
    /// Submits everything and waits for a completion, a signal, or until `timeout` has passed.
    pub(in crate::io_uring) fn wait(&mut self, timeout: Option<Duration>, counters: &Counters) -> io::Result<()> {
        let called = self.enter_only(1, timeout, counters)?;
        counters.events(Event::Wakeups, called.into());
        self.collect();
        Ok(())
    }

    /// Submits everything and does not wait. Afterwards silent sends are known to have succeeded or not.
    pub(in crate::io_uring) fn submit(&mut self, counters: &Counters) -> io::Result<()> {
        self.enter_only(0, None, counters)?;
        self.collect();
        Ok(())
    }

    /// Enters the kernel, unless its own thread does what is asked; false then.
    pub(super) fn enter_only(
        &mut self,
        wanted: usize,
        timeout: Option<Duration>,
        counters: &Counters,
    ) -> io::Result<bool> {
        self.sanitizer.look();
        if let Some(buffers) = &*self.buffers {
            buffers.publish();
        }
        if self.features.sq_poll && self.is_submitted_without_a_call(wanted) {
            return Ok(false);
        }
        counters.syscall(Syscall::IoUringEnter);
        let entered = match timeout {
            None => self.uring.submit_and_wait(wanted),
            Some(timeout) => {
                let timeout = Timespec::from(timeout);
                self.uring.submitter().submit_with_args(wanted, &SubmitArgs::new().timespec(&timeout))
            }
        };
        match entered.map_err(|error| (error.raw_os_error().map(Errno::from_raw_os_error), error)) {
            // EBUSY: completions wait outside a full queue; they move in as it is emptied.
            Ok(_) | Err((Some(Errno::TIME | Errno::INTR | Errno::BUSY | Errno::AGAIN), _)) => {}
            Err((_, error)) => return Err(failed("io_uring_enter", error)),
        }
        Ok(true)
    }

    /// Has the kernel take in what fills the submission queue.
    pub(super) fn make_room(&mut self, counters: &Counters) -> io::Result<()> {
        let made = until_nothing_is_left(SETTLE_PATIENCE, || {
            self.enter_only(0, None, counters)?;
            // Makes room for more where the kernel would not submit because completions were in its way.
            self.take_over();
            if !self.uring.submission().is_full() {
                return Ok(0);
            }
            if self.features.sq_poll {
                // Sleeps: the thread of the kernel may need this CPU.
                counters.syscall(Syscall::IoUringEnter);
                match self.uring.submitter().squeue_wait() {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                    _ => {}
                }
            } else {
                // What ends may free what the kernel lacks.
                self.enter_only(1, Some(SETTLE_WAIT), counters)?;
                self.take_over();
            }
            Ok(self.uring.submission().is_full().into())
        });
        made.map_err(|error| failed("the submission queue of an io_uring stays full", error))
    }

    /// Whether the thread of the kernel is awake to take submissions, and what is `wanted` is there.
    fn is_submitted_without_a_call(&mut self, wanted: usize) -> bool {
        // What was submitted must be there for that thread before it is looked at whether it is going to sleep.
        fence(Ordering::SeqCst);
        let submissions = self.uring.submission();
        let (sleeps, overflows) = (submissions.need_wakeup(), submissions.cq_overflow());
        drop(submissions);
        // What waits outside a full queue moves in only in a call that waits.
        !sleeps && (wanted == 0 || (!overflows && !self.uring.completion().is_empty()))
    }
}
