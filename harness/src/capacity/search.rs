//! The search for the highest rate that meets a goal. Pure: told whether a trial at a rate met it, says which rate to
//! try next, and knows nothing of servers.
//!
//! Near its capacity a server meets the goal in one trial and misses it in the next, so one search ends at a lucky
//! point. The first search only finds the neighbourhood. Then the edge is searched again, several times and each time
//! by itself, from a bracket of which nothing is presumed to hold: an end that the halving runs into is tried, and left
//! behind where it does not hold. Each of these gives one estimate, from the highest rate that met the goal in it and
//! the lowest that missed it; what the others saw decides nothing. Their starting points are spread at random within the
//! resolution, or all of them would try the same few rates.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// The first steps from the first guess; each further one in the same direction is twice as long, on a log scale.
const FIRST_STRIDE: f64 = std::f64::consts::LN_2 / 2.0;

/// The bracket of a repeat reaches this many resolutions to both sides: two halvings from each end to within one.
const REACH: f64 = 4.0;

/// How a search goes about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tactics {
    /// A rate that met the goal and one that missed it are near enough to each other at this distance, as a share.
    pub(super) resolution: f64,
    /// Searches of the edge after the first.
    pub(super) repeats: usize,
    /// The lowest rate that can be tried.
    pub(super) floor_rps: f64,
    /// The highest.
    pub(super) ceiling_rps: f64,
}

/// What a trial said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The goal was met.
    Met,
    /// The server missed it.
    Missed,
    /// It was missed, and the load generator may be to blame.
    Limited,
}

/// What came of one search of the edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    /// The highest rate that met the goal; 0 where none did.
    pub(super) met_rps: f64,
    /// The lowest that missed it; `None` where that may be the load generator's fault, so that the capacity may lie
    /// anywhere above.
    pub(super) missed_rps: Option<f64>,
}

impl Estimate {
    /// Between the two, at the same ratio to both; `None` where there is no upper one.
    pub(super) fn rps(&self) -> Option<f64> {
        self.missed_rps.map(|missed_rps| (self.met_rps * missed_rps).sqrt())
    }
}

/// The search for the capacity of one server.
#[derive(Clone, Debug)]
pub(super) struct Search {
    tactics: Tactics,
    edge: Edge,
    /// That of the search that finds the neighbourhood.
    first: Option<Estimate>,
    repeats: Vec<Estimate>,
    random: Pcg64Mcg,
}

impl Search {
    /// Begins at a guess, which may be far off.
    pub(super) fn new(tactics: Tactics, guess_rps: f64, seed: u64) -> Self {
        let guess = guess_rps.ln();
        Self {
            edge: Edge::new(tactics, guess, guess, FIRST_STRIDE),
            tactics,
            first: None,
            repeats: Vec::with_capacity(tactics.repeats),
            random: Pcg64Mcg::seed_from_u64(seed),
        }
    }

    /// The rate to try next; `None` when all is known. Asked again, it says the same.
    pub(super) fn next_rps(&self) -> Option<f64> {
        self.edge.next().map(rps)
    }

    /// Takes what a trial at [`next_rps`](Self::next_rps) said.
    pub(super) fn answer(&mut self, answer: Answer) {
        self.edge.answer(answer);
        let Some(estimate) = self.edge.estimate() else { return };
        match self.first {
            None => self.first = Some(estimate),
            Some(_) => self.repeats.push(estimate),
        }
        // Where the first meets nowhere, there is no neighbourhood; a repeat that does so is one estimate among others.
        let is_somewhere = self.first.is_some_and(|first| first.met_rps > 0.0);
        if is_somewhere && self.repeats.len() < self.tactics.repeats {
            self.edge = self.edge_nearby();
        }
    }

    /// What the repeats came to, in their order.
    pub(super) fn repeats(&self) -> &[Estimate] {
        &self.repeats
    }

    /// What the first search came to, which found the neighbourhood and no more.
    pub(super) fn first(&self) -> Option<Estimate> {
        self.first
    }

