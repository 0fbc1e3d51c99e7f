//! A single measurement as text.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::figures::{self, NONE};
use crate::load::TimerLateness;
use crate::results::{Measured, TrialRecord};
use crate::statistics::{enough_samples, percentile_of_all};

/// Draws a trial that has a measurement; nothing where it has none.
#[must_use]
pub fn draw(trial: &TrialRecord) -> String {
    trial.measured.as_ref().map_or(String::new(), |measured| draw_measured(trial, measured))
}

fn draw_measured(trial: &TrialRecord, measured: &Measured) -> String {
    let cell = &trial.cell;
    let mut rows = vec![("load", cell.load())];
    rows.push((
        "requests",
        format!(
            "{} in {}: {}/s",
            figures::grouped(measured.requests as f64),
            figures::duration(measured.elapsed_ns as f64),
            figures::grouped(measured.throughput_rps)
        ),
    ));
    let latency = line(&measured.latency_hdr.0, measured.censored);
    let service = line(&measured.service_hdr.0, measured.sent_and_unanswered());
    if cell.rate_rps.is_some() {
        rows.push(("latency", format!("{latency}   (from the time it was meant to be sent)")));
        rows.push(("service time", format!("{service}   (from the time it was sent)")));
        rows.push(("sent late by", lateness(measured)));
        rows.extend(measured.client.timers.map(|timers| ("timers late by", timers_row(timers))));
    } else {
        let note = "a stalled server is asked less, so stalls count for little: use --rate to see them";
        rows.push(("service time", service));
        rows.push(("", format!("({note})")));
    }
    rows.push(("censored", censored(measured, cell.rate_rps.is_some())));
    rows.push(("errors", format!("{} lost", counted(measured.errors, "connection"))));
    rows.push(("mismatches", format!("{} differed from what was sent", counted(measured.mismatches, "answer"))));
    let client = &measured.client;
    rows.push((
        "client",
        format!(
            "{}, {}, {} busy, {} CPU a request",
            client.engine,
            figures::counted(client.threads, "thread"),
            figures::percent(client.utilisation),
            client.cpu_ns_per_request.map_or(NONE.to_owned(), figures::duration)
        ),
    ));
    rows.extend(client.engine_because.as_ref().map(|why| ("", format!("({} because: {why})", client.engine))));
    rows.extend(quota(measured).map(|stopped| ("CPU quota", stopped)));
    rows.push(("verdict", verdict(trial)));
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<14} {value}");
    }
    text.truncate(text.trim_end().len());
    text
}

/// Of all requests: the `unanswered` ones took longer than any answer, so what lies among them is not known.
fn line(histogram: &Histogram<u64>, unanswered: u64) -> String {
    let quantiles = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];
    let mut text = String::new();
    for (q, name) in quantiles {
        let _ = write!(text, "{name} {}  ", or_none(percentile_of_all(histogram, unanswered, q)));
    }
    text + "max " + &or_none((unanswered == 0 && !histogram.is_empty()).then(|| histogram.max()))
}

/// Its histogram is not kept: there is one sample for each request sent, and those with an answer are counted.
fn lateness(measured: &Measured) -> String {
    let (lag, sent) = (&measured.send_lag_ns, measured.requests);
    let percentile = |q, ns| or_none(enough_samples(sent, q).then_some(ns));
    format!(
        "p50 {}  p99 {}  max {}",
        percentile(0.5, lag.p50),
        percentile(0.99, lag.p99),
        or_none((sent > 0).then_some(lag.max))
    )
}

/// No request can be sent earlier by a generator that sleeps.
fn timers_row(timers: TimerLateness) -> String {
    let [p50, p90, max] = [timers.p50_ns, timers.p90_ns, timers.max_ns].map(|ns| figures::duration(ns as f64));
    format!("p50 {p50}  p90 {p90}  max {max}   (how late this machine wakes a sleeping thread, before the load)")
}

fn or_none(ns: Option<u64>) -> String {
    ns.map_or(NONE.to_owned(), |ns| figures::duration(ns as f64))
}

/// What a CPU quota did to the two sides; nothing where it did nothing.
fn quota(measured: &Measured) -> Option<String> {
    let interference = &measured.interference;
    let sides = [("server", &interference.server), ("load generator", &interference.client)];
    let stopped = sides.into_iter().filter_map(|(name, side)| {
        let ns = side.control_groups.cpu_quota_stopped_ns.filter(|&ns| ns > 0)?;
        Some(format!("the {name} for {}", figures::duration(ns as f64)))
    });
    let stopped: Vec<String> = stopped.collect();
    (!stopped.is_empty()).then(|| format!("stopped {} (all CPUs together)", stopped.join(" and ")))
}

fn counted(count: u64, noun: &str) -> String {
    figures::counted(usize::try_from(count).unwrap_or(usize::MAX), noun)
}

