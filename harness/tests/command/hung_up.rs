//! `harness load` against servers that close connections: what was measured is of the time that there was load.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::harness;

/// Far longer than these servers live.
const HOUR: &str = "1h";

/// Serves each connection with `serve`, which is given the number of the connection.
fn server(serve: impl Fn(TcpStream, u64) -> std::io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || _ = serve(stream, number));
        }
    });
    address
}

/// Answers so many pieces, each of which is a request of a load with one in flight.
fn answer(stream: &mut TcpStream, answers: u64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    for _ in 0..answers {
        let bytes = stream.read(&mut buffer)?;
        stream.write_all(&buffer[..bytes])?;
    }
    Ok(())
}

/// As nginx does it (`keepalive_requests`).
fn closing_after(answers: u64) -> SocketAddr {
    server(move |mut stream, _| {
        answer(&mut stream, answers)?;
        stream.shutdown(Shutdown::Write)
    })
}

fn load(target: SocketAddr, more: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let target = target.to_string();
    let duration = if more.contains(&"--duration") { [].as_slice() } else { &["--duration", HOUR] };
    let arguments = ["load", "--target", &target, "--json", "--connections", "4"];
    let more = &[duration, more].concat();
    let ended = harness(&[arguments.as_slice(), more].concat(), directory.path());
    serde_json::from_str(&ended.stdout[0]).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

fn reasons(trial: &Value) -> Vec<&str> {
    trial["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap()).collect()
}

#[test]
fn a_server_that_closes_connections_after_so_many_answers_is_said_to_and_rates_are_over_the_time_until_then() {
    for engine in ["epoll", "auto"] {
        let trial = load(closing_after(3000), &["--warmup", "0ms", "--engine", engine]);
        assert_eq!(trial["verdict"], "invalid");
        assert!(reasons(&trial)[0].starts_with("the server closes connections after 3,000 answers: "), "{trial}");
        // One of them went to the greeting.
        assert_eq!((&trial["requests"], &trial["errors"]), (&(4 * 2999).into(), &4.into()));
        let elapsed_s = trial["elapsed_ns"].as_f64().unwrap() / 1e9;
        assert!(elapsed_s > 0.0 && elapsed_s < 60.0, "of an hour: {elapsed_s}");
        let rate_rps = trial["throughput_rps"].as_f64().unwrap();
        assert!((rate_rps * elapsed_s / f64::from(4 * 2999) - 1.0).abs() < 1e-6, "{trial}");
        assert!(trial["lost_share"].as_f64().unwrap() > 0.9);
        // All that was in flight until then was, on average, one request on each connection.
        assert!(trial["in_flight_mean"].as_f64().unwrap() > 0.5, "{trial}");
    }
}

#[test]
fn a_server_that_closes_connections_before_the_window_has_opened_is_not_said_to_have_answered_nothing() {
    for (answers, said) in [(1, "after 1 answer: "), (2, "after 2 answers: "), (100, "after 100 answers: ")] {
        let trial = load(closing_after(answers), &["--warmup", "1m"]);
        let expected =
            format!("the server closes connections {said}all connections were lost before the window opened");
        assert_eq!(reasons(&trial)[0], expected);
        assert!(!reasons(&trial).iter().any(|reason| reason.contains("no request was answered")), "{trial}");
        assert_eq!(
            (&trial["requests"], &trial["elapsed_ns"], &trial["verdict"]),
            (&0.into(), &0.into(), &"invalid".into())
        );
    }
}

#[test]
fn one_connection_that_is_lost_early_leaves_the_window_as_long_as_it_was() {
    let target = server(|mut stream, number| answer(&mut stream, if number == 0 { 3 } else { u64::MAX }));
    let trial = load(target, &["--warmup", "0ms", "--duration", "300ms"]);
    assert_eq!((&trial["errors"], &trial["elapsed_ns"]), (&1.into(), &300_000_000.into()));
    let lost = trial["lost_share"].as_f64().unwrap();
    assert!(lost > 0.01 && lost <= 0.25, "of four: {lost}");
    assert_eq!(trial["verdict"], "invalid");
    assert_eq!(trial["slices"].as_array().unwrap().len(), 40);
}

#[test]
fn nothing_is_due_any_more_when_a_server_has_died() {
    for arrivals in ["poisson", "constant"] {
        // All connections at once, after some answers to each.
        let answered = AtomicU64::new(0);
        let target = server(move |mut stream, _| {
            while answered.fetch_add(1, Ordering::Relaxed) < 400 {
                answer(&mut stream, 1)?;
            }
            Ok(())
        });
        let trial = load(target, &["--warmup", "0ms", "--rate", "1e7", "--arrivals", arrivals]);
        let (elapsed_s, rate_rps) = (trial["elapsed_ns"].as_f64().unwrap() / 1e9, 1e7);
        let due = trial["requests"].as_f64().unwrap() + trial["censored"].as_f64().unwrap();
        // A part of it was the processes' chance, and what was sent before the window opened is none.
        assert!(due <= 1.1 * rate_rps * elapsed_s + 1000.0, "{due} in {elapsed_s} s: {trial}");
        assert!(elapsed_s < 60.0, "of an hour: {elapsed_s}");
    }
}
