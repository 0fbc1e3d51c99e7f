//! `harness load`: load on a server that runs already, whoever wrote it.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::anyhow;
use harness::cpus::{self, CpuSet};
use harness::crowd::Crowd;
use harness::interference::{Interference, OwnUse, Watch};
use harness::load::{self, LoadError, LoadOutcome, LoadPlan};
use harness::plan::{Arrivals, Cell, Protocol, Transport};
use harness::report::terminal::measurement;
use harness::results::{Measured, Outcome, Record, TrialRecord};
use harness::sweep::{self, listening_processes};
use harness::verdict::{Evidence, LoadEnd, judge};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::cli::machine::Machine;
use crate::cli::{LoadArguments, check_in_flight};
use crate::failure::Failure;
use crate::{interrupt, output};

/// Measures and prints.
pub(crate) fn run(arguments: &LoadArguments) -> Result<ExitCode, Failure> {
    let cell = cell(arguments);
    let plan = plan(arguments, &cell)?;
    let interrupted = interrupt::flag()?;
    let style = ProgressStyle::with_template("{pos}/{len} {bar:24} idle connections are open");
    let servers = listening_processes(plan.target);
    let bar = ProgressBar::new(0).with_style(style.expect("the template is a constant"));
    let mut watched = Watched(Watch::start(&CpuSet::default(), &cpus(arguments)?, &servers), bar);
    let outcome = load::run_until_cancelled(&plan, &mut watched, &interrupted).map_err(|error| match error {
        LoadError::Plan(message) => Failure::usage("load", message),
        error @ LoadError::Engine { .. } => Failure::usage("load", error.to_string()),
        LoadError::Cancelled => Failure::Run(anyhow!(
            "interrupted before the window opened, so nothing was measured: see --warmup and --duration"
        )),
        LoadError::Refused { target } => refused(target),
        error => Failure::run(error),
    })?;
    let cut_short = outcome.cut_short;
    watched.0.load_ended();
    let interference = watched.0.finish(own_use(&plan, &outcome));
    let trial = trial(cell, outcome, interference);
    let unusable = (!trial.is_usable()).then(|| trial.first_reason().to_owned());
    if arguments.json {
        output::print_json(&without_server(trial)?)?;
    } else {
        output::print(&format!("target         {}\n{}", plan.target, measurement::draw(&trial)))?;
    }
    match unusable {
        _ if cut_short => Ok(interrupt::exit_code()),
        None => Ok(ExitCode::SUCCESS),
        Some(why) => Err(Failure::Run(anyhow!("no usable figures: {why}"))),
    }
}

/// Nothing listens there: what listens on the same port of another address may be what was meant.
fn refused(target: SocketAddr) -> Failure {
    let elsewhere = sweep::listening_on(target.port()).into_iter().find(|address| address.ip().is_loopback());
    let error = LoadError::Refused { target };
    Failure::Run(match elsewhere {
        Some(address) => {
            anyhow!("nothing listens on {target}, but something does on {address}: give --target {address}")
        }
        None => anyhow!(error),
    })
}

fn cell(arguments: &LoadArguments) -> Cell {
    Cell {
        // A client that sends frames works against `raw` too.
        protocol: Protocol::Framed,
        transport: Transport::Tcp,
        connections: arguments.connections.0,
        payload_bytes: arguments.payload.0,
        depth: arguments.depth.0,
        rate_rps: arguments.rate.map(|rate| rate.0),
        arrivals: arguments.rate.map(|_| arguments.arrivals.unwrap_or(Arrivals::Constant)),
        server_threads: 0,
        idle_connections: arguments.idle.map_or(0, |idle| idle.0),
    }
}

