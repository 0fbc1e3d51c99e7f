//! Waking at an exact time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use backends::refusal::refused;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::clock::{Clock, to_timespec};

/// A descriptor that becomes readable at a time that was asked for.
///
/// The timeouts of `epoll_pwait` are whole milliseconds and come late by the thread's timer slack; a timerfd knows
/// neither. Wait for it edge-triggered: it is then never read.
#[derive(Debug)]
pub(super) struct Timer {
    fd: OwnedFd,
    /// Of the kernel's monotonic clock.
    armed_for_ns: Option<u64>,
}

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)
            .map_err(|error| refused("timerfd_create", error))?;
        Ok(Self { fd, armed_for_ns: None })
    }

    /// Asks to be woken at `at_ns`, at once if that has passed, and not at the time asked for before.
    pub(super) fn wake_at(&mut self, clock: Clock, at_ns: u64) -> io::Result<()> {
        let monotonic_ns = clock.monotonic_ns(at_ns);
        if self.armed_for_ns != Some(monotonic_ns) {
            let once = Itimerspec { it_interval: Timespec::default(), it_value: to_timespec(monotonic_ns) };
            timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &once)
                .map_err(|error| refused("timerfd_settime", error))?;
            self.armed_for_ns = Some(monotonic_ns);
        }
        Ok(())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
