//! What kept throughput from being higher.

use super::{BUSY, Evidence, machine, rate_met};
use crate::results::Bottleneck;

/// Where both sides were busy it says `client`, the cautious answer; and so where they kept one CPU busy together.
pub(super) fn of(evidence: &Evidence) -> Option<Bottleneck> {
    if evidence.client_utilisation >= BUSY {
        return Some(Bottleneck::Client);
    }
    if evidence.cpus_shared && evidence.client_utilisation + evidence.server_utilisation.unwrap_or(0.0) >= BUSY {
        return Some(Bottleneck::Client);
    }
    // One thread that has no time left is enough to hold up what goes through it, however many others are idle.
    let server = [evidence.server_utilisation, evidence.server_busiest_thread];
    if server.into_iter().flatten().any(|share| share >= BUSY) {
        return Some(Bottleneck::Server);
    }
    if rate_met(evidence) {
        return Some(Bottleneck::Rate);
    }
    // A side that was kept from its CPU looks as idle as one that waits.
    if machine::kept_from_cpus(evidence) {
        return None;
    }
    // That the server was not busy has to be known.
    evidence.server_utilisation.map(|_| Bottleneck::Latency)
}