fn censored(measured: &Measured, open_loop: bool) -> String {
    let what = if open_loop { "due but never sent, or never answered" } else { "sent but never answered" };
    let slower = if measured.censored == 0 {
        ""
    } else {
        " (slower than any answer: a percentile or a maximum that lies among them is not known)"
    };
    format!("{} {what}{slower}", figures::grouped(measured.censored as f64))
}

fn verdict(trial: &TrialRecord) -> String {
    let mut text = trial.verdict.to_string();
    if !trial.reasons.is_empty() {
        let _ = write!(text, ": {}", trial.reasons.join("; "));
    }
    if let Some(bottleneck) = trial.bottleneck {
        let _ = write!(text, " (bottleneck: {bottleneck})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::results::tests::trial;

    #[test]
    fn a_closed_loop_speaks_of_service_time_only() {
        let text = draw(&trial("epoll"));
        assert!(text.contains("service time   p50 1.00 ms") && !text.contains("\nlatency"), "{text}");
        assert!(text.contains("p99.9 –"), "{text}");
        assert!(text.ends_with("verdict        valid (bottleneck: latency)"), "{text}");
    }

    #[test]
    fn an_open_loop_shows_both_views_and_its_own_lateness() {
        let open = TrialRecord { cell: plan::tests::plan().cells().remove(2), ..trial("epoll") };
        let text = draw(&open);
        for row in ["\nlatency ", "\nservice time ", "\nsent late by ", "due but never sent"] {
            assert!(text.contains(row), "{row} in {text}");
        }
    }

    #[test]
    fn an_open_loop_shows_how_late_the_timers_of_the_machine_are() {
        let mut open = TrialRecord { cell: plan::tests::plan().cells().remove(2), ..trial("epoll") };
        let timers = TimerLateness { wakeups: 100, p50_ns: 52_000, p90_ns: 81_000, max_ns: 147_000 };
        open.measured.as_mut().unwrap().client.timers = Some(timers);
        let row = "timers late by p50 52.0 µs  p90 81.0 µs  max 147 µs   (how late this machine wakes";
        assert!(draw(&open).contains(row), "{}", draw(&open));
    }

    #[test]
    fn a_percentile_that_lies_among_requests_without_an_answer_is_not_shown() {
        let drawn = |censored, unanswered| {
            let mut open = TrialRecord { cell: plan::tests::plan().cells().remove(2), ..trial("epoll") };
            let measured = open.measured.as_mut().unwrap();
            (measured.censored, measured.unanswered) = (censored, Some(unanswered));
            let text = draw(&open);
            let row = |name| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
            [row("latency"), row("service time"), row("censored")]
        };
        let [latency, service, censored] = drawn(4000, 100);
        assert!(latency.contains("p50 –  p90 –  p99 –") && latency.contains("max –"), "{latency}");
        assert!(service.contains("p50 1.05 ms") && service.contains("p99 –") && service.contains("max –"), "{service}");
        assert!(
            censored.contains("4,000 due but never sent, or never answered (slower than any answer:"),
            "{censored}"
        );
        let [latency, _, censored] = drawn(0, 0);
        assert!(latency.contains("p99 1.98 ms") && latency.contains("max 2.00 ms"), "{latency}");
        assert!(censored.ends_with("0 due but never sent, or never answered"), "{censored}");
    }

    #[test]
    fn lateness_needs_as_many_samples_as_any_percentile() {
        let sent_late_by = |requests| {
            let mut open = TrialRecord { cell: plan::tests::plan().cells().remove(2), ..trial("epoll") };
            open.measured.as_mut().unwrap().requests = requests;
            draw(&open).lines().find(|line| line.starts_with("sent late by")).unwrap().to_owned()
        };
        assert!(!sent_late_by(1000).contains(NONE));
        assert!(sent_late_by(200).contains("p99 –"), "{}", sent_late_by(200));
        assert!(sent_late_by(0).ends_with("p50 –  p99 –  max –"), "{}", sent_late_by(0));
    }

    #[test]
    fn how_long_a_cpu_quota_stopped_each_side_is_shown() {
        let mut trial = trial("epoll");
        assert!(!draw(&trial).contains("CPU quota"));
        let interference = &mut trial.measured.as_mut().unwrap().interference;
        interference.server.control_groups.cpu_quota_stopped_ns = Some(1_200_000_000);
        interference.client.control_groups.cpu_quota_stopped_ns = Some(300_000_000);
        let text = draw(&trial);
        assert!(
            text.contains("\nCPU quota      stopped the server for 1.20 s and the load generator for 300 ms (all CPUs"),
            "{text}"
        );
    }

    #[test]
    fn one_of_anything_is_no_plural() {
        let mut trial = trial("epoll");
        let measured = trial.measured.as_mut().unwrap();
        (measured.errors, measured.mismatches) = (1, 1);
        let text = draw(&trial);
        assert!(text.contains("1 connection lost") && text.contains("1 answer differed"), "{text}");
    }
}
