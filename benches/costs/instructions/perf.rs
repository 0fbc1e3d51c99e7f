//! Counted by the processor, through `perf_event_open`.

use std::hint::black_box;
use std::io;

use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

use super::NotCounted;
use crate::table::Cost;

/// Of a loop that takes at least an instruction each.
const ROUNDS: u64 = 1000;

/// Whether the kernel lets us ask, and the processor counts: in virtual machines it often does not, or counts nothing.
pub(super) fn is_there() -> bool {
    let counts = |counter: &mut Counter| {
        counter.enable()?;
        (0..ROUNDS).for_each(|round| _ = black_box(round));
        counter.disable()?;
        Ok::<_, io::Error>(counter.read()? >= ROUNDS)
    };
    counter().and_then(|mut counter| counts(&mut counter)).unwrap_or(false)
}

/// For n times and for 2 n times.
pub(super) fn instructions(cost: &Cost) -> Result<[u64; 2], NotCounted> {
    let mut counter = counter().map_err(refused)?;
    // What is done for the first time only is not to be in the difference.
    (cost.run)(1);
    Ok([counted(&mut counter, cost, cost.times)?, counted(&mut counter, cost, 2 * cost.times)?])
}

/// Of this thread, in user space.
fn counter() -> io::Result<Counter> {
    Builder::new().kind(Hardware::INSTRUCTIONS).build()
}

fn counted(counter: &mut Counter, cost: &Cost, times: u64) -> Result<u64, NotCounted> {
    counter.reset().and_then(|()| counter.enable()).map_err(refused)?;
    (cost.run)(times);
    counter.disable().map_err(refused)?;
    let read = counter.read_count_and_time().map_err(refused)?;
    if read.time_running == read.time_enabled {
        Ok(read.count)
    } else {
        Err(NotCounted("others use the processor's counters, which counted only now and then".into()))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
fn refused(error: io::Error) -> NotCounted {
    NotCounted(format!("the kernel refuses to count: {error}"))
}
