//! The lines of a results file. The names of the fields are a contract; scripts rely on them.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema::MeasuredOrNulls;
use super::{EncodedHistogram, Generator, Kept, LatencyOfAll, Shared};
use crate::environment::{Build, Conditions, Environment};
use crate::interference::Interference;
use crate::load::{LoadOutcome, TimerLateness};
use crate::plan::{CapacityPlan, Cell, SweepPlan};

/// Raised when a field changes its meaning or goes away; a new field alone does not raise it.
pub const SCHEMA_VERSION: u32 = 1;

/// Why a trial without a measurement is invalid. What kept it from being measured is its error.
pub const NOT_MEASURED: &str = "not measured";
/// One line.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum Record {
    /// The first line.
    Run(Box<RunRecord>),
    /// Every other line.
    Trial(Box<TrialRecord>),
}

/// What all trials of a file have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// [`SCHEMA_VERSION`] of the build that wrote the file.
    #[schemars(range(min = 1, max = SCHEMA_VERSION))]
    pub schema_version: u32,
    /// When the run began, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub started: String,
    /// What made it.
    #[serde(flatten)]
    pub build: Build,
    /// What was to be measured.
    pub plan: SweepPlan,
    /// Decides the order of the trials and all other randomness.
    pub seed: u64,
    /// Where it was made.
    pub environment: Environment,
    /// How the machine was when the run began; nothing known in a file of an earlier version.
    #[serde(default)]
    pub conditions: Conditions,
    /// What its load generator is able to do; none in files that are older than this field.
    #[serde(default)]
    pub generator: Option<Generator>,
    /// What was searched for; `None` in a sweep. The plan then has no rates, and each trial has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityPlan>,
}

/// One measurement of one backend in one cell.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TrialRecord {
    /// Its place in the order of the plan, from 1.
    pub trial: usize,
    /// One trial of every backend in a cell, from 1; ratios are taken inside a block.
    pub block: usize,
    /// What served.
    pub backend: String,
    /// What was asked of it.
    #[serde(flatten)]
    pub cell: Cell,
    /// Whether there is a measurement.
    pub outcome: Outcome,
    /// Why there is none.
    pub error: Option<String>,
    /// The measurement; each of its fields is null where there is none.
    #[serde(flatten, with = "measured_or_nulls")]
    #[schemars(with = "MeasuredOrNulls")]
    pub measured: Option<Measured>,
    /// Whether it may be believed.
    pub verdict: Verdict,
    /// Why not.
    pub reasons: Vec<String>,
    /// What kept throughput from being higher; null where it cannot be known.
    pub bottleneck: Option<Bottleneck>,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// With a measurement.
    Ok,
    /// Without: the server or the load generator gave up.
    Failed,
    /// Without: this machine refuses something that the backend cannot do without.
    Unavailable,
}

/// Whether a trial may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing speaks against it.
    Valid,
    /// It is to be looked at before it is relied on.
    Suspect,
    /// It says nothing about the backend.
    Invalid,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Suspect => "suspect",
            Self::Invalid => "invalid",
        })
    }
}

