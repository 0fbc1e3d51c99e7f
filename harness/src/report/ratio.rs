//! Ratios as they are written, in sentences and in tables.

use crate::statistics::{Estimate, Interval};

/// So many decimals tell whatever trials can tell.
const MOST_DECIMALS: usize = 5;

/// A ratio with its interval: `1.31× [1.24, 1.38]`, with so many decimals or more, until an end that is not 1 does not look like
/// it, nor one end like the other.
pub(super) fn text(estimate: &Estimate, least_decimals: usize) -> String {
    let Some(Interval { low, high }) = estimate.interval else {
        return format!("{}×", factor(estimate.ratio, least_decimals));
    };
    let ends = |decimals| [low, high].map(|end| factor(end, decimals));
    let is_one = |value: f64| value.total_cmp(&1.0).is_eq();
    let misleads = |decimals: &usize| {
        let ends = ends(*decimals);
        let looks_like_one = |(text, value): (&String, f64)| text.parse().is_ok_and(is_one) && !is_one(value);
        ends.iter().zip([low, high]).any(looks_like_one) || ends[0] == ends[1] && low.total_cmp(&high).is_ne()
    };
    let decimals = (least_decimals..MOST_DECIMALS).find(|decimals| !misleads(decimals)).unwrap_or(MOST_DECIMALS);
    format!("{}× [{}]", factor(estimate.ratio, decimals), ends(decimals).join(", "))
}

/// Two digits, unless what matters is how far it is from 1.
pub(super) fn factor(value: f64, decimals: usize) -> String {
    match value {
        value if !(1e-3..1e6).contains(&value) => format!("{value:.1e}"),
        value if value >= 9.995 => {
            let step = second_digit(value);
            format!("{:.0}", (value / step).round() * step)
        }
        value if value < 0.00995 => format!("{value:.4}"),
        value if value < 0.0995 => format!("{value:.3}"),
        value => format!("{value:.decimals$}"),
    }
}

/// What one step in the second digit of a number above 10 is worth.
pub(super) fn second_digit(value: f64) -> f64 {
    10_f64.powf(value.log10().floor() - 1.0).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_not_one_does_not_look_like_it_in_a_table_either() {
        let said = |ratio, low, high| text(&Estimate { ratio, interval: Some(Interval { low, high }) }, 3);
        assert_eq!(said(0.985, 0.972, 0.9997), "0.9850× [0.9720, 0.9997]");
        assert_eq!(said(0.988, 0.976, 1.0), "0.988× [0.976, 1.000]");
        assert_eq!(said(1.31, 1.24, 1.38), "1.310× [1.240, 1.380]");
        assert_eq!(said(1.0, 1.0 - 1e-9, 1.0 + 1e-9), "1.00000× [1.00000, 1.00000]", "beyond what can be measured");
    }
}
