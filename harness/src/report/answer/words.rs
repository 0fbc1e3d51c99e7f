//! Figures and lists as they stand in a sentence.

use crate::plan::Cell;
use crate::report::ratio::{self, factor, second_digit};
use crate::statistics::{Estimate, Interval, Metric};

/// How a sentence speaks of a metric.
pub(super) struct Wording {
    /// What the best does: `serves the most requests`.
    pub(super) superlative: String,
    /// What one that is behind does: `serves fewer requests`; and several.
    pub(super) behind: [String; 2],
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
                behind: ["serves fewer requests".to_owned(), "serve fewer requests".to_owned()],
                prize: "the most requests".to_owned(),
                verb: "serves",
                of: "the requests of".to_owned(),
                again: "those of",
                name,
            },
            Metric::ServerCpu => Self {
                superlative: "needs the least CPU time per request".to_owned(),
                behind: ["needs more CPU time per request".to_owned(), "need more CPU time per request".to_owned()],
                prize: "the least CPU time per request".to_owned(),
                verb: "needs",
                of: "the CPU time per request of".to_owned(),
                again: "that of",
                name: "CPU time per request",
            },
            Metric::P50 | Metric::P99 => Self {
                superlative: format!("has the lowest {name}"),
                behind: [format!("has a higher {name}"), format!("have a higher {name}")],
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
    ratio::text(estimate, 2)
}

/// Whether two read alike, as far as their intervals are not looked at.
pub(super) fn reads_alike(a: &Estimate, b: &Estimate) -> bool {
    factor(a.ratio, 2) == factor(b.ratio, 2)
}

/// A bound from above: rounded up, or it would promise too much.
pub(super) fn at_most(factor: f64) -> String {
    match factor {
        factor if factor >= 1e6 => format!("{factor:.1e}×"),
        factor if factor > 10.0 => {
            let step = second_digit(factor);
            format!("{:.0}×", (factor / step - 1e-9).ceil() * step)
        }
        factor => format!("{:.2}×", (factor * 100.0 - 1e-9).ceil() / 100.0),
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
        assert_eq!(said(0.985, 0.972, 0.9997), "0.9850× [0.9720, 0.9997]");
        assert_eq!(said(1.0, 1.0, 1.0), "1.00× [1.00, 1.00]");
        assert_eq!(said(0.94, 0.938, 0.941), "0.940× [0.938, 0.941]");
        assert_eq!(super::ratio(&Estimate { ratio: 250.3, interval: None }), "250×");
    }

    #[test]
    fn nothing_is_said_in_powers_of_ten_or_to_more_than_two_digits_above_ten() {
        assert_eq!(said(0.069, 0.0041, 12.34), "0.069× [0.0041, 12]");
        assert_eq!(said(88.16, 9.994, 1234.0), "88× [9.99, 1200]");
        assert_eq!(said(9.996, 5.0, 99.9), "10× [5.00, 100]");
        assert_eq!([88.16, 220.1, 12.0, 9.999, 10.0].map(at_most), ["89×", "230×", "12×", "10.00×", "10.00×"]);
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
