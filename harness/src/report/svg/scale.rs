//! From values to places along an axis, which values are named there, and how.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few ticks, and exponents of f64")]

mod dates;
mod figure;

pub(super) use self::figure::figure;
use crate::report::chart::{Scale, Unit};

/// Beyond that nothing was measured, and sums of it would overflow.
const LARGEST: f64 = 1e300;

/// The logarithm of 2.
const TWO: f64 = std::f64::consts::LOG10_2;

/// About how many values are named where all of them would do.
const TICKS: f64 = 7.0;

/// How values are spread between the ends of an axis.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    scale: Scale,
    unit: Unit,
    /// The first and the last value, as the scale spreads them evenly.
    ends: (f64, f64),
}

/// A value that is named on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// From 0, the first end, to 1, the last.
    pub(super) place: f64,
    /// How it is written.
    pub(super) label: String,
}

impl Spread {
    /// Over all of `values`, from round ones to round ones. None where none of them has a place.
    pub(super) fn over(scale: Scale, unit: Unit, values: impl Iterator<Item = f64>) -> Option<Self> {
        let (least, most) = ends(scale, values)?;
        let ends = match scale {
            Scale::Linear => {
                let (least, most) = (least.min(0.0), if most > least.min(0.0) { most } else { least.min(0.0) + 1.0 });
                let step = step(unit, (most - least) / TICKS);
                ((least / step).floor() * step, (most / step - 1e-9).ceil() * step)
            }
            Scale::Log if unit == Unit::Bytes => ((least / TWO).floor() * TWO, (most / TWO - 1e-9).ceil() * TWO),
            Scale::Log => (round_log(least, f64::floor), round_log(most, f64::ceil)),
            Scale::Nines => (0.0, most.max(1.0)),
            Scale::Time => dates::around(least, most),
        };
        // All values the same.
        let ends = if ends.1 > ends.0 { ends } else { (ends.0 - 0.301, ends.1 + 0.301) };
        Some(Self { scale, unit, ends })
    }

    /// Over `values` and little more, for an axis on which these are named: see [`Self::named`].
    pub(super) fn around(scale: Scale, unit: Unit, values: impl Iterator<Item = f64>) -> Option<Self> {
        let (least, most) = ends(scale, values)?;
        let least = if scale == Scale::Linear { least.min(0.0) } else { least };
        let room = if most > least { (most - least) * 0.04 } else { 0.5 };
        Some(Self { scale, unit, ends: (if scale == Scale::Linear { least } else { least - room }, most + room) })
    }

    /// Where a value lies: from 0, the first end, to 1, the last. None for one that has no place on this scale.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        if self.scale == Scale::Nines && value >= 1.0 {
            return Some(1.0);
        }
        let (first, last) = self.ends;
        even(self.scale, value).map(|even| ((even - first) / (last - first)).clamp(-0.5, 1.5))
    }

    /// Round values.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let (first, last) = self.ends;
        match self.scale {
            Scale::Linear => {
                let step = step(self.unit, (last - first) / TICKS);
                let count = ((last - first) / step).round().min(100.0);
                self.named((0..=count as u32).map(|index| first + f64::from(index) * step))
            }
            Scale::Log if self.unit == Unit::Bytes => self.named(powers_of_two(first, last)),
            Scale::Log => self.named(round_values(first, last).into_iter()),
            Scale::Nines => self.named((0..=last.min(300.0) as i32).map(|nines| 1.0 - 10_f64.powi(-nines))),
            Scale::Time => {
                let ticks = dates::ticks(first, last).into_iter();
                ticks.filter_map(|(at, label)| Some(Tick { place: self.place(at)?, label })).collect()
            }
        }
    }

    /// The values given, each once, from the first to the last.
    pub(super) fn named(&self, values: impl Iterator<Item = f64>) -> Vec<Tick> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let tick = |value: &f64| Some(Tick { place: self.place(*value)?, label: figure(self.unit, *value) });
        values.iter().filter_map(tick).filter(|tick| (-1e-6..=1.0 + 1e-6).contains(&tick.place)).collect()
    }
}

/// The least and the greatest, spread evenly.
fn ends(scale: Scale, values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let even = values.filter_map(|value| even(scale, value));
    even.fold(None, |ends, even| {
        let (least, most) = ends.unwrap_or((even, even));
        Some((even.min(least), even.max(most)))
    })
}

/// A value as its scale spreads it evenly.
fn even(scale: Scale, value: f64) -> Option<f64> {
    if !value.is_finite() || value.abs() > LARGEST {
        return None;
    }
    match scale {
        Scale::Linear | Scale::Time => Some(value),
        Scale::Log => (value > 0.0).then(|| value.log10()),
        Scale::Nines => (0.0..1.0).contains(&value).then(|| -(1.0 - value).log10()),
    }
}

