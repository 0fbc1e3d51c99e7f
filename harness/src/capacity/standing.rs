//! What a trial says about a goal.

use crate::results::{Bottleneck, Measured, Outcome, TrialRecord, Verdict};
use crate::slo::Slo;
use crate::verdict::{LATE_TIMERS, disturbances, is_rate_met};

/// How the verdict begins to say so.
const GENERATOR_WAS_BUSY: &str = "the load generator was busy";

/// What a trial says about a goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was met.
    Met,
    /// It was missed, and nothing but the server is known to have been in the way.
    Missed,
    /// It was missed, and the load generator was busy, or late with its requests.
    Limited,
    /// The machine was busy with something else, and it may be due to that how it came out.
    Disturbed(String),
    /// Nothing.
    Broken(String),
}

/// Reads it from the record alone, so that a results file can be judged again.
///
/// Which trials figures are made of is another question: one without an answer is in none, and has missed its goal.
pub(super) fn standing(trial: &TrialRecord, slo: &Slo) -> Standing {
    let why = || trial.first_reason().to_owned();
    let (Outcome::Ok, Some(measured)) = (trial.outcome, &trial.measured) else {
        return Standing::Broken(why());
    };
    if measured.mismatches > 0 {
        return Standing::Broken(why());
    }
    if let Some(reason) = disturbances(measured, &trial.cell).first()
        && is_close(trial, measured, slo)
    {
        return Standing::Disturbed(reason.clone());
    }
    if meets(trial, measured, slo) {
        return match trial.verdict {
            Verdict::Invalid => Standing::Broken(why()),
            _ if measured.requests < slo.answers_needed() => {
                Standing::Broken("too few answers for the goal; measure longer".to_owned())
            }
            _ => Standing::Met,
        };
    }
    if is_generators_fault(trial, measured, slo) { Standing::Limited } else { Standing::Missed }
}

/// Whether it could have come out otherwise on a quiet machine. To count what a disturbed trial met and not what it
/// missed would favour the rates at which it could go either way.
fn is_close(trial: &TrialRecord, measured: &Measured, slo: &Slo) -> bool {
    let met_by_far =
        meets(trial, measured, slo) && slo.holds_by_far(&measured.latency_hdr.0, unanswered(trial, measured));
    !met_by_far && !slo.is_out_of_reach(&measured.service_hdr.0)
}

fn meets(trial: &TrialRecord, measured: &Measured, slo: &Slo) -> bool {
    let reached = is_rate_met(measured.requests, measured.censored);
    reached && measured.errors == 0 && slo.holds(&measured.latency_hdr.0, unanswered(trial, measured))
}

/// Requests without an answer that are held against a goal: all but as many as fell due within twice the generator's
/// own lateness of the end of the window, which it sent after it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from floating point saturates")]
pub(super) fn unanswered(trial: &TrialRecord, measured: &Measured) -> u64 {
    let lag_s = measured.send_lag_ns.p99 as f64 / 1e9;
    let at_the_end = (2.0 * lag_s * trial.cell.rate_rps.unwrap_or(0.0)).ceil() as u64;
    measured.censored.saturating_sub(at_the_end)
}

/// Why a trial that met its goal is suspect all the same: for another reason than the machine, which made no difference
/// there, or that the generator was busy or the timers late, which can only cost a goal.
pub(super) fn doubt(trial: &TrialRecord) -> Option<&str> {
    let measured = trial.measured.as_ref()?;
    let machine = disturbances(measured, &trial.cell);
    let is_harmless =
        |reason: &&String| machine.contains(reason) || reason.starts_with(GENERATOR_WAS_BUSY) || *reason == LATE_TIMERS;
    trial.reasons.iter().find(|reason| !is_harmless(reason)).map(String::as_str)
}

/// Whether the load generator had no CPU time left, or it was its lateness that made the difference: from their sending
/// on, requests were answered within the goal.
fn is_generators_fault(trial: &TrialRecord, measured: &Measured, slo: &Slo) -> bool {
    let late = measured.send_lag_ns.p99 >= slo.tightest_ns() / 2;
    trial.bottleneck == Some(Bottleneck::Client)
        || (late && slo.holds(&measured.service_hdr.0, unanswered(trial, measured)))
}

#[cfg(test)]
pub(super) mod tests {
    use hdrhistogram::Histogram;

    use super::*;
    use crate::results::EncodedHistogram;
    use crate::results::tests::{failed_trial, trial};
    use crate::verdict::{Evidence, judge};

    fn slo(text: &str) -> Slo {
        text.parse().unwrap()
    }

    /// 2,000 answers in 1 µs to 2000 µs, changed as the test needs it.
    fn changed(change: impl FnOnce(&mut TrialRecord)) -> TrialRecord {
        let mut trial = trial("epoll");
        change(&mut trial);
        trial
    }

    fn measured(trial: &mut TrialRecord) -> &mut Measured {
        trial.measured.as_mut().unwrap()
    }

    #[test]
    fn a_sound_trial_meets_a_goal_or_misses_it() {
        assert_eq!(standing(&trial("epoll"), &slo("p99<2ms")), Standing::Met);
        assert_eq!(standing(&trial("epoll"), &slo("p99<1ms")), Standing::Missed);
    }

