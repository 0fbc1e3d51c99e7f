//! What a serving process says on its standard output, one JSON object a line, and the request it can be sent.
//!
//! A sweep reads these lines; so can any script.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use backends::{Receipt, ReceiptValue, ServeReport};
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
    /// System calls made, by name.
    pub syscalls: BTreeMap<String, u64>,
    /// Connections that each thread accepted; known when the server has ended.
    pub accepted_per_thread: Vec<u64>,
    /// Everything else that is counted, by name.
    #[serde(flatten)]
    pub events: BTreeMap<String, u64>,
}

impl Report {
    /// Requests answered so far.
    #[must_use]
    pub fn requests(&self) -> Option<u64> {
        self.events.get(backends::Event::Replies.name()).copied()
    }
}

impl From<&ServeReport> for Report {
    fn from(report: &ServeReport) -> Self {
        let owned = |(name, count): (&str, u64)| (name.to_owned(), count);
        Self {
            syscalls: report.syscalls().map(owned).collect(),
            accepted_per_thread: report.accepted_per_thread.clone(),
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
            syscalls: BTreeMap::from([("sendto".to_owned(), 3)]),
            accepted_per_thread: vec![1, 0],
            events: BTreeMap::from([("requests".to_owned(), 2)]),
        };
        let line = serde_json::to_string(&report).unwrap();
        assert_eq!(line, r#"{"syscalls":{"sendto":3},"accepted_per_thread":[1,0],"requests":2}"#);
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
        assert_eq!(report.requests(), Some(2));
    }

    #[test]
    fn a_receipt_keeps_the_kind_of_each_fact() {
        let receipt = Receipt::default().text("trigger", "level").number("entries", 8).list("flags", vec!["A", "B"]);
        let json = Value::Object(receipt_json(&receipt));
        assert_eq!(json, serde_json::json!({ "trigger": "level", "entries": 8, "flags": ["A", "B"] }));
    }
}
