//! Whether the window was long enough for what was counted in it.

use super::Evidence;
use crate::figures;

/// Share of the window by which a figure may be off.
const SHORT: f64 = 0.1;

/// In a closed loop, as many answers for each request in flight: what is in flight at the ends of the window is counted at
/// one of them, and may be a fifth of all then.
const FEWEST_ROUNDS: f64 = 5.0;

pub(super) fn reasons_to_doubt(evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    let of_window = |ns: u64| ns as f64 / evidence.elapsed_ns.max(1) as f64;
    if let Some(step_ns) = evidence.cpu_clock_step_ns.filter(|&step_ns| of_window(step_ns) > SHORT) {
        reasons.push(format!(
            "the window is too short for the CPU time of the server: it is read to ± {} of {}",
            figures::duration(step_ns as f64),
            figures::duration(evidence.elapsed_ns as f64)
        ));
    }
    if evidence.readings_late_ns.is_some_and(|late_ns| of_window(late_ns) > SHORT) {
        reasons.push(
            "the window is too short for what was counted of the server: readings were taken after its end, by more than a \
             tenth of it"
                .to_owned(),
        );
    }
    if evidence.asked_in_flight.is_some_and(|in_flight| (evidence.requests as f64) < FEWEST_ROUNDS * in_flight) {
        reasons.push(
            "the window is too short for the throughput: fewer than 5 answers for each request in flight".to_owned(),
        );
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::super::tests::{open, sound};
    use super::*;

    const MS: u64 = 1_000_000;

    fn counted(elapsed_ns: u64, step_ns: Option<u64>, late_ns: Option<u64>) -> Vec<String> {
        reasons_to_doubt(&Evidence { elapsed_ns, cpu_clock_step_ns: step_ns, readings_late_ns: late_ns, ..sound() })
    }

    #[test]
    fn cpu_time_that_is_read_to_more_than_a_tenth_of_the_window_is_named_with_both() {
        assert_eq!(
            counted(MS, Some(4 * MS), None),
            ["the window is too short for the CPU time of the server: it is read to ± 4.00 ms of 1.00 ms"]
        );
        assert_eq!(counted(40 * MS - 1, Some(4 * MS), None).len(), 1);
        assert!(counted(40 * MS, Some(4 * MS), None).is_empty());
        // The default of 200 ms, with the longest tick that there is.
        assert!(counted(200 * MS, Some(10 * MS), None).is_empty());
    }

    #[test]
    fn readings_that_came_long_after_the_window_are_named() {
        assert!(counted(200 * MS, None, Some(20 * MS)).is_empty());
        let late = counted(200 * MS, None, Some(20 * MS + 1));
        assert!(late.len() == 1 && late[0].contains("what was counted of the server"), "{late:?}");
    }

    #[test]
    fn a_window_of_few_rounds_is_too_short_for_the_throughput_of_a_closed_loop() {
        let of = |requests, evidence: Evidence| reasons_to_doubt(&Evidence { requests, ..evidence });
        // 50 are in flight.
        assert!(of(250, sound()).is_empty() && of(249, sound())[0].ends_with("for each request in flight"));
        assert!(of(249, open()).is_empty());
    }

    #[test]
    fn what_is_unknown_makes_no_window_too_short() {
        assert!(counted(MS, None, None).is_empty());
    }
}
