//! The values of flags and of plan files: each is checked where it is read, and by the same code for both.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use harness::load::LoadPlan;
use serde::de::{self, Deserializer, Visitor};

/// A number from 1 to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Count<const MAX: usize>(pub(crate) usize);

impl<const MAX: usize> FromStr for Count<MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count) if (1..=MAX).contains(&count) => Ok(Self(count)),
            _ => Err(format!("'{text}' is not a whole number from 1 to {MAX}")),
        }
    }
}

/// A number from 0 to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AtMost<const MAX: usize>(pub(crate) usize);

impl<const MAX: usize> FromStr for AtMost<MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count) if count <= MAX => Ok(Self(count)),
            _ => Err(format!("'{text}' is not a whole number from 0 to {MAX}")),
        }
    }
}

/// A size from `MIN` to `MAX` bytes: `64`, `4KiB`, `1MiB`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size<const MIN: u32, const MAX: u32>(pub(crate) u32);

impl<const MIN: u32, const MAX: u32> FromStr for Size<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size: ByteSize =
            text.parse().map_err(|_| format!("'{text}' is not a size; expected one such as 64, 4KiB or 1MiB"))?;
        match u32::try_from(size.as_u64()) {
            Ok(bytes) if (MIN..=MAX).contains(&bytes) => Ok(Self(bytes)),
            _ => Err(format!("'{text}' is not within {MIN} and {}", ByteSize::b(MAX.into()).display().iec())),
        }
    }
}

/// A duration of at least `MIN_MS`: `500ms`, `2s`, `1m`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span<const MIN_MS: u64>(pub(crate) Duration);

/// Longer than anybody waits for.
const LONGEST: Duration = Duration::from_hours(24);

impl<const MIN_MS: u64> FromStr for Span<MIN_MS> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = humantime::parse_duration(text)
            .map_err(|_| format!("'{text}' is not a duration; expected one such as 500ms, 2s or 1m"))?;
        if (Duration::from_millis(MIN_MS)..=LONGEST).contains(&span) {
            Ok(Self(span))
        } else {
            Err(format!("'{text}' is not within {MIN_MS}ms and 24h"))
        }
    }
}

/// Requests a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate(pub(crate) f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(rate_rps) if rate_rps > 0.0 && rate_rps <= LoadPlan::MAX_RATE_RPS => Ok(Self(rate_rps)),
            _ => Err(format!("'{text}' is not a rate; expected requests a second, at most {}", LoadPlan::MAX_RATE_RPS)),
        }
    }
}

/// A share that is given in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percent(pub(crate) f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Self(percent)),
            _ => Err(format!("'{text}' is not a percentage; expected a number above 0 and up to 100")),
        }
    }
}

/// Values that are each listed once: `1,16,256`; never empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: FromStr<Err: Display> + PartialEq> FromStr for List<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A blank after a comma is how people write.
        text.split(',').map(str::trim).try_fold(Self(Vec::new()), Self::with)
    }
}

impl<T: FromStr<Err: Display> + PartialEq> List<T> {
    fn with(mut self, item: &str) -> Result<Self, String> {
        let value = item.parse().map_err(|error: T::Err| error.to_string())?;
        if self.0.contains(&value) {
            return Err(format!("'{item}' is listed twice"));
        }
        self.0.push(value);
        Ok(self)
    }
}

/// Reads a scalar of a plan file as the text that a flag would have.
pub(crate) fn scalar<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let Text(text) = de::Deserialize::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

/// Reads an array of a plan file, or a single scalar.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Option<List<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display> + PartialEq,
{
    let Texts(texts) = de::Deserialize::deserialize(deserializer)?;
    if texts.is_empty() {
        return Err(de::Error::custom("the list is empty"));
    }
    let list = texts.iter().try_fold(List(Vec::new()), |list, Text(item)| list.with(item));
    list.map(Some).map_err(de::Error::custom)
}

struct Text(String);

impl<'de> de::Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }
}

struct Texts(Vec<Text>);

impl<'de> de::Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = "expected a list, a string or a number")]
        enum OneOrMore {
            One(Text),
            More(Vec<Text>),
        }

        Ok(Self(match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: FromStr>(texts: &[&str]) {
        for text in texts {
            assert!(text.parse::<T>().is_err(), "'{text}' was accepted");
        }
    }

    #[test]
    fn counts_are_within_their_limits() {
        assert_eq!("8".parse(), Ok(Count::<8>(8)));
        refused::<Count<8>>(&["", "0", "9", "-1", "1.5", "1e3", "many", "99999999999999999999999"]);
    }

    #[test]
    fn sizes_have_units() {
        let size = |text: &str| text.parse::<Size<0, { 16 << 20 }>>().map(|size| size.0);
        assert_eq!(size("64"), Ok(64));
        assert_eq!(size("4KiB"), Ok(4096));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(size("0"), Ok(0));
        refused::<Size<0, { 16 << 20 }>>(&["", "-1", "17MiB", "4KiBs", "NaN", "99999999999999999999"]);
        refused::<Size<1, 8>>(&["0", "9"]);
    }

    #[test]
    fn durations_have_units() {
        assert_eq!("500ms".parse(), Ok(Span::<1>(Duration::from_millis(500))));
        assert_eq!("1m".parse(), Ok(Span::<1>(Duration::from_mins(1))));
        assert_eq!("0s".parse(), Ok(Span::<0>(Duration::ZERO)));
        refused::<Span<1>>(&["", "5", "0s", "1us", "-1s", "25h", "9999999999999y", "soon"]);
    }

    #[test]
    fn rates_are_positive_and_finite() {
        assert_eq!("0.5".parse(), Ok(Rate(0.5)));
        refused::<Rate>(&["", "0", "-1", "NaN", "inf", "1e300", "fast"]);
    }

    #[test]
    fn percentages_are_above_zero() {
        assert_eq!("2.5".parse(), Ok(Percent(2.5)));
        refused::<Percent>(&["", "0", "-1", "101", "NaN", "5%"]);
    }

    #[test]
    fn lists_hold_each_value_once() {
        for text in ["1,16", "1, 16", " 1 ,\t16 "] {
            assert_eq!(text.parse(), Ok(List(vec![Count::<99>(1), Count(16)])), "{text}");
        }
        refused::<List<Count<99>>>(&["", "1,", ",1", "1,1", "1,01", "1;2"]);
    }
}
