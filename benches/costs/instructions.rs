//! Instructions of user space that a cost takes.
//!
//! A cost is done *n* times and 2 *n* times, and the difference is what *n* of them take: all that comes before and after is
//! the same both times.

mod callgrind;
mod perf;

use std::fmt;

use crate::table::Cost;

pub(crate) use callgrind::ONE_COST;

/// How instructions are counted on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the processor.
    Perf,
    /// By valgrind, which carries out each of them itself.
    Callgrind,
}

/// Why there is no count.
#[derive(Debug)]
pub(crate) struct NotCounted(String);

impl fmt::Display for NotCounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Way {
    /// The processor, if it is allowed to be asked; it is quicker.
    pub(crate) fn of_this_machine() -> Self {
        if perf::is_there() { Self::Perf } else { Self::Callgrind }
    }

    /// For people and for scripts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Perf => "perf_event_open",
            Self::Callgrind => "callgrind",
        }
    }

    /// What doing it once takes, on average.
    pub(crate) fn instructions(self, cost: &Cost) -> Result<f64, NotCounted> {
        let [once, twice] = match self {
            Self::Perf => perf::instructions(cost)?,
            Self::Callgrind => callgrind::instructions(cost)?,
        };
        let more = twice.checked_sub(once).ok_or_else(|| NotCounted(format!("{once} for n, {twice} for 2 n")))?;
        Ok(more as f64 / cost.times as f64)
    }
}
