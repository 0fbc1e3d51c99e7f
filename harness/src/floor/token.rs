//! A token that two threads hand each other through eventfds, each blocking until it comes.
//!
//! On one CPU a hand-over is a switch from one thread to the other; on two it is a wake-up of the other CPU, which may have
//! gone to sleep meanwhile. What handing it costs without either is measured on one thread that hands it to itself, as
//! lmbench does (`lat_ctx`).

use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use backends::refusal::refused;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

use super::clock::thread_cpu;
use super::price::{BATCH, repeat};
use super::{FloorError, Round};
use crate::cpus::{self, CpuSet};

/// Trips between two looks at the clock.
const TRIPS: u32 = 8;
/// Ends whoever reads it. Far more than the count of tokens under way, which is one.
const END: u64 = 1 << 32;

/// One write and one read, by one thread: what handing a token over costs where nobody has to be woken for it.
pub(super) fn to_itself(slice: Duration) -> Result<Round, FloorError> {
    let token = Place::open()?;
    repeat(slice, BATCH, || {
        for _ in 0..BATCH {
            token.put(1)?;
            token.take()?;
        }
        Ok(())
    })
}

/// CPU time of both threads for one hand-over from one to the other, on the CPU that the calling thread is kept to.
pub(super) fn to_another(slice: Duration, cpu: usize) -> Result<Round, FloorError> {
    let trips = trips(slice, cpu)?;
    Ok(trips.round(trips.cpu))
}

/// Half of the time in which the token goes to a thread on `cpu` and comes back.
pub(super) fn to_another_cpu(slice: Duration, cpu: usize) -> Result<Round, FloorError> {
    let trips = trips(slice, cpu)?;
    Ok(trips.round(trips.elapsed))
}

/// What came of a thread's handing the token to another, and getting it back.
struct Trips {
    count: u64,
    elapsed: Duration,
    /// Of both threads.
    cpu: Duration,
}

impl Trips {
    /// There are two ways in each.
    fn round(&self, time: Duration) -> Round {
        let calls = 2 * self.count;
        Round { ns: time.as_secs_f64() * 1e9 / calls as f64, calls }
    }
}

fn trips(slice: Duration, cpu: usize) -> Result<Trips, FloorError> {
    let (here, there) = (Place::open()?, Place::open()?);
    thread::scope(|scope| {
        let other = thread::Builder::new().name("floor-token".to_owned()).spawn_scoped(scope, || {
            let _end = End(&here);
            cpus::pin(&CpuSet::from_iter([cpu]))?;
            give_back(&there, &here)
        });
        let other = other.map_err(FloorError::start)?;
        let trips = {
            let _end = End(&there);
            send_out(slice, &there, &here)
        };
        let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let trips = trips?.ok_or(FloorError::Stuck)?;
        Ok(Trips { cpu: trips.cpu + other, ..trips })
    })
}

/// None where the other thread has ended, which has the reason.
fn send_out(slice: Duration, there: &Place, here: &Place) -> Result<Option<Trips>, FloorError> {
    let trip = || {
        there.put(1)?;
        here.take().map(|token| token < END)
    };
    // The first waits until the other thread has started.
    if !trip()? {
        return Ok(None);
    }
    let (start, cpu) = (Instant::now(), thread_cpu());
    let mut count = 0;
    loop {
        for _ in 0..TRIPS {
            if !trip()? {
                return Ok(None);
            }
        }
        count += u64::from(TRIPS);
        if start.elapsed() >= slice {
            return Ok(Some(Trips { count, elapsed: start.elapsed(), cpu: thread_cpu().saturating_sub(cpu) }));
        }
    }
}

/// The CPU time that it took, from the first token on.
fn give_back(there: &Place, here: &Place) -> Result<Duration, FloorError> {
    let mut start = None;
    while there.take()? < END {
        start.get_or_insert_with(thread_cpu);
        here.put(1)?;
    }
    Ok(start.map_or(Duration::ZERO, |start| thread_cpu().saturating_sub(start)))
}

/// Where a token lies until somebody takes it.
#[derive(Debug)]
struct Place(OwnedFd);

impl Place {
    fn open() -> Result<Self, FloorError> {
        eventfd(0, EventfdFlags::CLOEXEC)
            .map(Self)
            .map_err(|error| refused("eventfd2", error))
            .map_err(FloorError::kernel("open an eventfd"))
    }

    fn put(&self, token: u64) -> Result<(), FloorError> {
        write(&self.0, &token.to_ne_bytes()).map(drop).map_err(FloorError::kernel("write to an eventfd"))
    }

    /// Waits until there is one.
    fn take(&self) -> Result<u64, FloorError> {
        let mut token = [0; 8];
        read(&self.0, &mut token).map_err(FloorError::kernel("read from an eventfd"))?;
        Ok(u64::from_ne_bytes(token))
    }
}

/// Sees to it that nobody waits for a thread that has ended, however it did.
struct End<'a>(&'a Place);

impl Drop for End<'_> {
    fn drop(&mut self) {
        // Refused where a counter would run over only, and that is far away.
        let _ = self.0.put(END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs on a thread of its own that is kept to the first CPU there is.
    fn pinned<T: Send>(work: impl FnOnce(usize) -> T + Send) -> T {
        let cpu = cpus::cores().unwrap()[0].iter().next().unwrap();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                cpus::pin(&CpuSet::from_iter([cpu])).unwrap();
                work(cpu)
            });
            thread.join().unwrap()
        })
    }

    #[test]
    fn the_token_comes_back_every_time() {
        pinned(|cpu| {
            assert_eq!(to_itself(Duration::ZERO).unwrap().calls, 100);
            let switched = to_another(Duration::ZERO, cpu).unwrap();
            assert!(switched.calls == 16 && switched.ns > 0.0, "{switched:?}");
            let woken = to_another_cpu(Duration::ZERO, cpu).unwrap();
            assert!(woken.calls == 16 && woken.ns > 0.0, "{woken:?}");
        });
    }

    #[test]
    fn a_cpu_that_is_not_to_be_had_is_an_error_and_nobody_waits() {
        let error = to_another_cpu(Duration::MAX, 1023).unwrap_err();
        assert!(error.to_string().contains("may not use CPU 1023"), "{error}");
    }

    #[test]
    fn threads_that_take_turns_on_one_cpu_switch_each_time() {
        let switches = || {
            let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).unwrap();
            usage.voluntary_context_switches() + usage.involuntary_context_switches()
        };
        pinned(|cpu| {
            let before = switches();
            let handed = to_another(Duration::ZERO, cpu).unwrap().calls;
            // Each that this thread hands over makes room for the other one.
            assert!(u64::try_from(switches() - before).unwrap() >= handed / 2);
        });
    }
}
