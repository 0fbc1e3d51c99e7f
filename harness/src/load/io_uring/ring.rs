//! A ring over the sockets of one thread that can be used without `unsafe`.
//!
//! Invariants:
//! - What is sent is borrowed for as long as the ring lives, and the kernel reads it only while it is entered: no send
//!   waits for room (`MSG_DONTWAIT`), so each is over when the call that submits it returns.
//! - Buffers that are received into are owned by the ring, and dropped when it is closed and every receive has seen its
//!   last completion (`outstanding`).
//! - When a call returns, the kernel has taken all that was submitted: what is pushed next comes after it.
#![expect(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use backends::io_uring::{
    Buffer, BufferRing, GROUP, MSG_WAITALL, SETTLE_PATIENCE, SETTLE_WAIT, Shape, granted, until_nothing_is_left,
};
use io_uring::types::{CancelBuilder, Fixed, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Submitter, cqueue, opcode, squeue};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::load::clock::Clock;

/// Entries of the submission queue: more than a batch of sends needs, and not more than stay in the L1 cache.
const SUBMISSIONS: u16 = 64;

/// How long the kernel may refuse to take what is submitted, before the run is given up.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(1);

/// A ring, its sockets and its buffers. Sockets go by their number.
pub(super) struct Ring<'bytes> {
    /// Dropped by hand, before the buffers.
    uring: ManuallyDrop<IoUring>,
    buffers: ManuallyDrop<BufferRing>,
    /// A wait can end at a time of the clock (Linux 6.12), and not only after a time.
    ends_on_time: bool,
    /// Operations that wait for something, and whose last completion was not seen yet.
    outstanding: usize,
    received: Vec<Received>,
    /// The first of those that were not handed out.
    next_received: usize,
    others: Vec<Other>,
    sent: PhantomData<&'bytes [u8]>,
    /// Calls that submit or wait.
    #[cfg(test)]
    pub(super) enters: u64,
}

/// What came of a receive.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) socket: usize,
    /// What came in, `None` at the end of the stream.
    pub(super) result: Result<Option<Buffer>, Errno>,
    /// The receive has ended.
    pub(super) last: bool,
}

/// What came of anything else.
#[derive(Clone, Copy, Debug)]
pub(super) enum Other {
    /// Not all of what was to be sent was, only that many bytes.
    SentShort { socket: usize, result: Result<usize, Errno> },
    /// There is room in the buffer of the socket again, or it has broken.
    Room { socket: usize },
}

/// The kind of an operation: the top byte of its user data. The socket is the rest; none takes the place of another
/// while the ring lives, so that it needs no generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Receive = 1,
    Send,
    Room,
}

impl Kind {
    fn user_data(self, socket: usize) -> u64 {
        u64::from(self as u8) << 56 | socket as u64
    }

    /// The inverse.
    fn of(user_data: u64) -> (Kind, usize) {
        let kind = match user_data >> 56 {
            1 => Kind::Receive,
            2 => Kind::Send,
            3 => Kind::Room,
            other => unreachable!("the kernel invented operation kind {other}"),
        };
        (kind, (user_data & 0xFFFF_FFFF) as usize)
    }
}

impl<'bytes> Ring<'bytes> {
    /// A ring over `sockets`, to be used on the calling thread alone. They are registered with it, which saves the
    /// kernel looking them up for each operation.
    pub(super) fn new(sockets: &[OwnedFd], shape: Shape) -> io::Result<Self> {
        // Each socket has at most a receive that ends and a wait that ends, beside what stands in buffers and the sends
        // of one submission: the queue cannot run over, as far as the kernel lets it be that long.
        let completions = usize::from(shape.buffers) + 2 * sockets.len() + usize::from(SUBMISSIONS);
        let completions = u32::try_from(completions).unwrap_or(u32::MAX / 2);
        let uring = granted(SUBMISSIONS.into(), completions)?.ring;
        let fds: Vec<_> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
        uring.submitter().register_files(&fds)?;
        // SAFETY: dropped after the ring, which is closed when no receive is outstanding: see `drop`.
        let buffers = unsafe { BufferRing::register(&uring.submitter(), shape)? };
        let ends_on_time = waits_end_on_time(&uring.submitter());
        Ok(Self {
            ends_on_time,
            uring: ManuallyDrop::new(uring),
            buffers: ManuallyDrop::new(buffers),
            outstanding: 0,
            received: Vec::with_capacity(shape.buffers.into()),
            next_received: 0,
            others: Vec::new(),
            sent: PhantomData,
            #[cfg(test)]
            enters: 0,
        })
    }

    /// Receives from a socket until that ends.
    pub(super) fn receive(&mut self, socket: usize) -> io::Result<()> {
        self.outstanding += 1;
        self.push(&opcode::RecvMulti::new(fixed(socket), GROUP).build(), Kind::Receive, socket)
    }

