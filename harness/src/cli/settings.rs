//! The settings of a sweep: the same from flags and from a plan file, with flags over the file and the file over the
//! defaults; and the plan that they come to on this machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use backends::Threading;
use clap::Args;
use glob::Pattern;
use harness::cpus::CpuSet;
use harness::crowd::Crowd;
use harness::load::check_due;
use harness::plan::{Arrivals, Engine, Protocol, Spread, SweepPlan, Transport};
use harness::sweep::Goal;
use serde::Deserialize;

use super::machine::Machine;
use super::named::{Named, names};
use super::servers::ServerSettings;
use super::suggestion::did_you_mean;
use super::values::{Count, List, Percent, Rate, Size, Span, list, scalar};
use super::{Connections, Depth, Idle, Threads, check_in_flight, servers};

/// Instead of backends: foreign servers only.
const NONE: &str = "none";

/// More trials than this are a mistake.
const MAX_TRIALS: usize = 10_000;

/// For a sweep that goes on until its intervals are narrow.
const BUDGET: Duration = Duration::from_mins(5);

/// A server that a sweep starts has the default limit on frames.
pub(super) const MAX_PAYLOAD_BYTES: u32 = 16 << 20;

/// What a sweep is to measure, as far as it was said.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// Names and globs such as 'epoll*', or 'none' of ours [default: every main backend]
    #[arg(long, value_name = "LIST", value_parser = Named(names), hide_possible_values = true)]
    #[serde(deserialize_with = "list")]
    pub(crate) backends: Option<List<String>>,
    /// Connections open at once [default: 1,64,512]
    #[arg(long, value_name = "LIST")]
    #[serde(deserialize_with = "list")]
    pub(crate) connections: Option<List<Connections>>,
    /// Payload of each frame [default: 64]
    #[arg(long, value_name = "LIST")]
    #[serde(deserialize_with = "list")]
    pub(crate) payload: Option<List<Size<0, MAX_PAYLOAD_BYTES>>>,
    /// Requests in flight on each connection [default: 1]
    #[arg(long, value_name = "LIST")]
    #[serde(deserialize_with = "list")]
    pub(crate) depth: Option<List<Depth>>,
    /// Requests a second over all connections (open loop) [default: closed loop]
    #[arg(long, value_name = "LIST")]
    #[serde(deserialize_with = "list")]
    pub(crate) rate: Option<List<Rate>>,
    /// How the requests of an open loop are spaced [default: constant]
    #[arg(long)]
    pub(crate) arrivals: Option<Arrivals>,
    /// Threads of the server [default: 1]
    #[arg(long, value_name = "LIST")]
    #[serde(deserialize_with = "list")]
    pub(crate) server_threads: Option<List<Threads>>,
    /// What the servers say back [default: framed]
    #[arg(long)]
    pub(crate) protocol: Option<Protocol>,
    /// Trials of each backend in each cell [default: 8]
    #[arg(long, value_name = "N")]
    #[serde(deserialize_with = "scalar")]
    pub(crate) trials: Option<Count<MAX_TRIALS>>,
    /// Load before what is measured, on the same connections [default: 100ms]
    #[arg(long, value_name = "DUR")]
    #[serde(deserialize_with = "scalar")]
    pub(crate) warmup: Option<Span<0>>,
    /// Length of what is measured [default: 200ms]
    #[arg(long, value_name = "DUR")]
    #[serde(deserialize_with = "scalar")]
    pub(crate) duration: Option<Span<1>>,
    /// Decides the order of the trials and the arrivals of requests [default: another one every time]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// CPUs of the servers, such as 0,2-3 [default: half of those that this process may use]
    #[arg(long, value_name = "LIST")]
    #[serde(deserialize_with = "scalar")]
    pub(crate) server_cpus: Option<CpuSet>,
    /// CPUs of the load generator [default: the other half]
    #[arg(long, value_name = "LIST")]
    #[serde(deserialize_with = "scalar")]
    pub(crate) client_cpus: Option<CpuSet>,
    /// Let another program enter, which listens on {port}; may be given several times
    #[arg(long = "server", value_name = "NAME=COMMAND")]
    #[serde(rename = "server")]
    pub(crate) servers: Option<Vec<ServerSettings>>,
    /// The interface that the load generator does I/O with [default: auto]
    #[arg(long)]
    pub(crate) engine: Option<Engine>,
    /// Backends that are in every block twice, to see how much they differ from themselves: names and globs
    #[arg(long, value_name = "LIST", value_parser = Named(names), hide_possible_values = true)]
    #[serde(deserialize_with = "list")]
    pub(crate) twice: Option<List<String>>,
    /// Go on after the trials until every interval is within plus or minus this
    #[arg(long, value_name = "PERCENT")]
    #[serde(deserialize_with = "scalar")]
    pub(crate) until: Option<Percent>,
    /// How long a sweep may take that goes on like that [default: 5m]
    #[arg(long, value_name = "DUR")]
    #[serde(deserialize_with = "scalar")]
    pub(crate) budget: Option<Span<1>>,
    /// Connections open besides those, on which nothing is ever sent [default: 0]
    #[arg(long, value_name = "LIST")]
    #[serde(deserialize_with = "list")]
    pub(crate) idle: Option<List<Idle>>,
    /// How connections are spread over several server threads: a listener for each, or one for all [default: reuseport]
    #[arg(long)]
    pub(crate) spread: Option<Spread>,
}

