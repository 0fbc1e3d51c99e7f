//! The percentiles of a distribution as `HdrHistogram` prints them, to the last nine, for its plotters.
//!
//! Everything follows `outputPercentileDistribution` of the first implementation, in Java, down to how it rounds: the same
//! histogram gives the same bytes. Values are in microseconds, five lines for each halving of the distance to 100 %.
//!
//! Percentiles are those of all requests. Those that no histogram has are slower than any answer: the lines end where they
//! begin, and neither mean nor maximum is known then.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::group::Group;
use super::names::{Names, words};
use super::{ExportError, Piece, censored};
use crate::results::Measured;
use crate::statistics::Censored;

/// How every such file begins.
pub(super) const HEADING: &str = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";

/// Lines for each halving of the distance to 100 %; what `HistogramLogProcessor` does.
const TICKS_PER_HALF_DISTANCE: f64 = 5.0;

/// Nanoseconds in the unit that is printed.
const NS_PER_UNIT: f64 = 1000.0;

/// Stands for a figure that requests without an answer take away.
const UNKNOWN: &str = "-";

/// A file for each backend in each cell.
pub(super) fn pieces(groups: &[Group]) -> Result<Vec<Piece>, ExportError> {
    let (mut names, mut stems) = (Names::of_files(), Names::of_stems());
    let mut pieces = Vec::new();
    for group in groups {
        let histograms = group.measured().filter_map(Measured::latencies_to_merge);
        let Some(merged) = merged(histograms)? else { continue };
        let stem = format!("{}.{}", names.harmless(group.backend), words(group.cell).join("."));
        let censored = Censored::of(group.measured());
        let mut text = distribution(&merged, censored.count);
        if let Some(comment) = censored::comment(censored) {
            writeln!(text, "#[{comment}: slower than any answer, so percentiles end before them]")
                .expect("a String takes any text");
        }
        pieces.push(Piece { name: format!("{}.hgrm", stems.harmless(&stem)), text });
    }
    Ok(pieces)
}

fn merged<'a>(mut histograms: impl Iterator<Item = &'a Histogram<u64>>) -> Result<Option<Histogram<u64>>, ExportError> {
    let Some(first) = histograms.next() else { return Ok(None) };
    let mut all = first.clone();
    all.auto(true);
    for histogram in histograms {
        all.add(histogram).map_err(|error| ExportError::Histogram(error.to_string()))?;
    }
    Ok(Some(all))
}

/// The whole text; `censored` are slower than all that is in the histogram.
fn distribution(histogram: &Histogram<u64>, censored: u64) -> String {
    let digits = usize::from(histogram.sigfig());
    let mut text = HEADING.to_owned();
    let mut line = |arguments: std::fmt::Arguments| writeln!(text, "{arguments}").expect("a String takes any text");
    let fixed = |value: f64| half_up(value, digits);
    for Step { value, level, count } in steps(histogram, censored) {
        let (value, share) = (fixed(value as f64 / NS_PER_UNIT), half_up(level / 100.0, 12));
        if is_last(level) {
            line(format_args!("{value:>12} {share} {count:>10}"));
        } else {
            let inverse = half_up(1.0 / (1.0 - level / 100.0), 2);
            line(format_args!("{value:>12} {share} {count:>10} {inverse:>14}"));
        }
    }
    let whole = |value: f64| if censored == 0 { fixed(value / NS_PER_UNIT) } else { UNKNOWN.to_owned() };
    let (mean, deviation) = (whole(histogram.mean()), whole(histogram.stdev()));
    line(format_args!("#[Mean    = {mean:>12}, StdDeviation   = {deviation:>12}]"));
    let max = whole(histogram.max() as f64);
    line(format_args!("#[Max     = {max:>12}, Total count    = {:>12}]", histogram.len()));
    line(format_args!("#[Buckets = {:>12}, SubBuckets     = {:>12}]", histogram.buckets(), sub_buckets(histogram)));
    text
}

/// One line: `count` values are not above `value`, at least `level` percent of all.
struct Step {
    value: u64,
    level: f64,
    count: u64,
}