    /// Sends as many of the `bytes` as there is room for. It says something only where that is not all of them, in the
    /// completions that are there after the next submission; until then nothing else may be sent on that socket.
    ///
    /// A completion for each that went out would end the wait that follows before any answer has come. A short send
    /// counts as a failure with `MSG_WAITALL`, and speaks up.
    pub(super) fn send(&mut self, socket: usize, bytes: &'bytes [u8]) -> io::Result<()> {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let flags = SendFlags::DONTWAIT.bits() | SendFlags::NOSIGNAL.bits() | MSG_WAITALL;
        let send = opcode::Send::new(fixed(socket), bytes.as_ptr(), len).flags(flags.cast_signed()).build();
        self.push(&send.flags(squeue::Flags::SKIP_SUCCESS), Kind::Send, socket)
    }

    /// Says so once when there is room in the buffer of a socket.
    pub(super) fn await_room(&mut self, socket: usize) -> io::Result<()> {
        self.outstanding += 1;
        self.push(&opcode::PollAdd::new(fixed(socket), PollFlags::OUT.bits().into()).build(), Kind::Room, socket)
    }

    /// Submits everything, and says whether there was anything. A receive that was started before completes only in a
    /// wait.
    pub(super) fn submit(&mut self) -> io::Result<bool> {
        let is_any = self.queued() > 0;
        if is_any {
            self.buffers.publish();
            self.entered(self.uring.submit())?;
        }
        Ok(is_any)
    }

