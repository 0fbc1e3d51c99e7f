//! A ring that owns whatever the kernel may still touch, and so can be used without `unsafe`.
//!
//! Invariants: memory that an operation reads or writes is kept here until its last completion was seen; an
//! operation's number of completions still to come is known (`outstanding`), and memory is given up only when it is 0
//! and the ring is closed.
#![expect(unsafe_code)]

mod accepting;
mod completion;
mod operation;
mod probe;
mod receiving;
mod sending;

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

pub(super) use completion::{Completion, Payload};
pub(super) use operation::Id;
pub(super) use probe::probe;

use super::buffer_ring::{BufferRing, Shape};
use super::patience::until_nothing_is_left;
use super::setup::{self, Granted};
use super::{SETTLE_PATIENCE, SETTLE_WAIT};
use crate::backend::Receipt;
use crate::kernel::failed;
use crate::stats::{Counters, Syscall};
use operation::{Kind, NOBODY};
use sending::Sending;

/// Entries of the submission queue: as many operations as can start in one turn without a second call.
const SUBMISSIONS: u32 = 256;
/// Entries of the completion queue.
const COMPLETIONS: u32 = 4096;

/// How many buffers there are.
pub(super) const BUFFERS: u16 = 512;
/// The size of each: a message of 16 KiB with its header fits in. With 16 KiB such messages came in two pieces, were put
/// together by copying, and cost a fifth more; small ones touch the first page only and cost the same.
const BUFFER_BYTES: u32 = 32 * 1024;

/// A ring with its buffers.
pub(super) struct Ring {
    /// Dropped by hand, before the memory below.
    uring: ManuallyDrop<IoUring>,
    buffers: ManuallyDrop<BufferRing>,
    /// What is being sent, by connection; the kernel reads it until the send completes.
    sending: ManuallyDrop<Vec<Option<Sending>>>,
    /// Sends that say something only if they fail, and were not known to have succeeded yet.
    silent: Vec<Id>,
    /// Silent sends that have succeeded and were not reported yet.
    succeeded: Vec<Id>,
    /// Completions that were not reported yet, from `next_entry` on.
    entries: Vec<cqueue::Entry>,
    next_entry: usize,
    /// Operations whose last completion was not seen yet.
    outstanding: usize,
    flags: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl Ring {
    /// Asks the kernel for a ring and its buffers. Only the calling thread may use it.
    pub(super) fn new() -> io::Result<Self> {
        let Granted { ring, flags, refused } = setup::granted(SUBMISSIONS, COMPLETIONS)?;
        let shape = Shape { buffers: BUFFERS, buffer_bytes: BUFFER_BYTES };
        // SAFETY: they are dropped after the ring, which is closed when nothing is outstanding: see `drop`.
        let buffers = unsafe { BufferRing::register(&ring.submitter(), shape)? };
        Ok(Self {
            uring: ManuallyDrop::new(ring),
            buffers: ManuallyDrop::new(buffers),
            sending: ManuallyDrop::new(Vec::new()),
            silent: Vec::new(),
            succeeded: Vec::new(),
            entries: Vec::new(),
            next_entry: 0,
            outstanding: 0,
            flags,
            refused,
        })
    }

    /// What was granted.
    pub(super) fn receipt(&self) -> Receipt {
        let params = self.uring.params();
        Receipt::new()
            .text("interface", "io_uring_enter")
            .list("ring_flags", self.flags.clone())
            .list("ring_flags_refused", self.refused.clone())
            .list(
                "operations",
                vec!["ACCEPT multishot", "RECV multishot, provided buffers", "SEND without waiting, silent on success"],
            )
            .number("sq_entries", params.sq_entries().into())
            .number("cq_entries", params.cq_entries().into())
            .number("buffers", BUFFERS.into())
            .number("buffer_bytes", BUFFER_BYTES.into())
    }

    /// Completes once `stop` becomes readable.
    pub(super) fn watch_stop(&mut self, stop: impl AsFd, counters: &Counters) -> io::Result<()> {
        let poll = opcode::PollAdd::new(fd(&stop), rustix::event::PollFlags::IN.bits().into()).build();
        self.push(poll, Kind::Stop, NOBODY, counters)
    }

    /// Submits everything and waits for a completion, a signal, or until `timeout` has passed.
    pub(super) fn wait(&mut self, timeout: Option<Duration>, counters: &Counters) -> io::Result<()> {
        self.enter(1, timeout, counters)
    }

    /// Submits everything and does not wait. Afterwards silent sends are known to have succeeded or not.
    pub(super) fn submit(&mut self, counters: &Counters) -> io::Result<()> {
        self.enter(0, None, counters)
    }

    fn enter(&mut self, wanted: usize, timeout: Option<Duration>, counters: &Counters) -> io::Result<()> {
        self.enter_only(wanted, timeout, counters)?;
        self.collect();
        Ok(())
    }

    fn enter_only(&mut self, wanted: usize, timeout: Option<Duration>, counters: &Counters) -> io::Result<()> {
        self.buffers.publish();
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
        Ok(())
    }

    /// The next completion, of those that were there when the last wait ended.
    pub(super) fn next(&mut self) -> Option<Completion> {
        if let Some(id) = self.succeeded.pop() {
            self.outstanding -= 1;
            return Some(self.sent(id, None));
        }
        let entry = self.entries.get(self.next_entry)?.clone();
        self.next_entry += 1;
        let (kind, id) = Kind::of(entry.user_data());
        // F_MORE is looked at on every completion: it can be missing on one that carries data.
        let last = !cqueue::more(entry.flags());
        if last {
            self.outstanding -= 1;
        }
        let result = match u32::try_from(entry.result()) {
            Ok(result) => Ok(result),
            Err(_) => Err(Errno::from_raw_os_error(-entry.result())),
        };
        Some(match kind {
            Kind::Accept => Completion::Accepted { result: result.map(|_| accepting::owned(entry.result())), last },
            Kind::Receive => {
                let buffer = cqueue::buffer_select(entry.flags()).map(|number| {
                    let len = result.unwrap_or(0);
                    // SAFETY: the kernel names a buffer in the one completion that hands it out.
                    unsafe { self.buffers.take(number, len) }
                });
                Completion::Received { id, result: self.received(result, buffer), last }
            }
            Kind::SendSilent => {
                // Still listed only if the last wait could not tell which had succeeded.
                self.silent.retain(|other| *other != id);
                self.sent(id, Some(result))
            }
            Kind::SendWaiting => self.sent(id, Some(result)),
            Kind::Stop => Completion::Stopped,
            Kind::Cancel => Completion::Cancelled,
        })
    }

    /// Takes over what has completed, and finds out which silent sends have succeeded.
    fn collect(&mut self) {
        self.entries.drain(..self.next_entry);
        self.next_entry = 0;
        self.entries.extend(self.uring.completion());
        let submissions = self.uring.submission();
        if !submissions.is_empty() || submissions.cq_overflow() {
            // A silent send may not have been made yet, or its failure may be waiting outside the queue. Both come to
            // light with the next submission.
            return;
        }
        drop(submissions);
        self.find_successes();
    }

    fn push(&mut self, entry: squeue::Entry, kind: Kind, id: Id, counters: &Counters) -> io::Result<()> {
        let entry = entry.user_data(kind.user_data(id));
        self.outstanding += 1;
        // SAFETY: what the operation points to is a provided buffer or stands in `sending`; both outlive it, see
        // `drop`. A wrong descriptor would be a mistake, but not one of memory.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.enter_only(0, None, counters)?;
            // Makes room for more where the kernel would not submit because completions were in its way.
            self.entries.extend(self.uring.completion());
        }
        Ok(())
    }

