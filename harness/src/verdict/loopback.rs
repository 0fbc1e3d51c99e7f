//! Whether something stood between the two sides that belongs to neither.

use super::Evidence;
use crate::environment::NO_QUEUE;

pub(super) fn reason_to_doubt(evidence: &Evidence) -> Option<String> {
    let kinds = evidence.interference.loopback_qdiscs.as_deref().unwrap_or_default();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).filter(|&kind| kind != NO_QUEUE).collect();
    let disciplines = if kinds.len() == 1 { "discipline" } else { "disciplines" };
    (!kinds.is_empty()).then(|| {
        format!(
            "loopback has the queueing {disciplines} {}: packets may be shaped, delayed or dropped",
            kinds.join(" and ")
        )
    })
}
