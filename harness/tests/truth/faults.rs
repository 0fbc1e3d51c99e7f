//! Servers and loads with a fault, and what is said of them; and the same without it.

use crate::{alone, ensure, ground_truth, has_reason, in_time, loaded, needs_quiet_machine};

const EIGHT: &str = "--connections 8 --warmup 20ms";

/// The fault is found whenever it is there, and never where it is not.
fn found(fault: &[&str], verdict: &str, reason: &str) {
    found_under(EIGHT, fault, verdict, reason);
}

fn found_under(load: &str, fault: &[&str], verdict: &str, reason: &str) {
    let _alone = alone();
    let (faulty, sound) = (ground_truth(fault), ground_truth(&[]));
    in_time(|window| {
        let trial = loaded(&faulty, &format!("{load} --duration {window}"));
        ensure(trial["verdict"] == verdict && has_reason(&trial, reason), || trial["reasons"].to_string())
    });
    in_time(|window| {
        let trial = loaded(&sound, &format!("{load} --duration {window}"));
        ensure(!has_reason(&trial, reason), || trial["reasons"].to_string())
    });
}

#[test]
fn answers_that_differ() {
    found(&["--mangle", "100"], "invalid", "answers differed from what was sent");
}

#[test]
fn connections_that_break() {
    // A frame every 20 ms on each, the tenth of them in the midst of the window.
    let load = format!("{EIGHT} --rate 400");
    found_under(
        &load,
        &["--reset", "10"],
        "invalid",
        "the server closes connections after 9 answers: connections were lost",
    );
}

#[test]
fn connections_that_carry_nothing() {
    found(&["--mute", "4"], "suspect", "connections were missing");
}

#[test]
fn requests_that_are_never_answered() {
    found(&["--mute", "4"], "suspect", "requests were never answered");
}

#[test]
fn a_server_that_answers_nothing() {
    found(&["--mute", "1"], "invalid", "no request was answered");
}

#[test]
fn silent_connections_are_counted() {
    let _alone = alone();
    let (muted, sound) = (ground_truth(&["--mute", "4"]), ground_truth(&[]));
    in_time(|window| {
        let trial = loaded(&muted, &format!("{EIGHT} --duration {window}"));
        ensure(trial["silent_connections"] == 2, || trial["silent_connections"].to_string())?;
        // In an open loop as well, though not those on which nothing was due.
        let open = loaded(&muted, &format!("{EIGHT} --duration {window} --rate 400"));
        ensure(open["silent_connections"] == 2, || open["silent_connections"].to_string())?;
        ensure(has_reason(&open, "connections were missing"), || open["reasons"].to_string())?;
        // Three requests on eight connections.
        let idle = loaded(&sound, &format!("{EIGHT} --duration 300ms --rate 10"));
        ensure(idle["silent_connections"] == 0, || idle["silent_connections"].to_string())
    });
}

#[test]
fn a_rate_that_is_not_met() {
    let _alone = alone();
    let reason = "the rate asked for was not met";
    // 8 connections × 50/s at the most.
    let slow = ground_truth(&["--fixed", "20ms"]);
    in_time(|window| {
        let trial = loaded(&slow, &format!("{EIGHT} --duration {window} --rate 2000"));
        ensure(has_reason(&trial, reason) && trial["verdict"] == "suspect", || trial["reasons"].to_string())
    });
    needs_quiet_machine(|| {
        let trial = loaded(&slow, &format!("{EIGHT} --duration 300ms --rate 100"));
        ensure(!has_reason(&trial, reason), || trial["reasons"].to_string())
    });
}

#[test]
fn too_few_answers() {
    let _alone = alone();
    let slow = ground_truth(&["--fixed", "20ms"]);
    in_time(|window| {
        let trial = loaded(&slow, &format!("{EIGHT} --duration {window}"));
        ensure(has_reason(&trial, "too few answers for a p99"), || trial["reasons"].to_string())
    });
}

#[test]
fn a_server_that_becomes_slower() {
    let _alone = alone();
    let reason = "not steady";
    let load = "--connections 2 --warmup 100ms --duration 800ms";
    needs_quiet_machine(|| {
        // In the middle of the window; others on the CPUs can hide it.
        let slower = ground_truth(&["--spin", "100us", "--then", "300us", "--after", "500ms"]);
        let trial = loaded(&slower, load);
        assert_eq!(trial["slices"].as_array().unwrap().len(), 40);
        ensure(has_reason(&trial, reason), || trial["slices"].to_string())
    });
    let steady = ground_truth(&["--spin", "100us"]);
    needs_quiet_machine(|| {
        let trial = loaded(&steady, load);
        ensure(!has_reason(&trial, reason), || trial["slices"].to_string())
    });
}

#[test]
fn figures_agree_with_littles_law() {
    let _alone = alone();
    for (server, load) in [
        (["--fixed", "2ms"], "--depth 4"),
        (["--spin", "20us"], "--depth 1"),
        (["--mix", "1ms:9ms:7"], "--rate 500"),
        (["--spin", "20us"], "--rate 5000 --arrivals poisson"),
    ] {
        let trial = loaded(&ground_truth(&server), &format!("{EIGHT} --duration 300ms {load}"));
        let in_flight = trial["in_flight_mean"].as_f64().unwrap();
        let mean_s = trial["service_ns"]["mean"].as_f64().unwrap() / 1e9;
        let edges = trial["in_flight_edges"].as_f64().unwrap();
        let ratio = (trial["throughput_rps"].as_f64().unwrap() * mean_s + edges) / in_flight;
        assert_eq!(trial["unanswered"], 0, "{trial}");
        assert!((ratio - 1.0).abs() < 0.01, "{ratio} for {server:?} {load}");
        assert!(!has_reason(&trial, "the figures contradict"), "{}", trial["reasons"]);
        if !load.contains("rate") {
            let depth = if load.ends_with('4') { 32.0 } else { 8.0 };
            assert!((in_flight / depth - 1.0).abs() < 0.01, "{in_flight} of {depth} in flight");
        }
    }
}
