//! Histograms in a line of text: the `HdrHistogram` V2 format, deflated, in base64, which every port of it reads.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2DeflateSerializer};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// A histogram that is written as text. Copies share it.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedHistogram(pub Arc<Histogram<u64>>);

/// Stands in for those that are not kept.
static NONE: LazyLock<Arc<Histogram<u64>>> =
    LazyLock::new(|| Arc::new(Histogram::new(3).expect("three digits are within what a histogram can keep")));

impl From<Histogram<u64>> for EncodedHistogram {
    fn from(histogram: Histogram<u64>) -> Self {
        Self(Arc::new(histogram))
    }
}

impl EncodedHistogram {
    /// One without a value, which takes no memory of its own.
    #[must_use]
    pub fn none() -> Self {
        Self(NONE.clone())
    }

    /// Gives back the memory that is for values greater than any in it. It counts as before; only as wide a range as it had
    /// is gone.
    pub fn shrink(&mut self) {
        let (low, high) = (self.0.low(), self.0.max().max(self.0.low().saturating_mul(2)));
        // Where it cannot be made smaller it stays as it is.
        if let Ok(mut smaller) = Histogram::new_with_bounds(low, high, self.0.sigfig())
            && smaller.add(&*self.0).is_ok()
        {
            self.0 = Arc::new(smaller);
        }
    }
}

impl Serialize for EncodedHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&*self.0, &mut bytes).map_err(ser::Error::custom)?;
        serializer.serialize_str(&BASE64.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for EncodedHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text).map_err(de::Error::custom)?;
        let histogram = HdrDeserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|_| de::Error::custom("a histogram is damaged or cut off"))?;
        Ok(Self::from(histogram))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shrunk_counts_as_before_in_less_memory() {
        for values in [&[][..], &[1], &[20_000, 45_000, 45_000, 3_000_000], &[u64::MAX / 4]] {
            let mut histogram = Histogram::new_with_bounds(1, u64::MAX / 2, 3).unwrap();
            for &value in values {
                histogram.record(value).unwrap();
            }
            let mut shrunk = EncodedHistogram::from(histogram.clone());
            shrunk.shrink();
            // In this order: a larger one is never equal to a smaller one.
            assert_eq!(*shrunk.0, histogram);
            assert!(shrunk.0.distinct_values() < histogram.distinct_values());
        }
    }
}
