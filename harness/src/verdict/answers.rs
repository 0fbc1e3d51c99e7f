//! Whether the answers were right, came, and are enough.

use std::time::Duration;

use super::{Evidence, RATE_MET, rate_met};
use crate::figures;
use crate::load::none_due;
use crate::statistics::enough_samples;

/// The highest percentile that a trial must be able to carry by itself.
const NEEDED_QUANTILE: f64 = 0.99;

/// The one reason that may be the server's own doing and nothing more.
pub(super) const RATE_NOT_MET: &str = "the rate asked for was not met: requests were sent too late, or never answered";

pub(super) fn reasons_against(evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.mismatches > 0 {
        reasons.push("answers differed from what was sent".to_owned());
    }
    // A window of no length had no request in it.
    if evidence.requests == 0 && evidence.elapsed_ns > 0 {
        reasons.push(why_none_was_answered(evidence));
    }
    reasons
}

/// Nothing was measured in three ways: nothing was to be sent, answers of requests before the window came after it, or none
/// came.
fn why_none_was_answered(evidence: &Evidence) -> String {
    let window = Duration::from_nanos(evidence.elapsed_ns);
    let shown = figures::duration(evidence.elapsed_ns as f64);
    match (evidence.due, evidence.rate_rps, evidence.oldest_wait_ns.filter(|&ns| ns > 0)) {
        (Some(0), Some(rate_rps), None) => none_due(rate_rps, window),
        (_, _, Some(ns)) if evidence.unanswered == 0 && evidence.errors == 0 => format!(
            "answers take longer than the window of {shown} (the oldest request had waited {} when it closed); ask for a \
             longer --duration",
            figures::duration(ns as f64)
        ),
        (_, _, Some(ns)) if evidence.errors == 0 => format!(
            "no request was answered in the window of {shown} (the oldest had waited {} when it closed), and some never",
            figures::duration(ns as f64)
        ),
        _ => "no request was answered".to_owned(),
    }
}

pub(super) fn reasons_to_doubt(evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.requests > 0 && are_missing(evidence) {
        reasons.push("connections were missing: no request on them was sent in the window and answered".to_owned());
    }
    match evidence.due {
        None if evidence.censored > 0 => reasons.push("requests were never answered".to_owned()),
        // Where the rate was met, the few that the end of the window cut off change nothing.
        Some(_) if evidence.censored > 0 && !rate_met(evidence) => {
            reasons.push(RATE_NOT_MET.to_owned());
        }
        _ => {}
    }
    if evidence.requests > 0 && !enough_samples(evidence.requests, NEEDED_QUANTILE) {
        reasons.push("too few answers for a p99".to_owned());
    }
    reasons
}

/// In an open loop as many may be missing as requests may: one that was due just before the end of the window may have
/// been the only one of its connection.
fn are_missing(evidence: &Evidence) -> bool {
    let allowed = if evidence.due.is_some() { (1.0 - RATE_MET) * evidence.connections as f64 } else { 0.0 };
    evidence.silent_connections.is_some_and(|silent| silent as f64 > allowed)
}
