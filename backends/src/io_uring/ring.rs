//! A ring that owns whatever the kernel may still touch, and so can be used without `unsafe`.
//!
//! Invariants: memory that an operation reads or writes is kept here until its last completion was seen; an
//! operation's number of completions still to come is known (`outstanding`), and memory is given up only when it is 0
//! and the ring is closed.
#![expect(unsafe_code)]

use std::io;
use std::mem::ManuallyDrop;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, socketpair};

use super::buffer_ring::{Buffer, BufferRing, GROUP, Shape};
use super::lent::Lent;
use super::patience::until_nothing_is_left;
use super::setup::{self, Granted};
use super::{MSG_WAITALL, SETTLE_PATIENCE, SETTLE_WAIT};
use crate::backend::Receipt;
use crate::kernel::failed;
use crate::stats::{Counters, Syscall};

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
    lent: Lent,
}

/// A connection, as operations name it: its place in the table, and how many had that place before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) key: u32,
    generation: u32,
}

impl Id {
    /// The connection at place `key`, told apart from its predecessors there by the low bits of `generation`.
    pub(super) fn new(key: u32, generation: u32) -> Self {
        Self { key, generation: generation & ((1 << GENERATION_BITS) - 1) }
    }
}

/// Bytes to send and where they are.
#[derive(Debug)]
pub(super) enum Payload {
    /// In the buffer that they were received into.
    Received(Buffer, Range<usize>),
    /// In memory of our own.
    Copied(Vec<u8>, Range<usize>),
}

impl Payload {
    /// Moves past what was sent; false when there is no more.
    pub(super) fn advance(&mut self, sent_bytes: usize) -> bool {
        let (Payload::Received(_, range) | Payload::Copied(_, range)) = self;
        range.start += sent_bytes;
        range.start < range.end
    }
}

/// A send in flight.
struct Sending {
    payload: Payload,
    /// The bytes that the kernel was asked to send.
    asked_bytes: usize,
    /// A completion for it was seen; so it is not a silent success.
    spoke: bool,
}

/// Something that became of an operation.
#[derive(Debug)]
pub(super) enum Completion {
    /// A connection, or why there is none. `last`: the multishot accept has ended.
    Accepted { result: Result<OwnedFd, Errno>, last: bool },
    /// What came in, `None` at the end of the stream. `last`: the multishot receive has ended.
    Received { id: Id, result: Result<Option<Buffer>, Errno>, last: bool },
    /// How many bytes went out, and what they were part of.
    Sent { id: Id, result: Result<usize, Errno>, payload: Payload },
    /// The stop was requested.
    Stopped,
    /// A cancellation has been dealt with.
    Cancelled,
}

/// The kind of an operation: the top byte of its user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Accept = 1,
    Receive,
    /// A send that does not wait and is silent if all went out.
    SendSilent,
    /// A send that waits for room.
    SendWaiting,
    Stop,
    Cancel,
}

const GENERATION_BITS: u32 = 24;

impl Kind {
    fn user_data(self, id: Id) -> u64 {
        u64::from(self as u8) << 56 | u64::from(id.generation) << 32 | u64::from(id.key)
    }

    #[expect(clippy::cast_possible_truncation)] // The inverse of the above.
    fn of(user_data: u64) -> (Kind, Id) {
        let kind = match (user_data >> 56) as u8 {
            1 => Kind::Accept,
            2 => Kind::Receive,
            3 => Kind::SendSilent,
            4 => Kind::SendWaiting,
            5 => Kind::Stop,
            6 => Kind::Cancel,
            other => unreachable!("the kernel invented operation kind {other}"),
        };
        (kind, Id::new(user_data as u32, (user_data >> 32) as u32))
    }
}

