//! What is done with which frame, and when.

use std::str::FromStr;
use std::time::Duration;

use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// What the server does besides echoing.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    pub(crate) fixed: Duration,
    pub(crate) mix: Option<Mix>,
    /// How long, and how often.
    pub(crate) stop: Option<(Duration, Duration)>,
    pub(crate) spin: Duration,
    /// From when on to burn how much instead.
    pub(crate) then: Option<(Duration, Duration)>,
    pub(crate) mangle: Option<u64>,
    pub(crate) reset: Option<u64>,
    pub(crate) mute: Option<u64>,
    pub(crate) frame_bytes: Option<usize>,
}

/// Two times, and how many frames there are to one of the long one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    short: Duration,
    long: Duration,
    period: u64,
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let &[short, long, period] = parts.as_slice() else { return Err("expected SHORT:LONG:N".to_owned()) };
        let duration = |text| humantime::parse_duration(text).map_err(|error| format!("{text}: {error}"));
        let period = period.parse().ok().filter(|&period| period > 0).ok_or("N is to be a number above 0")?;
        Ok(Self { short: duration(short)?, long: duration(long)?, period })
    }
}

impl Behaviour {
    /// Lets pass what the frame with this number, which was read at `read_ns`, has to wait.
    pub(crate) fn wait(&self, frame: u64, read_ns: u64, began_ns: u64) {
        let delay = match self.mix {
            Some(mix) if is_nth(frame, Some(mix.period)) => mix.long,
            Some(mix) => mix.short,
            None => self.fixed,
        };
        let due_ns = self.after_stop_ns(read_ns + ns(delay), began_ns);
        if due_ns > read_ns {
            sleep_until(due_ns);
        }
        let spin = self.then.filter(|&(after, _)| read_ns >= began_ns + ns(after)).map_or(self.spin, |(_, spin)| spin);
        if !spin.is_zero() {
            let end_ns = now_ns() + ns(spin);
            while now_ns() < end_ns {}
        }
    }

    /// Stops are the last part of each period, counted from the beginning.
    fn after_stop_ns(&self, at_ns: u64, began_ns: u64) -> u64 {
        let Some((stop, every)) = self.stop else { return at_ns };
        let phase_ns = (at_ns - began_ns) % ns(every).max(1);
        if phase_ns >= ns(every).saturating_sub(ns(stop)) { at_ns - phase_ns + ns(every) } else { at_ns }
    }
}

/// Whether `number`, counted from 0, is an `n`-th one.
pub(crate) fn is_nth(number: u64, n: Option<u64>) -> bool {
    n.is_some_and(|n| (number + 1).is_multiple_of(n.max(1)))
}

pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

fn sleep_until(at_ns: u64) {
    let at = Timespec { tv_sec: (at_ns / 1_000_000_000).cast_signed(), tv_nsec: (at_ns % 1_000_000_000).cast_signed() };
    while clock_nanosleep_absolute(ClockId::Monotonic, &at).is_err() {}
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}
