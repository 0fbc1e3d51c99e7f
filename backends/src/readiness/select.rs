//! `select`: two bit sets, indexed by descriptor, are handed to the kernel at every wait.
//!
//! The well-known limit of 1024 is `FD_SETSIZE` of the C library. The kernel reads as many bits as `nfds` says, so
//! sets that grow with the highest descriptor have no such limit; their cost follows that descriptor.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::{FdSetElement, FdSetIter, fd_set_bound, fd_set_insert, fd_set_num_elements, fd_set_remove};
use rustix::io::Errno;

use super::{EventLoop, Interest, Readiness, Token};
use crate::backend::{Backend, BackendInfo, IoModel, Isolation, Receipt, ServeJob, Threading, Unavailable, Waiting};
use crate::kernel::timespec;
use crate::stats::{Counters, ServeReport, Syscall};
use crate::stop::Stop;
use crate::workers;

pub(crate) struct SelectBackend;

impl Backend for SelectBackend {
    fn info(&self) -> &'static BackendInfo {
        &BackendInfo {
            name: "select",
            is_main: true,
            summary: "one event loop over select",
            use_when: "a few descriptors, on systems that have nothing else",
            avoid_when: "many connections: every wait costs the highest descriptor, ready or not",
            model: IoModel::Readiness,
            threading: Threading::LoopPerThread,
            waiting: Waiting::Sleeps,
            isolation: Isolation::Full,
        }
    }

    fn probe(&self) -> Result<Receipt, Unavailable> {
        super::probe::<Select>()
    }

    fn serve(&self, job: ServeJob<'_>, stop: &Stop) -> io::Result<ServeReport> {
        workers::serve::<EventLoop<'_, Select>>(self.info().threading, &job, stop)
    }
}

pub(crate) struct Select {
    read: FdSet,
    write: FdSet,
    /// How a descriptor is watched, by descriptor; stale for those that are not.
    watched: Vec<(Token, Interest)>,
}

impl Readiness for Select {
    type Hit = Token;

    fn new() -> io::Result<Self> {
        Ok(Self { read: FdSet::default(), write: FdSet::default(), watched: Vec::new() })
    }

    fn receipt(&self) -> Receipt {
        Receipt::new().text("interface", "pselect6").text("trigger", "level").text("descriptor_limit", "none")
    }

    fn add(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest, counters: &Counters) -> io::Result<()> {
        let index = index(fd.as_raw_fd());
        if index >= self.watched.len() {
            self.watched.resize(index + 1, (token, Interest::None));
        }
        self.watched[index] = (token, Interest::None);
        self.modify(fd, token, interest, counters)
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, _: Token, interest: Interest, _: &Counters) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        match mem::replace(&mut self.watched[index(fd)].1, interest) {
            Interest::Read => self.read.remove(fd),
            Interest::Write => self.write.remove(fd),
            Interest::None => {}
        }
        match interest {
            Interest::Read => self.read.insert(fd),
            Interest::Write => self.write.insert(fd),
            Interest::None => {}
        }
        Ok(())
    }

    fn remove(&mut self, fd: BorrowedFd<'_>, token: Token, counters: &Counters) -> io::Result<()> {
        self.modify(fd, token, Interest::None, counters)
    }

    #[expect(unsafe_code)]
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Token>, counters: &Counters) -> io::Result<()> {
        let timeout = timeout.map(timespec);
        let nfds = self.read.bound().max(self.write.bound());
        let read = self.read.question(nfds);
        // The kernel walks every set that it is given, so an empty one is not given.
        let write = if self.write.members > 0 { Some(self.write.question(nfds)) } else { None };
        counters.syscall(Syscall::Pselect6);
        // SAFETY: every bit is an open descriptor, for `Readiness::add` demands that callers remove before they close.
        match unsafe { rustix::event::select(nfds, Some(read), write, None, timeout.as_ref()) } {
            // After an error the sets hold no answer.
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let written: &[FdSetElement] = if self.write.members > 0 { &self.write.answer } else { &[] };
        for fd in FdSetIter::new(&self.read.answer).chain(FdSetIter::new(written)) {
            ready.push(self.watched[index(fd)].0);
        }
        Ok(())
    }
}

/// A set of descriptors, and the copy of it that the kernel overwrites with its answer.
#[derive(Default)]
struct FdSet {
    set: Vec<FdSetElement>,
    answer: Vec<FdSetElement>,
    members: usize,
}

impl FdSet {
    /// Adds `fd`, which is not a member.
    fn insert(&mut self, fd: RawFd) {
        let words = fd_set_num_elements(0, fd + 1);
        if words > self.set.len() {
            self.set.resize(words, FdSetElement::default());
        }
        fd_set_insert(&mut self.set, fd);
        self.members += 1;
    }

    /// Removes `fd`, which is a member.
    fn remove(&mut self, fd: RawFd) {
        fd_set_remove(&mut self.set, fd);
        self.members -= 1;
    }

    /// One more than the highest member, 0 for the empty set.
    fn bound(&self) -> RawFd {
        if self.members > 0 { fd_set_bound(&self.set) } else { 0 }
    }

    /// A copy of the set, with a bit for every descriptor below `nfds`.
    fn question(&mut self, nfds: RawFd) -> &mut [FdSetElement] {
        let words = fd_set_num_elements(0, nfds);
        self.answer.clear();
        self.answer.extend(self.set.iter().take(words));
        self.answer.resize(words, FdSetElement::default());
        &mut self.answer
    }
}

#[expect(clippy::cast_sign_loss)] // Descriptors are never negative.
fn index(fd: RawFd) -> usize {
    fd as usize
}