/// What kept throughput from being higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bottleneck {
    /// The server had no CPU time left.
    Server,
    /// The load generator had none left: the server might have done more.
    Client,
    /// No more was asked for.
    Rate,
    /// Neither side was busy: the round trip itself.
    Latency,
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Rate => "rate",
            Self::Latency => "latency",
        })
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// Requests sent in the window that were answered.
    pub requests: u64,
    /// Connections that broke.
    pub errors: u64,
    /// Answers that differed from what was sent.
    pub mismatches: u64,
    /// Requests not sent in time or never answered.
    pub censored: u64,
    /// Length of the window, which ends early where there is no load any more.
    pub elapsed_ns: u64,
    /// Answers a second.
    pub throughput_rps: f64,
    /// From the time intended for a request to its answer; in a closed loop the same as service time. Of the answers alone.
    pub latency_ns: Shared<LatencySummary>,
    /// All of them.
    pub latency_hdr: EncodedHistogram,
    /// From the sending of a request to its answer. Of the answers alone.
    pub service_ns: Shared<LatencySummary>,
    /// All of them.
    pub service_hdr: EncodedHistogram,
    /// How late requests were sent.
    pub send_lag_ns: SendLagSummary,
    /// What it cost the server; null for a target that is not ours.
    pub server: Option<ServerMeasured>,
    /// What it cost the load generator.
    pub client: Shared<ClientMeasured>,
    /// Answers that came in each of equally long parts of the window, whenever their requests were sent.
    #[serde(default)]
    pub slices: Vec<u64>,
    /// Requests in flight, on average over the window.
    #[serde(default)]
    pub in_flight_mean: Option<f64>,
    /// What the edges of the window contribute to it.
    #[serde(default)]
    pub in_flight_edges: Option<f64>,
    /// Connections with nothing in the histograms, although requests were due on them in the window.
    #[serde(default)]
    pub silent_connections: Option<u64>,
    /// What the machine did to the trial.
    #[serde(default)]
    pub interference: Shared<Interference>,
    /// Requests sent before the end of the window that were never answered; they are among those that are censored.
    #[serde(default)]
    pub unanswered: Option<u64>,
    /// The mean service time of the answers in each of the slices; 0 where there were none.
    #[serde(default)]
    pub slice_service_ns: Vec<u64>,
    /// The time of the window in which connections were lost already, as a share of the time of all of them.
    #[serde(default)]
    pub lost_share: Option<f64>,
    /// The figures of `latency_ns` of all requests, those that are censored included: slower than any answer. Null where one
    /// lies among them.
    #[serde(default)]
    pub latency_of_all_ns: Option<Box<LatencyOfAll>>,
    /// The figures of `service_ns` of all requests that were sent, the unanswered ones included.
    #[serde(default)]
    pub service_of_all_ns: Option<Box<LatencyOfAll>>,
    /// Instead of the histograms, where only what stays of a trial is in memory; in no file.
    #[serde(skip)]
    pub kept: Option<Kept>,
}

impl Measured {
    /// The fields, which are all written whether or not there is a measurement.
    const FIELDS: [&str; 23] = [
        "requests",
        "errors",
        "mismatches",
        "censored",
        "elapsed_ns",
        "throughput_rps",
        "latency_ns",
        "latency_hdr",
        "service_ns",
        "service_hdr",
        "send_lag_ns",
        "server",
        "client",
        "slices",
        "in_flight_mean",
        "in_flight_edges",
        "silent_connections",
        "interference",
        "unanswered",
        "slice_service_ns",
        "lost_share",
        "latency_of_all_ns",
        "service_of_all_ns",
    ];

    /// What the load generator saw, and what the server's process is known to have spent on it.
    #[must_use]
    pub fn new(load: LoadOutcome, server: Option<ServerMeasured>) -> Self {
        let cpu_ns = saturating_ns(load.client.cpu);
        let mut measured = Self {
            requests: load.requests,
            errors: load.errors + load.idle_lost,
            mismatches: load.mismatches,
            censored: load.censored,
            elapsed_ns: saturating_ns(load.elapsed),
            throughput_rps: per(load.requests as f64, load.elapsed.as_secs_f64()).unwrap_or(0.0),
            latency_ns: LatencySummary::of(&load.latency).into(),
            latency_hdr: EncodedHistogram::from(load.latency),
            service_ns: LatencySummary::of(&load.service).into(),
            service_hdr: EncodedHistogram::from(load.service),
            send_lag_ns: SendLagSummary::of(&load.send_lag),
            server,
            client: Shared::from(ClientMeasured {
                engine: load.client.engine.to_owned(),
                engine_because: load.client.engine_because,
                threads: load.client.threads,
                cpu_ns,
                cpu_ns_per_request: per(cpu_ns as f64, load.requests as f64),
                utilisation: load.client.utilisation,
                involuntary_switches: load.client.involuntary_switches,
                clock_step_ns: Some(load.client.clock_step_ns),
                timers: load.client.timers,
            }),
            slices: load.slices,
            in_flight_mean: Some(load.in_flight_mean),
            in_flight_edges: Some(load.in_flight_edges),
            silent_connections: Some(load.silent_connections),
            interference: Shared::default(),
            unanswered: Some(load.unanswered),
            slice_service_ns: load.slice_service_ns,
            lost_share: Some(load.lost_share),
            latency_of_all_ns: None,
            service_of_all_ns: None,
            kept: None,
        };
        measured.latency_of_all_ns = Some(Box::new(measured.latency_of_all()));
        measured.service_of_all_ns = Some(Box::new(measured.service_of_all()));
        measured
    }
}