/// The next of 1, 2, 5, 10, … that is not less than `least`, and in units of its own for bytes.
fn step(unit: Unit, least: f64) -> f64 {
    let own = if unit == Unit::Bytes { 1024_f64.powf(least.max(1.0).log(1024.0).floor()) } else { 1.0 };
    let least = least / own;
    let decade = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade);
    let step = steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(10.0 * decade);
    let step = if unit == Unit::Count && step < 1.0 && own > 1.0 { 1.0 } else { step };
    step * own
}

/// The logarithm of 1, 2 or 5 times a power of ten next to `log`, below or above it.
fn round_log(log: f64, round: fn(f64) -> f64) -> f64 {
    let decade = log.floor();
    let digits = [1.0_f64, 2.0, 5.0, 10.0].map(f64::log10);
    let share = log - decade;
    let near = |digit: &&f64| (**digit - share).abs() < 1e-9;
    let down = round(0.5) == 0.0;
    let exact = digits.iter().find(near);
    let beside = if down {
        digits.iter().rev().find(|digit| **digit <= share)
    } else {
        digits.iter().find(|digit| **digit >= share)
    };
    decade + exact.or(beside).copied().unwrap_or(share)
}

/// Between two logarithms: 1, 2 and 5 times the powers of ten, or the powers alone where those would be too many.
fn round_values(first: f64, last: f64) -> Vec<f64> {
    let decades = last - first;
    let digits: &[f64] = if decades <= 3.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = (decades / 9.0).ceil().max(1.0) as usize;
    let powers = (first.floor() as i32..=last.ceil() as i32).step_by(every);
    powers.flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power))).collect()
}

/// Between two logarithms: every power of two or, where those would be too many, every second, third, …
fn powers_of_two(first: f64, last: f64) -> impl Iterator<Item = f64> {
    let (first, last) = ((first / TWO).round() as i32, (last / TWO).round() as i32);
    let every = ((f64::from(last - first)) / TICKS).ceil().max(1.0) as i32;
    // Counted from 1, so that 1 KiB is one where every second or fifth is.
    (first..=last).filter(move |power| power.rem_euclid(every) == 0).map(|power| 2_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, unit: Unit, values: &[f64]) -> Vec<String> {
        let spread = Spread::over(scale, unit, values.iter().copied()).unwrap();
        let ticks = spread.ticks();
        assert!(ticks.is_sorted_by(|one, other| one.place < other.place), "{ticks:?}");
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn linear_ones_begin_at_zero_and_end_at_a_round_value() {
        let rates = ["0/s", "50,000/s", "100,000/s", "150,000/s", "200,000/s"];
        assert_eq!(labels(Scale::Linear, Unit::PerSecond, &[17_000.0, 188_000.0]), rates);
        assert_eq!(labels(Scale::Linear, Unit::Count, &[0.03, 2.0]), ["0", "0.5", "1", "1.5", "2"]);
        assert_eq!(labels(Scale::Linear, Unit::Bytes, &[7.9e6]), ["0", "2 MiB", "4 MiB", "6 MiB", "8 MiB"]);
        assert_eq!(labels(Scale::Linear, Unit::Count, &[0.0]).first().unwrap(), "0");
    }

    #[test]
    fn logarithmic_ones_name_1_2_and_5_or_decades() {
        let times = ["50 µs", "100 µs", "200 µs", "500 µs", "1 ms", "2 ms"];
        assert_eq!(labels(Scale::Log, Unit::Nanoseconds, &[50_600.0, 1_900_000.0]), times);
        let decades = ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms"];
        assert_eq!(labels(Scale::Log, Unit::Nanoseconds, &[1000.0, 1e8]), decades);
        assert!(!labels(Scale::Log, Unit::Count, &[64.0]).is_empty(), "one value alone");
        assert_eq!(
            labels(Scale::Log, Unit::Bytes, &[6000.0, 6e6]),
            ["4 KiB", "16 KiB", "64 KiB", "256 KiB", "1 MiB", "4 MiB"]
        );
        assert!(labels(Scale::Log, Unit::Count, &[1e-200, 1e200]).len() < 12);
    }

    #[test]
    fn each_nine_takes_the_same_room() {
        let spread = Spread::over(Scale::Nines, Unit::Quantile, [0.0, 0.9999].into_iter()).unwrap();
        let ticks = spread.ticks();
        let names: Vec<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(names, ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert!(ticks.windows(2).all(|two| (two[1].place - two[0].place - 0.25).abs() < 1e-9), "{ticks:?}");
        assert_eq!(spread.place(1.0), Some(1.0), "all of them: at the end");
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        let spread = Spread::over(Scale::Log, Unit::Count, [0.0, -1.0, f64::NAN, f64::INFINITY, 8.0].into_iter());
        let spread = spread.unwrap();
        assert_eq!([0.0, -1.0, f64::NAN].map(|value| spread.place(value)), [None; 3]);
        assert!((0.0..=1.0).contains(&spread.place(8.0).unwrap()));
        assert!(Spread::over(Scale::Log, Unit::Count, [0.0].into_iter()).is_none());
    }
}
