//! The whole latency distribution of each backend in a cell, as far into the nines as there are requests.

use hdrhistogram::Histogram;

use super::facet::ids;
use super::gathered::{Gathered, GatheredCell};
use super::group::{Group, Standing};
use super::{Axis, Chart, Point, Scale, State, Unit, notes};
use crate::figures;
use crate::plan::Cell;
use crate::statistics::{Censored, enough_of_all, percentiles_of_all};

/// Points of one curve at most, and at least where there are many.
const MOST_POINTS: usize = 120;
const FEWEST_POINTS: usize = 24;

/// Points of all curves of a report, as far as the fewest of each allow.
const ALL_POINTS: usize = 24_000;

/// No histogram holds as many requests as one more would need.
const MOST_NINES: i32 = 18;

/// One for each cell that sweeps measured. Rates that a search tried are left out: of each there is one backend only.
pub(super) fn draw(gathered: &Gathered<'_>) -> Vec<Chart> {
    let shown: Vec<_> = gathered.shown().into_iter().filter(|shown| shown.run.run.capacity.is_none()).collect();
    let curves: usize = shown.iter().map(|shown| shown.cell.groups.len()).sum();
    let most = (ALL_POINTS / curves.max(1)).clamp(FEWEST_POINTS, MOST_POINTS);
    let drawn = shown.iter().filter_map(|shown| Some((&shown.cell.cell, chart(gathered, shown.cell, most)?)));
    let (cells, charts): (Vec<&Cell>, Vec<Chart>) = drawn.unzip();
    charts.into_iter().zip(ids("distribution", &cells)).map(|(chart, id)| Chart { id, ..chart }).collect()
}

/// None of a cell without any curve.
fn chart(gathered: &Gathered<'_>, cell: &GatheredCell<'_>, most: usize) -> Option<Chart> {
    let series = gathered.series(|backend| cell.group(backend).map_or_else(Vec::new, |group| curve(group, most)));
    if series.iter().all(|series| series.points.iter().all(|point| point.y.is_none())) {
        return None;
    }
    let label = if cell.cell.rate_rps.is_some() { "latency" } else { "service time" };
    let mut notes = vec![format!(
        "the {label} of all requests of all trials together, as far as 10 requests lie above a percentile; elsewhere p50 and \
         p99 are medians of each trial's own"
    )];
    notes.extend(notes::of(&series).into_iter().filter(|note| !note.starts_with("no bar")));
    notes.extend(notes::missing(&series, |_| Some("all percentiles".to_owned())));
    notes.extend(not_counting(cell));
    let cut = |group: &&Group<'_>| group.standing != Standing::Missing && group.summary.censored.count > 0;
    let cut: Vec<&Group<'_>> = cell.groups.iter().filter(cut).collect();
    if !cut.is_empty() {
        let what = Censored::sum(cut.iter().map(|group| group.summary.censored)).what();
        let each =
            cut.iter().map(|one| format!("{} {}", one.backend, figures::grouped(one.summary.censored.count as f64)));
        let all = each.collect::<Vec<_>>().join(", ");
        notes.push(format!("requests that were {what} count as slower than any other, and end a curve: {all}"));
    }
    Some(Chart {
        id: String::new(),
        kind: "distribution".to_owned(),
        title: format!("Distribution of the {label}"),
        cells: cell.cell.to_string(),
        x: Axis { label: "percentile".to_owned(), unit: Unit::Quantile, scale: Scale::Nines },
        y: Axis { label: label.to_owned(), unit: Unit::Nanoseconds, scale: Scale::Log },
        series,
        notes,
    })
}

/// Whose trials say nothing of a latency, and why: curves of them would only be in the way of those that do.
fn not_counting(cell: &GatheredCell<'_>) -> Vec<String> {
    let of = |standing: &dyn Fn(&Group<'_>) -> bool, why: &str| {
        let names: Vec<&str> =
            cell.groups.iter().filter(|group| standing(group)).map(|group| group.backend.as_str()).collect();
        (!names.is_empty()).then(|| format!("not drawn: {why} ({})", names.join(", ")))
    };
    let invalid = of(&|group| group.standing == Standing::Invalid, "none of the trials counts");
    let late = of(&|group| group.standing == Standing::Counts && group.bounds.rate, "the rate was not taken");
    invalid.into_iter().chain(late).collect()
}

/// Empty where there is nothing to be believed.
fn curve(group: &Group<'_>, most: usize) -> Vec<Point> {
    let missing =
        |said: String| vec![Point { x: 0.5, y: None, interval: None, state: State::Missing, said: vec![said] }];
    if group.standing == Standing::Missing {
        let why = group.summary.remarks.first().map(|remark| remark.reason.clone());
        return missing(why.unwrap_or_else(|| "not measured".to_owned()));
    }
    if group.standing == Standing::Invalid || group.bounds.rate {
        return Vec::new();
    }
    let is_doubtful = group.bounds.client || group.is_doubtful(true);
    let state = if is_doubtful { State::Suspect } else { State::Valid };
    let (latency, unanswered) = (&group.summary.latency, group.summary.censored.count);
    let quantiles = quantiles(latency, unanswered, most);
    let values = percentiles_of_all(latency, unanswered, &quantiles);
    if values.is_empty() {
        return missing("too few requests were answered for a distribution".to_owned());
    }
    let said = |q: f64, ns: u64| vec![format!("p{} {}", percentile(q), figures::duration(ns as f64))];
    let point = |(q, ns): (f64, u64)| Point { x: q, y: Some(ns as f64), interval: None, state, said: said(q, ns) };
    quantiles.into_iter().zip(values).map(point).collect()
}

