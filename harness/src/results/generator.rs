//! What the load generator of a run is able to do, whatever the server.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::figures;

/// From here on a generator had next to no CPU time left.
const BUSY: f64 = 0.9;

/// The rate at which the load generator of a run saturates, measured before its first trial against the cheapest server
/// that there is. A trial that comes near it says more about the generator than about its server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// The interface used for I/O.
    pub engine: String,
    /// Generator threads.
    pub threads: usize,
    /// Connections open at once.
    pub connections: usize,
    /// Payload of each frame.
    pub payload_bytes: u32,
    /// Requests in flight on one connection.
    pub depth: usize,
    /// The backend that served, with the protocol `raw`.
    pub server: Option<String>,
    /// Answers a second; the generator might do more where it was not busy.
    pub saturation_rps: Option<f64>,
    /// Share of the time in which its busiest thread was running, 0 to 1.
    pub utilisation: Option<f64>,
    /// CPU time of all its threads for one request.
    pub cpu_ns_per_request: Option<f64>,
    /// Why it could not be measured.
    pub error: Option<String>,
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: ", self.engine, figures::counted(self.threads, "thread"))?;
        let (Some(rps), Some(utilisation)) = (self.saturation_rps, self.utilisation) else {
            return write!(f, "saturation not measured: {}", self.error.as_deref().unwrap_or("no reason is recorded"));
        };
        let rps = figures::grouped(rps);
        // With another number of connections it may do more or less, so no more is said than what was measured.
        let load = format!(
            "{}, payload {}, depth {} against {}",
            figures::counted(self.connections, "connection"),
            figures::bytes(self.payload_bytes.into()),
            self.depth,
            self.server.as_deref().unwrap_or("an unknown server")
        );
        let busy = figures::percent(utilisation);
        if utilisation >= BUSY {
            write!(f, "saturated at {rps}/s ({busy} busy) with {load}; another load has another limit")
        } else {
            write!(f, "not saturated at {rps}/s ({busy} busy) with {load}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator(utilisation: Option<f64>) -> Generator {
        Generator {
            engine: "io_uring".to_owned(),
            threads: 1,
            connections: 64,
            payload_bytes: 64,
            depth: 1,
            server: Some("epoll".to_owned()),
            saturation_rps: utilisation.map(|_| 262_000.0),
            utilisation,
            cpu_ns_per_request: utilisation.map(|_| 3800.0),
            error: utilisation.is_none().then(|| "the server gave up".to_owned()),
        }
    }

    #[test]
    fn saturation_is_said_of_the_load_in_which_it_was_measured_and_promises_nothing_of_others() {
        let load = "with 64 connections, payload 64 B, depth 1 against epoll";
        let text = |utilisation| generator(utilisation).to_string();
        let saturated = "io_uring, 1 thread: saturated at 262,000/s (98 % busy)";
        assert_eq!(text(Some(0.98)), format!("{saturated} {load}; another load has another limit"));
        assert_eq!(text(Some(0.89)), format!("io_uring, 1 thread: not saturated at 262,000/s (89 % busy) {load}"));
        assert_eq!(text(None), "io_uring, 1 thread: saturation not measured: the server gave up");
    }

    #[test]
    fn what_was_not_measured_is_null_with_a_reason() {
        let json = serde_json::to_value(generator(None)).unwrap();
        assert!(json["saturation_rps"].is_null() && json["utilisation"].is_null());
        assert_eq!(json["error"], "the server gave up");
        assert_eq!(serde_json::from_value::<Generator>(json).unwrap(), generator(None));
    }
}
