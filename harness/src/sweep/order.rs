//! The order of a sweep's trials.
//!
//! Whatever changes slowly on a machine (its temperature, its neighbours) must not fall on one backend or one cell.
//! So the trials go in rounds; a round has one block of every cell, in random order, and a block one trial of every
//! backend, in random order.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::plan::{Cell, SweepPlan};

/// The place of one trial in a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// From 1, in the order in which they run.
    pub trial: usize,
    /// From 1, in the order in which they run.
    pub block: usize,
    /// What serves.
    pub backend: String,
    /// What is asked of it.
    pub cell: Cell,
    /// Decides the arrivals of the requests; one for a whole block, whose backends are thus asked the same.
    pub arrivals_seed: u64,
}

/// All trials of a plan, in order, as they are asked for: what a plan could run in a year takes no memory. The same plan and
/// seed give the same order, today and with the next version: `--resume` relies on it.
pub fn slots(plan: &SweepPlan, seed: u64) -> impl Iterator<Item = Slot> + use<> {
    let mut order = Pcg64Mcg::seed_from_u64(seed);
    let (mut cells, mut entrants) = (plan.cells(), plan.entrants());
    // Arrivals come from the same numbers, after those that the order of all rounds takes.
    let mut arrivals = order.clone();
    let mut places = (vec![(); cells.len()], vec![(); entrants.len()]);
    for _round in 0..plan.trials {
        places.0.shuffle(&mut arrivals);
        places.0.iter().for_each(|()| places.1.shuffle(&mut arrivals));
    }
    (0..plan.trials).flat_map(move |rounds_before| {
        let blocks_before = rounds_before * cells.len();
        slots_of(round(&mut cells, &mut entrants, &mut order), blocks_before, &mut arrivals)
    })
}

/// How many there are.
#[must_use]
pub fn slots_count(plan: &SweepPlan) -> usize {
    plan.trials.saturating_mul(plan.cells().len()).saturating_mul(plan.entrants().len())
}