    /// Cancels everything and waits for the last completion of each operation. False when the kernel does not answer.
    ///
    /// To be called while every descriptor that operations name is still open: what was not submitted yet is now.
    pub(super) fn settle(&mut self) -> bool {
        let uncounted = Counters::new();
        let settled = until_nothing_is_left(SETTLE_PATIENCE, || {
            self.forget_completions();
            if self.outstanding > 0 {
                // Says "not found" where all that is left has completed already. Bounded, like the wait.
                let wait = Timespec::from(SETTLE_WAIT);
                let _ = self.uring.submitter().register_sync_cancel(Some(wait), CancelBuilder::any());
                self.wait(Some(SETTLE_WAIT), &uncounted)?;
                self.forget_completions();
            }
            Ok(self.outstanding)
        });
        settled.is_ok()
    }

    fn forget_completions(&mut self) {
        while let Some(completion) = self.next() {
            drop(completion);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let settled = self.settle();
        // SAFETY: dropped here and nowhere else, and nothing of ours lies in it.
        unsafe { ManuallyDrop::drop(&mut self.uring) };
        if !settled {
            // The memory is leaked: the kernel may still touch it.
            return;
        }
        // SAFETY: each is dropped here and nowhere else, after the ring, which also unregistered the buffers; nothing is
        // outstanding, so the kernel touches none of the memory any more.
        unsafe {
            ManuallyDrop::drop(&mut self.buffers);
            ManuallyDrop::drop(&mut self.sending);
        }
    }
}

fn fd(of: &impl AsFd) -> Fd {
    Fd(of.as_fd().as_raw_fd())
}
