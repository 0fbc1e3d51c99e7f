//! What a sweep is to measure, with every default filled in.
//!
//! Invariant: a plan that exists can be run. Whatever is wrong with what a person asked for is refused while the plan
//! is made, and nothing below looks at flags or files again. It is written into the results as it is.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cpus::CpuSet;
use crate::figures;
use crate::foreign::ForeignServer;
use crate::load::{self, Pace};
use crate::slo::Slo;

/// What to measure: every combination of the lists is a cell, measured on every backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepPlan {
    /// Names of backends and of foreign servers, in the order in which they are listed in the end.
    pub backends: Vec<String>,
    /// What the servers say.
    pub protocol: Protocol,
    /// What carries it.
    pub transport: Transport,
    /// Connections open at once.
    pub connections: Vec<usize>,
    /// Payload of each frame.
    pub payload_bytes: Vec<u32>,
    /// Requests in flight on one connection.
    pub depth: Vec<usize>,
    /// Requests a second over all connections; `None` is a closed loop. Empty where rates are searched for.
    pub rate_rps: Vec<Option<f64>>,
    /// How requests are spaced where there is a rate.
    pub arrivals: Arrivals,
    /// Threads of the server.
    pub server_threads: Vec<usize>,
    /// Trials of each backend in each cell.
    pub trials: usize,
    /// Load before what is measured.
    pub warmup_ns: u64,
    /// Length of what is measured.
    pub duration_ns: u64,
    /// CPUs of the servers.
    pub server_cpus: CpuSet,
    /// CPUs of the load generator.
    pub client_cpus: CpuSet,
    /// How those of [`backends`](Self::backends) are started that are not ours.
    #[serde(default)]
    pub servers: Vec<ForeignServer>,
    /// The interface that the load generator was asked to use; a trial names the one that it did use.
    #[serde(default)]
    pub engine: Engine,
    /// Those of the backends that are in every block twice, the second time under another name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub twice: Vec<String>,
    /// Connections open besides those, on which nothing is ever sent; none in files that are older than this field.
    #[serde(default = "no_idle_connections")]
    pub idle_connections: Vec<usize>,
    /// How connections are spread over the threads of a server of ours that has several.
    #[serde(default)]
    pub spread: Spread,
}

fn no_idle_connections() -> Vec<usize> {
    vec![0]
}

/// Ends the name under which a backend is in a block for the second time.
const TWIN: &str = "#2";

/// The name under which `backend` is in a block for the second time.
#[must_use]
pub fn twin_of(backend: &str) -> String {
    format!("{backend}{TWIN}")
}

/// What serves under the name of an entrant: itself, or the backend that it is the twin of.
#[must_use]
pub fn server_of(entrant: &str) -> &str {
    entrant.strip_suffix(TWIN).unwrap_or(entrant)
}

impl SweepPlan {
    /// Everything that has a trial in each block: the backends, and then their twins.
    #[must_use]
    pub fn entrants(&self) -> Vec<String> {
        self.backends.iter().cloned().chain(self.twice.iter().map(|backend| twin_of(backend))).collect()
    }

    /// Every combination that is measured; connections vary fastest.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &server_threads in &self.server_threads {
            for &rate_rps in &self.rate_rps {
                for &depth in &self.depth {
                    for &payload_bytes in &self.payload_bytes {
                        for &idle_connections in &self.idle_connections {
                            cells.extend(self.connections.iter().map(|&connections| Cell {
                                protocol: self.protocol,
                                transport: self.transport,
                                connections,
                                payload_bytes,
                                depth,
                                rate_rps,
                                arrivals: rate_rps.map(|_| self.arrivals),
                                server_threads,
                                idle_connections,
                            }));
                        }
                    }
                }
            }
        }
        cells
    }

    /// The foreign server that enters by that name, under which it may enter several times: `NAME`, `NAME#2`.
    #[must_use]
    pub fn foreign(&self, entrant: &str) -> Option<&ForeignServer> {
        let name = entrant.split('#').next().unwrap_or(entrant);
        self.servers.iter().find(|server| server.name == name)
    }

    /// Load before what is measured.
    #[must_use]
    pub fn warmup(&self) -> Duration {
        Duration::from_nanos(self.warmup_ns)
    }

    /// Length of what is measured.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.duration_ns)
    }
}

