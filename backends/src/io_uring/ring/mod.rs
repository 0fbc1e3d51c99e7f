//! A ring that owns whatever the kernel may still touch, and so can be used without `unsafe`.
//!
//! Invariants: memory that an operation reads or writes is kept here until its last completion was seen; an
//! operation's number of completions still to come is known (`outstanding`), and memory is given up only when it is 0
//! and the ring is closed.
#![expect(unsafe_code)]

mod accepting;
mod bundling;
mod completion;
mod entering;
mod lending;
mod operation;
mod own_memory;
mod probe;
mod receipt;
mod receiving;
mod sending;
mod socket;

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd};

use io_uring::types::{CancelBuilder, Fd, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;
use slab::Slab;

use accepting::Accepting;
use bundling::Bundles;
pub(super) use completion::{Completion, Input, Payload};
use lending::Loan;
pub(super) use operation::Id;
use operation::{Kind, NOBODY};
use own_memory::OwnMemory;
pub(super) use probe::probe;
use sending::Sending;
pub(super) use socket::Socket;
use socket::{ShutDowns, Table};

use super::buffer_ring::{BufferRing, Shape};
use super::lent::Lent;
use super::patience::until_nothing_is_left;
use super::setup::{Granted, TaskWork, granted_for};
use super::variants::{Features, Variant};
use super::{MSG_WAITALL, SETTLE_PATIENCE, SETTLE_WAIT};
use crate::backend::Limits;
use crate::stats::Counters;

/// Entries of the submission queue: as many operations as can start in one turn without a second call.
const SUBMISSIONS: u32 = 256;
/// Entries of the completion queue.
const COMPLETIONS: u32 = 4096;

/// How many buffers there are. The kernel uses all of them in turn, also for one connection, so that together they are to
/// stay in the cache; more than this were no better for 4,000 connections (docs/SPEED.md).
pub(super) const BUFFERS: u16 = 128;
/// The size of each: few messages of 16 KiB are cut by its end, which are put together by copying. With half of it, and
/// buffers four times as many, they cost 11 to 15 % more; small ones touch the first page only and cost the same.
const BUFFER_BYTES: u32 = 64 * 1024;

/// A ring with its buffers.
pub(super) struct Ring {
    variant: &'static Variant,
    /// Those of the variant.
    features: Features,
    /// Dropped by hand, before the memory below.
    uring: ManuallyDrop<IoUring>,
    /// None where every connection has memory of its own to receive into.
    buffers: ManuallyDrop<Option<BufferRing>>,
    /// The kernel writes to what of it is lent.
    own_memory: ManuallyDrop<OwnMemory>,
    /// What is being sent, by connection; the kernel reads it until the send completes.
    sending: ManuallyDrop<Vec<Option<Sending>>>,
    /// What was or is being sent from where it lies; the network reads it until it says that it has let go.
    lent: ManuallyDrop<Slab<Loan>>,
    /// What waits or is being sent in buffers of several receives, and where the kernel finds it listed.
    bundles: ManuallyDrop<Bundles>,
    /// Sends that say something only if they fail, and were not known to have succeeded yet.
    silent: Vec<Id>,
    /// Silent sends that have succeeded and were not reported yet.
    succeeded: Vec<Id>,
    /// Completions that were not reported yet, from `next_entry` on.
    entries: Vec<cqueue::Entry>,
    next_entry: usize,
    /// Operations whose last completion was not seen yet.
    outstanding: usize,
    accepting: Accepting,
    /// Direct descriptors, where sockets are such.
    table: Option<Table>,
    shut_downs: ShutDowns,
    flags: Vec<&'static str>,
    refused: Vec<&'static str>,
    sanitizer: Lent,
}

impl Ring {
    /// Asks the kernel for a ring with what `variant` uses. Only the calling thread may use it.
    pub(super) fn new(variant: &'static Variant, limits: &Limits) -> io::Result<Self> {
        let features = variant.features;
        let task_work = match features {
            Features { sq_poll: true, .. } => TaskWork::AtOnceAndPolled,
            Features { deferred_task_work: false, .. } => TaskWork::AtOnce,
            _ if variant.may_fall_back => TaskWork::DeferredOrNextBest,
            _ => TaskWork::Deferred,
        };
        let Granted { ring, flags, refused } = granted_for(task_work, SUBMISSIONS, COMPLETIONS)?;
        let table = features.direct_descriptors.then(|| Table::register(&ring, limits)).transpose()?;
        let buffers = if features.multishot_receive {
            let shape = Shape { buffers: BUFFERS, buffer_bytes: BUFFER_BYTES };
            // SAFETY: they are dropped after the ring, which is closed when nothing is outstanding: see `drop`.
            Some(unsafe { BufferRing::register(&ring.submitter(), shape)? })
        } else {
            None
        };
        Ok(Self {
            variant,
            features,
            uring: ManuallyDrop::new(ring),
            buffers: ManuallyDrop::new(buffers),
            own_memory: ManuallyDrop::default(),
            sending: ManuallyDrop::default(),
            lent: ManuallyDrop::default(),
            bundles: ManuallyDrop::default(),
            silent: Vec::new(),
            succeeded: Vec::new(),
            entries: Vec::new(),
            next_entry: 0,
            outstanding: 0,
            accepting: Accepting::Ends,
            table,
            shut_downs: ShutDowns::default(),
            flags,
            refused,
            sanitizer: Lent::default(),
        })
    }

    /// Completes once `stop` becomes readable.
    pub(super) fn watch_stop(&mut self, stop: impl AsFd, counters: &Counters) -> io::Result<()> {
        let poll = opcode::PollAdd::new(fd(&stop), rustix::event::PollFlags::IN.bits().into()).build();
        self.push_plain(poll, Kind::Stop, NOBODY, counters)
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
            // A notice is no result, and says what it says with the top bit.
            Err(_) if cqueue::notif(entry.flags()) => Ok(0),
            Err(_) => Err(Errno::from_raw_os_error(-entry.result())),
        };
        Some(match kind {
            Kind::Accept => self.accepted(result, last),
            Kind::Receive => self.received(id, &entry, result, last),
            Kind::SendSilent => {
                // Still listed only if the last wait could not tell which had succeeded.
                self.silent.retain(|other| *other != id);
                self.sent(id, Some(result))
            }
            Kind::SendWaiting => self.sent(id, Some(result)),
            Kind::Stop => Completion::Stopped,
            Kind::SendZeroCopy => self.zero_copy(id.key as usize, &entry, result, last),
            Kind::CancelReceive if matches!(result, Err(Errno::NOENT | Errno::ALREADY)) => {
                Completion::NotCancelled { id }
            }
            Kind::Close => self.closed(),
            Kind::CancelReceive | Kind::SetOption | Kind::Cancel | Kind::Shutdown => Completion::Done,
        })
    }

    /// Takes over what has completed, and finds out which silent sends have succeeded.
    fn collect(&mut self) {
        self.entries.drain(..self.next_entry);
        self.next_entry = 0;
        self.take_over();
        if self.silent.is_empty() {
            return;
        }
        let submissions = self.uring.submission();
        if !submissions.is_empty() || submissions.cq_overflow() {
            // A silent send may not have been made yet, or its failure may be waiting outside the queue. Both come to
            // light with the next submission.
            return;
        }
        drop(submissions);
        self.find_successes();
    }

    /// An operation that no memory belongs to, but provided buffers.
    fn push_plain(&mut self, entry: squeue::Entry, kind: Kind, id: Id, counters: &Counters) -> io::Result<()> {
        // SAFETY: provided buffers outlive every operation, see `drop`. A wrong descriptor would be a mistake, but not
        // one of memory.
        unsafe { self.push(entry, kind, id, counters) }
    }

    /// # Safety
    ///
    /// What the operation points to stays where it is until its last completion was seen: in a field of this ring that
    /// `drop` frees after that.
    unsafe fn push(&mut self, entry: squeue::Entry, kind: Kind, id: Id, counters: &Counters) -> io::Result<()> {
        let entry = entry.user_data(kind.user_data(id));
        // SAFETY: as the caller promises.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.make_room(counters)?;
        }
        self.outstanding += 1;
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

    /// Closes what is left in the table of direct descriptors, once [settled](Self::settle).
    pub(super) fn close_table(&mut self) {
        if self.table.take().is_some() {
            // Fails where there is none; and the ring, when it is dropped, closes what is left, later.
            let _ = self.uring.submitter().unregister_files();
        }
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
        // SAFETY: dropped here and nowhere else, after the ring, which also unregistered the buffers; nothing is
        // outstanding, so the kernel touches none of the memory any more.
        unsafe { ManuallyDrop::drop(&mut self.buffers) };
        // SAFETY: the same holds of what was received into,
        unsafe { ManuallyDrop::drop(&mut self.own_memory) };
        // SAFETY: of what was being sent,
        unsafe { ManuallyDrop::drop(&mut self.sending) };
        // SAFETY: of what was lent,
        unsafe { ManuallyDrop::drop(&mut self.lent) };
        // SAFETY: and of what bundles are listed in.
        unsafe { ManuallyDrop::drop(&mut self.bundles) };
    }
}

fn fd(of: &impl AsFd) -> Fd {
    Fd(of.as_fd().as_raw_fd())
}
