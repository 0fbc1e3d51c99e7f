//! Figures that nothing can have: one rule, for a sweep before it writes a trial and for everything that reads one, so that
//! no output counts trials that another leaves out.

use super::{Measured, TrialRecord, Verdict};

/// How far a share may lie outside of 0 to 1, or above 0, for no other reason than that its parts were rounded.
const ROUNDING: f64 = 1e-9;

/// Whether anything that is measured here can be so much, in whichever unit: a day of nanoseconds and a terabyte are less than
/// the most, one system call in eight hours at 10 million requests a second is more than the least.
pub(crate) fn is_plausible(value: f64) -> bool {
    value == 0.0 || (1e-12..=1e15).contains(&value)
}

/// A share as it was meant: what rounding left of nothing is nothing, and of everything everything.
pub(crate) fn share(value: f64) -> f64 {
    match value {
        value if value.abs() <= ROUNDING => 0.0,
        value if (value - 1.0).abs() <= ROUNDING => 1.0,
        value => value,
    }
}

impl TrialRecord {
    /// Takes shares as they were meant, and makes a trial invalid that has a figure that nothing can have. It says which, and
    /// to be judged once more changes nothing.
    pub fn judge_plausibility(&mut self) {
        if let Some(server) = self.measured.as_mut().and_then(|measured| measured.server.as_mut()) {
            server.floor_in_vain = server.floor_in_vain.map(share);
        }
        let Some(reason) = self.measured.as_ref().and_then(absurd) else { return };
        self.verdict = Verdict::Invalid;
        if !self.reasons.contains(&reason) {
            // Before all others: it says why none of its figures is used.
            self.reasons.insert(0, reason);
        }
    }
}

/// Which figure of a trial is none that anything can have.
fn absurd(measured: &Measured) -> Option<String> {
    let Measured { requests, throughput_rps, server, .. } = measured;
    let for_each = |count: Option<u64>| count.filter(|_| *requests > 0).map(|count| count as f64 / *requests as f64);
    // Of what may be as rare as it likes.
    let seldom = |count: Option<u64>| for_each(count).map(|each| each.max(1.0));
    let server = server.as_ref();
    let is_share = |value: f64| (0.0..=1.0).contains(&value);
    let figures = [
        ("throughput_rps", Some(*throughput_rps)),
        ("server.cpu_ns ÷ requests", for_each(server.and_then(|server| server.cpu_ns))),
        ("server.syscalls ÷ requests", for_each(server.and_then(|server| server.syscalls))),
        ("server.wakeups ÷ requests", seldom(server.and_then(|server| server.wakeups))),
        ("server.bytes_received ÷ requests", seldom(server.and_then(|server| server.bytes_received))),
        ("server.bytes_sent ÷ requests", seldom(server.and_then(|server| server.bytes_sent))),
        ("server.bytes_copied ÷ requests", seldom(server.and_then(|server| server.bytes_copied))),
        ("server.voluntary_switches ÷ requests", seldom(server.and_then(|server| server.voluntary_switches))),
        ("server.involuntary_switches ÷ requests", seldom(server.and_then(|server| server.involuntary_switches))),
        ("server.floor_ns_per_request", server.and_then(|server| server.floor_ns_per_request)),
        ("server.floor_echoes", server.and_then(|server| server.floor_echoes).map(|echoes| echoes as f64)),
        ("server.max_rss_bytes", server.and_then(|server| server.max_rss_bytes).map(|bytes| bytes as f64)),
        ("server.memory_bytes_per_idle_connection", server.and_then(|server| server.memory_bytes_per_idle_connection)),
    ];
    let in_vain = server.and_then(|server| server.floor_in_vain).filter(|value| !is_share(*value));
    let (name, value) = figures
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .find(|(_, value)| !is_plausible(*value))
        .or_else(|| Some(("server.floor_in_vain", in_vain?)))?;
    Some(format!("{name} is not plausible: {value:e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::trial;

    fn judged(change: impl Fn(&mut Measured)) -> TrialRecord {
        let mut trial = trial("epoll");
        change(trial.measured.as_mut().unwrap());
        trial.judge_plausibility();
        trial
    }

    #[test]
    fn what_rounding_leaves_of_a_share_is_taken_as_what_it_means() {
        let in_vain = |value: f64| {
            let judged = judged(|measured| measured.server.as_mut().unwrap().floor_in_vain = Some(value));
            (judged.measured.unwrap().server.unwrap().floor_in_vain.unwrap(), judged.verdict)
        };
        for (value, meant) in [(1.1e-16, 0.0), (-2.2e-16, 0.0), (-0.0, 0.0), (1.0 + 2.2e-16, 1.0), (0.25, 0.25)] {
            assert_eq!(in_vain(value), (meant, Verdict::Valid), "{value:e}");
        }
        for value in [-0.1, 1.1, 5e20] {
            assert_eq!(in_vain(value), (value, Verdict::Invalid), "{value:e}");
        }
    }

    #[test]
    fn what_short_windows_late_readings_and_rare_calls_come_to_is_plausible() {
        let sound: [fn(&mut Measured); 6] = [
            |measured| measured.server.as_mut().unwrap().utilisation = Some(2.69),
            |measured| measured.server.as_mut().unwrap().busiest_thread = Some(1.0 + 1e-12),
            |measured| measured.server.as_mut().unwrap().cpu_ns = Some(0),
            |measured| {
                (measured.requests, measured.throughput_rps, measured.elapsed_ns) =
                    (1, 1.0 / 28_800.0, 28_800_000_000_000);
            },
            // A thread of the kernel submits, and the server asks it for something three times in ten seconds.
            |measured| {
                measured.requests = 30_000_000;
                measured.server.as_mut().unwrap().syscalls = Some(3);
            },
            |measured| (measured.requests, measured.throughput_rps) = (0, 0.0),
        ];
        for (place, change) in sound.into_iter().enumerate() {
            let judged = judged(change);
            assert!(judged.verdict == Verdict::Valid && judged.reasons.is_empty(), "{place}: {:?}", judged.reasons);
        }
    }

    #[test]
    fn a_figure_that_nothing_can_have_makes_its_trial_invalid_once() {
        let mut judged = judged(|measured| measured.throughput_rps = 1e300);
        let reasons = vec!["throughput_rps is not plausible: 1e300".to_owned()];
        assert_eq!((judged.verdict, &judged.reasons), (Verdict::Invalid, &reasons));
        judged.judge_plausibility();
        assert_eq!(judged.reasons, reasons);
    }
}
