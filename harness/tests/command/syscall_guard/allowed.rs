//! What is allowed, and how what was made differs from it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// By the name of the backend.
pub(super) type Table = BTreeMap<String, Scenarios>;

/// By the kernel's name of the call.
pub(super) type Calls = BTreeMap<String, Allowed>;

/// What one backend may do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenarios {
    lockstep: Calls,
    burst: Calls,
}

impl Scenarios {
    pub(super) fn of(&self, scenario: &str) -> &Calls {
        match scenario {
            "lockstep" => &self.lockstep,
            "burst" => &self.burst,
            other => panic!("no scenario is called {other}"),
        }
    }
}

/// How often a call may be made in a scenario.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Allowed {
    /// Neither more often nor less: fewer are to be written down.
    Exactly(u64),
    /// How often it is does not follow from the backend alone.
    AtMost { at_most: u64, because: String },
    /// As often as there is time for.
    Uncounted {
        #[expect(dead_code, reason = "it is said to whoever reads the table")]
        uncounted: String,
    },
}

/// What of `made` is not as `allowed`, a line for each call.
pub(super) fn differences(allowed: &Calls, made: &BTreeMap<String, u64>, requests: u64) -> Vec<String> {
    let mut differences = Vec::new();
    for (call, allowance) in allowed {
        let made = made.get(call).copied().unwrap_or(0);
        match allowance {
            Allowed::Exactly(most) if made > *most => differences.push(grew(call, *most, made, requests, "")),
            Allowed::Exactly(most) if made < *most => {
                differences.push(format!("{call} went down from {most} to {made}: lower the figure"));
            }
            Allowed::AtMost { at_most, because } if made > *at_most => {
                differences.push(grew(call, *at_most, made, requests, &format!(" (at most, because {because})")));
            }
            Allowed::Exactly(_) | Allowed::AtMost { .. } | Allowed::Uncounted { .. } => {}
        }
    }
    let unknown = made.iter().filter(|(call, _)| !allowed.contains_key(*call));
    differences.extend(unknown.map(|(call, made)| grew(call, 0, *made, requests, "")));
    differences
}

fn grew(call: &str, from: u64, to: u64, requests: u64, bound: &str) -> String {
    let per_request = |calls: u64| calls as f64 / requests as f64;
    let (before, after) = (per_request(from), per_request(to));
    format!("{call} grew from {from}{bound} to {to}, {before:.3} to {after:.3} a request")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &str = r#"
        sendto = 100
        recvfrom = { at_most = 200, because = "of who is quicker" }
        accept4 = { uncounted = "it depends on time" }
    "#;

    fn said(made: &[(&str, u64)]) -> Vec<String> {
        let made = made.iter().map(|&(call, count)| (call.to_owned(), count)).collect();
        differences(&toml::from_str(ALLOWED).unwrap(), &made, 100)
    }

    #[test]
    fn what_is_allowed_is_not_spoken_of() {
        assert_eq!(said(&[("sendto", 100), ("recvfrom", 200), ("accept4", 1_000_000)]), [""; 0]);
        assert_eq!(said(&[("sendto", 100), ("recvfrom", 5)]), [""; 0]);
    }

    #[test]
    fn one_call_more_is_said_by_name() {
        assert_eq!(said(&[("sendto", 101)]), ["sendto grew from 100 to 101, 1.000 to 1.010 a request"]);
        let bound = "recvfrom grew from 200 (at most, because of who is quicker) to 201, 2.000 to 2.010 a request";
        assert_eq!(said(&[("sendto", 100), ("recvfrom", 201)]), [bound]);
        assert_eq!(said(&[("sendto", 100), ("close", 1)]), ["close grew from 0 to 1, 0.000 to 0.010 a request"]);
    }

    #[test]
    fn one_call_less_is_to_be_written_down() {
        assert_eq!(said(&[("sendto", 99)]), ["sendto went down from 100 to 99: lower the figure"]);
        assert_eq!(said(&[]), ["sendto went down from 100 to 0: lower the figure"]);
    }

    #[test]
    fn a_table_with_a_mistake_in_it_is_refused() {
        for mistake in ["sendto = -1", "sendto = { at_most = 3 }", "sendto = true"] {
            assert!(toml::from_str::<Calls>(mistake).is_err(), "{mistake}");
        }
    }
}
