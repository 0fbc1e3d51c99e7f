//! Results files of runs that never were, written as a sweep writes them.

use std::path::Path;

use harness::environment::{Build, Conditions, Environment};
use harness::plan::{Arrivals, Engine, Protocol, Spread, SweepPlan, Transport};
use harness::results::{
    Bottleneck, ClientMeasured, EncodedHistogram, LatencySummary, Measured, Outcome, Record, RunRecord, SCHEMA_VERSION,
    SendLagSummary, ServerMeasured, Shared, TrialRecord, Verdict, Writer,
};
use hdrhistogram::Histogram;

/// Of so many connections on so many backends; nothing of it was ever measured.
pub(crate) fn run(connections: &[usize], backends: &[&str]) -> RunRecord {
    RunRecord {
        schema_version: SCHEMA_VERSION,
        started: "2026-01-02T03:04:05Z".to_owned(),
        build: Build { git_revision: "c0ffee".to_owned(), git_dirty: Some(false), build_profile: "release".to_owned() },
        plan: SweepPlan {
            backends: backends.iter().map(|&name| name.to_owned()).collect(),
            protocol: Protocol::Framed,
            transport: Transport::Tcp,
            connections: connections.to_vec(),
            payload_bytes: vec![64],
            depth: vec![1],
            rate_rps: vec![None],
            arrivals: Arrivals::Constant,
            server_threads: vec![1],
            trials: 8,
            warmup_ns: 100_000_000,
            duration_ns: 200_000_000,
            server_cpus: [0].into_iter().collect(),
            client_cpus: [1].into_iter().collect(),
            servers: Vec::new(),
            engine: Engine::Auto,
            twice: Vec::new(),
            idle_connections: vec![0],
            spread: Spread::Reuseport,
        },
        seed: 7,
        environment: Environment { kernel: "6.18".to_owned(), ..Environment::default() },
        conditions: Conditions::default(),
        generator: None,
        capacity: None,
    }
}

/// A sound trial, with its rate of answers.
fn trial(backend: &str, throughput_rps: f64) -> TrialRecord {
    let mut histogram = Histogram::new(3).unwrap();
    (1..=1000_u64).for_each(|step| histogram.record(20_000 + step * step).unwrap());
    let summary = LatencySummary::of(&histogram);
    TrialRecord {
        trial: 1,
        block: 1,
        backend: backend.to_owned(),
        cell: run(&[1], &[]).plan.cells().remove(0),
        outcome: Outcome::Ok,
        error: None,
        measured: Some(Measured {
            requests: 1000,
            errors: 0,
            mismatches: 0,
            censored: 0,
            elapsed_ns: 200_000_000,
            throughput_rps,
            latency_ns: summary.clone().into(),
            latency_hdr: EncodedHistogram::from(histogram.clone()),
            service_ns: summary.into(),
            service_hdr: EncodedHistogram::from(histogram),
            send_lag_ns: SendLagSummary { p50: 0, p99: 0, max: 0 },
            server: Some(ServerMeasured { cpu_ns: Some(5_000_000), ..ServerMeasured::default() }),
            client: Shared::from(ClientMeasured {
                engine: "epoll".to_owned(),
                engine_because: None,
                threads: 1,
                cpu_ns: 1,
                cpu_ns_per_request: None,
                utilisation: 0.5,
                involuntary_switches: None,
                clock_step_ns: None,
                timers: None,
            }),
            slices: Vec::new(),
            in_flight_mean: None,
            in_flight_edges: None,
            silent_connections: None,
            interference: Shared::default(),
            unanswered: None,
            slice_service_ns: Vec::new(),
            lost_share: None,
            latency_of_all_ns: None,
            service_of_all_ns: None,
            kept: None,
        }),
        verdict: Verdict::Valid,
        reasons: Vec::new(),
        bottleneck: Some(Bottleneck::Server),
    }
}

/// Writes so many blocks of what `run` plans, where each backend serves a tenth more than the one before it.
pub(crate) fn write(path: &Path, run: &RunRecord, blocks: usize, change: impl Fn(&mut TrialRecord)) {
    let mut writer = Writer::create(path).unwrap();
    writer.append(&Record::Run(Box::new(run.clone()))).unwrap();
    let mut number = 0;
    for cell in run.plan.cells() {
        for block in 1..=blocks {
            for (place, backend) in run.plan.backends.iter().enumerate() {
                number += 1;
                let noise = 1.0 + 0.001 * (number * number % 7) as f64;
                let throughput_rps = 10_000.0 * 1.1_f64.powi(i32::try_from(place).unwrap()) * noise;
                let mut trial =
                    TrialRecord { trial: number, block, cell: cell.clone(), ..trial(backend, throughput_rps) };
                change(&mut trial);
                writer.append(&Record::Trial(Box::new(trial))).unwrap();
            }
        }
    }
}
