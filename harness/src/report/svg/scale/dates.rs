//! Moments on an axis, in milliseconds since 1970, UTC.

#![expect(clippy::cast_possible_truncation, reason = "what is beyond 9999 is no date")]

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Distances of ticks which each fit evenly into the next larger unit, up to which they are counted from 1970.
const STEPS: [i64; 12] = [
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
];

/// At most as many ticks.
const MOST: i64 = 7;

/// The ends of an axis for moments from `least` to `most`.
pub(super) fn around(least: f64, most: f64) -> (f64, f64) {
    let room = ((most - least) * 0.04).max(10.0 * MINUTE as f64);
    (least - room, most + room)
}

/// Round moments between two, and how each is written.
pub(super) fn ticks(first: f64, last: f64) -> Vec<(f64, String)> {
    let (first, last) = (first.ceil() as i64, last.floor() as i64);
    let Some(span) = last.checked_sub(first) else { return Vec::new() };
    let Some(step) = STEPS.into_iter().find(|step| span / step < MOST) else { return months(first, last) };
    let format = if step >= DAY { "%Y-%m-%d" } else { "%m-%d %H:%M" };
    let begin = first.div_euclid(step) + i64::from(first.rem_euclid(step) > 0);
    let moments = (begin..).map(|index| index * step).take_while(|moment| *moment <= last);
    moments.map(|moment| (moment as f64, written(moment as f64, format))).collect()
}

/// A moment to the minute.
pub(super) fn date(moment: f64) -> String {
    written(moment, "%Y-%m-%d %H:%M")
}

/// The beginnings of months, or of years.
fn months(first: i64, last: i64) -> Vec<(f64, String)> {
    let month_ms = 30 * DAY;
    let steps = [1, 2, 3, 6, 12, 24, 60, 120, 600, 1200];
    let months = steps.into_iter().find(|months| (last - first) / (month_ms * months) < MOST).unwrap_or(12_000);
    let format = if months < 12 { "%Y-%m" } else { "%Y" };
    let Some(begin) = civil(first as f64) else { return Vec::new() };
    let year = if months < 12 { begin.year() } else { begin.year() - begin.year().rem_euclid((months / 12) as i16) };
    let Ok(mut moment) = DateTime::new(year, 1, 1, 0, 0, 0, 0) else { return Vec::new() };
    let mut ticks = Vec::new();
    while let Ok(at) = TimeZone::UTC.to_timestamp(moment) {
        if at.as_millisecond() > last {
            break;
        }
        if at.as_millisecond() >= first {
            ticks.push((at.as_millisecond() as f64, moment.strftime(format).to_string()));
        }
        let Ok(next) = moment.checked_add(months.months()) else { break };
        moment = next;
    }
    ticks
}

fn written(moment: f64, format: &str) -> String {
    civil(moment).map_or_else(|| "?".to_owned(), |civil| civil.strftime(format).to_string())
}

fn civil(moment: f64) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(Timestamp::from_millisecond(moment as i64).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(first: &str, last: &str) -> Vec<String> {
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond() as f64;
        ticks(ms(first), ms(last)).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_moments() {
        let hours = ["01-02 03:00", "01-02 06:00", "01-02 09:00", "01-02 12:00"];
        assert_eq!(labels("2026-01-02T02:10:00Z", "2026-01-02T14:00:00Z"), hours);
        let days = ["2026-01-03", "2026-01-05", "2026-01-07", "2026-01-09"];
        assert_eq!(labels("2026-01-02T03:04:05Z", "2026-01-10T03:04:05Z"), days);
        let months = ["2026-01", "2026-03", "2026-05", "2026-07"];
        assert_eq!(labels("2025-12-20T00:00:00Z", "2026-08-20T00:00:00Z"), months);
        assert_eq!(labels("2015-12-20T00:00:00Z", "2023-08-20T00:00:00Z"), ["2016", "2018", "2020", "2022"]);
    }

    #[test]
    fn moments_that_are_none_are_not_named() {
        assert_eq!(date(1e300), "?");
        assert!(ticks(-1e300, 1e300).is_empty());
        assert!(labels("-009000-01-01T00:00:00Z", "9000-01-01T00:00:00Z").len() < 20);
    }
}
