//! How much the load generator itself can do: its rate against the cheapest server that there is.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::server::{Server, Started};
use crate::load::{self, LoadOutcome, LoadPlan, Pace};
use crate::plan::{Cell, Protocol, SweepPlan, Transport};
use crate::results::{Generator, per};

/// Servers, the cheapest first: `io_uring` let a generator get 4 % further than `epoll` did (64 connections, 64 bytes).
const CHEAPEST: [&str; 2] = ["io_uring", "epoll"];

/// Enough to keep both sides busy, and few enough to open in no time.
const CONNECTIONS: usize = 64;
const DEPTH: usize = 1;
const WARMUP: Duration = Duration::from_millis(100);
const DURATION: Duration = Duration::from_millis(300);

/// Measures the generator of `plan`: its engine, threads and CPUs and its first payload, in a closed loop. Whatever goes
/// wrong with that is in the record.
#[must_use]
pub fn measure_generator(plan: &SweepPlan, server_executable: &Path, cancel: &AtomicBool) -> Generator {
    let engine = load::Engine::from(plan.engine);
    let payload_bytes = plan.payload_bytes.first().copied().unwrap_or(0);
    let unmeasured = Generator {
        engine: engine.granted(payload_bytes).unwrap_or(engine).name().to_owned(),
        threads: plan.client_cpus.len().clamp(1, CONNECTIONS),
        connections: CONNECTIONS,
        payload_bytes,
        depth: DEPTH,
        server: None,
        saturation_rps: None,
        utilisation: None,
        cpu_ns_per_request: None,
        error: None,
    };
    let Some(backend) = CHEAPEST.into_iter().find(|name| backends::backend(name).is_some_and(|b| b.probe().is_ok()))
    else {
        return Generator { error: Some("no cheap server can be had here".to_owned()), ..unmeasured };
    };
    let unmeasured = Generator { server: Some(backend.to_owned()), ..unmeasured };
    match saturate(plan, backend, &unmeasured, server_executable, cancel) {
        Ok(outcome) => measured(unmeasured, &outcome),
        Err(error) => Generator { error: Some(error), ..unmeasured },
    }
}

fn saturate(
    plan: &SweepPlan,
    backend: &str,
    generator: &Generator,
    server_executable: &Path,
    cancel: &AtomicBool,
) -> Result<LoadOutcome, String> {
    let cell = Cell {
        // No frames to be found in the stream.
        protocol: Protocol::Raw,
        transport: Transport::Tcp,
        connections: generator.connections,
        payload_bytes: generator.payload_bytes,
        depth: generator.depth,
        rate_rps: None,
        arrivals: None,
        server_threads: plan.server_cpus.len().max(1),
        idle_connections: 0,
    };
    let Started { mut server, address, .. } =
        Server::start(server_executable, backend, &cell, plan.spread, &plan.server_cpus)?;
    let load = LoadPlan {
        target: address,
        connections: cell.connections,
        payload_bytes: cell.payload_bytes,
        depth: cell.depth,
        pace: Pace::Closed,
        warmup: WARMUP,
        duration: DURATION,
        threads: generator.threads,
        cpus: plan.client_cpus.iter().collect(),
        seed: 0,
        engine: plan.engine.into(),
        idle_connections: 0,
    };
    let outcome = load::run(&load, &mut (), cancel);
    // A server that died is why the load failed, so its end is looked at first.
    server.stop(false)?;
    let outcome = outcome.map_err(|error| error.to_string())?;
    match outcome.first_error {
        Some(error) => Err(error),
        None if outcome.mismatches > 0 => Err("answers differed from what was sent".to_owned()),
        None if outcome.requests == 0 => Err("no request was answered".to_owned()),
        None => Ok(outcome),
    }
}

fn measured(generator: Generator, outcome: &LoadOutcome) -> Generator {
    let requests = outcome.requests as f64;
    Generator {
        engine: outcome.client.engine.to_owned(),
        saturation_rps: per(requests, outcome.elapsed.as_secs_f64()),
        utilisation: Some(outcome.client.utilisation),
        cpu_ns_per_request: per(outcome.client.cpu.as_nanos() as f64, requests),
        ..generator
    }
}
