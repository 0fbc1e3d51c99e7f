//! Whether requests left late, and whether that was the load generator's doing or that of the machine's timers.
//!
//! A generator that has nothing to do sleeps until the next request is due, and wakes as late as the timers of the machine
//! wake it. How late that is was measured on its own CPU, before the load. No absolute time says whether a generator was late:
//! it is held against what this machine's timers do, and what this generator needs for a request.

use super::Evidence;
use crate::statistics::enough_samples;

/// Share of the p99 of the latency that the generator may be late by at its own p99. From a tenth of it on, the tail of
/// the latency is not the server's alone.
const LATE: f64 = 0.1;

/// The same of lateness that is the machine's. Every backend has it alike, and where the load is low it is one of three
/// wake-ups that a request waits for, beside those of the server and of the answer. From half on, a latency says more about
/// the timers than about everything else.
const MOSTLY_TIMERS: f64 = 0.5;

/// How much later than nine in ten of the wake-ups that were measured one in a hundred of the load may be.
const TAIL: f64 = 2.0;

/// Requests that may be before one that falls due while the generator is at work: as many as it sends with one call.
const AT_HAND: f64 = 4.0;

/// Where it was, what was not answered in time says as much of it as of the server.
pub(crate) const LATE_GENERATOR: &str = "the load generator was late: part of the latency is its own delay in sending";

/// It can only cost a goal.
pub(crate) const LATE_TIMERS: &str = "the timers of this machine are late: more than half of the p99 latency is the time by which a \
                                      sleeping thread wakes too late to send; backends measured on this machine still compare with \
                                      each other, but not with those on another";

/// In a closed loop nothing is due, and nothing late. Of timers that were not measured nothing is known, and so not who was
/// late. A p99 of few requests is the latest of them, which any moment of the machine explains.
pub(super) fn reason_to_doubt(evidence: &Evidence) -> Option<&'static str> {
    evidence.due.filter(|_| enough_samples(evidence.requests, 0.99))?;
    let of_machine_ns =
        TAIL * evidence.timers_p90_ns? as f64 + AT_HAND * evidence.client_cpu_ns_per_request.unwrap_or(0.0);
    let (lag_ns, latency_ns) = (evidence.send_lag_p99_ns as f64, evidence.latency_p99_ns as f64);
    if lag_ns > of_machine_ns {
        (lag_ns > LATE * latency_ns).then_some(LATE_GENERATOR)
    } else {
        (lag_ns > MOSTLY_TIMERS * latency_ns).then_some(LATE_TIMERS)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::open;
    use super::*;

    /// A generator that needs 5 µs for a request.
    fn reason(timers_us: u64, lag_us: u64, latency_us: u64) -> Option<&'static str> {
        reason_to_doubt(&Evidence {
            timers_p90_ns: Some(timers_us * 1000),
            client_cpu_ns_per_request: Some(5000.0),
            send_lag_p99_ns: lag_us * 1000,
            latency_p99_ns: latency_us * 1000,
            ..open()
        })
    }

    #[test]
    fn lateness_beyond_what_timers_and_work_at_hand_explain_is_the_generators() {
        // 2 × 100 µs and 4 × 5 µs are explained.
        assert_eq!(reason(100, 221, 2209), Some(LATE_GENERATOR));
        assert_eq!(reason(100, 220, 2209), None);
        // And what is no tenth of the latency is none.
        assert_eq!(reason(100, 221, 2210), None);
    }

    #[test]
    fn lateness_of_the_timers_counts_where_it_is_most_of_the_latency() {
        for late_us in [1, 100, 10_000] {
            assert_eq!(reason(late_us, late_us, 2 * late_us), None, "{late_us}");
            assert_eq!(reason(late_us, late_us + 1, 2 * late_us), Some(LATE_TIMERS), "{late_us}");
        }
    }

    #[test]
    fn the_same_lateness_is_the_generators_on_one_machine_and_the_timers_on_another() {
        // What was found on a machine whose timers are later: 1,000 requests a second, each answered after 1 ms.
        assert_eq!(reason(90, 163, 1250), None);
        assert_eq!(reason(30, 163, 1250), Some(LATE_GENERATOR));
        // And against a server that answers at once.
        assert_eq!(reason(90, 163, 300), Some(LATE_TIMERS));
        assert_eq!(reason(30, 163, 300), Some(LATE_GENERATOR));
    }

    #[test]
    fn of_timers_that_are_unknown_nothing_is_said_nor_in_a_closed_loop() {
        let late = Evidence { timers_p90_ns: None, send_lag_p99_ns: 900_000, ..open() };
        assert_eq!(reason_to_doubt(&late), None);
        let closed = Evidence { due: None, timers_p90_ns: Some(1), ..late };
        assert_eq!(reason_to_doubt(&closed), None);
    }

    #[test]
    fn a_p99_of_few_requests_says_nothing_of_lateness() {
        let of = |requests| Evidence { timers_p90_ns: Some(1), send_lag_p99_ns: 900_000, requests, ..open() };
        assert_eq!((reason_to_doubt(&of(1000)), reason_to_doubt(&of(999))), (Some(LATE_GENERATOR), None));
    }
}