    /// A bracket around what is known by now.
    fn edge_nearby(&mut self) -> Edge {
        let mut middles: Vec<f64> =
            self.first.iter().chain(&self.repeats).map(|estimate| self.middle(estimate)).collect();
        middles.sort_by(f64::total_cmp);
        let resolution = self.tactics.resolution.ln_1p();
        let shift = (self.random.random::<f64>() - 0.5) * resolution;
        let centre = f64::midpoint(middles[(middles.len() - 1) / 2], middles[middles.len() / 2]) + shift;
        let reach = REACH * resolution;
        Edge::new(self.tactics, centre - reach, centre + reach, reach)
    }

    /// One that met nowhere lies below the lowest rate.
    fn middle(&self, estimate: &Estimate) -> f64 {
        estimate.rps().unwrap_or(estimate.met_rps).max(self.tactics.floor_rps).ln()
    }
}

/// With five digits, which is far finer than any resolution and can be read.
fn rps(logarithm: f64) -> f64 {
    let rps = logarithm.exp();
    let last_digit = 10_f64.powf(rps.log10().floor() - 4.0);
    // Divided by a whole number where there is one: a tenth is none in binary.
    if last_digit < 1.0 {
        (rps / last_digit).round() / (1.0 / last_digit).round()
    } else {
        (rps / last_digit).round() * last_digit
    }
}

/// One search of the edge, in logarithms of rates.
#[derive(Clone, Debug)]
struct Edge {
    resolution: f64,
    floor: f64,
    ceiling: f64,
    /// Between these the edge is believed to be, until they are tried.
    presumed: (f64, f64),
    met: Option<f64>,
    /// And whether the load generator may be to blame.
    missed: Option<(f64, bool)>,
    /// How far to go on where a presumed end does not hold.
    stride: f64,
    /// Whether one did not.
    off: bool,
}

impl Edge {
    fn new(tactics: Tactics, low: f64, high: f64, stride: f64) -> Self {
        let (floor, ceiling) = (tactics.floor_rps.ln(), tactics.ceiling_rps.ln());
        let presumed = (low.clamp(floor, ceiling), high.clamp(floor, ceiling));
        let resolution = tactics.resolution.ln_1p();
        Self { resolution, floor, ceiling, presumed, met: None, missed: None, stride, off: false }
    }

    fn next(&self) -> Option<f64> {
        if self.is_over() {
            return None;
        }
        let low = self.met.unwrap_or(self.presumed.0);
        let high = self.missed.map_or(self.presumed.1, |(missed, _)| missed);
        let untried = self.met.is_none() || self.missed.is_none();
        let halve = high - low > self.resolution && !(self.off && untried);
        Some(match (halve, self.met) {
            (true, _) => f64::midpoint(low, high),
            (false, None) => low,
            (false, Some(_)) => high,
        })
    }

    fn answer(&mut self, answer: Answer) {
        let Some(tried) = self.next() else { return };
        if answer == Answer::Met {
            self.met = Some(tried);
            if self.missed.is_none() && tried >= self.presumed.1 {
                self.presumed.1 = (tried + self.go_on()).min(self.ceiling);
            }
        } else {
            self.missed = Some((tried, answer == Answer::Limited));
            if self.met.is_none() && tried <= self.presumed.0 {
                self.presumed.0 = (tried - self.go_on()).max(self.floor);
            }
        }
    }

    /// How far; and farther the next time.
    fn go_on(&mut self) -> f64 {
        let stride = self.stride;
        self.stride *= 2.0;
        self.off = true;
        stride
    }

    fn is_over(&self) -> bool {
        match (self.met, self.missed) {
            // The sum that led to a midpoint may be off by its last digit.
            (Some(met), Some((missed, _))) => missed - met <= self.resolution + 1e-9,
            (Some(met), None) => met >= self.ceiling,
            (None, Some((missed, _))) => missed <= self.floor,
            (None, None) => false,
        }
    }

