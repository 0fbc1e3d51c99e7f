//! A sweep that goes on until its intervals are narrow enough.
//!
//! Whether to go on depends on how wide the intervals are and never on what lies in them: a run that stopped when it
//! liked its answer would find differences where there are none.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::given_up::GivenUp;
use super::order::further_round_of;
use super::{Observer, Slot, Sweep, further_slots, run_planned, run_slots};
use crate::plan::Cell;
use crate::results::{KeptTrials, TrialRecord, WriteError, Writer};
use crate::statistics::rank;

/// How narrow intervals are to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// Of the widest interval in each cell, as a share of its ratio.
    pub half_width: f64,
    /// For the whole sweep. The planned trials are run even where they take longer.
    pub budget: Duration,
}

/// Runs what [`run`](super::run) does, and then a block more of every cell whose intervals are too wide, round after round, until
/// there is none or the budget is used up.
///
/// # Errors
///
/// As those of [`run`](super::run).
pub fn run_until(
    sweep: Sweep<'_>,
    goal: Goal,
    trials: &mut KeptTrials,
    writer: &mut Writer,
    observer: &mut dyn Observer,
    cancel: &AtomicBool,
) -> Result<(), WriteError> {
    let began = Instant::now();
    let mut given_up = GivenUp::default();
    run_planned(sweep, trials, &mut given_up, writer, observer, cancel)?;
    let over = || cancel.load(Ordering::Relaxed) || began.elapsed() >= goal.budget;
    let mut round =
        trials.as_slice().iter().filter_map(|trial| further_round_of(sweep.plan, trial.trial)).max().unwrap_or(1);
    while !over() {
        let (cells, widest) = too_wide(sweep, goal, trials.as_slice());
        if cells.is_empty() {
            break;
        }
        let slots = wanted(further_slots(sweep.plan, sweep.seed, round), &cells, trials.as_slice());
        observer.round_starts(slots.len(), widest);
        let before = trials.as_slice().len();
        for block in slots.chunk_by(|a, b| a.block == b.block) {
            if over() {
                break;
            }
            run_slots(sweep, block.to_vec(), trials, &mut given_up, writer, observer, cancel)?;
        }
        if trials.as_slice().len() == before {
            // All entrants that need more were given up.
            break;
        }
        round += 1;
    }
    Ok(())
}

/// The cells that need another block, and how wide the widest interval is.
fn too_wide(sweep: Sweep<'_>, goal: Goal, trials: &[TrialRecord]) -> (Vec<Cell>, f64) {
    let cells = rank(sweep.plan, trials).cells;
    let widths = cells.into_iter().filter_map(|cell| Some((cell.widest()?, cell.cell)));
    let wide: Vec<(f64, Cell)> = widths.filter(|(width, _)| *width > goal.half_width).collect();
    let widest = wide.iter().map(|(width, _)| *width).fold(0.0, f64::max);
    (wide.into_iter().map(|(_, cell)| cell).collect(), widest)
}

/// Those of a round that are still to be run: of the cells that need them, and the rest of a block that was interrupted.
fn wanted(mut slots: Vec<Slot>, cells: &[Cell], trials: &[TrialRecord]) -> Vec<Slot> {
    let begun: HashSet<usize> = trials.iter().map(|trial| trial.block).collect();
    let done: HashSet<usize> = trials.iter().map(|trial| trial.trial).collect();
    slots.retain(|slot| cells.contains(&slot.cell) || begun.contains(&slot.block));
    slots.retain(|slot| !done.contains(&slot.trial));
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;
    use crate::results::tests::trial;

    #[test]
    fn a_round_is_for_the_cells_that_need_it_and_completes_what_was_begun() {
        let slots = further_slots(&plan(), 7, 1);
        let needy = [slots[0].cell.clone()];
        // The first trial of the last block was run before the sweep was interrupted.
        let begun = slots[slots.len() - 2].clone();
        let done = TrialRecord { trial: begun.trial, block: begun.block, ..trial("epoll") };
        let wanted = wanted(slots.clone(), &needy, &[done]);
        assert_eq!(wanted, [slots[0].clone(), slots[1].clone(), slots[slots.len() - 1].clone()]);
    }
}
