//! A latency goal: what it looks like, and whether a distribution meets it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A limit beyond this one says nothing: longer latencies are not told apart.
const LONGEST: Duration = Duration::from_hours(1);

/// Answers that every trial needs, or its verdict would doubt it.
const FEWEST_ANSWERS: u64 = 1000;

/// Samples that must lie above a percentile, as [`enough_samples`](crate::statistics::enough_samples) has it.
const SAMPLES_ABOVE: f64 = 10.0;

/// A latency goal, such as `p99<1ms` or `p50<200us,p99.9<=2ms`: all of its parts must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Slo(Vec<Limit>);

/// One part of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    figure: Figure,
    /// Whether the bound itself is still good.
    inclusive: bool,
    bound_ns: u64,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    P50,
    P90,
    P99,
    P999,
    P9999,
    Max,
    Mean,
}

const FIGURES: [(Figure, &str); 7] = [
    (Figure::P50, "p50"),
    (Figure::P90, "p90"),
    (Figure::P99, "p99"),
    (Figure::P999, "p99.9"),
    (Figure::P9999, "p99.99"),
    (Figure::Max, "max"),
    (Figure::Mean, "mean"),
];

impl Slo {
    /// Whether these latencies meet it. A request that was not answered (`censored`) counts as slower than any bound: it
    /// can cost a percentile, and with a single one there is neither a greatest latency nor a mean that could be met.
    #[must_use]
    pub fn holds(&self, latency: &Histogram<u64>, censored: u64) -> bool {
        self.0.iter().all(|limit| limit.holds(latency, censored))
    }

    /// Whether they would meet it if each of them had taken twice as long.
    #[must_use]
    pub fn holds_by_far(&self, latency: &Histogram<u64>, censored: u64) -> bool {
        let halved = self.0.iter().map(|limit| Limit { bound_ns: limit.bound_ns / 2, ..*limit });
        Self(halved.collect()).holds(latency, censored)
    }

    /// Whether even the fastest of these latencies is too slow for it, which no disturbance explains.
    #[must_use]
    pub fn is_out_of_reach(&self, latency: &Histogram<u64>) -> bool {
        !latency.is_empty() && self.0.iter().any(|limit| !limit.is_within(latency.min() as f64))
    }

    /// Answers that a trial needs before it can meet or miss the goal by more than luck.
    #[must_use]
    pub fn answers_needed(&self) -> u64 {
        self.0.iter().map(|limit| limit.figure.answers_needed()).max().unwrap_or(0).max(FEWEST_ANSWERS)
    }

    /// The strictest of its bounds.
    #[must_use]
    pub fn tightest_ns(&self) -> u64 {
        self.0.iter().map(|limit| limit.bound_ns).min().unwrap_or(u64::MAX)
    }
}

impl Limit {
    fn holds(self, latency: &Histogram<u64>, censored: u64) -> bool {
        if latency.is_empty() {
            return false;
        }
        match self.figure {
            Figure::Max | Figure::Mean if censored > 0 => false,
            Figure::Max => self.is_within(latency.max() as f64),
            Figure::Mean => self.is_within(latency.mean()),
            figure => percentile_ns(latency, censored, figure.quantile()).is_some_and(|ns| self.is_within(ns as f64)),
        }
    }

    fn is_within(self, ns: f64) -> bool {
        if self.inclusive { ns <= self.bound_ns as f64 } else { ns < self.bound_ns as f64 }
    }
}

/// The quantile `q` of all requests, the unanswered ones being slower than any answer; `None` where it lies among them.
fn percentile_ns(latency: &Histogram<u64>, censored: u64, q: f64) -> Option<u64> {
    let all = latency.len().saturating_add(censored) as f64;
    let among_answers = q * all / latency.len() as f64;
    (among_answers <= 1.0).then(|| latency.value_at_quantile(among_answers))
}

