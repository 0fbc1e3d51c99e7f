//! Up to where a server keeps up with an offered load, pointed out in the charts along it.

use super::facet::{Along, Facet};
use super::group::{Group, Standing};
use super::{Chart, Mark};
use crate::capacity::{BackendCapacity, LimitedBy};
use crate::figures;
use crate::plan::{Cell, SweepPlan};
use crate::report::selection::{Searched, Selection};

/// What the searches of the newest machine came to, the newest first.
pub(super) struct Capacities<'a> {
    found: Vec<(&'a SweepPlan, Vec<BackendCapacity>)>,
}

impl<'a> Capacities<'a> {
    pub(super) fn of(selection: &Selection<'a>) -> Self {
        let found = |one: Searched<'a>| Some((&one.run.record.plan, one.found?));
        Self { found: selection.searched().into_iter().filter_map(found).collect() }
    }

    /// Marks each series at its capacity, or where there is none by the rates of the sweep.
    pub(super) fn mark(&self, charts: &mut [Chart], facets: &[Facet<'_>]) {
        for chart in charts {
            let facet = facets.iter().find(|facet| super::facet::words(&facet.common, Along::Rate) == chart.cells);
            let Some(facet) = facet else { continue };
            for series in &mut chart.series {
                let mark = self.capacity(&series.backend, &facet.common).or_else(|| swept(&series.backend, facet));
                series.marks.extend(mark);
            }
            if chart.series.iter().any(|series| !series.marks.is_empty()) {
                chart.notes.push(
                    "marks: the capacity that a search found, or else the highest rate that was taken and the lowest that \
                     was not"
                        .to_owned(),
                );
            }
        }
    }

    fn capacity(&self, backend: &str, common: &Cell) -> Option<Mark> {
        let mut matching = self.found.iter().filter(|(plan, _)| is_of(plan, common)).flat_map(|(_, found)| found);
        matching.find_map(|found| if found.backend == backend { mark(found) } else { None })
    }
}

/// Whether a search was made in these cells.
fn is_of(plan: &SweepPlan, common: &Cell) -> bool {
    let rate_rps = vec![common.rate_rps];
    SweepPlan { rate_rps, ..plan.clone() }.cells().contains(common)
}

/// None where the search found nothing.
fn mark(found: &BackendCapacity) -> Option<Mark> {
    let rate = figures::grouped;
    let goal = &found.slo;
    match (found.capacity_rps, found.low_rps, found.high_rps) {
        (Some(x), Some(low), Some(high)) => Some(Mark {
            x,
            interval: Some([low, high]),
            label: format!("capacity {}/s [{}, {}] for {goal}", rate(x), rate(low), rate(high)),
        }),
        (_, Some(low), _) => {
            let why = if found.limited_by == Some(LimitedBy::Generator) { ", the load generator's limit" } else { "" };
            Some(Mark { x: low, interval: None, label: format!("capacity at least {}/s for {goal}{why}", rate(low)) })
        }
        _ => None,
    }
}

/// By which rates of a sweep it took.
fn swept(backend: &str, facet: &Facet<'_>) -> Option<Mark> {
    let mut rates: Vec<(f64, &Group<'_>)> = facet
        .cells
        .iter()
        .filter(|shown| shown.run.run.capacity.is_none())
        .filter_map(|shown| Some((shown.cell.cell.rate_rps?, shown.cell.group(backend)?)))
        .filter(|(_, group)| group.standing == Standing::Counts)
        .collect();
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let missed = rates.iter().position(|(_, group)| group.bounds.rate);
    let met = rates[..missed.unwrap_or(rates.len())].last();
    let rate = |rps: f64| format!("{}/s", figures::grouped(rps));
    let mark = match (met, missed.map(|place| &rates[place])) {
        (None, None) => return None,
        (Some(&(x, _)), None) => {
            Mark { x, interval: None, label: format!("took {}, the most that was offered", rate(x)) }
        }
        (Some(&(x, _)), Some(&(missed, group))) => {
            let why = if group.bounds.client { ", the load generator's limit" } else { "" };
            let label = format!("took up to {}, not {}{why}", rate(x), rate(missed));
            Mark { x, interval: Some([x, missed]), label }
        }
        (None, Some(&(x, _))) => {
            Mark { x, interval: None, label: format!("did not take {}, the least that was offered", rate(x)) }
        }
    };
    Some(mark)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{chart, file, of, plan, point};
    use super::super::{Scale, State};
    use super::*;
    use crate::report::FileRun;
    use crate::results::tests::trial;
    use crate::results::{Bottleneck, EncodedHistogram, TrialRecord};

    const RATES: [f64; 4] = [1000.0, 2000.0, 3000.0, 4000.0];

    /// A sweep over four rates, the trials of which leave as many requests unanswered as it says.
    fn sweep(censored: impl Fn(f64) -> u64) -> FileRun {
        let mut plan = plan(&["epoll"], &[1]);
        plan.rate_rps = RATES.map(Some).into();
        let mut trials = Vec::new();
        for cell in plan.cells() {
            for block in 1..=7 {
                let mut trial = TrialRecord { block, cell: cell.clone(), ..trial("epoll") };
                let measured = trial.measured.as_mut().unwrap();
                measured.censored = censored(cell.rate_rps.unwrap());
                measured.unanswered = Some(measured.censored);
                trials.push(trial);
            }
        }
        file("rates", "2026-01-02T03:04:05Z", plan, trials)
    }

    fn mark_of(sweep: FileRun) -> Mark {
        let charts = of(&[sweep]);
        chart(&charts, "p50-rate").series[0].marks[0].clone()
    }

    #[test]
    fn the_highest_rate_taken_and_the_lowest_not_taken_are_told() {
        let mark = mark_of(sweep(|rate| if rate > 2500.0 { 600 } else { 0 }));
        assert_eq!((mark.x, mark.interval), (2000.0, Some([2000.0, 3000.0])));
        assert_eq!(mark.label, "took up to 2,000/s, not 3,000/s");
        assert_eq!(mark_of(sweep(|_| 0)).label, "took 4,000/s, the most that was offered");
        assert_eq!(mark_of(sweep(|_| 600)).label, "did not take 1,000/s, the least that was offered");
        // One that was taken above one that was not is luck.
        assert!((mark_of(sweep(|rate| if (rate - 2000.0).abs() < 1.0 { 600 } else { 0 })).x - 1000.0).abs() < 1e-9);
        let mut busy = sweep(|rate| if rate > 2500.0 { 600 } else { 0 });
        busy.recorded.trials.iter_mut().for_each(|trial| trial.bottleneck = Some(Bottleneck::Client));
        assert!(mark_of(busy).label.ends_with("the load generator's limit"));
    }

    #[test]
    fn a_percentile_among_requests_without_answer_is_a_gap_and_one_below_them_is_crossed_out() {
        let charts = of(&[sweep(|rate| if rate > 2500.0 { 600 } else { 0 })]);
        let state = |kind: &str, rate| {
            let found = point(&charts, kind, "epoll", rate);
            (found.state, found.y.is_some())
        };
        assert_eq!(state("p99-rate", 2000.0), (State::Valid, true));
        assert_eq!(state("p99-rate", 3000.0), (State::Missing, false));
        assert_eq!(state("p50-rate", 3000.0), (State::Invalid, true));
        assert!(point(&charts, "p99-rate", "epoll", 3000.0).said[0].contains("never answered"));
        assert!(
            point(&charts, "p50-rate", "epoll", 3000.0).said.iter().any(|line| line.contains("the rate was missed"))
        );
        let cpu = point(&charts, "cpu-rate", "epoll", 3000.0);
        assert_eq!(cpu.state, State::Valid, "what it cost is known all the same");
        assert_eq!(chart(&charts, "p99-rate").y.scale, Scale::Log);
        assert!(charts.iter().all(|chart| chart.kind != "throughput"), "it is what was asked for");
    }

    #[test]
    fn too_few_requests_are_another_reason_for_a_gap() {
        let mut few = sweep(|_| 0);
        for trial in &mut few.recorded.trials {
            trial.measured.as_mut().unwrap().latency_hdr = EncodedHistogram::of(200);
        }
        let charts = of(&[few]);
        assert!(charts.iter().all(|chart| chart.kind != "p99-rate"), "no trial has one, however many there are");
        assert_eq!(point(&charts, "p50-rate", "epoll", 1000.0).state, State::Valid);
        assert!(charts.iter().all(|chart| chart.kind != "p999-rate"), "nobody has one");
    }

    #[test]
    fn a_capacity_is_told_with_its_interval_or_its_lower_end() {
        let found = |capacity_rps, low_rps, high_rps| {
            mark(&BackendCapacity {
                backend: "epoll".to_owned(),
                slo: "p99<1ms".parse().unwrap(),
                capacity_rps,
                low_rps,
                high_rps,
                confidence: None,
                estimates: Vec::new(),
                limited_by: Some(LimitedBy::Generator),
                trials: 9,
                suspect: 0,
                when_met: None,
                reasons: Vec::new(),
            })
        };
        let full = found(Some(182_000.0), Some(175_000.0), Some(190_000.0)).unwrap();
        assert_eq!(full.label, "capacity 182,000/s [175,000, 190,000] for p99<1ms");
        assert_eq!(full.interval, Some([175_000.0, 190_000.0]));
        let least = found(None, Some(175_000.0), None).unwrap();
        assert_eq!(least.label, "capacity at least 175,000/s for p99<1ms, the load generator's limit");
        assert_eq!(found(None, None, Some(10.0)), None);
    }
}