    fn estimate(&self) -> Option<Estimate> {
        self.is_over().then(|| Estimate {
            met_rps: self.met.map_or(0.0, rps),
            missed_rps: self.missed.and_then(|(missed, limited)| (!limited).then_some(rps(missed))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TACTICS: Tactics = Tactics { resolution: 0.05, repeats: 3, floor_rps: 100.0, ceiling_rps: 1e6 };

    /// Searches a server that meets the goal below `capacity_rps` and nowhere above; the rates that were tried.
    fn search(capacity_rps: f64, guess_rps: f64, miss: Answer) -> (Search, Vec<f64>) {
        let mut search = Search::new(TACTICS, guess_rps, 7);
        let mut tried = Vec::new();
        while let Some(rps) = search.next_rps() {
            assert!(tried.len() < 1000, "it goes on for ever");
            tried.push(rps);
            search.answer(if rps < capacity_rps { Answer::Met } else { miss });
        }
        (search, tried)
    }

    #[test]
    fn every_search_ends_with_the_edge_between_two_rates_that_were_tried() {
        for (capacity_rps, guess_rps) in [(5e3, 5e3), (5e3, 1.0), (5e3, 1e9), (101.0, 9e5), (9.9e5, 101.0)] {
            let (search, tried) = search(capacity_rps, guess_rps, Answer::Missed);
            assert_eq!(search.repeats().len(), 3);
            for estimate in search.repeats() {
                let (met, missed) = (estimate.met_rps, estimate.missed_rps.unwrap());
                assert!(met < capacity_rps && capacity_rps <= missed && missed / met < 1.0501, "{estimate:?}");
                assert!(tried.contains(&met) && tried.contains(&missed));
            }
        }
    }

    #[test]
    fn rates_can_be_read() {
        let texts =
            [168_444.000_000_1, 4_997.123, 101.234_567, 1e7, 0.123_456].map(|value: f64| rps(value.ln()).to_string());
        assert_eq!(texts, ["168440", "4997.1", "101.23", "10000000", "0.12346"]);
    }

    #[test]
    fn repeats_do_not_try_the_same_rates() {
        let (_, tried) = search(5e3, 4e3, Answer::Missed);
        let mut sorted = tried.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        assert_eq!(sorted.len(), tried.len());
    }

    #[test]
    fn a_server_that_never_meets_the_goal_is_left_after_the_lowest_rate() {
        let (search, tried) = search(0.0, 5e4, Answer::Missed);
        assert!((tried.last().unwrap() - TACTICS.floor_rps).abs() < 1e-6 && tried.len() < 10, "{tried:?}");
        assert_eq!(search.first().unwrap().met_rps.to_bits(), 0.0_f64.to_bits());
        assert!(search.repeats().is_empty());
    }

    #[test]
    fn a_repeat_that_meets_nowhere_is_one_estimate_and_the_others_follow() {
        let mut search = Search::new(TACTICS, 5e3, 7);
        let mut trials = 0;
        while let Some(rps) = search.next_rps() {
            // Stalled during the second repeat.
            let met = rps < 5e3 && search.repeats().len() != 1;
            search.answer(if met { Answer::Met } else { Answer::Missed });
            trials += 1;
            assert!(trials < 100, "it goes on for ever");
        }
        let met: Vec<bool> = search.repeats().iter().map(|estimate| estimate.met_rps > 4.7e3).collect();
        assert_eq!(met, [true, false, true]);
        assert_eq!(search.repeats()[1].rps(), Some(0.0));
    }

    #[test]
    fn beyond_the_highest_rate_nothing_is_known() {
        let (search, tried) = search(f64::INFINITY, 5e4, Answer::Missed);
        assert!(tried.iter().all(|&rps| rps < 1.000_001 * TACTICS.ceiling_rps));
        assert!(search.repeats().iter().all(|estimate| estimate.missed_rps.is_none() && estimate.met_rps > 9e5));
    }

    #[test]
    fn what_the_generator_missed_bounds_nothing_from_above() {
        let (search, _) = search(5e3, 4e3, Answer::Limited);
        assert!(search.repeats().iter().all(|estimate| estimate.missed_rps.is_none() && estimate.met_rps > 4.7e3));
    }

    /// Each answer contradicts the one before it, at every length of the argument.
    #[test]
    fn contradictions_end_it_all_the_same() {
        for pattern in 0..1 << 12_u32 {
            let mut search = Search::new(TACTICS, 5e3, 7);
            let mut trials = 0;
            while search.next_rps().is_some() {
                search.answer(if pattern >> (trials % 12) & 1 == 1 { Answer::Met } else { Answer::Missed });
                trials += 1;
                assert!(trials < 200, "it goes on for ever with {pattern:b}");
            }
        }
    }
}