/// What there is a line for, of all requests as far as they were answered. The steps halve with each halving of the distance to 100 %, reckoned in percent and in this
/// order, or the last digits would be others.
fn steps(histogram: &Histogram<u64>, censored: u64) -> Vec<Step> {
    let (answered, total) = (histogram.len(), histogram.len().saturating_add(censored));
    let (mut steps, mut count, mut level) = (Vec::new(), 0_u64, 0.0_f64);
    for recorded in histogram.iter_recorded() {
        let value = histogram.highest_equivalent(recorded.value_iterated_to());
        count += recorded.count_at_value();
        let reached = 100.0 * count as f64 / total as f64;
        while reached >= level && !is_last(level) {
            steps.push(Step { value, level, count });
            let halvings = ((100.0 / (100.0 - level)).ln() / 2.0_f64.ln()).trunc() + 1.0;
            level += 100.0 / (TICKS_PER_HALF_DISTANCE * halvings.exp2());
            if count >= total {
                break;
            }
        }
        if count >= answered && censored == 0 {
            steps.push(Step { value, level: 100.0, count });
        }
    }
    steps
}

#[expect(clippy::float_cmp, reason = "it is set to exactly this, and not reckoned")]
fn is_last(level: f64) -> bool {
    level == 100.0
}

/// Of the smallest power of two that tells twice ten to the power of the digits apart.
fn sub_buckets(histogram: &Histogram<u64>) -> u64 {
    (2 * 10_u64.pow(histogram.sigfig().into())).next_power_of_two()
}

/// Rounds the shortest decimal number that is read as `value`, halves upwards, as Java does; the standard library rounds the
/// exact value of the float, halves to even.
fn half_up(value: f64, decimals: usize) -> String {
    let text = value.to_string();
    let Some((whole, fraction)) = text.split_once('.') else { return format!("{value:.decimals$}") };
    if fraction.len() <= decimals {
        return format!("{whole}.{fraction:0<decimals$}");
    }
    let (kept, rest) = fraction.split_at(decimals);
    let mut digits = format!("{whole}{kept}").into_bytes();
    if rest.as_bytes()[0] >= b'5' {
        for digit in digits.iter_mut().rev().filter(|digit| digit.is_ascii_digit()) {
            if *digit < b'9' {
                *digit += 1;
                return with_point(&digits, decimals);
            }
            *digit = b'0';
        }
        digits.insert(0, b'1');
    }
    with_point(&digits, decimals)
}

fn with_point(digits: &[u8], decimals: usize) -> String {
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let text = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
    format!("{}.{}", text(whole), text(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_upwards_and_everything_else_to_the_nearest() {
        for (value, decimals, expected) in [
            (0.1, 3, "0.100"),
            (2.0, 3, "2.000"),
            (0.000_244_140_625, 12, "0.000244140625"),
            (0.999_877_929_687_5, 12, "0.999877929688"),
            (0.0625, 3, "0.063"),
            (0.0614, 3, "0.061"),
            (9.9996, 3, "10.000"),
            (819.2, 2, "819.20"),
        ] {
            assert_eq!(half_up(value, decimals), expected);
        }
    }

    #[test]
    fn percentiles_end_where_requests_without_an_answer_begin() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        (1..=100).for_each(|us| histogram.record(us * 1000).unwrap());
        let lines = |censored| {
            let text = distribution(&histogram, censored);
            let rows: Vec<String> = text.lines().skip(2).map(str::to_owned).collect();
            let (comments, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|line| line.starts_with('#'));
            let last = rows.last().unwrap().split_whitespace().nth(1).unwrap().parse::<f64>().unwrap();
            (last, comments[0].clone() + &comments[1])
        };
        let (all, figures) = lines(0);
        assert!(all >= 1.0 && !figures.contains(" -"), "{figures}");
        // Half of them, and a hundredth, were never answered.
        for (censored, answered) in [(100, 0.5), (1, 100.0 / 101.0)] {
            let (last, figures) = lines(censored);
            assert!(last <= answered && last > 0.8 * answered, "{last}");
            assert!(
                figures.contains("Mean    =            -") && figures.contains("Max     =            -"),
                "{figures}"
            );
        }
        assert!(lines(1_000_000).0 < 0.0001);
    }

    #[test]
    fn no_value_and_one_value_are_distributions_too() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        assert!(distribution(&histogram, 0).contains("Total count    =            0]"));
        histogram.record(20_000).unwrap();
        let text = distribution(&histogram, 0);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "      20.015 0.000000000000          1           1.00");
        assert_eq!(lines[3], "      20.015 1.000000000000          1");
    }
}
