//! Percentiles against those on paper.

use std::sync::OnceLock;
use std::time::Duration;

use harness::load::{Arrivals, LoadOutcome, LoadPlan, Pace};
use hdrhistogram::Histogram;

use crate::support::harness;
use crate::{alone, ensure, ground_truth, load, needs_quiet_machine, plan, timers_p90_ns};

const MS: f64 = 1e6;

fn open(rate_rps: f64) -> Pace {
    Pace::Open { rate_rps, arrivals: Arrivals::Constant }
}

/// The server sleeps until an answer is due, and both sides have to wake for each other: as late as this machine is with
/// nine in ten of such sleeps, and twice that for the rest.
fn waking_ns() -> f64 {
    static WAKING_NS: OnceLock<f64> = OnceLock::new();
    *WAKING_NS.get_or_init(|| 2.0 * 3.0 * timers_p90_ns(None))
}

/// Nothing is answered before its time, and on a quiet machine hardly later.
fn is_about(what: &str, ns: f64, paper_ns: f64) -> Result<(), String> {
    ensure(ns >= 0.999 * paper_ns && ns < 1.1 * paper_ns + waking_ns(), || {
        format!("{what} is {ns} and should be {paper_ns}, where waking takes {}", waking_ns())
    })
}

fn quantile(histogram: &Histogram<u64>, q: f64) -> f64 {
    histogram.value_at_quantile(q) as f64
}

/// In both loops, and in both views of the open one.
fn both_loops(arguments: &[&str], rate_rps: f64, check: impl Fn(&Histogram<u64>) -> Result<(), String>) {
    let served = ground_truth(arguments);
    for pace in [Pace::Closed, open(rate_rps)] {
        needs_quiet_machine(|| {
            let outcome = load(&served, &LoadPlan { connections: 16, pace, ..plan() });
            check(&outcome.latency)?;
            check(&outcome.service)
        });
    }
}

#[test]
fn a_fixed_time_is_found() {
    let _alone = alone();
    both_loops(&["--fixed", "5ms"], 800.0, |histogram| {
        is_about("the least", histogram.min() as f64, 5.0 * MS)?;
        is_about("the mean", histogram.mean(), 5.0 * MS)?;
        is_about("p50", quantile(histogram, 0.5), 5.0 * MS)?;
        is_about("p99", quantile(histogram, 0.99), 5.0 * MS)
    });
}

#[test]
fn a_mix_of_two_times_is_found_in_its_shares() {
    let _alone = alone();
    // One in twenty takes long. A connection has a request every 20 ms, so that none waits for another.
    both_loops(&["--mix", "3ms:12ms:20"], 800.0, |histogram| {
        is_about("p50", quantile(histogram, 0.5), 3.0 * MS)?;
        is_about("p90", quantile(histogram, 0.9), 3.0 * MS)?;
        is_about("p99", quantile(histogram, 0.99), 12.0 * MS)?;
        let long = histogram.count_between(10_000_000, u64::MAX) as f64 / histogram.len() as f64;
        // A window cuts through the twenty, so that the share is not exact; the mean has to be that of the share.
        is_about("the mean", histogram.mean(), (3.0 + 9.0 * long) * MS)?;
        ensure((0.03..0.08).contains(&long), || format!("the share of the long time is {long}"))
    });
}

#[test]
fn burnt_cpu_time_is_in_the_response_time() {
    let _alone = alone();
    let served = ground_truth(&["--spin", "2ms"]);
    needs_quiet_machine(|| {
        let outcome = load(&served, &LoadPlan { connections: 1, ..plan() });
        is_about("the least", outcome.service.min() as f64, 2.0 * MS)?;
        is_about("p50", quantile(&outcome.service, 0.5), 2.0 * MS)
    });
}

/// Two whole periods: a fifth of all requests is due in a stop, wherever it lies in the window.
fn stopped(pace: Pace, connections: usize) -> LoadOutcome {
    let served = ground_truth(&["--stop", "200ms", "--every", "1s"]);
    load(&served, &LoadPlan { connections, pace, duration: Duration::from_secs(2), ..plan() })
}

#[test]
fn an_open_loop_shows_a_stop_in_its_full_length() {
    let _alone = alone();
    needs_quiet_machine(|| {
        let LoadOutcome { latency, service, requests, .. } = stopped(open(1000.0), 8);
        // Those that are due in a stop wait for what is left of it: evenly spread from 0 to 200 ms.
        for (left_ms, share) in [(20, 0.18), (100, 0.1), (180, 0.02)] {
            let longer = latency.count_between(left_ms * 1_000_000, u64::MAX) as f64 / requests as f64;
            ensure((longer / share - 1.0).abs() < 0.2, || format!("{longer} waited for {left_ms} ms, not {share}"))?;
        }
        is_about("p90", quantile(&latency, 0.9), 98.0 * MS)?;
        is_about("p99", quantile(&latency, 0.99), 188.0 * MS)?;
        is_about("the maximum", latency.max() as f64, 195.0 * MS)?;
        ensure(quantile(&latency, 0.5) < 5.0 * MS, || format!("p50 is {}", quantile(&latency, 0.5)))?;
        // Eight of them had been sent when a stop began; the others waited without being sent.
        let blocked = service.count_between(20_000_000, u64::MAX);
        ensure((8..=40).contains(&blocked), || format!("{blocked} blocked"))
    });
}

#[test]
fn a_closed_loop_hides_it_and_says_so() {
    let _alone = alone();
    needs_quiet_machine(|| {
        let outcome = stopped(Pace::Closed, 2);
        let service = &outcome.service;
        is_about("the maximum", service.max() as f64, 195.0 * MS)?;
        ensure(quantile(service, 0.99) < 20.0 * MS, || format!("p99 is {}", quantile(service, 0.99)))?;
        // Two connections, and two or three stops.
        let blocked = service.count_between(100_000_000, u64::MAX);
        ensure((2..=6).contains(&blocked), || format!("{blocked} blocked"))
    });
    let served = ground_truth(&["--stop", "200ms", "--every", "1s"]);
    let target = served.address.to_string();
    let ended = harness(&["load", "--target", &target, "--duration", "200ms"], &std::env::temp_dir());
    let said = "(a stalled server is asked less, so stalls count for little: use --rate to see them)";
    assert!(ended.stdout.iter().any(|line| line.ends_with(said)), "{ended:?}");
}
