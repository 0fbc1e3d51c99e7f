//! Histograms in a line of text: the `HdrHistogram` V2 format, deflated, in base64, which every port of it reads.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2DeflateSerializer};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// A histogram that is written as text.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedHistogram(pub Histogram<u64>);

impl Serialize for EncodedHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).map_err(ser::Error::custom)?;
        serializer.serialize_str(&BASE64.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for EncodedHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text).map_err(de::Error::custom)?;
        let histogram = HdrDeserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| de::Error::custom(format!("not a histogram: {error}")))?;
        Ok(Self(histogram))
    }
}

impl JsonSchema for EncodedHistogram {
    fn schema_name() -> Cow<'static, str> {
        "EncodedHistogram".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A histogram: HdrHistogram V2, DEFLATE, base64.",
            "type": "string",
            "contentEncoding": "base64",
            // What marks that format, in its first bytes.
            "pattern": "^HISTFA[A-Za-z0-9+/]+={0,2}$",
        })
    }
}