/// From 0 to the last whole nine that enough requests lie above, in equal steps of the axis: no more than `most`, but each
/// nine.
fn quantiles(latency: &Histogram<u64>, unanswered: u64, most: usize) -> Vec<f64> {
    let is_enough = |nines: &i32| enough_of_all(latency, unanswered, 1.0 - 10_f64.powi(-nines));
    let nines = (1..=MOST_NINES).take_while(is_enough).count();
    if nines == 0 {
        return vec![0.0, 0.5];
    }
    let steps = ((most - 1) / nines).max(1);
    // From -log10(1 - q); a whole nine is made of what it is called by, so that it is told as that.
    let at = |step: usize| {
        1.0 - 10_f64.powi(-i32::try_from(step / steps).unwrap_or(i32::MAX)) * fraction(step % steps, steps)
    };
    (0..=nines * steps).map(at).collect()
}

fn fraction(step: usize, steps: usize) -> f64 {
    10_f64.powf(-(step as f64) / steps as f64)
}

/// `99.9`, with as many digits as tell it from the next.
fn percentile(q: f64) -> String {
    let nines = -(1.0 - q).max(1e-18).log10();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 18")]
    let digits = nines.max(0.0).ceil() as usize;
    let text = format!("{:.*}", digits, q * 100.0);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{file, plan, trials};
    use super::*;
    use crate::plan::SweepPlan;
    use crate::report::selection::Selection;
    use crate::results::tests::trial;
    use crate::results::{EncodedHistogram, TrialRecord, Verdict};

    fn drawn(change: impl Fn(&mut TrialRecord)) -> Vec<Chart> {
        let mut trials: Vec<TrialRecord> = (1..=10).map(|block| TrialRecord { block, ..trial("epoll") }).collect();
        trials.iter_mut().for_each(change);
        let files = [file("a", "2026-01-02T03:04:05Z", plan(&["epoll", "poll"], &[1]), trials)];
        draw(&Gathered::of(&Selection::of(&files)))
    }

    fn of<'c>(chart: &'c Chart, backend: &str) -> &'c [Point] {
        &chart.series.iter().find(|series| series.backend == backend).unwrap().points
    }

    #[test]
    fn a_curve_goes_to_the_last_nine_that_has_enough_requests() {
        let charts = drawn(|_| ());
        let points = of(&charts[0], "epoll");
        // 20,000 requests: ten of them lie above p99.9 and not above p99.99.
        let last = points.last().unwrap();
        assert!((last.x - 0.999).abs() < 1e-12 && last.said[0].starts_with("p99.9 "), "{last:?}");
        assert!(points.len() <= MOST_POINTS && points.len() > 100, "{}", points.len());
        assert!(points.windows(2).all(|two| two[0].x < two[1].x && two[0].y <= two[1].y));
        let at = |q: f64| points.iter().find(|point| (point.x - q).abs() < 1e-9).and_then(|point| point.y).unwrap();
        assert!((at(0.9) / 1.8e6 - 1.0).abs() < 0.002 && (at(0.99) / 1.98e6 - 1.0).abs() < 0.002);
        assert_eq!((charts[0].id.as_str(), charts[0].x.scale), ("distribution", Scale::Nines));
        let missing = of(&charts[0], "poll");
        assert!(missing.len() == 1 && missing[0].y.is_none() && missing[0].said == ["not measured"]);
    }

    #[test]
    fn what_was_never_answered_ends_a_curve() {
        let unanswered = drawn(|trial| {
            let measured = trial.measured.as_mut().unwrap();
            (measured.censored, measured.unanswered) = (100, Some(100));
        });
        let last = of(&unanswered[0], "epoll").last().unwrap().x;
        assert!(last < 0.96 && last > 0.9, "one in 21 has no answer: {last}");
        let note = "requests that were never answered count as slower than any other, and end a curve: epoll 1,000";
        assert!(unanswered[0].notes.iter().any(|own| own == note), "{:?}", unanswered[0].notes);
        let late = drawn(|trial| trial.measured.as_mut().unwrap().censored = 100);
        assert!(late[0].notes.iter().any(|own| *own == note.replace("never answered", "not sent in time")));

        let few = drawn(|trial| trial.measured.as_mut().unwrap().latency_hdr = EncodedHistogram::of(0));
        assert!(few.is_empty(), "nothing to draw");
    }

    #[test]
    fn what_does_not_count_is_left_out_and_named() {
        let plan = SweepPlan { rate_rps: vec![Some(1000.0)], ..plan(&["epoll", "poll", "select"], &[1]) };
        let mut trials = trials(&plan, 10, |trial| match trial.backend.as_str() {
            "poll" => trial.measured.as_mut().unwrap().censored = 1000,
            "select" => trial.verdict = Verdict::Invalid,
            _ => {}
        });
        let drawn = |trials: &[TrialRecord]| {
            let files = [file("a", "2026-01-02T03:04:05Z", plan.clone(), trials.to_vec())];
            draw(&Gathered::of(&Selection::of(&files)))
        };
        let charts = drawn(&trials);
        let names: Vec<&str> = charts[0].series.iter().map(|series| series.backend.as_str()).collect();
        assert_eq!(names, ["epoll"]);
        let notes = &charts[0].notes;
        for note in ["not drawn: none of the trials counts (select)", "not drawn: the rate was not taken (poll)"] {
            assert!(notes.iter().any(|own| own == note), "{notes:?}");
        }
        trials.retain(|trial| trial.backend != "epoll");
        assert!(drawn(&trials).is_empty(), "nothing to draw");
    }

    #[test]
    fn percentiles_read_as_people_write_them() {
        let texts = [0.0, 0.5, 0.9, 0.99, 0.999, 1.0 - 1e-6].map(percentile);
        assert_eq!(texts, ["0", "50", "90", "99", "99.9", "99.9999"]);
    }
}
