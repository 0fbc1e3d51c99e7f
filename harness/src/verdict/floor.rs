//! Whether a server cost less than the kernel charges for what it did.

use crate::results::{TrialRecord, Verdict};

/// With one request in flight on each connection every request takes a receive and a send of its own. What a server can
/// still save of the floor is the way into the kernel, by handing it many operations at once, and what the CPU forgets
/// between them: no server of the recorded runs was below 0.73 of it. So that half of it is out of reach.
const OUT_OF_REACH: f64 = 0.5;

/// Where it did not do all the work, the CPU time that was seen is not what the requests cost.
const BELOW_FLOOR: &str =
    "CPU time per request is below what the kernel charges for an echo, by more than batching explains";

/// Adds that reason to a trial whose floor is known.
pub(crate) fn doubt_below(trial: &mut TrialRecord) {
    let server = trial.measured.as_ref().and_then(|measured| measured.server.as_ref());
    let figures = server.and_then(|server| Some((server.cpu_ns_per_request?, server.floor_ns_per_request?)));
    let Some((cost_ns, floor_ns)) = figures else { return };
    if is_out_of_reach(cost_ns, floor_ns, trial.cell.depth) {
        trial.reasons.push(BELOW_FLOOR.to_owned());
        trial.verdict = trial.verdict.max(Verdict::Suspect);
    }
}

/// At most as many requests as a connection has in flight come with one receive and are answered with one send.
fn is_out_of_reach(cost_ns: f64, floor_ns: f64, depth: usize) -> bool {
    cost_ns * (depth.max(1) as f64) < OUT_OF_REACH * floor_ns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::{failed_trial, trial};

    fn judged(cost_ns: Option<f64>, floor_ns: Option<f64>, depth: usize) -> TrialRecord {
        let mut trial = trial("epoll");
        trial.cell.depth = depth;
        let server = trial.measured.as_mut().unwrap().server.as_mut().unwrap();
        (server.cpu_ns_per_request, server.floor_ns_per_request) = (cost_ns, floor_ns);
        doubt_below(&mut trial);
        trial
    }

    #[test]
    fn a_cost_below_the_floor_is_doubted_where_batching_does_not_explain_it() {
        let verdict = |cost_ns, depth| judged(Some(cost_ns), Some(3300.0), depth).verdict;
        assert_eq!(
            (verdict(858.0, 1), verdict(1650.0, 1), verdict(2400.0, 1)),
            (Verdict::Suspect, Verdict::Valid, Verdict::Valid,)
        );
        // Sixteen requests may come at once, and be answered at once.
        assert_eq!(
            (verdict(858.0, 16), verdict(104.0, 16), verdict(103.0, 16)),
            (Verdict::Valid, Verdict::Valid, Verdict::Suspect,)
        );
        assert_eq!(judged(Some(858.0), Some(3300.0), 1).reasons, [BELOW_FLOOR]);
    }

    #[test]
    fn what_is_unknown_is_no_reason_and_an_invalid_trial_stays_so() {
        for (cost_ns, floor_ns) in [(None, Some(3300.0)), (Some(1.0), None), (None, None)] {
            assert_eq!(judged(cost_ns, floor_ns, 1).verdict, Verdict::Valid);
        }
        let mut failed = failed_trial("epoll", "it died");
        let reasons = failed.reasons.clone();
        doubt_below(&mut failed);
        assert_eq!((failed.verdict, failed.reasons), (Verdict::Invalid, reasons));
    }
}
