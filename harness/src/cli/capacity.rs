//! The arguments of `harness capacity`: those of a sweep that has one cell, and no rate.

use std::path::PathBuf;

use clap::Args;
use harness::cpus::CpuSet;
use harness::plan::{Arrivals, Engine, Protocol, Spread};
use harness::slo::Slo;

use super::named::{Named, names};
use super::servers::ServerSettings;
use super::settings::Settings;
use super::values::{Count, List, Percent, Size, Span};
use super::{Connections, Depth, Idle, Threads};

/// More repeats than this are a mistake.
const MAX_REPEATS: usize = 1000;

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct CapacityArguments {
    /// What a rate has to meet, such as p99<1ms or p50<200us,p99.9<=2ms; there are p50, p90, p99, p99.9, p99.99, max and
    /// mean, each from the time at which a request was meant to be sent.
    #[arg(long, value_name = "GOAL")]
    pub(crate) slo: Slo,
    /// Names and globs such as 'epoll*' [default: every main backend]
    #[arg(long, value_name = "LIST", value_parser = Named(names), hide_possible_values = true)]
    pub(crate) backends: Option<List<String>>,
    /// Connections open at once.
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) connections: Connections,
    /// Payload of each frame.
    #[arg(long, value_name = "SIZE", default_value = "64")]
    pub(crate) payload: Size<0, { super::settings::MAX_PAYLOAD_BYTES }>,
    // So many do not throttle a server that is near a goal: 1,024 in all, and 100 is what 100,000/s have in flight at 1 ms.
    /// Requests in flight on each connection; one that finds no room waits, and its time runs.
    #[arg(long, value_name = "N", default_value = "16")]
    pub(crate) depth: Depth,
    /// How requests are spaced; evenly spaced ones flatter a server.
    #[arg(long, default_value = "poisson")]
    pub(crate) arrivals: Arrivals,
    /// Threads of the server.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) server_threads: Threads,
    /// Connections open besides those, on which nothing is ever sent.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) idle: Idle,
    /// What the servers say back.
    #[arg(long, default_value = "framed")]
    pub(crate) protocol: Protocol,
    /// How near to each other a rate that meets the goal and one that misses it have to be.
    #[arg(long, value_name = "PERCENT", default_value = "5")]
    pub(crate) resolution: Percent,
    /// How often the edge is searched again; the interval is made of these.
    #[arg(long, value_name = "N", default_value = "6")]
    pub(crate) repeats: Count<MAX_REPEATS>,
    /// Load before what is measured, on the same connections.
    #[arg(long, value_name = "DUR", default_value = "100ms")]
    pub(crate) warmup: Span<0>,
    /// Length of what is measured; a low rate is measured for longer, up to 20 times, until there are enough answers.
    #[arg(long, value_name = "DUR", default_value = "500ms")]
    pub(crate) duration: Span<1>,
    /// Begin no trial that would end later [default: no limit of time, but at most 6 trials of each backend for each
    /// repeat, and 24 where these are fewer]
    #[arg(long, value_name = "DUR")]
    pub(crate) budget: Option<Span<1>>,
    /// Decides the order of the trials and the arrivals of requests [default: another one every time]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// CPUs of the servers, such as 0,2-3 [default: half of those that this process may use]
    #[arg(long, value_name = "LIST")]
    pub(crate) server_cpus: Option<CpuSet>,
    /// CPUs of the load generator [default: the other half]
    #[arg(long, value_name = "LIST")]
    pub(crate) client_cpus: Option<CpuSet>,
    /// The interface that the load generator does I/O with [default: auto]
    #[arg(long)]
    pub(crate) engine: Option<Engine>,
    /// Let another program enter, which listens on {port}; may be given several times
    #[arg(long = "server", value_name = "NAME=COMMAND")]
    pub(crate) servers: Option<Vec<ServerSettings>>,
    /// Where the results go [default: a new file in results/]
    #[arg(long, value_name = "FILE.jsonl", value_parser = super::no_dash(super::NAME_A_FILE))]
    pub(crate) output: Option<PathBuf>,
    /// Print each backend as a line of JSON at the end, and no table.
    #[arg(long)]
    pub(crate) json: bool,
    /// How connections are spread over several server threads: a listener for each, or one for all [default: reuseport]
    #[arg(long)]
    pub(crate) spread: Option<Spread>,
    /// Draw no progress; results, errors and what changes their meaning are said as always.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl CapacityArguments {
    /// The settings of a sweep that has the one cell.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            backends: self.backends.clone(),
            connections: Some(List(vec![self.connections])),
            payload: Some(List(vec![self.payload])),
            depth: Some(List(vec![self.depth])),
            server_threads: Some(List(vec![self.server_threads])),
            protocol: Some(self.protocol),
            trials: Some(Count(1)),
            warmup: Some(self.warmup),
            duration: Some(self.duration),
            server_cpus: self.server_cpus.clone(),
            client_cpus: self.client_cpus.clone(),
            engine: self.engine,
            servers: self.servers.clone(),
            idle: Some(List(vec![self.idle])),
            spread: self.spread,
            ..Settings::default()
        }
    }
}