impl Settings {
    /// Those of a plan file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = before.matches('\n').count() + 1;
            format!("{} line {line}: {}", path.display(), error.message())
        })
    }

    /// These, and where nothing was said, those of `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            backends: self.backends.or(other.backends),
            connections: self.connections.or(other.connections),
            payload: self.payload.or(other.payload),
            depth: self.depth.or(other.depth),
            rate: self.rate.or(other.rate),
            arrivals: self.arrivals.or(other.arrivals),
            server_threads: self.server_threads.or(other.server_threads),
            protocol: self.protocol.or(other.protocol),
            trials: self.trials.or(other.trials),
            warmup: self.warmup.or(other.warmup),
            duration: self.duration.or(other.duration),
            seed: self.seed.or(other.seed),
            server_cpus: self.server_cpus.or(other.server_cpus),
            client_cpus: self.client_cpus.or(other.client_cpus),
            servers: self.servers.or(other.servers),
            engine: self.engine.or(other.engine),
            twice: self.twice.or(other.twice),
            until: self.until.or(other.until),
            budget: self.budget.or(other.budget),
            idle: self.idle.or(other.idle),
            spread: self.spread.or(other.spread),
        }
    }

    /// What they come to on this machine. The seed is not part of it: it decides the order, not what is measured.
    pub(crate) fn plan(&self, machine: &Machine) -> Result<SweepPlan, String> {
        if self.arrivals.is_some() && self.rate.is_none() {
            return Err("arrivals mean nothing in a closed loop; add a rate, or leave them out".to_owned());
        }
        let connections = values(self.connections.as_ref(), |count| count.0).unwrap_or(vec![1, 64, 512]);
        let depth = values(self.depth.as_ref(), |count| count.0).unwrap_or(vec![1]);
        let most = |counts: &[usize]| counts.iter().copied().max().unwrap_or(0);
        machine.check_descriptors(most(&connections))?;
        check_in_flight(most(&connections), most(&depth))?;
        let server_threads = values(self.server_threads.as_ref(), |count| count.0).unwrap_or(vec![1]);
        let idle_connections = values(self.idle.as_ref(), |count| count.0).unwrap_or(vec![0]);
        if self.spread.is_some() && server_threads == [1] {
            return Err(
                "a spread means nothing with one server thread; ask for more of them, or leave it out".to_owned()
            );
        }
        let (server_cpus, client_cpus) = machine.sides(
            self.server_cpus.as_ref(),
            self.client_cpus.as_ref(),
            server_threads.iter().copied().max().unwrap_or(1),
        );
        let entrants = self.entrants()?;
        let any_is_ours = entrants.iter().any(|entrant| backends::backend(entrant).is_some());
        if self.spread.is_some() && !any_is_ours {
            return Err(
                "a spread means nothing to servers that are not ours, which listen as they like; name a backend, or \
                        leave it out"
                    .to_owned(),
            );
        }
        let has_thread_each = |name: &String| {
            backends::backend(name).is_some_and(|backend| backend.info().threading == Threading::ThreadPerConnection)
        };
        let crowd = Crowd {
            thread_each: entrants.iter().find(|name| has_thread_each(name)).cloned(),
            idle: most(&idle_connections),
            busy: most(&connections),
            // Our servers listen on 127.0.0.1, and others are told to.
            ipv6: false,
            server_threads: server_threads.iter().copied().min().filter(|_| any_is_ours),
        };
        crowd.check(&machine.room)?;
        let plan = SweepPlan {
            twice: self.twins(&entrants)?,
            backends: entrants,
            protocol: self.protocol.unwrap_or(Protocol::Framed),
            transport: Transport::Tcp,
            connections,
            payload_bytes: values(self.payload.as_ref(), |size| size.0).unwrap_or(vec![64]),
            depth,
            rate_rps: values(self.rate.as_ref(), |rate| Some(rate.0)).unwrap_or(vec![None]),
            arrivals: self.arrivals.unwrap_or(Arrivals::Constant),
            server_threads,
            trials: self.trials.map_or(8, |count| count.0),
            warmup_ns: nanoseconds(self.warmup.map_or(Duration::from_millis(100), |span| span.0)),
            duration_ns: nanoseconds(self.duration.map_or(Duration::from_millis(200), |span| span.0)),
            server_cpus,
            client_cpus,
            servers: servers::plan(self.servers.as_deref().unwrap_or_default())?,
            engine: self.engine.unwrap_or_default(),
            idle_connections,
            spread: self.spread.unwrap_or_default(),
        };
        for cell in plan.cells() {
            check_due(cell.pace(), plan.warmup(), plan.duration())?;
        }
        Ok(plan)
    }

    /// How narrow its intervals are to be. No part of the plan either: it decides how often, not what is measured.
    pub(crate) fn goal(&self) -> Result<Option<Goal>, String> {
        let budget = self.budget.map_or(BUDGET, |span| span.0);
        match (self.until, self.budget) {
            (None, Some(_)) => Err("a budget means nothing without until; add it, or leave out the budget".to_owned()),
            (until, _) => Ok(until.map(|Percent(percent)| Goal { half_width: percent / 100.0, budget })),
        }
    }

    /// Backends, then foreign servers.
    fn entrants(&self) -> Result<Vec<String>, String> {
        let backends = match &self.backends {
            Some(List(patterns)) if *patterns == [NONE] => Vec::new(),
            _ => self.backend_names()?,
        };
        let servers = self.servers.iter().flatten().map(|server| server.name.clone());
        let entrants: Vec<String> = backends.into_iter().chain(servers).collect();
        if entrants.is_empty() {
            return Err("there is nothing to measure; name a backend, or let a --server enter".to_owned());
        }
        Ok(entrants)
    }

    fn backend_names(&self) -> Result<Vec<String>, String> {
        let known: Vec<&str> = backends::BACKENDS.iter().map(|backend| backend.info().name).collect();
        match &self.backends {
            None => Ok(main_backends()),
            Some(patterns) => matching(&known, patterns, unknown_backend),
        }
    }

    fn twins(&self, entrants: &[String]) -> Result<Vec<String>, String> {
        let Some(patterns) = &self.twice else { return Ok(Vec::new()) };
        let names: Vec<&str> = entrants.iter().map(String::as_str).collect();
        let absent = |text: &str| {
            let meant = did_you_mean(text, names.iter().copied());
            format!("'{text}' is to be there twice and is none of {}{meant}", names.join(", "))
        };
        matching(&names, patterns, absent)
    }
}

