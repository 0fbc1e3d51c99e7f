//! What a serving process says on its standard output, one JSON object a line, and the request it can be sent.
//!
//! A sweep reads these lines; so can any script.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use backends::{Receipt, ReceiptValue, ServeReport};
use nix::sys::resource::{UsageWho, getrusage};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Asks a server that was started with `--control` for a [`Report`]: this line on its standard input.
pub const REPORT_REQUEST: &str = "report\n";

/// The first line: connections are accepted from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listening {
    /// Where.
    pub listening: SocketAddr,
    /// By what.
    pub backend: String,
    /// What the kernel granted it.
    pub receipt: Map<String, Value>,
}

/// What the server has done so far; also its last line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When that was, on the kernel's monotonic clock.
    pub at_ns: u64,
    /// Times that a thread went to wait; those of threads that have ended are among them.
    pub voluntary_switches: u64,
    /// Times that a thread was made to wait.
    pub involuntary_switches: u64,
    /// System calls made, by name.
    pub syscalls: BTreeMap<String, u64>,
    /// Connections that each server thread accepted.
    pub accepted_per_thread: Vec<u64>,
    /// The kernel's numbers of these threads.
    pub thread_ids: Vec<u32>,
    /// Everything else that is counted, by name.
    #[serde(flatten)]
    pub events: BTreeMap<String, u64>,
}

impl Report {
    /// What the server in this process counted, which is to be as of now, and what the kernel says of the process.
    ///
    /// # Panics
    ///
    /// If the kernel did not say what this process has used, which it never refuses.
    #[must_use]
    pub fn of_this_process(report: &ServeReport) -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it fails for invalid arguments only");
        let owned = |(name, count): (&str, u64)| (name.to_owned(), count);
        Self {
            at_ns: now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned(),
            voluntary_switches: usage.voluntary_context_switches().cast_unsigned(),
            involuntary_switches: usage.involuntary_context_switches().cast_unsigned(),
            syscalls: report.syscalls().map(owned).collect(),
            accepted_per_thread: report.accepted_per_thread.clone(),
            thread_ids: report.thread_ids.clone(),
            events: report.events().map(owned).collect(),
        }
    }
}

/// A receipt as JSON.
#[must_use]
pub fn receipt_json(receipt: &Receipt) -> Map<String, Value> {
    receipt.entries().map(|(name, value)| (name.to_owned(), receipt_value_json(value))).collect()
}

fn receipt_value_json(value: &ReceiptValue) -> Value {
    match value {
        ReceiptValue::Text(text) => Value::from(text.as_str()),
        ReceiptValue::Number(number) => Value::from(*number),
        ReceiptValue::List(list) => Value::from(list.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_flat_object_and_reads_back() {
        let report = Report {
            at_ns: 5,
            voluntary_switches: 6,
            involuntary_switches: 7,
            syscalls: BTreeMap::from([("sendto".to_owned(), 3)]),
            accepted_per_thread: vec![1, 0],
            thread_ids: vec![8, 9],
            events: BTreeMap::from([("requests".to_owned(), 2)]),
        };
        let line = serde_json::to_string(&report).unwrap();
        let times = r#""at_ns":5,"voluntary_switches":6,"involuntary_switches":7"#;
        let threads = r#""accepted_per_thread":[1,0],"thread_ids":[8,9]"#;
        assert_eq!(line, format!(r#"{{{times},"syscalls":{{"sendto":3}},{threads},"requests":2}}"#));
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
    }

    #[test]
    fn a_receipt_keeps_the_kind_of_each_fact() {
        let receipt = Receipt::default().text("trigger", "level").number("entries", 8).list("flags", vec!["A", "B"]);
        let json = Value::Object(receipt_json(&receipt));
        assert_eq!(json, serde_json::json!({ "trigger": "level", "entries": 8, "flags": ["A", "B"] }));
    }
}
