//! Values as they are written beside an axis: as short as they are known.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of digits, and bytes")]

use super::dates;
use crate::figures;
use crate::report::chart::Unit;

/// A value, as short as it is known: `100,000/s`, `1.2 ms`, `64`, `99.9 %`.
pub(in crate::report::svg) fn figure(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count => number(value),
        Unit::PerSecond => format!("{}/s", number(value)),
        Unit::Nanoseconds | Unit::Bytes if value == 0.0 => "0".to_owned(),
        Unit::Nanoseconds => bare(&figures::duration(value)),
        Unit::Bytes => bare(&figures::bytes(value as u64)),
        Unit::Quantile => percentile(value),
        Unit::Time => dates::date(value),
    }
}

/// With thousands set apart, or three digits.
fn number(value: f64) -> String {
    if value.abs() >= 1e15 {
        return format!("{value:.2e}");
    }
    if value.abs() >= 100.0 || value.fract() == 0.0 {
        let sign = if value <= -0.5 { "-" } else { "" };
        return format!("{sign}{}", figures::grouped(value.abs()));
    }
    let digits = (2.0 - value.abs().log10().floor()).clamp(0.0, 9.0) as usize;
    bare(&format!("{value:.digits$} ")).trim_end().to_owned()
}

/// Without zeros behind the point: `1.20 ms` is `1.2 ms`.
fn bare(figure: &str) -> String {
    match figure.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => figure.to_owned(),
    }
}

/// With as many nines as it has.
fn percentile(quantile: f64) -> String {
    let nines = if quantile < 1.0 { -(1.0 - quantile).log10() } else { 0.0 };
    let digits = (nines - 2.0).ceil().clamp(0.0, 14.0) as usize;
    bare(&format!("{:.digits$} %", quantile * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_as_short_as_they_can_be() {
        let texts = [
            figure(Unit::PerSecond, 118_204.4),
            figure(Unit::Nanoseconds, 1_204_000.0),
            figure(Unit::Nanoseconds, 870.0),
            figure(Unit::Bytes, 5.6 * 1024.0 * 1024.0),
            figure(Unit::Count, 0.031),
            figure(Unit::Quantile, 0.9995),
            figure(Unit::Quantile, 1.0),
        ];
        assert_eq!(texts, ["118,204/s", "1.2 ms", "870 ns", "5.6 MiB", "0.031", "99.95 %", "100 %"]);
    }
}