    #[test]
    fn a_rate_that_was_not_reached_is_a_miss_however_fast_the_answers_were() {
        let unanswered = |censored| changed(|trial| measured(trial).censored = censored);
        assert_eq!(standing(&unanswered(10), &slo("p99<1h")), Standing::Met);
        assert_eq!(standing(&unanswered(11), &slo("p99<1h")), Standing::Missed);
        let silent = changed(|trial| {
            measured(trial).requests = 0;
            measured(trial).censored = 5000;
            measured(trial).latency_hdr = EncodedHistogram::from(Histogram::new(3).unwrap());
        });
        assert_eq!(standing(&silent, &slo("p99<1h")), Standing::Missed);
    }

    #[test]
    fn an_answer_that_never_came_misses_a_greatest_and_a_mean() {
        let unanswered = |censored, lag_ns| {
            changed(|trial| {
                trial.cell.rate_rps = Some(10_000.0);
                measured(trial).censored = censored;
                measured(trial).send_lag_ns.p99 = lag_ns;
            })
        };
        for goal in ["max<1h", "mean<1h"] {
            assert_eq!(standing(&unanswered(0, 0), &slo(goal)), Standing::Met);
            assert_eq!(standing(&unanswered(1, 0), &slo(goal)), Standing::Missed);
            // Two requests fall due within twice 100 µs.
            assert_eq!(standing(&unanswered(2, 100_000), &slo(goal)), Standing::Met, "the window ended before them");
            assert_eq!(standing(&unanswered(3, 100_000), &slo(goal)), Standing::Missed);
        }
    }

    #[test]
    fn doubts_are_those_that_are_neither_the_machines_nor_of_a_busy_generator() {
        let suspect = |reasons: &[&str]| {
            changed(|trial| {
                trial.verdict = Verdict::Suspect;
                trial.reasons = reasons.iter().map(|&reason| reason.to_owned()).collect();
                measured(trial).interference.server.stolen = Some(0.5);
            })
        };
        let stolen = "the hypervisor took CPU time of the server";
        assert_eq!(doubt(&suspect(&[stolen])), None);
        assert_eq!(doubt(&suspect(&[stolen, "it was not steady"])), Some("it was not steady"));
        let idle = trial("epoll");
        let idle = Evidence::of(idle.measured.as_ref().unwrap(), &idle.cell);
        let reasons = judge(&Evidence { client_utilisation: 1.0, ..idle }).reasons;
        let busy = reasons.iter().find(|reason| reason.contains("load generator was busy")).unwrap();
        assert_eq!(doubt(&suspect(&[busy])), None);
    }

    #[test]
    fn a_lost_connection_is_a_miss() {
        assert_eq!(standing(&changed(|trial| measured(trial).errors = 1), &slo("p99<1h")), Standing::Missed);
    }

    #[test]
    fn a_wrong_answer_says_nothing_about_any_goal() {
        let wrong = changed(|trial| {
            measured(trial).mismatches = 1;
            trial.verdict = Verdict::Invalid;
            trial.reasons = vec!["answers differed".to_owned()];
        });
        for text in ["p99<1h", "p99<1us"] {
            assert_eq!(standing(&wrong, &slo(text)), Standing::Broken("answers differed".to_owned()));
        }
        let died = failed_trial("epoll", "it died");
        assert_eq!(standing(&died, &slo("p99<1h")), Standing::Broken("it died".to_owned()));
    }

    #[test]
    fn a_percentile_with_too_few_answers_is_not_met() {
        assert!(matches!(standing(&trial("epoll"), &slo("p99.9<1h")), Standing::Broken(_)));
    }

    #[test]
    fn a_busy_generator_is_to_blame_for_a_miss_and_for_no_success() {
        let busy = changed(|trial| trial.bottleneck = Some(Bottleneck::Client));
        assert_eq!(standing(&busy, &slo("p99<1ms")), Standing::Limited);
        assert_eq!(standing(&busy, &slo("p99<2ms")), Standing::Met);
    }

    #[test]
    fn a_late_generator_is_to_blame_where_its_lateness_made_the_difference() {
        let late = |service_us: u64| {
            changed(|trial| {
                let mut service = Histogram::new(3).unwrap();
                service.record_n(service_us * 1000, 2000).unwrap();
                measured(trial).service_hdr = EncodedHistogram::from(service);
                measured(trial).send_lag_ns.p99 = 600_000;
            })
        };
        assert_eq!(standing(&late(100), &slo("p99<1ms")), Standing::Limited);
        assert_eq!(standing(&late(1500), &slo("p99<1ms")), Standing::Missed);
        let punctual = changed(|trial| measured(trial).send_lag_ns.p99 = 400_000);
        assert_eq!(standing(&punctual, &slo("p99<1ms")), Standing::Missed);
    }

    #[test]
    fn what_the_machine_may_have_caused_is_told_from_other_trials() {
        let disturbed = changed(|trial| measured(trial).interference.server.neighbours = Some(0.3));
        assert!(matches!(standing(&disturbed, &slo("p99<1ms")), Standing::Disturbed(_)));
        assert!(matches!(standing(&disturbed, &slo("p99<2ms")), Standing::Disturbed(_)), "nor a success by a hair");
        assert_eq!(standing(&disturbed, &slo("p99<4ms")), Standing::Met, "in spite of it");
        assert_eq!(standing(&disturbed, &slo("p99<900ns")), Standing::Missed, "no answer was that fast");
        let overloaded = changed(|trial| {
            trial.reasons = vec!["the rate asked for was not met".to_owned()];
            measured(trial).censored = 5000;
        });
        assert_eq!(standing(&overloaded, &slo("p99<2ms")), Standing::Missed);
    }
}