/// Those of `names` that a list of names and globs is about.
fn matching(
    names: &[&str],
    List(patterns): &List<String>,
    unknown: impl Fn(&str) -> String,
) -> Result<Vec<String>, String> {
    let mut chosen: Vec<String> = Vec::new();
    for text in patterns {
        let pattern = Pattern::new(text).map_err(|error| format!("'{text}' is not a pattern: {}", error.msg))?;
        let mut matching = names.iter().filter(|name| pattern.matches(name)).peekable();
        if matching.peek().is_none() {
            return Err(unknown(text));
        }
        for name in matching {
            if !chosen.iter().any(|other| other == name) {
                chosen.push((*name).to_owned());
            }
        }
    }
    Ok(chosen)
}

/// Those that are no variants of another.
fn main_backends() -> Vec<String> {
    let infos = backends::BACKENDS.iter().map(|backend| backend.info());
    infos.filter(|info| info.is_main).map(|info| info.name.to_owned()).collect()
}

/// What is wrong with a name, and which there are.
pub(crate) fn unknown_backend(name: &str) -> String {
    let known: Vec<&str> = backends::BACKENDS.iter().map(|backend| backend.info().name).collect();
    format!("there is no backend '{name}'{}; there are {}", did_you_mean(name, known.iter().copied()), known.join(", "))
}

