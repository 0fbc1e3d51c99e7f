//! A set of descriptors that hands each, with what belongs to it, to one of the threads that wait for it.
//!
//! Registered with `EPOLLONESHOT`, a descriptor is reported once and then no more until it is armed again (epoll(7)).
//! So the set owns what waits in it, and gives it away with the report: no table is searched and no lock taken.

use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::kernel::failed;
use crate::refusal::refused;
use crate::stats::{Counters, Event, Syscall};
use crate::stop::Stop;

/// What each descriptor is armed with.
const ONE_SHOT: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ONESHOT);

/// A set with nothing in it, of which it is not yet said what it will hold.
pub(super) struct EmptySet {
    epoll: OwnedFd,
    end: Stop,
}

impl EmptySet {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|error| refused("epoll_create1", error))?;
        let end = Stop::new()?;
        epoll::add(&epoll, &end, EventData::new_ptr(ptr::null_mut()), EventFlags::IN)?;
        Ok(Self { epoll, end })
    }

    pub(super) fn holding<T: AsFd + Send>(self) -> OneShotSet<T> {
        OneShotSet { epoll: self.epoll, end: self.end, items: PhantomData }
    }
}

/// A set that owns what waits in it. What it still holds when it is dropped is leaked.
pub(super) struct OneShotSet<T> {
    epoll: OwnedFd,
    /// Watched as a null pointer, level-triggered, so that every thread sees it.
    end: Stop,
    items: PhantomData<fn(T) -> T>,
}

impl<T: AsFd + Send> OneShotSet<T> {
    /// Has `item`, whose descriptor is new to the set, wait until it can be received from.
    ///
    /// # Errors
    ///
    /// Gives it back where the kernel does not take it.
    pub(super) fn add(&self, item: Box<T>, counters: &Counters) -> Result<(), Box<T>> {
        hand_over(item, counters, |fd, data| epoll::add(&self.epoll, fd, data, ONE_SHOT))
    }

    /// Has `item`, which came from this set, wait again.
    ///
    /// # Errors
    ///
    /// Gives it back where the kernel does not take it.
    pub(super) fn rearm(&self, item: Box<T>, counters: &Counters) -> Result<(), Box<T>> {
        hand_over(item, counters, |fd, data| epoll::modify(&self.epoll, fd, data, ONE_SHOT))
    }

    /// Waits until an item can be received from; None once the end was requested.
    #[expect(unsafe_code)]
    pub(super) fn wait(&self, counters: &Counters) -> io::Result<Option<Box<T>>> {
        loop {
            // One at a time: a second one would wait behind the first, whose peer may take for ever.
            let mut room = [MaybeUninit::uninit(); 1];
            counters.syscall(Syscall::EpollPwait);
            let waited = epoll::wait(&self.epoll, &mut room, None);
            counters.event(Event::Wakeups);
            let item = match waited {
                Ok(([event, ..], _)) => event.data.ptr().cast::<T>(),
                Ok(_) | Err(Errno::INTR) => continue,
                Err(error) => return Err(failed("cannot wait", error)),
            };
            // SAFETY: but for the null pointer of the end, `hand_over` alone puts pointers into this set, whose only
            // other constructor is that of an empty one, and each is that of a box which nobody has any more. The
            // kernel reports it to one thread, once for each time that it is handed over, and its lock on the set
            // orders what that thread reads after what the other wrote. A descriptor that is closed is not armed.
            return Ok((!item.is_null()).then(|| unsafe { Box::from_raw(item) }));
        }
    }

    /// Has every thread come back from [`wait`](Self::wait), now and from now on.
    pub(super) fn end(&self) {
        self.end.request();
    }
}

#[expect(unsafe_code)]
fn hand_over<T: AsFd>(
    item: Box<T>,
    counters: &Counters,
    arm: impl FnOnce(BorrowedFd<'_>, EventData) -> rustix::io::Result<()>,
) -> Result<(), Box<T>> {
    let item = Box::into_raw(item);
    counters.syscall(Syscall::EpollCtl);
    // SAFETY: nobody else has the item before the kernel has armed it, and by then the kernel has found the file; the
    // number is not used after that.
    let armed = arm(unsafe { (*item).as_fd() }, EventData::new_ptr(item.cast()));
    // SAFETY: what the kernel did not arm it reports to nobody, so it is still ours alone.
    armed.map_err(|_| unsafe { Box::from_raw(item) })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::stats::Stats;

    const THREADS: usize = 4;
    const ITEMS: usize = 8;
    const ROUNDS: usize = 500;

    #[test]
    fn what_waits_is_handed_to_one_thread_at_a_time_and_never_lost() {
        let stats = Arc::new(Stats::default());
        let counters = stats.register();
        let set = EmptySet::new().unwrap().holding::<UnixStream>();
        let mut peers = Vec::new();
        for _ in 0..ITEMS {
            let (peer, ours) = UnixStream::pair().unwrap();
            set.add(Box::new(ours), &counters).unwrap();
            peers.push(peer);
        }
        let handed_out: usize = thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let counters = stats.register();
                        let mut handed_out = 0;
                        while let Some(mut item) = set.wait(&counters).unwrap() {
                            handed_out += 1;
                            let mut byte = [0];
                            if item.read(&mut byte).unwrap() == 1 {
                                item.write_all(&byte).unwrap();
                                set.rearm(item, &counters).unwrap();
                            }
                        }
                        handed_out
                    })
                })
                .collect();
            for round in 0..ROUNDS {
                let message = round.to_le_bytes()[..1].to_vec();
                for peer in &mut peers {
                    peer.write_all(&message).unwrap();
                }
                for peer in &mut peers {
                    let mut got = vec![0];
                    peer.read_exact(&mut got).unwrap();
                    assert_eq!(got, message);
                }
            }
            // A peer that goes away is reported once more; then its item is dropped, and not armed again.
            for mut peer in peers.drain(..) {
                peer.shutdown(std::net::Shutdown::Write).unwrap();
                assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the item was dropped");
            }
            set.end();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(handed_out, ITEMS * (ROUNDS + 1));
    }

    #[test]
    fn what_was_handed_out_is_not_reported_before_it_is_armed_again() {
        let counters = Arc::new(Stats::default()).register();
        let set = EmptySet::new().unwrap().holding::<UnixStream>();
        let (mut peer, ours) = UnixStream::pair().unwrap();
        peer.write_all(b"?").unwrap();
        set.add(Box::new(ours), &counters).unwrap();
        let held = set.wait(&counters).unwrap();
        peer.write_all(b"?").unwrap();
        drop(peer);
        set.end();
        assert!(set.wait(&counters).unwrap().is_none(), "one item, twice");
        drop(held);
    }

    #[test]
    fn what_the_kernel_does_not_take_is_given_back() {
        let counters = Arc::new(Stats::default()).register();
        let set = EmptySet::new().unwrap().holding::<UnixStream>();
        let (mut peer, ours) = UnixStream::pair().unwrap();
        let never_added = set.rearm(Box::new(ours), &counters).unwrap_err();
        set.add(never_added, &counters).unwrap();
        peer.write_all(b"x").unwrap();
        // Taken out again: what the set holds in the end is leaked.
        assert!(set.wait(&counters).unwrap().is_some());
        set.end();
        assert!(set.wait(&counters).unwrap().is_none());
    }
}
