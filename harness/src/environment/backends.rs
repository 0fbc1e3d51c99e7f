//! What the running kernel grants each backend.

use backends::BACKENDS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::control::receipt_json;

/// One backend on this machine. Either it has a receipt or there is a reason why not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BackendFacts {
    /// Its name.
    pub name: String,
    /// What the kernel would grant it.
    pub receipt: Option<Map<String, Value>>,
    /// Why it cannot run.
    pub reason: Option<String>,
}

impl BackendFacts {
    pub(super) fn ask() -> Vec<Self> {
        let ask = |backend: &&dyn backends::Backend| {
            let name = backend.info().name.to_owned();
            match backend.probe() {
                Ok(receipt) => Self { name, receipt: Some(receipt_json(&receipt)), reason: None },
                Err(unavailable) => Self { name, receipt: None, reason: Some(unavailable.reason) },
            }
        };
        BACKENDS.iter().map(ask).collect()
    }
}