fn values<T, U>(list: Option<&List<T>>, value: impl Fn(&T) -> U) -> Option<Vec<U>> {
    list.map(|List(list)| list.iter().map(value).collect())
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("a span is at most a day long")
}

#[cfg(test)]
mod tests {
    use harness::crowd::Room;
    use harness::environment::ThreadBound;

    use super::super::values::AtMost;
    use super::*;

    fn machine() -> Machine {
        let room = Room {
            descriptors: 20_000,
            files: Some(1_000_000),
            ports: Some(28_000),
            memory_bytes: Some(8 << 30),
            group_memory_bytes: None,
            threads: None,
        };
        Machine { cores: vec![CpuSet::from_iter([0]), CpuSet::from_iter([1])], descriptors: 20_000, room }
    }

    fn from_file(text: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.toml");
        fs::write(&path, text).unwrap();
        Settings::read(&path)
    }

    fn backends(patterns: &[&str]) -> Result<Vec<String>, String> {
        let patterns = List(patterns.iter().map(|&pattern| pattern.to_owned()).collect());
        Settings { backends: Some(patterns), ..Settings::default() }.backend_names()
    }

    #[test]
    fn the_example_plan_says_what_the_defaults_are() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../plans/example.toml");
        let example = Settings::read(Path::new(example)).unwrap();
        assert_eq!(example.plan(&machine()).unwrap(), Settings::default().plan(&machine()).unwrap());
    }

    #[test]
    fn a_file_says_what_flags_say() {
        let settings = from_file(
            "backends = ['epoll', 'poll']\nconnections = [1, 16]\npayload = '4KiB'\nrate = [1000, 2.5]\n\
             arrivals = 'poisson'\ntrials = 2\nduration = '2s'\nserver-cpus = '0'\nseed = 7\n",
        );
        let settings = settings.unwrap();
        assert_eq!(settings.seed, Some(7));
        let plan = settings.plan(&machine()).unwrap();
        assert_eq!(plan.backends, ["epoll", "poll"]);
        assert_eq!(plan.payload_bytes, [4096]);
        assert_eq!(plan.rate_rps, [Some(1000.0), Some(2.5)]);
        assert_eq!(plan.duration(), Duration::from_secs(2));
        assert_eq!(plan.server_cpus.to_string(), "0");
        assert_eq!(plan.client_cpus.to_string(), "1");
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = from_file("trials = 2\nseed = 7\n").unwrap();
        let flags = Settings { trials: Some(Count(9)), ..Settings::default() };
        let merged = flags.or(file);
        assert_eq!((merged.trials, merged.seed), (Some(Count(9)), Some(7)));
    }

    #[test]
    fn mistakes_in_a_file_are_named_with_their_line() {
        for (text, expected) in [
            ("trials = 1\ntrails = 2\n", "plan.toml line 2: unknown field `trails`"),
            ("\n\ntrials = 0\n", "plan.toml line 3: '0' is not a whole number"),
            ("connections = []\n", "plan.toml line 1: the list is empty"),
            ("connections = [1, 1]\n", "plan.toml line 1: '1' is listed twice"),
            ("rate = nan\n", "plan.toml line 1: 'NaN' is not a rate"),
            ("protocol = 'http'\n", "plan.toml line 1: unknown variant"),
            ("spread = 'evenly'\n", "plan.toml line 1: unknown variant `evenly`, expected `reuseport` or `shared`"),
            ("trials = \n", "plan.toml line 1: "),
        ] {
            let error = from_file(text).unwrap_err();
            assert!(error.contains(expected), "{error:?} for {text:?}");
        }
    }

    #[test]
    fn backends_are_chosen_by_name_and_by_pattern() {
        assert_eq!(backends(&["*epoll*", "epoll", "threads"]).unwrap(), ["epoll", "epoll-et", "threads"]);
        let error = backends(&["kqueue"]).unwrap_err();
        assert!(error.starts_with("there is no backend 'kqueue'; there are threads, "), "{error}");
        assert!(backends(&["[epoll"]).is_err());
    }

    #[test]
    fn backends_that_are_there_twice_are_among_those_that_are_there() {
        let plan = |twice: &str| {
            let names = |text: &str| Some(text.parse().unwrap());
            let settings = Settings { backends: names("epoll,poll"), twice: names(twice), ..Settings::default() };
            settings.plan(&machine()).map(|plan| plan.entrants().join(","))
        };
        assert_eq!(plan("*").unwrap(), "epoll,poll,epoll#2,poll#2");
        assert_eq!(plan("poll").unwrap(), "epoll,poll,poll#2");
        assert_eq!(plan("select").unwrap_err(), "'select' is to be there twice and is none of epoll, poll");
    }

    #[test]
    fn a_budget_is_for_a_goal() {
        let goal = |text: &str| from_file(text).unwrap().goal();
        assert_eq!(goal("trials = 1\n"), Ok(None));
        assert_eq!(goal("until = 2.5\n"), Ok(Some(Goal { half_width: 0.025, budget: BUDGET })));
        let minute = Duration::from_mins(1);
        assert_eq!(goal("until = 2\nbudget = '1m'\n"), Ok(Some(Goal { half_width: 0.02, budget: minute })));
        assert!(goal("budget = '1m'\n").is_err());
    }

    #[test]
    fn the_default_is_every_backend_that_is_no_variant() {
        let all = Settings::default().backend_names().unwrap();
        assert_eq!(all, ["threads", "select", "poll", "epoll", "polling", "io_uring"]);
    }

    #[test]
    fn foreign_servers_stand_after_the_backends_and_can_stand_alone() {
        let file = from_file("backends = 'epoll'\n[[server]]\nname = 'a'\ncommand = 'sh {port}'\n").unwrap();
        let plan = file.plan(&machine()).unwrap();
        assert_eq!((plan.backends, plan.servers.len()), (vec!["epoll".to_owned(), "a".to_owned()], 1));
        let flags = |backends: Option<&str>| Settings {
            backends: backends.map(|backends| backends.parse().unwrap()),
            servers: Some(vec!["b=sh {port}".parse().unwrap()]),
            ..Settings::default()
        };
        let plan = flags(Some("none")).or(file).plan(&machine()).unwrap();
        assert_eq!((plan.backends[0].as_str(), plan.servers[0].name.as_str()), ("b", "b"));
        assert_eq!((plan.backends.len(), plan.servers.len()), (1, 1));
        assert_eq!(plan.servers[0], *plan.foreign("b#2").unwrap());
        let plan = flags(None).plan(&machine()).unwrap();
        assert!(plan.backends.len() > 2 && plan.backends.last().unwrap() == "b");
        assert!(flags(Some("none,epoll")).plan(&machine()).unwrap_err().contains("no backend 'none'"));
        let nothing = Settings { servers: None, ..flags(Some("none")) };
        assert!(nothing.plan(&machine()).unwrap_err().contains("nothing to measure"));
    }

    #[test]
    fn arrivals_need_a_rate() {
        let settings = Settings { arrivals: Some(Arrivals::Poisson), ..Settings::default() };
        assert!(settings.plan(&machine()).is_err());
    }

    #[test]
    fn a_spread_needs_threads_to_spread_over() {
        let plan = |threads: &[usize]| {
            let server_threads = Some(List(threads.iter().map(|&count| Count(count)).collect()));
            Settings { spread: Some(Spread::Shared), server_threads, ..Settings::default() }.plan(&machine())
        };
        assert_eq!(plan(&[1, 2]).unwrap().spread, Spread::Shared);
        assert!(plan(&[1]).unwrap_err().starts_with("a spread means nothing with one server thread"));
        let settings = from_file("server-threads = 2\nspread = 'shared'\n").unwrap();
        assert_eq!(settings.plan(&machine()).unwrap().spread, Spread::Shared);
    }

    #[test]
    fn a_spread_needs_a_server_of_ours() {
        let plan = |backends: &str| {
            let settings = Settings {
                backends: Some(backends.parse().unwrap()),
                servers: Some(vec!["b=sh {port}".parse().unwrap()]),
                spread: Some(Spread::Shared),
                server_threads: Some(List(vec![Count(2)])),
                ..Settings::default()
            };
            settings.plan(&machine())
        };
        assert_eq!(plan("epoll").unwrap().spread, Spread::Shared);
        assert!(plan("none").unwrap_err().starts_with("a spread means nothing to servers that are not ours"));
    }

    #[test]
    fn idle_connections_need_a_thread_each_where_a_server_is_made_so() {
        let plan = |backends: &str| {
            let machine = machine();
            let threads = Some(ThreadBound { name: "kernel.threads-max", most: 90_000 });
            let machine = Machine { room: Room { threads, ..machine.room }, ..machine };
            let settings = Settings {
                backends: Some(backends.parse().unwrap()),
                idle: Some(List(vec![AtMost(100_000)])),
                server_threads: Some(List(vec![Count(6)])),
                ..Settings::default()
            };
            settings.plan(&machine)
        };
        assert!(plan("epoll,thread-pool").is_ok());
        let refused = plan("epoll,threads").unwrap_err();
        assert!(refused.contains("need 100512 threads of 'threads'"), "{refused}");
        assert!(refused.contains("about 90000 (kernel.threads-max)"), "{refused}");
    }

    #[test]
    fn connections_need_descriptors() {
        let settings = Settings { connections: Some(List(vec![Count(19_990)])), ..Settings::default() };
        let error = settings.plan(&machine()).unwrap_err();
        assert!(error.contains("may open 20000"), "{error}");
    }

    #[test]
    fn idle_connections_need_tables() {
        let settings = |threads: usize| Settings {
            idle: Some(List(vec![AtMost(0), AtMost(100_000)])),
            server_threads: Some(List(vec![Count(threads)])),
            ..Settings::default()
        };
        let refused = settings(1).plan(&machine()).unwrap_err();
        assert!(refused.contains("ask for --server-threads 6"), "{refused}");
        assert_eq!(settings(6).plan(&machine()).unwrap().idle_connections, [0, 100_000]);
        let nobody_is_ours = Settings {
            backends: Some("none".parse().unwrap()),
            servers: Some(vec!["b=sh {port}".parse().unwrap()]),
            ..settings(1)
        };
        assert!(nobody_is_ours.plan(&machine()).is_ok(), "what another program can open is its own business");
    }

    #[test]
    fn connections_times_depth_is_bounded() {
        let plan = |connections: usize, depth: usize| {
            let connections = Some(List(vec![Count(1), Count(connections)]));
            let settings =
                Settings { connections, depth: Some(List(vec![Count(depth), Count(1)])), ..Settings::default() };
            settings.plan(&machine())
        };
        assert!(plan(256, 65_536).is_ok());
        let error = plan(257, 65_536).unwrap_err();
        assert!(error.starts_with("257 connections with a depth of 65536 are 16842752 requests in flight"), "{error}");
    }

    #[test]
    fn one_side_gets_what_the_other_leaves() {
        let plan = |server: Option<&str>, client: Option<&str>| {
            let set = |text: Option<&str>| text.map(|text| text.parse().unwrap());
            let settings = Settings { server_cpus: set(server), client_cpus: set(client), ..Settings::default() };
            let plan = settings.plan(&machine()).unwrap();
            (plan.server_cpus.to_string(), plan.client_cpus.to_string())
        };
        assert_eq!(plan(None, None), ("0".into(), "1".into()));
        assert_eq!(plan(Some("1"), None), ("1".into(), "0".into()));
        assert_eq!(plan(None, Some("0")), ("1".into(), "0".into()));
        assert_eq!(plan(Some("0-1"), None), ("0-1".into(), "0-1".into()));
    }
}
