//! Single system calls.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use backends::refusal::refused;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::process::getppid;

use super::price::{BATCH, repeat};
use super::{FloorError, Round};

/// Enters the kernel and leaves it: `getppid`, which nobody answers from a cache.
pub(super) fn system_call(slice: Duration) -> Result<Round, FloorError> {
    repeat(slice, BATCH, || {
        for _ in 0..BATCH {
            std::hint::black_box(getppid());
        }
        Ok(())
    })
}

/// An epoll set in which one descriptor is always ready.
#[derive(Debug)]
pub(super) struct Ready {
    set: OwnedFd,
    /// Has a count that nobody reads.
    _ready: OwnedFd,
}

impl Ready {
    pub(super) fn open() -> Result<Self, FloorError> {
        let open = || {
            let set = epoll::create(CreateFlags::CLOEXEC).map_err(|error| refused("epoll_create1", error))?;
            let ready = eventfd(1, EventfdFlags::CLOEXEC).map_err(|error| refused("eventfd2", error))?;
            epoll::add(&set, &ready, EventData::new_u64(0), EventFlags::IN)?;
            Ok::<_, std::io::Error>(Self { set, _ready: ready })
        };
        open().map_err(FloorError::kernel("open an epoll set"))
    }

    /// Waits for what has happened already.
    pub(super) fn wait(&self, slice: Duration) -> Result<Round, FloorError> {
        const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut events = [MaybeUninit::<Event>::uninit(); 1];
        repeat(slice, BATCH, || {
            for _ in 0..BATCH {
                let (events, _) = epoll::wait(&self.set, &mut events, Some(&NO_TIME))
                    .map_err(|error| refused("epoll_pwait", error))
                    .map_err(FloorError::kernel("wait with epoll"))?;
                debug_assert_eq!(events.len(), 1, "it is always ready");
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_made_and_counted() {
        for round in [system_call(Duration::ZERO), Ready::open().unwrap().wait(Duration::ZERO)] {
            let round = round.unwrap();
            assert!(round.calls == u64::from(BATCH) && round.ns > 0.0, "{round:?}");
        }
    }
}