fn plan(arguments: &LoadArguments, cell: &Cell) -> Result<LoadPlan, Failure> {
    let usage = |message: String| Failure::usage("load", message);
    let machine = Machine::this().map_err(Failure::run)?;
    machine.check_descriptors(cell.connections).map_err(usage)?;
    let crowd = Crowd {
        idle: cell.idle_connections,
        busy: cell.connections,
        ipv6: arguments.target.is_ipv6(),
        server_threads: None,
        thread_each: None,
    };
    crowd.check(&machine.room).map_err(usage)?;
    check_in_flight(cell.connections, cell.depth).map_err(usage)?;
    load::check_due(cell.pace(), arguments.warmup.0, arguments.duration.0).map_err(usage)?;
    if let Some(cpus) = &arguments.cpus {
        cpus::pin(cpus).map_err(|error| Failure::pin("load", "--cpus", cpus, &error))?;
    }
    let threads = match arguments.threads {
        Some(threads) if threads.0 > cell.connections => {
            return Err(usage(format!("{} threads need at least as many connections", threads.0)));
        }
        Some(threads) => threads.0,
        None => arguments.cpus.as_ref().map_or(1, CpuSet::len).min(cell.connections),
    };
    Ok(LoadPlan {
        target: arguments.target,
        connections: cell.connections,
        payload_bytes: cell.payload_bytes,
        depth: cell.depth,
        pace: cell.pace(),
        warmup: arguments.warmup.0,
        duration: arguments.duration.0,
        threads,
        cpus: arguments.cpus.iter().flat_map(CpuSet::iter).collect(),
        seed: 0,
        engine: arguments.engine.into(),
        idle_connections: cell.idle_connections,
    })
}

/// The CPUs of the load generator; those of the server are its own business.
fn cpus(arguments: &LoadArguments) -> Result<CpuSet, Failure> {
    match &arguments.cpus {
        Some(cpus) => Ok(cpus.clone()),
        None => Ok(Machine::this().map_err(Failure::run)?.cores.iter().flat_map(CpuSet::iter).collect()),
    }
}

/// Threads without a CPU each may have been made to wait by each other, or by the server.
fn own_use(plan: &LoadPlan, outcome: &LoadOutcome) -> OwnUse {
    let a_cpu_each = plan.threads <= plan.cpus.len();
    OwnUse {
        client_waited: outcome.client.waited.filter(|_| a_cpu_each),
        client_involuntary_switches: outcome.client.involuntary_switches.filter(|_| a_cpu_each),
        ..OwnUse::default()
    }
}

/// Looks at the CPUs while the window is open, and shows how many idle connections are open until all are.
struct Watched(Watch, ProgressBar);

impl load::Observer for Watched {
    fn idle_connections(&mut self, open: usize, all: usize) -> Result<(), String> {
        self.1.set_length(all as u64);
        self.1.set_position(open as u64);
        if open == all {
            self.1.finish_and_clear();
        }
        Ok(())
    }

    fn window_opens(&mut self) {
        self.0.window_opens();
    }

    fn window_closed(&mut self) {
        self.0.window_closed();
    }
}

fn trial(cell: Cell, outcome: LoadOutcome, interference: Interference) -> TrialRecord {
    let end = LoadEnd::of(&outcome);
    let measured = Measured { interference: interference.into(), ..Measured::new(outcome, None) };
    let judgement = judge(&Evidence::of(&measured, &cell).with_end(&end));
    let mut trial = TrialRecord {
        trial: 1,
        block: 1,
        backend: String::new(),
        cell,
        outcome: Outcome::Ok,
        error: None,
        measured: Some(measured),
        verdict: judgement.verdict,
        reasons: judgement.reasons,
        bottleneck: judgement.bottleneck,
    };
    trial.judge_plausibility();
    trial
}

/// A trial as it stands in results, with null for what only the one who started the server knows, and for percentiles that
/// lie among requests without an answer: in results those of answers alone stand beside them, which older builds read.
fn without_server(trial: TrialRecord) -> Result<Value, Failure> {
    let mut json = serde_json::to_value(Record::Trial(Box::new(trial))).map_err(Failure::run)?;
    for (of_answers, of_all) in [("latency_ns", "latency_of_all_ns"), ("service_ns", "service_of_all_ns")] {
        json[of_answers] = json[of_all].clone();
    }
    for unknown in ["backend", "server_threads"] {
        json[unknown] = Value::Null;
    }
    Ok(json)
}