pub(crate) fn saturating_ns(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A quotient, unless it would have no meaning.
pub(crate) fn per(value: f64, divisor: f64) -> Option<f64> {
    (divisor > 0.0).then_some(value / divisor)
}

/// A distribution of latencies in the figures that are looked at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "each is the percentile that its name says")]
pub struct LatencySummary {
    pub min: u64,
    pub mean: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub p9999: u64,
    pub max: u64,
}

impl LatencySummary {
    /// The figures of a histogram.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of u64 is one")]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            min: histogram.min(),
            mean: histogram.mean().round() as u64,
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            p9999: histogram.value_at_quantile(0.9999),
            max: histogram.max(),
        }
    }
}

/// How late requests were sent, in the figures that are looked at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "each is the percentile that its name says")]
pub struct SendLagSummary {
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

impl SendLagSummary {
    /// The figures of a histogram.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Self { p50: histogram.value_at_quantile(0.5), p99: histogram.value_at_quantile(0.99), max: histogram.max() }
    }
}

/// What the window cost the server's process; null what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerMeasured {
    /// CPU time of all its threads, those of the kernel included.
    pub cpu_ns: Option<u64>,
    /// The same, for one answer.
    pub cpu_ns_per_request: Option<f64>,
    /// Share of the CPU time that it could have used.
    pub utilisation: Option<f64>,
    /// The most memory that it ever held.
    pub max_rss_bytes: Option<u64>,
    /// Times that a thread went to wait, counted by the server.
    pub voluntary_switches: Option<u64>,
    /// Times that a thread was made to wait, counted by the server.
    pub involuntary_switches: Option<u64>,
    /// System calls, counted by the server.
    pub syscalls: Option<u64>,
    /// The same, by name.
    pub syscalls_by_name: Option<BTreeMap<String, u64>>,
    /// What the kernel granted.
    pub receipt: Map<String, Value>,
    /// Share of the time that its busiest thread was running.
    #[serde(default)]
    pub busiest_thread: Option<f64>,
    /// What it holds in user space for each idle connection; null without any, and for a server that is not ours.
    #[serde(default)]
    pub memory_bytes_per_idle_connection: Option<f64>,
    /// Connections that each of its threads served; null where threads are not what connections are spread over.
    #[serde(default)]
    pub connections_per_thread: Option<Vec<u64>>,
    /// Share of the time that each of these threads was running.
    #[serde(default)]
    pub busy_per_thread: Option<Vec<f64>>,
    /// Times that a thread came back from a call that waits for what comes next, counted by the server.
    #[serde(default)]
    pub wakeups: Option<u64>,
    /// Bytes that it took from the kernel, counted by the server.
    #[serde(default)]
    pub bytes_received: Option<u64>,
    /// Bytes that it gave to the kernel, counted by the server.
    #[serde(default)]
    pub bytes_sent: Option<u64>,
    /// Bytes that it copied from one place in its memory to another, counted by the server.
    #[serde(default)]
    pub bytes_copied: Option<u64>,
    /// CPU time that the kernel charges for one echo of that payload with plain calls and no waiting, between the first CPUs
    /// of server and load generator, measured before the block.
    #[serde(default)]
    pub floor_ns_per_request: Option<f64>,
    /// Echoes that it rests on.
    #[serde(default)]
    pub floor_echoes: Option<u64>,
    /// Share of the CPU time that went into looking for them in vain, and was taken off.
    #[serde(default)]
    pub floor_in_vain: Option<f64>,
    /// Why there is no floor; null where there is one.
    #[serde(default)]
    pub floor_missing: Option<String>,
    /// How exactly CPU time is known: the kernel keeps that of a thread that is running up to its last tick, so that CPU time,
    /// and how busy the busiest thread was, may be off by so much on each CPU, either way.
    #[serde(default)]
    pub cpu_clock_step_ns: Option<u64>,
    /// How long after the end of the window the last of its readings was taken; what was counted until then was scaled.
    #[serde(default)]
    pub readings_late_ns: Option<u64>,
}