/// One point of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// What the server says.
    pub protocol: Protocol,
    /// What carries it.
    pub transport: Transport,
    /// Connections open at once.
    pub connections: usize,
    /// Payload of each frame.
    pub payload_bytes: u32,
    /// Requests in flight on one connection.
    pub depth: usize,
    /// Requests a second over all connections; `None` is a closed loop.
    pub rate_rps: Option<f64>,
    /// How requests are spaced; `None` in a closed loop, where answers space them.
    pub arrivals: Option<Arrivals>,
    /// Threads of the server.
    pub server_threads: usize,
    /// Connections open besides those, on which nothing is ever sent.
    #[serde(default)]
    pub idle_connections: usize,
}

/// What tells cells apart, for a table of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CellKey([u8; 3], [usize; 5], Option<u64>);

impl Cell {
    /// What tells it from others. Every field is named, so that none is forgotten.
    #[must_use]
    pub fn key(&self) -> CellKey {
        let &Self {
            protocol,
            transport,
            connections,
            payload_bytes,
            depth,
            rate_rps,
            arrivals,
            server_threads,
            idle_connections,
        } = self;
        CellKey(
            [protocol as u8, transport as u8, arrivals.map_or(0, |arrivals| 1 + arrivals as u8)],
            [connections, payload_bytes as usize, depth, server_threads, idle_connections],
            // Both zeros are one rate.
            rate_rps.map(|rate_rps| (rate_rps + 0.0).to_bits()),
        )
    }

    /// When requests are sent.
    #[must_use]
    pub fn pace(&self) -> Pace {
        match self.rate_rps {
            None => Pace::Closed,
            Some(rate_rps) => Pace::Open { rate_rps, arrivals: self.arrivals.unwrap_or(Arrivals::Constant).into() },
        }
    }

    /// The connections, busy and idle, for people.
    #[must_use]
    pub fn open_connections(&self) -> String {
        let busy = figures::counted(self.connections, "connection");
        match self.idle_connections {
            0 => busy,
            idle => format!("{busy} and {} idle", figures::grouped(idle as f64)),
        }
    }

    /// The part that the load generator has in it, for people.
    #[must_use]
    pub fn load(&self) -> String {
        let connections = self.open_connections();
        format!("{connections} · payload {} · depth {} · {}", self.payload(), self.depth, self.spacing())
    }

    /// The payload, for people.
    #[must_use]
    pub fn payload(&self) -> String {
        figures::exact_bytes(self.payload_bytes.into())
    }

    /// The rate, for people; none of a closed loop.
    #[must_use]
    pub fn rate(&self) -> Option<String> {
        Some(format!("{}/s", figures::grouped_exactly(self.rate_rps?)))
    }

    /// How requests follow each other, for people: `10,000/s poisson`, `closed loop`.
    #[must_use]
    pub fn spacing(&self) -> String {
        match (self.rate(), self.arrivals) {
            (Some(rate), Some(arrivals)) => format!("{rate} {arrivals}"),
            (Some(rate), None) => rate,
            (None, _) => "closed loop".to_owned(),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = figures::counted(self.server_threads, "server thread");
        write!(f, "{} · {threads} · {} over {}", self.load(), self.protocol, self.transport)
    }
}

/// Defines an enum whose variants have one name on the command line, in plan files and in results.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
        #[serde(rename_all = "snake_case")]
        #[value(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }
    };
}

named! {
    /// What a server says back to what it is sent.
    Protocol {
        /// Length-prefixed frames, each answered when all of it has arrived.
        Framed => "framed",
        /// RFC 862: every byte comes back as soon as it arrives.
        Raw => "raw",
    }
}

named! {
    /// What carries the bytes.
    Transport {
        /// TCP over loopback.
        Tcp => "tcp",
    }
}