/// For operations that belong to no connection.
const NOBODY: Id = Id { key: 0, generation: 0 };

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
            lent: Lent::default(),
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

    /// Accepts from `listener` until that ends.
    ///
    /// `once`: for one connection, after which it has ended. Waits for a listener are exclusive, and one that goes on
    /// stays at the head of the list: of several rings that share a listener, one would get every connection.
    pub(super) fn accept(&mut self, listener: &TcpListener, once: bool, counters: &Counters) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC.bits().cast_signed();
        let accept = if once {
            opcode::Accept::new(fd(listener), ptr::null_mut(), ptr::null_mut()).flags(flags).build()
        } else {
            opcode::AcceptMulti::new(fd(listener)).flags(flags).build()
        };
        self.push(accept, Kind::Accept, NOBODY, counters)
    }

    /// Ends the accept.
    pub(super) fn cancel_accept(&mut self, counters: &Counters) -> io::Result<()> {
        let cancel = opcode::AsyncCancel::new(Kind::Accept.user_data(NOBODY)).build();
        self.push(cancel, Kind::Cancel, NOBODY, counters)
    }

    /// Receives from `socket` until that ends.
    pub(super) fn receive(&mut self, socket: impl AsFd, id: Id, counters: &Counters) -> io::Result<()> {
        let receive = opcode::RecvMulti::new(fd(&socket), GROUP).build();
        self.push(receive, Kind::Receive, id, counters)
    }

    /// Ends the receive of `id`.
    pub(super) fn cancel_receive(&mut self, id: Id, counters: &Counters) -> io::Result<()> {
        let cancel = opcode::AsyncCancel::new(Kind::Receive.user_data(id)).build();
        self.push(cancel, Kind::Cancel, NOBODY, counters)
    }

    /// Sends `payload` to `socket`. A connection sends one payload at a time, for two sends in
    /// flight on one socket may overtake each other (liburing #1001).
    ///
    /// Most sends find room at once. Such a one is over when `io_uring_enter` returns, and posts no completion
    /// (`IOSQE_CQE_SKIP_SUCCESS`): a completion would end the wait that follows before any request has come. A short
    /// send counts as a failure with `MSG_WAITALL`, and speaks up.
    pub(super) fn send(&mut self, socket: impl AsFd, id: Id, payload: Payload, counters: &Counters) -> io::Result<()> {
        self.silent.push(id);
        let flags = SendFlags::DONTWAIT.bits() | MSG_WAITALL;
        self.push_send(&socket, id, payload, Kind::SendSilent, (flags, squeue::Flags::SKIP_SUCCESS), counters)
    }

    /// Sends what a send that did not wait has left of its payload. The kernel goes on by itself after short sends,
    /// unless each is to be `reported`.
    pub(super) fn send_rest(
        &mut self,
        socket: impl AsFd,
        id: Id,
        payload: Payload,
        reported: bool,
        counters: &Counters,
    ) -> io::Result<()> {
        let send_flags = if reported { 0 } else { MSG_WAITALL };
        self.push_send(&socket, id, payload, Kind::SendWaiting, (send_flags, squeue::Flags::empty()), counters)
    }

    fn push_send(
        &mut self,
        socket: &impl AsFd,
        id: Id,
        payload: Payload,
        kind: Kind,
        (send_flags, entry_flags): (u32, squeue::Flags),
        counters: &Counters,
    ) -> io::Result<()> {
        let bytes = match &payload {
            Payload::Received(buffer, range) => &self.buffers.bytes(buffer)[range.clone()],
            Payload::Copied(bytes, range) => &bytes[range.clone()],
        };
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.lent.lend(id.key as usize, bytes);
        let flags = (send_flags | SendFlags::NOSIGNAL.bits()).cast_signed();
        let send = opcode::Send::new(fd(socket), bytes.as_ptr(), len).flags(flags).build().flags(entry_flags);
        let place = id.key as usize;
        if place >= self.sending.len() {
            self.sending.resize_with(place + 1, || None);
        }
        // Before it is replaced: the kernel may be reading what would be dropped.
        assert!(self.sending[place].is_none(), "connection {place} already sends");
        self.sending[place] = Some(Sending { payload, asked_bytes: len as usize, spoke: false });
        self.push(send, kind, id, counters)
    }

    /// Completes once `stop` becomes readable.
    pub(super) fn watch_stop(&mut self, stop: impl AsFd, counters: &Counters) -> io::Result<()> {
        let poll = opcode::PollAdd::new(fd(&stop), rustix::event::PollFlags::IN.bits().into()).build();
        self.push(poll, Kind::Stop, NOBODY, counters)
    }

    /// Whether there are sends whose success is known only after the next submission.
    pub(super) fn has_silent_sends(&self) -> bool {
        !self.silent.is_empty()
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
        self.lent.look();
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
            Kind::Accept => Completion::Accepted { result: result.map(|_| owned(entry.result())), last },
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

    fn received(&mut self, result: Result<u32, Errno>, buffer: Option<Buffer>) -> Result<Option<Buffer>, Errno> {
        match (result, buffer) {
            (Ok(1..), Some(buffer)) => Ok(Some(buffer)),
            (result, unused) => {
                // The end of the stream, or an error, may still have taken a buffer.
                if let Some(buffer) = unused {
                    self.buffers.recycle(buffer);
                }
                result.map(|_| None)
            }
        }
    }

    fn sent(&mut self, id: Id, result: Option<Result<u32, Errno>>) -> Completion {
        let Sending { payload, asked_bytes, .. } = self.sending[id.key as usize].take().expect("a send completes once");
        self.lent.take_back(id.key as usize);
        let result = match result {
            None => Ok(asked_bytes),
            Some(Ok(sent_bytes)) => Ok(sent_bytes as usize),
            // No room at once: nothing has gone out.
            Some(Err(Errno::AGAIN)) => Ok(0),
            Some(Err(error)) => Err(error),
        };
        Completion::Sent { id, result, payload }
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
        for entry in &self.entries {
            if let (Kind::SendSilent, id) = Kind::of(entry.user_data())
                && let Some(sending) = &mut self.sending[id.key as usize]
            {
                sending.spoke = true;
            }
        }
        let sending = &self.sending;
        let succeeded = |id: &Id| sending[id.key as usize].as_ref().is_some_and(|sending| !sending.spoke);
        self.succeeded.extend(self.silent.drain(..).filter(succeeded));
    }

    /// What was received into `buffer`.
    pub(super) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        self.buffers.bytes(buffer)
    }

    /// Gives a buffer back to the kernel.
    pub(super) fn recycle(&mut self, buffer: Buffer) {
        self.buffers.recycle(buffer);
    }

    /// Buffers that the kernel can receive into.
    pub(super) fn free_buffers(&self) -> u16 {
        self.buffers.free()
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
        // SAFETY: dropped here and nowhere else, after the ring, which also unregistered the buffers; nothing is
        // outstanding, so the kernel touches none of the memory any more.
        unsafe { ManuallyDrop::drop(&mut self.buffers) };
        // SAFETY: the same holds of what was being sent.
        unsafe { ManuallyDrop::drop(&mut self.sending) };
    }
}