    /// Submits everything and waits for a completion, a signal, or until `timeout` has passed; not at all where there is
    /// a completion that was not handed out yet.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        if self.has_news() {
            return self.submit().map(drop);
        }
        let timeout = Timespec::from(timeout);
        self.buffers.publish();
        self.entered(self.uring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout)))
    }

    /// Like [`wait`](Self::wait), until it is `at_ns`.
    ///
    /// A timeout counts from when everything is submitted, by which time it would be too long. Where the kernel knows
    /// no other, everything is submitted before it is worked out.
    pub(super) fn wait_until(&mut self, clock: Clock, at_ns: u64) -> io::Result<()> {
        if !self.ends_on_time {
            self.submit()?;
            return self.wait(Duration::from_nanos(at_ns.saturating_sub(clock.now_ns())));
        }
        if self.has_news() {
            return self.submit().map(drop);
        }
        let queued = self.queued();
        let at = clock.to_monotonic(at_ns);
        #[expect(clippy::cast_possible_truncation, reason = "less than a second")]
        let at = Timespec::new().sec(at.tv_sec.cast_unsigned()).nsec(at.tv_nsec.cast_unsigned() as u32);
        let args = SubmitArgs::new().timespec(&at);
        let flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG | EnterFlags::ABS_TIMER;
        self.buffers.publish();
        // SAFETY: the arguments are those that `EXT_ARG` announces, and live until the call is over.
        self.entered(unsafe { self.uring.submitter().enter(queued, 1, flags.bits(), Some(&args)) })
    }

    /// There are completions that were not handed out yet.
    fn has_news(&self) -> bool {
        self.waiting() > 0 || !self.others.is_empty()
    }

    /// Operations that were not submitted yet.
    #[expect(clippy::cast_possible_truncation, reason = "at most SUBMISSIONS")]
    fn queued(&mut self) -> u32 {
        self.uring.submission().len() as u32
    }

    /// To be told the outcome of each call that submits or waits.
    fn entered(&mut self, outcome: io::Result<usize>) -> io::Result<()> {
        #[cfg(test)]
        {
            self.enters += 1;
        }
        taken(outcome)?;
        self.collect();
        if self.queued() == 0 {
            return Ok(());
        }
        // A part was taken, or nothing: memory is short, or completions are in the way until they are collected.
        until_nothing_is_left(SUBMIT_PATIENCE, || {
            thread::yield_now();
            taken(self.uring.submit())?;
            self.collect();
            Ok(self.queued() as usize)
        })
    }

    /// Takes over what has completed.
    fn collect(&mut self) {
        if self.next_received == self.received.len() {
            self.received.clear();
            self.next_received = 0;
        }
        for entry in self.uring.completion() {
            let (kind, socket) = Kind::of(entry.user_data());
            // Looked at on every completion of a receive: it can be missing on one that carries data.
            let last = !cqueue::more(entry.flags());
            if last && kind != Kind::Send {
                self.outstanding -= 1;
            }
            let result = match u32::try_from(entry.result()) {
                Ok(result) => Ok(result),
                Err(_) => Err(Errno::from_raw_os_error(-entry.result())),
            };
            match kind {
                Kind::Receive => {
                    let buffer = cqueue::buffer_select(entry.flags()).map(|number| {
                        // SAFETY: the kernel names a buffer in the one completion that hands it out.
                        unsafe { self.buffers.take(number, result.unwrap_or(0)) }
                    });
                    let result = match (result, buffer) {
                        (Ok(1..), Some(buffer)) => Ok(Some(buffer)),
                        (result, unused) => {
                            // The end of the stream, or an error, may still have taken a buffer.
                            if let Some(buffer) = unused {
                                self.buffers.recycle(buffer);
                            }
                            result.map(|_| None)
                        }
                    };
                    self.received.push(Received { socket, result, last });
                }
                Kind::Send => {
                    let result = match result {
                        // No room at once: nothing has gone out.
                        Err(Errno::AGAIN) => Ok(0),
                        result => result.map(|sent_bytes| sent_bytes as usize),
                    };
                    self.others.push(Other::SentShort { socket, result });
                }
                Kind::Room => self.others.push(Other::Room { socket }),
            }
        }
    }

    /// Completions of receives that were not handed out yet.
    pub(super) fn waiting(&self) -> usize {
        self.received.len() - self.next_received
    }

    /// What came of a receive, in order.
    pub(super) fn next_received(&mut self) -> Option<Received> {
        let received = self.received.get_mut(self.next_received)?;
        self.next_received += 1;
        let result = std::mem::replace(&mut received.result, Ok(None));
        Some(Received { result, ..*received })
    }

    /// What came of anything else, in no order.
    pub(super) fn next_other(&mut self) -> Option<Other> {
        self.others.pop()
    }

    /// What was received into `buffer`.
    pub(super) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        self.buffers.bytes(buffer)
    }

    /// Gives a buffer back to the kernel, from the next wait on.
    pub(super) fn recycle(&mut self, buffer: Buffer) {
        self.buffers.recycle(buffer);
    }

    /// Buffers that can be received into.
    pub(super) fn free_buffers(&self) -> u16 {
        self.buffers.free()
    }

    fn push(&mut self, entry: &squeue::Entry, kind: Kind, socket: usize) -> io::Result<()> {
        let entry = entry.clone().user_data(kind.user_data(socket));
        // SAFETY: what a send points to lives longer than the ring, and a receive points to nothing: it takes a
        // buffer of the ring. A socket that is not there would be a mistake, but not one of memory.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.submit()?;
        }
        Ok(())
    }

    /// Cancels everything, waits for the last completion of each operation, and lets go of the sockets. False when the
    /// kernel does not answer.
    pub(super) fn settle(&mut self) -> bool {
        let settled = until_nothing_is_left(SETTLE_PATIENCE, || {
            self.forget_completions();
            if self.outstanding > 0 {
                // Says "not found" where all that is left has completed already. Bounded, like the wait.
                let wait = Timespec::from(SETTLE_WAIT);
                let _ = self.uring.submitter().register_sync_cancel(Some(wait), CancelBuilder::any());
                self.wait(SETTLE_WAIT)?;
            }
            Ok(self.outstanding)
        });
        self.forget_completions();
        // Or sockets would stay open with the ring. Fails only where it was done already.
        let _ = self.uring.submitter().unregister_files();
        settled.is_ok()
    }

    fn forget_completions(&mut self) {
        self.received.clear();
        self.next_received = 0;
        self.others.clear();
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        let settled = self.settle();
        // SAFETY: dropped here and nowhere else. Nothing of ours lies in it.
        unsafe { ManuallyDrop::drop(&mut self.uring) };
        if settled {
            // SAFETY: dropped here and nowhere else, after the ring; nothing is outstanding, so the kernel does not touch
            // them any more. Otherwise they are leaked, for it may still write there.
            unsafe { ManuallyDrop::drop(&mut self.buffers) };
        }
    }
}

/// What a call that submits came to, where that is not a failure.
fn taken(outcome: io::Result<usize>) -> io::Result<()> {
    match outcome.map_err(|error| (error.raw_os_error().map(Errno::from_raw_os_error), error)) {
        // EBUSY: completions wait outside a full queue; they move in as it is emptied.
        Ok(_) | Err((Some(Errno::TIME | Errno::INTR | Errno::BUSY | Errno::AGAIN), _)) => Ok(()),
        Err((_, error)) => Err(error),
    }
}

/// Whether the kernel knows waits that end at a time of the clock. One that does not refuses the flag.
fn waits_end_on_time(submitter: &Submitter<'_>) -> bool {
    let long_ago = Timespec::new().nsec(1);
    let flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG | EnterFlags::ABS_TIMER;
    // SAFETY: the arguments are those that `EXT_ARG` announces, and live until the call is over; nothing is submitted and
    // nothing is waited for.
    unsafe { submitter.enter(0, 0, flags.bits(), Some(&SubmitArgs::new().timespec(&long_ago))) }.is_ok()
}

#[expect(clippy::cast_possible_truncation, reason = "a process has fewer descriptors than that")]
fn fixed(socket: usize) -> Fixed {
    Fixed(socket as u32)
}