named! {
    /// How the requests of an open loop are spaced.
    Arrivals {
        /// Evenly.
        Constant => "constant",
        /// With independent, exponentially distributed gaps.
        Poisson => "poisson",
    }
}

named! {
    /// The interface that the load generator does I/O with.
    #[derive(Default)]
    Engine {
        /// The cheaper one of those that the kernel grants.
        #[default]
        Auto => "auto",
        /// Readiness.
        Epoll => "epoll",
        /// Completions.
        IoUring => "io_uring",
    }
}

named! {
    /// How connections are spread over the threads of a server.
    #[derive(Default)]
    Spread {
        /// Each thread has a listener of its own, and the kernel picks one by a hash.
        #[default]
        Reuseport => "reuseport",
        /// All threads accept from one listener.
        Shared => "shared",
    }
}

impl From<Spread> for backends::Spread {
    fn from(spread: Spread) -> Self {
        match spread {
            Spread::Reuseport => Self::ReusePort,
            Spread::Shared => Self::Shared,
        }
    }
}

impl From<Engine> for load::Engine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Auto => Self::Auto,
            Engine::Epoll => Self::Epoll,
            Engine::IoUring => Self::IoUring,
        }
    }
}

impl From<Arrivals> for load::Arrivals {
    fn from(arrivals: Arrivals) -> Self {
        match arrivals {
            Arrivals::Constant => Self::Constant,
            Arrivals::Poisson => Self::Poisson,
        }
    }
}

/// What a search for capacities is to find, and how well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityPlan {
    /// What a rate has to meet.
    pub slo: Slo,
    /// How near to each other a rate that met it and one that missed it have to be, as a share.
    pub resolution: f64,
    /// How often the edge is searched again when it has been found.
    pub repeats: usize,
    /// No trial is begun that would end later than this. Without it, the number of trials is what is limited.
    pub budget_ns: Option<u64>,
}

