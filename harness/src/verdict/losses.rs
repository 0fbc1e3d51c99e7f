//! Whether the load was there for as long as it was to be.

use super::Evidence;
use crate::figures;

/// Of the time of all connections in the window, how much may be lost before the figures are those of another load: as much
/// as rates differ from trial to trial on a quiet machine.
const MOST_LOST: f64 = 0.01;

/// What is said of the figures of a run that was requested to end.
const CUT_SHORT: &str = "cut short: the measurement was interrupted, and its figures are of the time until then";

pub(super) fn reasons_against(evidence: &Evidence) -> Vec<String> {
    if !is_much_lost(evidence) {
        return Vec::new();
    }
    let when = if evidence.elapsed_ns == 0 {
        "all connections were lost before the window opened"
    } else {
        "connections were lost for more than 1 % of their time in the window"
    };
    vec![match evidence.closed_after {
        Some(answers) => format!("{}: {when}", closing(answers, evidence.connections)),
        None => format!("{when}{}", first(evidence)),
    }]
}

pub(super) fn reasons_to_doubt(evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.cut_short {
        reasons.push(CUT_SHORT.to_owned());
    }
    if evidence.errors > 0 && !is_much_lost(evidence) {
        reasons.push(match evidence.closed_after {
            Some(answers) => format!("connections were lost: {}", closing(answers, evidence.connections)),
            None => format!("connections were lost{}", first(evidence)),
        });
    }
    reasons
}

/// What a server does to its connections, in words. One connection shows what was done, and not what is always done.
pub(crate) fn closing(answers: u64, connections: usize) -> String {
    let closes = if connections == 1 { "the server closed the connection" } else { "the server closes connections" };
    match usize::try_from(answers).unwrap_or(usize::MAX) {
        0 => format!("{closes} without an answer"),
        answers => format!("{closes} after {}", figures::counted(answers, "answer")),
    }
}

fn is_much_lost(evidence: &Evidence) -> bool {
    evidence.errors > 0 && evidence.lost_share.is_some_and(|share| share > MOST_LOST)
}

fn first(evidence: &Evidence) -> String {
    evidence.first_error.as_deref().map_or(String::new(), |error| format!("; the first: {error}"))
}
