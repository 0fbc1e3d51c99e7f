//! Numbers for people: three digits are what a measurement is good for.

use bytesize::ByteSize;

/// Stands where a number would mislead.
pub const NONE: &str = "–";

/// Nanoseconds in the unit that suits them: `870 ns`, `12.3 µs`, `1.20 ms`, `2.00 s`.
#[must_use]
pub fn duration(ns: f64) -> String {
    let units = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    // 999.5 ns would be rounded to 1000 ns: it is 1.00 µs.
    let (unit, scale) = units.into_iter().find(|(_, scale)| ns / scale < 999.5).unwrap_or(units[3]);
    format!("{} {unit}", three_digits(ns / scale))
}

/// Bytes in binary units.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// The same, but never rounded: sizes that differ do not read alike. `16.0 KiB`, `16,385 B`.
#[must_use]
pub fn exact_bytes(bytes: u64) -> String {
    // One decimal is written of what is divided by 1024 as often as that leaves something before the point.
    let unit = 1_u64 << (10 * (bytes.max(1).ilog2() / 10));
    let is_exact = u128::from(bytes) * 10 % u128::from(unit) == 0;
    if is_exact { self::bytes(bytes) } else { format!("{} B", set_apart(&bytes.to_string())) }
}

/// A rate or another large number, rounded, with its thousands set apart: `118,204`.
#[must_use]
pub fn grouped(value: f64) -> String {
    set_apart(&format!("{value:.0}"))
}

/// The same with all its decimals: numbers that differ do not read alike.
#[must_use]
pub fn grouped_exactly(value: f64) -> String {
    let digits = value.to_string();
    match digits.split_once('.') {
        Some((whole, decimals)) => format!("{}.{decimals}", set_apart(whole)),
        None => set_apart(&digits),
    }
}

fn set_apart(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 trial`, `2 trials`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count as f64))
}

/// `1 of 2 trials`, `0 of 1 trial`.
#[must_use]
pub fn counted_of(part: usize, all: usize, noun: &str) -> String {
    format!("{} of {}", grouped(part as f64), counted(all, noun))
}

/// Half widths above this, of a factor of ten, say that nothing is known: no digit of them means anything.
pub const WIDEST: f64 = 9.0;

/// A half width, or a distance from the middle, as a percentage: `±2.0 %`.
#[must_use]
pub fn plus_minus(share: f64) -> String {
    if share > WIDEST { "wider than ×10".to_owned() } else { format!("±{:.1} %", share * 100.0) }
}

/// A mean number of bytes, of which there may be parts: `0.25 B`, `136 B`, `24.0 KiB`.
#[must_use]
pub fn mean_bytes(mean: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes are neither negative nor so large"
    )]
    let whole = mean.round() as u64;
    if mean < 100.0 { format!("{} B", three_digits(mean)) } else { bytes(whole) }
}

/// A share as a percentage without decimals.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A number of any size with three digits, or all of them before the point.
#[must_use]
pub fn three_digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_choose_their_unit() {
        let texts: Vec<String> = [0.0, 870.0, 999.6, 12_340.0, 1_204_000.0, 2e9, 90e9].map(duration).into();
        assert_eq!(texts, ["0.00 ns", "870 ns", "1.00 µs", "12.3 µs", "1.20 ms", "2.00 s", "90.0 s"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        let texts: Vec<String> = [0.0, 999.0, 1000.0, 118_204.4, 1_234_567.0].map(grouped).into();
        assert_eq!(texts, ["0", "999", "1,000", "118,204", "1,234,567"]);
    }

    #[test]
    fn what_differs_is_not_rounded_to_the_same() {
        let sizes: Vec<String> = [0, 64, 1023, 1024, 1536, 16_384, 16_385, 1 << 20].map(exact_bytes).into();
        assert_eq!(sizes, ["0 B", "64 B", "1023 B", "1.0 KiB", "1.5 KiB", "16.0 KiB", "16,385 B", "1.0 MiB"]);
        let rates: Vec<String> = [1000.0, 1000.25, 0.5, 1e6].map(grouped_exactly).into();
        assert_eq!(rates, ["1,000", "1,000.25", "0.5", "1,000,000"]);
    }

    #[test]
    fn one_is_not_a_plural() {
        assert_eq!(counted(1, "trial"), "1 trial");
        let numbers = [0, 1, 2, 21, 61, 101, 1000];
        let expected = ["0 trials", "1 trial", "2 trials", "21 trials", "61 trials", "101 trials", "1,000 trials"];
        assert_eq!(numbers.map(|count| counted(count, "trial")), expected);
        assert_eq!([counted_of(0, 1, "trial"), counted_of(1, 21, "trial")], ["0 of 1 trial", "1 of 21 trials"]);
    }

    #[test]
    fn every_formatter_keeps_to_one_form() {
        let numbers = [0.0, 1.0, 2.0, 21.0, 61.0, 101.0, 1000.0];
        assert_eq!(numbers.map(duration), ["0.00 ns", "1.00 ns", "2.00 ns", "21.0 ns", "61.0 ns", "101 ns", "1.00 µs"]);
        assert_eq!([0, 1, 2, 21, 61, 101, 1000].map(bytes), ["0 B", "1 B", "2 B", "21 B", "61 B", "101 B", "1000 B"]);
        assert_eq!([24_576, 6_710_886, 3 << 40].map(bytes), ["24.0 KiB", "6.4 MiB", "3.0 TiB"]);
        let means = [0.25, 1.5, 136.0, 24_576.0, 1_048_576.0].map(mean_bytes);
        assert_eq!(means, ["0.25 B", "1.50 B", "136 B", "24.0 KiB", "1.0 MiB"]);
        assert_eq!([0.0, 0.01, 0.435, 1.0].map(percent), ["0 %", "1 %", "44 %", "100 %"]);
        let widths = [0.0, 0.02, 0.435, 1.5, 139.0, f64::INFINITY].map(plus_minus);
        assert_eq!(widths, ["±0.0 %", "±2.0 %", "±43.5 %", "±150.0 %", "wider than ×10", "wider than ×10"]);
    }
}
