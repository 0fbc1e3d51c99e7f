//! The search against servers whose capacity is known: the rate at which every other trial meets the goal. The chance
//! of that falls from one to nothing around it, as a logistic function of the logarithm of the rate.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::interval::Interval;
use super::search::{Answer, Search, Tactics};

const RUNS: u64 = 600;
const CAPACITY_RPS: f64 = 100_000.0;
const TACTICS: Tactics = Tactics { resolution: 0.05, repeats: 6, floor_rps: 100.0, ceiling_rps: 1e7 };

/// A server.
#[derive(Clone, Copy, Debug)]
struct Server {
    /// How gradual its edge is, as a share of its capacity: so far above it, it still meets the goal in one trial of four.
    /// 0 is a wall.
    softness: f64,
    /// Share of the trials that miss the goal at any rate.
    hiccups: f64,
}

impl Server {
    fn answer(self, rps: f64, random: &mut Pcg64Mcg) -> Answer {
        let distance = (rps / CAPACITY_RPS).ln();
        let chance = if self.softness > 0.0 {
            1.0 / (1.0 + (distance / self.softness).exp())
        } else {
            f64::from(u8::from(distance < 0.0))
        };
        let (edge, hiccup): (f64, f64) = (random.random(), random.random());
        if edge < chance && hiccup >= self.hiccups { Answer::Met } else { Answer::Missed }
    }
}

/// What many searches came to.
#[derive(Debug)]
struct Tally {
    /// Share of the intervals that enclose the capacity.
    covered: f64,
    /// Mean distance of the capacity found from the true one, as a logarithm.
    bias: f64,
    /// Mean width of the intervals, likewise.
    width: f64,
    mean_trials: f64,
    most_trials: usize,
}

fn search_many(server: Server, guess_rps: f64) -> Tally {
    let mut tally = Tally { covered: 0.0, bias: 0.0, width: 0.0, mean_trials: 0.0, most_trials: 0 };
    let share = 1.0 / RUNS as f64;
    for run in 0..RUNS {
        let mut random = Pcg64Mcg::seed_from_u64(run);
        // No grid of rates is to lie well by chance.
        let guess_rps = guess_rps * random.random_range(0.8..1.25);
        let (interval, trials) = search_once(server, guess_rps, run, &mut random);
        let (capacity_rps, high_rps) = (interval.capacity_rps.unwrap(), interval.high_rps.unwrap());
        tally.covered += if (interval.low_rps..=high_rps).contains(&CAPACITY_RPS) { share } else { 0.0 };
        tally.bias += (capacity_rps / CAPACITY_RPS).ln() * share;
        tally.width += (high_rps / interval.low_rps).ln() * share;
        tally.mean_trials += trials as f64 * share;
        tally.most_trials = tally.most_trials.max(trials);
    }
    tally
}

fn search_once(server: Server, guess_rps: f64, seed: u64, random: &mut Pcg64Mcg) -> (Interval, usize) {
    let mut search = Search::new(TACTICS, guess_rps, seed);
    let mut trials = 0;
    while let Some(rps) = search.next_rps() {
        assert!(trials < 1000, "it goes on for ever");
        search.answer(server.answer(rps, random));
        trials += 1;
    }
    assert_eq!(search.repeats().len(), TACTICS.repeats);
    (Interval::of(search.repeats()).unwrap(), trials)
}

const GUESSES_RPS: [f64; 4] = [10_000.0, 60_000.0, 100_000.0, 500_000.0];

#[test]
fn the_interval_encloses_the_capacity_as_often_as_it_says() {
    for softness in [0.0, 0.01, 0.02, 0.05] {
        for guess_rps in GUESSES_RPS {
            let tally = search_many(Server { softness, hiccups: 0.0 }, guess_rps);
            assert!(tally.covered >= 0.93, "{tally:?} for {softness} from {guess_rps}");
        }
    }
}

#[test]
fn what_is_found_is_neither_too_high_nor_too_low() {
    for softness in [0.0, 0.01, 0.02, 0.05, 0.1] {
        for guess_rps in GUESSES_RPS {
            let tally = search_many(Server { softness, hiccups: 0.0 }, guess_rps);
            // A tenth of the resolution.
            assert!(tally.bias.abs() < 0.005, "{tally:?} for {softness} from {guess_rps}");
        }
    }
}

#[test]
fn a_sharp_edge_has_a_narrow_interval_and_a_gradual_one_has_not() {
    let width = |softness| search_many(Server { softness, hiccups: 0.0 }, 60_000.0).width;
    assert!(width(0.0) < 2.0 * TACTICS.resolution, "{}", width(0.0));
    assert!(width(0.05) > 3.0 * TACTICS.resolution, "{}", width(0.05));
}

#[test]
fn trials_are_bounded() {
    for softness in [0.0, 0.02, 0.1] {
        for guess_rps in GUESSES_RPS {
            let tally = search_many(Server { softness, hiccups: 0.02 }, guess_rps);
            assert!(tally.mean_trials < 32.0 && tally.most_trials < 70, "{tally:?} for {softness} from {guess_rps}");
        }
    }
}

#[test]
fn a_hiccup_costs_a_repeat_and_not_the_answer() {
    for guess_rps in GUESSES_RPS {
        let tally = search_many(Server { softness: 0.01, hiccups: 0.02 }, guess_rps);
        assert!(tally.covered >= 0.93 && tally.bias.abs() < 0.025, "{tally:?} from {guess_rps}");
    }
}