impl Figure {
    /// 1 for what is no percentile.
    fn quantile(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
            Self::P9999 => 0.9999,
            Self::Max | Self::Mean => 1.0,
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    fn answers_needed(self) -> u64 {
        match self {
            Self::Max | Self::Mean => 0,
            percentile => (SAMPLES_ABOVE / (1.0 - percentile.quantile())).round() as u64,
        }
    }

    fn name(self) -> &'static str {
        FIGURES.into_iter().find(|(figure, _)| *figure == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut limits: Vec<Limit> = Vec::new();
        for part in text.split(',') {
            let limit: Limit = part.trim().parse()?;
            if limits.iter().any(|other| other.figure == limit.figure) {
                return Err(format!("{} is limited twice in '{text}'; limit it once", limit.figure.name()));
            }
            limits.push(limit);
        }
        Ok(Self(limits))
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, bound)) = text.split_once('<') else {
            return Err(format!("'{text}' is not a goal; expected one such as p99<1ms, p99.9<=2ms or max<20ms"));
        };
        let name = name.trim_end();
        let Some((figure, _)) = FIGURES.into_iter().find(|(_, known)| *known == name) else {
            let known = FIGURES.map(|(_, name)| name).join(", ");
            return Err(format!("'{name}' cannot be limited; there are {known}"));
        };
        let (inclusive, bound) = match bound.strip_prefix('=') {
            Some(bound) => (true, bound),
            None => (false, bound),
        };
        let bound = bound.trim_start();
        let limit = humantime::parse_duration(bound)
            .map_err(|_| format!("'{bound}' is not a duration; expected one such as 500us, 1ms or 2s"))?;
        if limit.is_zero() || limit > LONGEST {
            return Err(format!("'{bound}' is no latency to aim at; expected more than 0 and at most 1h"));
        }
        let bound_ns = u64::try_from(limit.as_nanos()).expect("an hour is a number of ns that fits");
        Ok(Self { figure, inclusive, bound_ns })
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, limit) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let sign = if limit.inclusive { "<=" } else { "<" };
            let bound = humantime::format_duration(Duration::from_nanos(limit.bound_ns)).to_string().replace(' ', "");
            write!(f, "{comma}{}{sign}{bound}", limit.figure.name())?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Slo {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Slo> for String {
    fn from(slo: Slo) -> Self {
        slo.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::enough_samples;

    fn slo(text: &str) -> Slo {
        text.parse().unwrap()
    }

    /// 1 µs to 1000 µs, each once.
    fn latency() -> Histogram<u64> {
        let mut latency = Histogram::new(3).unwrap();
        (1..=1000).for_each(|us| latency.record(us * 1000).unwrap());
        latency
    }

    #[test]
    fn a_goal_reads_as_it_is_written() {
        for text in ["p99<1ms", "p50<=500us", "p90<1ms500us,p99.9<2s", "p99.99<10ms", "max<1ns", "mean<1h"] {
            assert_eq!(slo(text).to_string(), text);
            assert_eq!(slo(&slo(text).to_string()), slo(text));
        }
        assert_eq!(slo(" p99 < 1ms , max <= 2ms "), slo("p99<1ms,max<=2ms"));
    }

    #[test]
    fn a_wrong_goal_is_refused_in_one_line_that_says_what_is_right() {
        for (text, expected) in [
            ("", "'' is not a goal; expected one such as p99<1ms"),
            ("p99", "'p99' is not a goal"),
            ("p99>1ms", "'p99>1ms' is not a goal"),
            ("p99=1ms", "is not a goal"),
            ("p98<1ms", "'p98' cannot be limited; there are p50, p90, p99, p99.9, p99.99, max, mean"),
            ("P99<1ms", "'P99' cannot be limited"),
            ("<1ms", "'' cannot be limited"),
            ("p99<", "'' is not a duration"),
            ("p99<1", "'1' is not a duration; expected one such as 500us"),
            ("p99<-1ms", "'-1ms' is not a duration"),
            ("p99<<1ms", "'<1ms' is not a duration"),
            ("p99<0s", "'0s' is no latency to aim at"),
            ("p99<2h", "at most 1h"),
            ("p99<1ms,", "'' is not a goal"),
            ("p99<1ms,p99<2ms", "p99 is limited twice"),
        ] {
            let error = text.parse::<Slo>().unwrap_err();
            assert!(error.contains(expected) && !error.contains('\n'), "{error:?} for {text:?}");
        }
    }

    #[test]
    fn every_part_must_hold() {
        assert!(slo("p50<=501us,p99<=991us,max<=1001us").holds(&latency(), 0));
        assert!(!slo("p50<400us,p99<=991us").holds(&latency(), 0));
        assert!(!slo("p50<=501us,max<1ms").holds(&latency(), 0));
        assert!(slo("mean<501us").holds(&latency(), 0) && !slo("mean<500us").holds(&latency(), 0));
    }

    #[test]
    fn a_bound_is_good_only_where_it_is_said_to_be() {
        let mut one = Histogram::new(3).unwrap();
        one.record(1000).unwrap();
        assert!(slo("max<=1us").holds(&one, 0) && !slo("max<1us").holds(&one, 0));
        assert!(slo("p50<=1us").holds(&one, 0) && !slo("p50<1us").holds(&one, 0));
    }

    #[test]
    fn an_unanswered_request_is_slower_than_every_answer() {
        // Of 1010 requests, the 1000th is the slowest answer.
        assert!(slo("p99<1002us").holds(&latency(), 10));
        assert!(!slo("p99<1002us").holds(&latency(), 11));
        assert!(slo("p50<520us").holds(&latency(), 10));
        assert!(!slo("p50<1h").holds(&latency(), 1001));
    }

    #[test]
    fn no_greatest_and_no_mean_is_met_while_a_request_is_unanswered() {
        for text in ["max<1h", "mean<1h", "p50<1h,max<1h"] {
            assert!(slo(text).holds(&latency(), 0) && !slo(text).holds(&latency(), 1), "{text}");
        }
    }

    #[test]
    fn a_goal_is_met_by_far_at_half_its_bounds() {
        assert!(slo("p50<=1002us,max<=2002us").holds_by_far(&latency(), 0));
        assert!(!slo("p50<=1002us,max<=1800us").holds_by_far(&latency(), 0));
    }

    #[test]
    fn a_goal_below_the_fastest_answer_is_out_of_reach() {
        assert!(slo("max<900ns").is_out_of_reach(&latency()) && slo("p99<1s,p50<900ns").is_out_of_reach(&latency()));
        assert!(!slo("p50<2us").is_out_of_reach(&latency()));
        assert!(!slo("p50<1ns").is_out_of_reach(&Histogram::new(3).unwrap()));
    }

    #[test]
    fn without_an_answer_no_goal_is_met() {
        assert!(!slo("max<1h").holds(&Histogram::new(3).unwrap(), 0));
    }

    #[test]
    fn a_percentile_needs_the_samples_that_it_needs_everywhere() {
        for (text, q) in [("p99.9<1ms", 0.999), ("p50<1ms,p99.99<1ms", 0.9999), ("p99<1ms", 0.99)] {
            let needed = slo(text).answers_needed();
            assert!(enough_samples(needed, q) && !enough_samples(needed - 1, q), "{needed} for {text}");
        }
        assert_eq!(slo("max<1ms").answers_needed(), FEWEST_ANSWERS);
        assert_eq!(slo("p99<1ms,p50<20us").tightest_ns(), 20_000);
    }
}
