//! Figures and lists as they stand in a sentence.

use crate::plan::Cell;
use crate::statistics::{Estimate, Interval, Metric};

/// How a sentence speaks of a metric.
pub(super) struct Wording {
    /// What the best does: `serves the most requests`.
    pub(super) superlative: String,
    /// What it ties for.
    pub(super) prize: String,
    /// Before a ratio.
    pub(super) verb: &'static str,
    /// Between a ratio and a name: `the requests of`.
    pub(super) of: String,
    /// The same for a second time: `those of`.
    pub(super) again: &'static str,
    /// What is compared.
    pub(super) name: &'static str,
}

impl Wording {
    pub(super) fn of(metric: Metric, cell: &Cell) -> Self {
        let name = metric.name(cell);
        match metric {
            Metric::Throughput => Self {
                superlative: "serves the most requests".to_owned(),
                prize: "the most requests".to_owned(),
                verb: "serves",
                of: "the requests of".to_owned(),
                again: "those of",
                name,
            },
            Metric::ServerCpu => Self {
                superlative: "needs the least CPU time per request".to_owned(),
                prize: "the least CPU time per request".to_owned(),
                verb: "needs",
                of: "the CPU time per request of".to_owned(),
                again: "that of",
                name: "CPU time per request",
            },
            Metric::P50 | Metric::P99 => Self {
                superlative: format!("has the lowest {name}"),
                prize: format!("the lowest {name}"),
                verb: "has",
                of: format!("the {name} of"),
                again: "that of",
                name,
            },
        }
    }
}

/// `1.31× [1.24, 1.38]`.
pub(super) fn ratio(estimate: &Estimate) -> String {
    let values = estimate.interval.map_or_else(Vec::new, |Interval { low, high }| vec![low, high]);
    // An end that is not 1 must not look like it.
    let decimals = if values.iter().any(|&value| factor(value, 2) == "1.00") { 3 } else { 2 };
    let interval = if values.is_empty() {
        String::new()
    } else {
        format!(" [{}]", values.iter().map(|&value| factor(value, decimals)).collect::<Vec<_>>().join(", "))
    };
    format!("{}×{interval}", factor(estimate.ratio, decimals))
}

/// A bound from above: rounded up, or it would promise too much.
pub(super) fn at_most(factor: f64) -> String {
    if factor < 100.0 { format!("{:.2}×", (factor * 100.0 - 1e-9).ceil() / 100.0) } else { format!("{factor:.0}×") }
}

fn factor(value: f64, decimals: usize) -> String {
    match value {
        value if value >= 1e6 => format!("{value:.1e}"),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value < 0.0995 => format!("{value:.2e}"),
        value => format!("{value:.decimals$}"),
    }
}

/// The other way round.
pub(super) fn inverted(estimate: &Estimate) -> Estimate {
    let interval = |Interval { low, high }| Interval { low: 1.0 / high, high: 1.0 / low };
    Estimate { ratio: 1.0 / estimate.ratio, interval: estimate.interval.map(interval) }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// A reason as it stands in a file, which may be anything: not longer than a line or two.
pub(super) fn reason(text: &str) -> String {
    const LONGEST: usize = 200;
    let text = text.trim().trim_end_matches('.');
    if text.chars().count() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ratio: f64, low: f64, high: f64) -> String {
        super::ratio(&Estimate { ratio, interval: Some(Interval { low, high }) })
    }

    #[test]
    fn an_end_that_is_not_one_does_not_look_like_it() {
        assert_eq!(said(1.314, 1.242, 1.379), "1.31× [1.24, 1.38]");
        assert_eq!(said(1.02, 1.001, 1.04), "1.020× [1.001, 1.040]");
        assert_eq!(said(0.05, 0.04, 12.34), "5.00e-2× [4.00e-2, 12.3]");
        assert_eq!(super::ratio(&Estimate { ratio: 250.3, interval: None }), "250×");
    }

    #[test]
    fn a_bound_promises_no_more_than_it_keeps() {
        assert_eq!([1.061, 1.06, 1.0, 250.0].map(at_most), ["1.07×", "1.06×", "1.00×", "250×"]);
    }

    #[test]
    fn lists_read_as_people_speak() {
        assert_eq!([list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(reason(&"x".repeat(500)).chars().count(), 201);
    }
}
