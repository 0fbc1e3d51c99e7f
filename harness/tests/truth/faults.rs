//! Servers and loads with a fault, and what is said of them; and the same without it.

use crate::{alone, ensure, ground_truth, has_reason, loaded, on_a_quiet_machine};

const SHORT: &str = "--connections 8 --warmup 20ms --duration 300ms";

/// The fault is found whenever it is there, and never where it is not.
fn found(fault: &[&str], verdict: &str, reason: &str) {
    found_under(SHORT, fault, verdict, reason);
}

fn found_under(load: &str, fault: &[&str], verdict: &str, reason: &str) {
    let _alone = alone();
    let trial = loaded(&ground_truth(fault), load);
    assert_eq!(trial["verdict"], verdict, "{}", trial["reasons"]);
    assert!(has_reason(&trial, reason), "{}", trial["reasons"]);
    let sound = loaded(&ground_truth(&[]), load);
    assert!(!has_reason(&sound, reason), "{}", sound["reasons"]);
}

#[test]
fn answers_that_differ() {
    found(&["--mangle", "100"], "invalid", "answers differed from what was sent");
}

#[test]
fn connections_that_break() {
    // A frame every 20 ms on each, the tenth of them in the midst of the window.
    let load = format!("{SHORT} --rate 400");
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
    let trial = loaded(&ground_truth(&["--mute", "4"]), SHORT);
    assert_eq!(trial["silent_connections"], 2);
    // In an open loop as well, though not those on which nothing was due.
    let open = loaded(&ground_truth(&["--mute", "4"]), &format!("{SHORT} --rate 400"));
    assert_eq!(open["silent_connections"], 2);
    assert!(has_reason(&open, "connections were missing"), "{}", open["reasons"]);
    let idle = loaded(&ground_truth(&[]), &format!("{SHORT} --rate 10"));
    assert_eq!(idle["silent_connections"], 0, "three requests on eight connections: {idle}");
}

#[test]
fn a_rate_that_is_not_met() {
    let _alone = alone();
    let reason = "the rate asked for was not met";
    // 8 connections × 50/s at the most.
    let slow = ground_truth(&["--fixed", "20ms"]);
    let trial = loaded(&slow, &format!("{SHORT} --rate 2000"));
    assert!(has_reason(&trial, reason) && trial["verdict"] == "suspect", "{}", trial["reasons"]);
    on_a_quiet_machine(|| {
        let trial = loaded(&slow, &format!("{SHORT} --rate 100"));
        ensure(!has_reason(&trial, reason), || trial["reasons"].to_string())
    });
}

#[test]
fn too_few_answers() {
    let _alone = alone();
    let slow = ground_truth(&["--fixed", "20ms"]);
    assert!(has_reason(&loaded(&slow, SHORT), "too few answers for a p99"));
}

#[test]
fn a_server_that_becomes_slower() {
    let _alone = alone();
    let reason = "not steady";
    let load = "--connections 2 --warmup 100ms --duration 800ms";
    on_a_quiet_machine(|| {
        // In the middle of the window; others on the CPUs can hide it.
        let slower = ground_truth(&["--spin", "100us", "--then", "300us", "--after", "500ms"]);
        let trial = loaded(&slower, load);
        assert_eq!(trial["slices"].as_array().unwrap().len(), 40);
        ensure(has_reason(&trial, reason), || trial["slices"].to_string())
    });
    let steady = ground_truth(&["--spin", "100us"]);
    on_a_quiet_machine(|| {
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
        let trial = loaded(&ground_truth(&server), &format!("{SHORT} {load}"));
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
