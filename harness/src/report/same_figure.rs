//! Every surface says the same number of the same figure.

use super::contents::Contents;
use super::terminal::look::Look;
use super::terminal::table;
use super::tests::{file, run};
use super::{markdown, page, svg};
use crate::export::{Format, export};
use crate::figures;
use crate::results::{EncodedHistogram, TrialRecord};
use crate::statistics::{Against, Metric, Run, compare_runs, median, rank, summarise};

/// `1000 n` requests from 1 µs on in equal steps, where `n` is 1 for one backend and 2 for the other.
fn slower_by(factor: u64) -> hdrhistogram::Histogram<u64> {
    let mut histogram = hdrhistogram::Histogram::new(3).unwrap();
    (1..=1000).for_each(|us| histogram.record(us * factor * 1000).unwrap());
    histogram
}

/// In one trial of eight, 2,000 requests took 200 ms: they are the slowest fifth of all requests, so that a percentile of all
/// together would be another.
fn with_one_stall(trial: &mut TrialRecord) {
    let is_slower = trial.backend == "poll";
    let measured = trial.measured.as_mut().unwrap();
    let mut latency = slower_by(1 + u64::from(is_slower));
    if trial.block == 1 {
        latency.record_n(200_000_000, 2000).unwrap();
        measured.server.as_mut().unwrap().cpu_ns = Some(4_000_000_000);
    }
    measured.latency_hdr = EncodedHistogram::from(latency);
}

#[test]
fn a_p99_is_the_same_number_in_table_charts_report_export_ranking_and_comparison() {
    let file = file("run.jsonl", run("2026-01-01T00:00:00Z", &[1], &["epoll", "poll"]), 8, with_one_stall);
    let (run, trials) = (file.recorded.run.clone().unwrap(), file.recorded.trials.clone());
    let own = |backend: &str| -> Vec<f64> {
        let own = trials.iter().filter(|trial| trial.backend == backend);
        own.filter_map(|trial| Metric::P99.of(trial)).collect()
    };
    let expected_ns = ["epoll", "poll"].map(|backend| median(&own(backend)).unwrap());
    let expected = expected_ns.map(figures::duration);
    assert_eq!(expected, ["990 µs", "1.98 ms"]);

    let text = table::draw(&summarise(&run.plan, &trials), &rank(&run.plan, &trials), Look::PLAIN);
    for (backend, expected) in ["epoll", "poll"].iter().zip(&expected) {
        let row = text.lines().find(|line| line.trim_start().starts_with(backend)).unwrap();
        assert!(row.contains(expected) && row.contains("20.0 µs"), "{row}");
    }
    assert!(text.contains("p99: the median of each trial's own"), "{text}");

    let contents = Contents::of(std::slice::from_ref(&file));
    let rows = &contents.tables[0];
    let place = |title: &str| rows.columns.iter().position(|column| column.title == title).unwrap();
    for (row, (expected, ns)) in rows.rows.iter().zip(expected.iter().zip(expected_ns)) {
        assert_eq!((&row[place("p99")].text, row[place("p99")].value), (expected, Some(ns)));
    }
    let chart = contents.charts.iter().find(|chart| chart.kind == "p99").unwrap();
    for (series, (expected, ns)) in chart.series.iter().zip(expected.iter().zip(expected_ns)) {
        let point = &series.points[0];
        let [low, high] = point.interval.unwrap();
        assert_eq!(point.y, Some(ns));
        assert!((low..=high).contains(&ns), "{point:?}");
        for drawn in [svg::draw(chart), page::draw(&contents), markdown::draw(&contents)] {
            assert!(drawn.contains(expected.as_str()), "{drawn}");
        }
    }

    let csv = &export(Format::Csv, &run, &trials).unwrap().pieces[0].text;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let column = |name| headers.iter().position(|header| header == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let bmf: serde_json::Value =
        serde_json::from_str(&export(Format::Bmf, &run, &trials).unwrap().pieces[0].text).unwrap();
    for (backend, ns) in ["epoll", "poll"].iter().zip(expected_ns) {
        let own = rows.iter().filter(|row| &row[column("backend")] == *backend);
        let values: Vec<f64> = own.map(|row| row[column("ranked_p99_ns")].parse().unwrap()).collect();
        assert_eq!(median(&values), Some(ns), "csv");
        let (_, benchmark) =
            bmf.as_object().unwrap().iter().find(|(name, _)| name.starts_with(&format!("{backend}/"))).unwrap();
        assert_eq!(benchmark["latency-p99"]["value"].as_f64(), Some(ns), "bmf");
    }

    let compared = compare_runs(Run { plan: &run.plan, trials: &trials }, Against::Baseline("epoll"), 0.05);
    let row = compared.rows.iter().find(|row| row.comparison.metric == Metric::P99).unwrap();
    let ratio = row.comparison.estimate.unwrap().ratio;
    assert!((ratio / (expected_ns[1] / expected_ns[0]) - 1.0).abs() < 1e-9, "{ratio}");
}