impl CapacityPlan {
    /// No trial is begun that would end later than this.
    #[must_use]
    pub fn budget(&self) -> Option<Duration> {
        self.budget_ns.map(Duration::from_nanos)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashSet;

    use super::*;

    pub(crate) fn plan() -> SweepPlan {
        SweepPlan {
            backends: vec!["poll".into(), "epoll".into()],
            protocol: Protocol::Framed,
            transport: Transport::Tcp,
            connections: vec![1, 64],
            payload_bytes: vec![64],
            depth: vec![1],
            rate_rps: vec![None, Some(1000.0)],
            arrivals: Arrivals::Poisson,
            server_threads: vec![1],
            trials: 2,
            warmup_ns: 0,
            duration_ns: 1_000_000,
            server_cpus: CpuSet::from_iter([0]),
            client_cpus: CpuSet::from_iter([1]),
            servers: Vec::new(),
            engine: Engine::Auto,
            twice: Vec::new(),
            idle_connections: vec![0],
            spread: Spread::Reuseport,
        }
    }

    /// Cells of which no two are one: each differs from the first in one field, and by little.
    pub(crate) fn variations() -> Vec<Cell> {
        let first = Cell {
            protocol: Protocol::Framed,
            transport: Transport::Tcp,
            connections: 1000,
            payload_bytes: 16384,
            depth: 16,
            rate_rps: Some(1000.0),
            arrivals: Some(Arrivals::Constant),
            server_threads: 2,
            idle_connections: 1000,
        };
        let with = |change: &dyn Fn(&mut Cell)| {
            let mut cell = first.clone();
            change(&mut cell);
            cell
        };
        // Whoever adds a field has to say here how cells differ in it.
        let Cell {
            protocol: _,
            // There is one only.
            transport: _,
            connections: _,
            payload_bytes: _,
            depth: _,
            rate_rps: _,
            arrivals: _,
            server_threads: _,
            idle_connections: _,
        } = &first;
        let mut variations = vec![
            with(&|cell| cell.protocol = Protocol::Raw),
            with(&|cell| cell.connections += 1),
            with(&|cell| cell.payload_bytes += 1),
            with(&|cell| cell.depth += 1),
            with(&|cell| cell.rate_rps = Some(1000.25)),
            with(&|cell| (cell.rate_rps, cell.arrivals) = (None, None)),
            with(&|cell| cell.arrivals = Some(Arrivals::Poisson)),
            with(&|cell| cell.arrivals = None),
            with(&|cell| cell.server_threads += 1),
            with(&|cell| cell.idle_connections += 1),
        ];
        variations.insert(0, first);
        variations
    }

    #[test]
    fn cells_that_differ_have_other_keys_and_read_otherwise() {
        let variations = variations();
        let keys: HashSet<CellKey> = variations.iter().map(Cell::key).collect();
        let words: HashSet<String> = variations.iter().map(Cell::to_string).collect();
        assert_eq!((keys.len(), words.len()), (variations.len(), variations.len()), "{words:#?}");
    }

    #[test]
    fn a_backend_that_is_there_twice_has_two_names_and_one_server() {
        let twice = SweepPlan { twice: vec!["epoll".into()], ..plan() };
        assert_eq!(twice.entrants(), ["poll", "epoll", "epoll#2"]);
        assert_eq!(
            twice.entrants().iter().map(|entrant| server_of(entrant)).collect::<Vec<_>>(),
            ["poll", "epoll", "epoll"]
        );
        assert_eq!(serde_json::from_value::<SweepPlan>(serde_json::to_value(plan()).unwrap()).unwrap(), plan());
    }

    #[test]
    fn before_there_were_idle_connections_there_were_none() {
        let older = |value: serde_json::Value| {
            let mut value = value;
            assert!(value.as_object_mut().unwrap().remove("idle_connections").is_some());
            value
        };
        let (plan, cell) = (plan(), plan().cells().remove(0));
        assert_eq!(serde_json::from_value::<SweepPlan>(older(serde_json::to_value(&plan).unwrap())).unwrap(), plan);
        assert_eq!(serde_json::from_value::<Cell>(older(serde_json::to_value(&cell).unwrap())).unwrap(), cell);
    }

    #[test]
    fn cells_are_every_combination_and_connections_vary_fastest() {
        let cells = plan().cells();
        let points: Vec<_> = cells.iter().map(|cell| (cell.rate_rps, cell.connections)).collect();
        assert_eq!(points, [(None, 1), (None, 64), (Some(1000.0), 1), (Some(1000.0), 64)]);
        assert_eq!(cells[0].arrivals, None);
        assert_eq!(cells[2].arrivals, Some(Arrivals::Poisson));
        let among_idle = SweepPlan { idle_connections: vec![0, 1000], rate_rps: vec![None], ..plan() }.cells();
        let points: Vec<_> = among_idle.iter().map(|cell| (cell.idle_connections, cell.connections)).collect();
        assert_eq!(points, [(0, 1), (0, 64), (1000, 1), (1000, 64)]);
    }

    #[test]
    fn names_are_the_same_for_people_and_in_results_and_flags() {
        fn check<T: ValueEnum + fmt::Display + Serialize>() {
            for value in T::value_variants() {
                assert_eq!(serde_json::to_value(value).unwrap(), value.to_string());
                assert_eq!(value.to_possible_value().unwrap().get_name(), value.to_string());
            }
        }
        check::<Protocol>();
        check::<Transport>();
        check::<Arrivals>();
        check::<Engine>();
        check::<Spread>();
    }

    #[test]
    fn a_cell_reads_as_a_heading() {
        let cells = plan().cells();
        assert_eq!(
            cells[0].to_string(),
            "1 connection · payload 64 B · depth 1 · closed loop · 1 server thread · framed over tcp"
        );
        assert_eq!(
            cells[3].to_string(),
            "64 connections · payload 64 B · depth 1 · 1,000/s poisson · 1 server thread · framed over tcp"
        );
        let among_idle = Cell { idle_connections: 100_000, ..cells[0].clone() };
        assert!(among_idle.to_string().starts_with("1 connection and 100,000 idle · payload"), "{among_idle}");
    }
}