/// What a trial cost the load generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientMeasured {
    /// The interface it used for I/O.
    pub engine: String,
    /// Why it is not the one that is preferred where the choice is free; null where it is.
    #[serde(default)]
    pub engine_because: Option<String>,
    /// Its threads.
    pub threads: usize,
    /// CPU time of all of them.
    pub cpu_ns: u64,
    /// The same, for one answer.
    pub cpu_ns_per_request: Option<f64>,
    /// Share of the time that the busiest of them was running.
    pub utilisation: f64,
    /// Times that one of them was made to wait for a CPU.
    #[serde(default)]
    pub involuntary_switches: Option<u64>,
    /// The shortest time that its clock can tell.
    #[serde(default)]
    pub clock_step_ns: Option<u64>,
    /// How late the timers of the machine woke its first thread before the load, when nothing else was going on; null in a
    /// closed loop.
    #[serde(default)]
    pub timers: Option<TimerLateness>,
}

/// A measurement among the other fields of its trial, or a null for each of its fields.
mod measured_or_nulls {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
    use serde_json::{Map, Value};

    use super::Measured;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(measured: &Option<Measured>, serializer: S) -> Result<S::Ok, S::Error> {
        match measured {
            Some(measured) => measured.serialize(serializer),
            None => serializer.collect_map(Measured::FIELDS.map(|field| (field, ()))),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Measured>, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        if Measured::FIELDS.iter().all(|&field| fields.get(field).is_none_or(Value::is_null)) {
            return Ok(None);
        }
        serde_json::from_value(Value::Object(fields)).map(Some).map_err(de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::ClientCost;
    use crate::plan;

    /// A trial of 2,000 requests, the `n`-th of which took `n` µs.
    pub(crate) fn trial(backend: &str) -> TrialRecord {
        let mut latency = Histogram::new(3).unwrap();
        (1..=2000).for_each(|us| latency.record(us * 1000).unwrap());
        let load = LoadOutcome {
            requests: 2000,
            elapsed: Duration::from_millis(500),
            due: None,
            service: latency.clone(),
            latency,
            send_lag: Histogram::new(3).unwrap(),
            errors: 0,
            first_error: None,
            mismatches: 0,
            censored: 0,
            client: ClientCost {
                engine: "epoll",
                engine_because: None,
                threads: 1,
                cpu: Duration::from_millis(100),
                utilisation: 0.2,
                involuntary_switches: Some(0),
                waited: Some(0.0),
                clock_step_ns: 20,
                timers: None,
            },
            connections: Vec::new(),
            slices: vec![50; 40],
            in_flight_mean: 4.0,
            in_flight_edges: 0.0,
            silent_connections: 0,
            unanswered: 0,
            slice_service_ns: vec![1_000_000; 40],
            idle_lost: 0,
            lost_share: 0.0,
            closed_after: None,
            cut_short: false,
            oldest_wait: Duration::ZERO,
        };
        let server = ServerMeasured {
            cpu_ns: Some(40_000_000),
            max_rss_bytes: Some(4 << 20),
            syscalls: Some(6000),
            ..ServerMeasured::default()
        };
        TrialRecord {
            trial: 1,
            block: 1,
            backend: backend.to_owned(),
            cell: plan::tests::plan().cells().remove(0),
            outcome: Outcome::Ok,
            error: None,
            measured: Some(Measured::new(load, Some(server))),
            verdict: Verdict::Valid,
            reasons: Vec::new(),
            bottleneck: Some(Bottleneck::Latency),
        }
    }

    pub(crate) fn failed_trial(backend: &str, error: &str) -> TrialRecord {
        TrialRecord {
            outcome: Outcome::Failed,
            error: Some(error.to_owned()),
            measured: None,
            verdict: Verdict::Invalid,
            reasons: vec![NOT_MEASURED.to_owned()],
            bottleneck: None,
            ..trial(backend)
        }
    }

    fn json(trial: TrialRecord) -> Value {
        serde_json::to_value(Record::Trial(Box::new(trial))).unwrap()
    }

    fn read_back(json: &Value) -> Result<TrialRecord, serde_json::Error> {
        match serde_json::from_str(&json.to_string())? {
            Record::Trial(trial) => Ok(*trial),
            Record::Run(_) => panic!("a run"),
        }
    }

    #[test]
    fn a_trial_has_the_fields_of_the_contract() {
        let names = "record trial block backend protocol transport connections payload_bytes depth rate_rps arrivals \
                     server_threads outcome error requests errors mismatches censored elapsed_ns throughput_rps \
                     latency_ns latency_hdr service_ns service_hdr send_lag_ns server client verdict reasons bottleneck \
                     slices in_flight_mean in_flight_edges silent_connections interference unanswered \
                     slice_service_ns lost_share idle_connections latency_of_all_ns service_of_all_ns";
        for trial in [trial("epoll"), failed_trial("epoll", "it died")] {
            let json = json(trial);
            let mut fields: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
            let mut expected: Vec<&str> = names.split_whitespace().collect();
            fields.sort_unstable();
            expected.sort_unstable();
            assert_eq!(fields, expected);
        }
    }

    #[test]
    fn a_trial_reads_back_as_it_was() {
        let before = trial("epoll");
        let after = read_back(&json(before.clone())).unwrap();
        assert_eq!(after.measured, before.measured);
        assert_eq!(after.cell, before.cell);
    }

    #[test]
    fn a_failed_trial_has_nulls_and_reads_back_without_a_measurement() {
        let json = json(failed_trial("epoll", "it died"));
        assert!(json["requests"].is_null() && json["server"].is_null());
        assert_eq!(json["outcome"], "failed");
        assert_eq!(read_back(&json).unwrap().measured, None);
    }

    #[test]
    fn a_record_from_before_the_machine_was_watched_is_read_and_nothing_is_made_up() {
        let mut json = json(trial("epoll"));
        for field in ["slices", "in_flight_mean", "in_flight_edges", "silent_connections", "interference"] {
            json.as_object_mut().unwrap().remove(field).unwrap();
        }
        for field in ["unanswered", "slice_service_ns", "lost_share", "latency_of_all_ns", "service_of_all_ns"] {
            json.as_object_mut().unwrap().remove(field).unwrap();
        }
        let of_server = ["busiest_thread", "connections_per_thread", "busy_per_thread", "wakeups", "bytes_received"];
        for field in of_server.into_iter().chain(["bytes_sent", "bytes_copied", "floor_ns_per_request"]) {
            json["server"].as_object_mut().unwrap().remove(field).unwrap();
        }
        json["client"]
            .as_object_mut()
            .unwrap()
            .retain(|name, _| name != "clock_step_ns" && name != "involuntary_switches");
        let measured = read_back(&json).unwrap().measured.unwrap();
        assert!(measured.slices.is_empty() && measured.client.clock_step_ns.is_none());
        let server = measured.server.as_ref().unwrap();
        assert_eq!((server.wakeups, server.bytes_copied, server.floor_ns_per_request), (None, None, None));
        assert_eq!((measured.in_flight_mean, measured.silent_connections), (None, None));
        assert!(measured.unanswered.is_none() && measured.slice_service_ns.is_empty());
        assert_eq!(*measured.interference, Interference::default());
    }

    #[test]
    fn unknown_fields_are_ignored_and_broken_ones_are_not() {
        let mut json = json(trial("epoll"));
        json["a_field_of_tomorrow"] = Value::from(1);
        assert!(read_back(&json).is_ok());
        json["latency_hdr"] = Value::from("not a histogram");
        assert!(read_back(&json).is_err());
    }
}