/// The trials of a round that follows those of the plan, the first being `round` 1. They are numbered as if all of them
/// were run, so that the number of a trial says what it is, whichever blocks were left out.
#[must_use]
pub fn further_slots(plan: &SweepPlan, seed: u64, round_number: usize) -> Vec<Slot> {
    // A stream of its own for every round: those of the plan stay what they are, and none has to be run for the next.
    let stream = (round_number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut random = Pcg64Mcg::seed_from_u64(seed.wrapping_add(stream));
    let mut cells = plan.cells();
    let blocks = round(&mut cells, &mut plan.entrants(), &mut random);
    let blocks_before = (plan.trials + round_number - 1) * cells.len();
    slots_of(blocks, blocks_before, &mut random)
}

/// The round after those of the plan that has the trial of this number; none of a trial of the plan.
#[must_use]
pub(super) fn further_round_of(plan: &SweepPlan, trial: usize) -> Option<usize> {
    let of_a_round = plan.cells().len() * plan.entrants().len();
    let after = trial.checked_sub(plan.trials * of_a_round + 1)?;
    Some(after / of_a_round + 1)
}

type Block = (Cell, Vec<String>);

fn round(cells: &mut [Cell], entrants: &mut [String], random: &mut Pcg64Mcg) -> Vec<Block> {
    cells.shuffle(random);
    let block = |cell: &Cell| {
        entrants.shuffle(random);
        (cell.clone(), entrants.to_vec())
    };
    cells.iter().map(block).collect()
}

fn slots_of(blocks: Vec<Block>, blocks_before: usize, random: &mut Pcg64Mcg) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (index, (cell, entrants)) in blocks.into_iter().enumerate() {
        let block = blocks_before + index + 1;
        // Drawn, not counted up from the seed: runs with neighbouring seeds would ask the same in most of their blocks.
        let arrivals_seed = random.random();
        let first = (block - 1) * entrants.len() + 1;
        for (place, backend) in entrants.into_iter().enumerate() {
            slots.push(Slot { trial: first + place, block, backend, cell: cell.clone(), arrivals_seed });
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::plan::tests::plan;

    #[test]
    fn every_backend_is_tried_as_often_as_asked_in_every_cell() {
        let plan = plan();
        let slots: Vec<Slot> = slots(&plan, 1).collect();
        for cell in plan.cells() {
            for backend in &plan.backends {
                let trials = slots.iter().filter(|slot| slot.cell == cell && slot.backend == *backend).count();
                assert_eq!(trials, plan.trials);
            }
        }
    }

    #[test]
    fn a_block_is_one_trial_of_every_backend_in_one_cell() {
        let plan = plan();
        for block in slots(&plan, 1).collect::<Vec<_>>().chunks(plan.backends.len()) {
            assert!(block.iter().all(|slot| slot.block == block[0].block && slot.cell == block[0].cell));
            assert!(block.iter().all(|slot| slot.arrivals_seed == block[0].arrivals_seed));
            assert!(plan.backends.iter().all(|backend| block.iter().any(|slot| slot.backend == *backend)));
        }
    }

    #[test]
    fn a_round_visits_every_cell_before_any_comes_again() {
        let plan = plan();
        let slots: Vec<Slot> = slots(&plan, 1).collect();
        let (first, second) = slots.split_at(slots.len() / 2);
        for cell in plan.cells() {
            assert!(first.iter().any(|slot| slot.cell == cell) && second.iter().any(|slot| slot.cell == cell));
        }
    }

    #[test]
    fn what_is_taken_of_a_plan_does_not_depend_on_how_often_it_is_asked() {
        let plan = plan();
        assert_eq!(slots(&plan, 42).count(), slots_count(&plan));
        // As it was when all of them were made at once: the order of all rounds first, and then their arrivals.
        let mut random = Pcg64Mcg::seed_from_u64(42);
        let (mut cells, mut entrants) = (plan.cells(), plan.entrants());
        let rounds = (0..plan.trials).flat_map(|_| round(&mut cells, &mut entrants, &mut random)).collect();
        assert_eq!(slots(&plan, 42).collect::<Vec<_>>(), slots_of(rounds, 0, &mut random));
    }

    #[test]
    fn the_first_trials_of_a_plan_for_years_are_there_at_once() {
        let plan = SweepPlan { trials: 1_000_000, ..plan() };
        assert_eq!(slots(&plan, 42).take(3).map(|slot| slot.trial).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn runs_with_neighbouring_seeds_share_no_arrivals() {
        let seeds = |seed| slots(&plan(), seed).map(|slot| slot.arrivals_seed).collect::<HashSet<_>>();
        assert_eq!(seeds(42).len(), plan().trials * plan().cells().len(), "each block has its own");
        assert!(seeds(42).is_disjoint(&seeds(43)));
    }

    #[test]
    fn further_rounds_go_on_where_the_plan_ends_and_repeat_nothing() {
        let plan = SweepPlan { twice: vec!["poll".to_owned()], ..plan() };
        let planned: Vec<Slot> = slots(&plan, 42).collect();
        let (first, second) = (further_slots(&plan, 42, 1), further_slots(&plan, 42, 2));
        let all: Vec<&Slot> = planned.iter().chain(&first).chain(&second).collect();
        assert!(all.iter().enumerate().all(|(index, slot)| slot.trial == index + 1));
        let blocks = all.chunks(3).enumerate();
        assert!(blocks.into_iter().all(|(index, block)| block.iter().all(|slot| slot.block == index + 1)));
        let seeds: HashSet<u64> = all.iter().map(|slot| slot.arrivals_seed).collect();
        assert_eq!(seeds.len(), all.len() / 3);
        assert_eq!(further_slots(&plan, 42, 2), second);
        assert!(planned.iter().all(|slot| further_round_of(&plan, slot.trial).is_none()));
        assert!(first.iter().all(|slot| further_round_of(&plan, slot.trial) == Some(1)));
        assert!(second.iter().all(|slot| further_round_of(&plan, slot.trial) == Some(2)));
    }

    /// Fails when a new version of the random number crates would order the rest of an old file differently.
    #[test]
    fn the_order_of_a_seed_never_changes() {
        let order: Vec<(String, usize)> =
            slots(&plan(), 42).map(|slot| (slot.backend, slot.cell.connections)).collect();
        let first: Vec<(&str, usize)> = order.iter().take(6).map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(first, [("epoll", 1), ("poll", 1), ("epoll", 1), ("poll", 1), ("epoll", 64), ("poll", 64)]);
        assert!(!slots(&plan(), 42).eq(slots(&plan(), 43)));
    }
}
