//! Whether the load generator did its part, and its figures agree with each other.

use super::{BUSY, Evidence, lateness};

/// A clock whose step is a larger share of the median than this decides what the median is.
const COARSE: f64 = 0.05;

/// How far requests in flight and throughput × service time may differ: several times the rounding of the histograms, a
/// fraction of any mistake worth the name.
const LITTLE_TOLERANCE: f64 = 0.02;

/// The one reason that is common for fast servers, and not one against what they cost.
pub(crate) const BUSY_GENERATOR: &str =
    "the load generator was busy, so that the server might have done more; CPU per request still compares";

pub(super) fn reasons_to_doubt(evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.client_utilisation >= BUSY {
        reasons.push(BUSY_GENERATOR.to_owned());
    }
    reasons.extend(lateness::reason_to_doubt(evidence).map(str::to_owned));
    if evidence.clock_step_ns.is_some_and(|step_ns| step_ns as f64 > COARSE * evidence.service_p50_ns as f64) {
        reasons.push("the clock is too coarse for times as short as these".to_owned());
    }
    if contradicts_little(evidence) {
        reasons.push(
            "the figures contradict each other: requests in flight are not throughput × mean service time \
             (Little's law)"
                .to_owned(),
        );
    }
    reasons
}

/// In a closed loop against what was to be in flight, in an open one against what was.
///
/// The law is exact once the edges of the window are taken into account. Requests that were in flight in the window and
/// never answered have no service time, so that it does not speak of them; they are a reason by themselves. Those that
/// were sent too late to be measured were not in flight in the window, and do not break it.
fn contradicts_little(evidence: &Evidence) -> bool {
    let in_flight = evidence.asked_in_flight.or(evidence.in_flight_mean).filter(|&in_flight| in_flight > 0.0);
    let (Some(in_flight), Some(edges)) = (in_flight, evidence.in_flight_edges) else { return false };
    if evidence.errors > 0 || evidence.unanswered > 0 {
        return false;
    }
    let of_measured = evidence.throughput_rps() * evidence.service_mean_ns as f64 / 1e9;
    (of_measured + edges - in_flight).abs() > LITTLE_TOLERANCE * in_flight
}