fn fd(of: &impl AsFd) -> Fd {
    Fd(of.as_fd().as_raw_fd())
}

/// Takes over a descriptor that a completion names.
fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just installed it for this accept, and nobody else was told.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Tries every operation once, because the number of a kernel says little about what a vendor's kernel grants.
pub(super) fn probe() -> io::Result<Receipt> {
    let counters = Counters::new();
    let mut ring = Ring::new()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    ring.accept(&listener, false, &counters)?;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::io::write(&theirs, b"?")?;
    ring.receive(&ours, NOBODY, &counters)?;
    // More than a socket holds, so that it must come out as a short send.
    let unsent = vec![0; 16 * 1024 * 1024];
    let too_much = unsent.len();
    ring.send(&ours, NOBODY, Payload::Copied(unsent, 0..too_much), &counters)?;
    ring.wait(Some(Duration::from_secs(1)), &counters)?;
    let (mut received, mut sent_short) = (false, false);
    while let Some(completion) = ring.next() {
        match completion {
            Completion::Accepted { result: Err(error), .. } => {
                return Err(failed("multishot accept (Linux 5.19 or newer) is refused", error));
            }
            Completion::Received { result: Ok(Some(_)), last: false, .. } => received = true,
            Completion::Received { result, .. } => {
                let error = result.err().map_or(io::ErrorKind::Unsupported.into(), io::Error::from);
                return Err(failed("multishot receive (Linux 6.0 or newer) is refused", error));
            }
            Completion::Sent { result, .. } => {
                let sent_bytes = result.map_err(|error| failed("a send that does not wait is refused", error))?;
                // Kernels before 6.1 could say that nothing was sent when something was.
                sent_short = sent_bytes > 0 && sent_bytes == readable_bytes(&theirs)?;
            }
            _ => {}
        }
    }
    if !received || !sent_short {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a multishot receive or a short silent send (Linux 6.0 or newer) does not complete as documented",
        ));
    }
    Ok(ring.receipt())
}

/// Reads all that has arrived.
fn readable_bytes(socket: &OwnedFd) -> io::Result<usize> {
    let mut piece = vec![0; 64 * 1024];
    let mut sum_bytes = 0;
    loop {
        match recv(socket, &mut piece, RecvFlags::DONTWAIT) {
            Ok((_, bytes)) => sum_bytes += bytes,
            Err(Errno::AGAIN) => return Ok(sum_bytes),
            Err(error) => return Err(error.into()),
        }
    }
}
