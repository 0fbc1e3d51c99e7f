//! One trial: a fresh server, load on it, and what both of them spent on it.

use std::collections::BTreeMap;
use std::iter;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backends::{BackendInfo, Event, Threading};
use serde_json::Value;

use super::idle::{self, IdleLook};
use super::process::CpuReading;
use super::reading;
use super::server::{Server, Started, Watched};
use super::tree::{MOST_THREADS, ThreadsReading};
use super::{Slot, Sweep};
use crate::control::Report;
use crate::interference::{Interference, OwnUse, Watch};
use crate::load::{self, LoadError, LoadOutcome, LoadPlan};
use crate::plan::{Cell, server_of};
use crate::results::{Measured, NOT_MEASURED, Outcome, ServerMeasured, TrialRecord, Verdict, per, saturating_ns};
use crate::run_delay::ThreadCounts;
use crate::verdict::{Evidence, LoadEnd, closing, judge};

/// Told how many idle connections are open, and how many there are to be.
pub(crate) type TellsIdle<'a> = &'a mut dyn FnMut(usize, usize);

/// Runs the trial of `slot`. Whatever goes wrong with it is in the record.
pub(crate) fn run(sweep: Sweep<'_>, slot: &Slot, tells_idle: TellsIdle<'_>, cancel: &AtomicBool) -> TrialRecord {
    attempt(sweep, slot, tells_idle, cancel).record
}

/// A trial that has ended.
pub(super) struct Attempt {
    pub(super) record: TrialRecord,
    /// Whether there was a server to put load on.
    pub(super) has_started: bool,
}

/// Does what [`run`] does.
pub(super) fn attempt(sweep: Sweep<'_>, slot: &Slot, tells_idle: TellsIdle<'_>, cancel: &AtomicBool) -> Attempt {
    let name = server_of(&slot.backend);
    let cpus = &sweep.plan.server_cpus;
    let not_started = |record| Attempt { record, has_started: false };
    let (started, info) = if let Some(entrant) = sweep.plan.foreign(name) {
        (Server::start_foreign(sweep.server_executable, entrant, &slot.cell, cpus, cancel), None)
    } else {
        let Some(backend) = backends::backend(name) else {
            let error = format!("there is no backend '{}'", slot.backend);
            return not_started(without_measurement(slot, Outcome::Failed, error));
        };
        if let Err(unavailable) = backend.probe() {
            return not_started(without_measurement(slot, Outcome::Unavailable, unavailable.reason));
        }
        let started = Server::start(sweep.server_executable, name, &slot.cell, sweep.plan.spread, cpus);
        (started, Some(backend.info()))
    };
    let has_started = started.is_ok();
    let trial = started.and_then(|started| measure(sweep, slot, started, info, tells_idle, cancel));
    Attempt { record: record(sweep, slot, trial), has_started }
}

fn record(sweep: Sweep<'_>, slot: &Slot, trial: Result<Trial, String>) -> TrialRecord {
    match trial {
        Ok(trial) => with_measurement(sweep, slot, trial),
        Err(error) => without_measurement(slot, Outcome::Failed, error),
    }
}

/// `info`: what is known of a server that is ours.
fn measure(
    sweep: Sweep<'_>,
    slot: &Slot,
    started: Started,
    info: Option<&BackendInfo>,
    tells_idle: TellsIdle<'_>,
    cancel: &AtomicBool,
) -> Result<Trial, String> {
    let plan = sweep.plan;
    let threading = info.map(|info| info.threading);
    let Started { mut server, address, receipt } = started;
    let load = LoadPlan {
        target: address,
        connections: slot.cell.connections,
        payload_bytes: slot.cell.payload_bytes,
        depth: slot.cell.depth,
        pace: slot.cell.pace(),
        warmup: plan.warmup(),
        duration: plan.duration(),
        threads: plan.client_cpus.len().min(slot.cell.connections),
        cpus: plan.client_cpus.iter().collect(),
        seed: slot.arrivals_seed,
        engine: plan.engine.into(),
        idle_connections: slot.cell.idle_connections,
    };
    let process = server.watched();
    let watch = Watch::start(&plan.server_cpus, &plan.client_cpus, &process.processes());
    // Threads that have to wait for each other are made to wait by nobody else.
    let alone = |threads: usize, cpus: usize| threads <= cpus && !plan.server_cpus.overlaps(&plan.client_cpus);
    let own_threads = info.map(|info| {
        server_threads(info.threading, &slot.cell) + slot.cell.server_threads * info.waiting.kernel_threads()
    });
    let own_counted = own_threads.is_some_and(|threads| threads <= MOST_THREADS);
    let mut window = Window {
        server: &mut server,
        process: &process,
        own_counted,
        watch,
        opened: None,
        closed: None,
        closes_at_ns: None,
        late_ns: None,
        idle: IdleLook::default(),
        shares_table: receipt.get("descriptors").is_some_and(shares_table),
        tells_idle,
        cancel,
    };
    let outcome = load::run(&load, &mut window, cancel);
    let Window { opened, closed, late_ns, mut watch, idle, .. } = window;
    watch.load_ended();
    let readings = opened.zip(closed);
    let max_rss_bytes = process.max_rss_bytes();
    // A server that died is why the load failed, so its end is looked at first.
    let stopped = server.stop(outcome.as_ref().map_or(true, |outcome| outcome.errors > 0));
    stopped.map_err(|error| watch.with_killing(error))?;
    let outcome = outcome.map_err(|error| {
        // It was seen to listen: a socket on [::] is one on 127.0.0.1 too, unless it takes IPv6 alone.
        let is_refused = info.is_none() && matches!(error, LoadError::Refused { .. });
        let refused =
            || format!("the server refuses connections to {address}; have it listen there, not on [::] for IPv6 alone");
        server.with_last_words(if is_refused { refused() } else { error.to_string() })
    })?;
    if outcome.requests == 0 && outcome.errors == load.connections as u64 {
        return Err(server.with_last_words(lost_all(&outcome, load.connections)));
    }
    let threads = readings.as_ref().and_then(|(_, closed)| closed.threads.as_ref());
    let cpus = match threading {
        Some(threading) => usable_cpus(threading, &slot.cell, plan.server_cpus.len()),
        None => threads.map_or(usize::MAX, |threads| threads.count).clamp(1, plan.server_cpus.len()),
    };
    let left_cpus = threads.is_some_and(|threads| threads.leaves(&plan.server_cpus));
    // A load that has lost all its connections ends before the window does, and nothing happens from then on.
    let ended_early = outcome.elapsed < load.duration;
    let spans = readings.as_ref().map(|(opened, closed)| Spans::between(opened, closed)).unwrap_or_default();
    let looked = if ended_early { Looked::AfterTheEndOf(outcome.elapsed) } else { Looked::AtBothEnds(outcome.elapsed) };
    let most =
        readings.as_ref().and_then(|(opened, closed)| closed.counts.as_ref()?.most_since(opened.counts.as_ref()?));
    let busiest_thread = most.map(|most| most.ran);
    let shares = threading.zip(readings.as_ref()).map(|(threading, (opened, closed))| {
        ThreadShares::between(threading, &idle.accepted_per_thread, opened, closed)
    });
    let ThreadShares { connections_per_thread, busy_per_thread } = shares.unwrap_or_default();
    let mut server = ServerMeasured {
        max_rss_bytes,
        receipt,
        busiest_thread,
        memory_bytes_per_idle_connection: idle.bytes_per_connection(load.idle_connections),
        connections_per_thread,
        busy_per_thread,
        cpu_clock_step_ns: spans.cpu.and_then(|_| reading::cpu_clock_step_ns()),
        readings_late_ns: late_ns,
        ..spans.measured(looked, outcome.requests, cpus)
    };
    if info.is_some_and(|info| info.waiting.hides_load()) {
        // It is always busy, so this does not say whether it could have done more.
        (server.utilisation, server.busiest_thread) = (None, None);
    }
    let server_threads = own_threads.unwrap_or(threads.map_or(usize::MAX, |threads| threads.count));
    let server_alone = alone(server_threads, plan.server_cpus.len());
    let client_alone = alone(load.threads, load.cpus.len());
    let interference = watch.finish(OwnUse {
        server_cpu_ns: spans.cpu.map(|cpu| cpu.count),
        client_cpu_ns: saturating_ns(outcome.client.cpu),
        server_involuntary_switches: server.involuntary_switches.filter(|_| server_alone),
        client_involuntary_switches: outcome.client.involuntary_switches.filter(|_| client_alone),
        server_waited: most.map(|most| most.waited).filter(|_| server_alone),
        client_waited: outcome.client.waited.filter(|_| client_alone),
    });
    Ok(Trial { outcome, server, interference, left_cpus })
}

/// Why there is nothing to be measured where all connections were lost and none of the requests was answered.
fn lost_all(outcome: &LoadOutcome, connections: usize) -> String {
    let when = if outcome.elapsed.is_zero() {
        "all connections were lost before the window opened"
    } else {
        "all connections were lost, and no request in the window was answered"
    };
    match (outcome.closed_after, &outcome.first_error) {
        (Some(answers), _) => format!("{}: {when}", closing(answers, connections)),
        (None, Some(first)) => format!("{when} ({first})"),
        (None, None) => when.to_owned(),
    }
}

/// What came of a trial.
struct Trial {
    outcome: LoadOutcome,
    server: ServerMeasured,
    interference: Interference,
    /// Whether the server could run elsewhere than it was told to.
    left_cpus: bool,
}

/// Looks at the server at both ends of the window. The load generator needs the CPUs meanwhile, so that the server
/// counts itself what would take long from outside.
struct Window<'a> {
    server: &'a mut Server,
    process: &'a Watched,
    /// Whether it is ours, and its threads are not too many to be looked at.
    own_counted: bool,
    watch: Watch,
    opened: Option<Snapshot>,
    closed: Option<Snapshot>,
    /// Of the kernel's monotonic clock.
    closes_at_ns: Option<u64>,
    /// How long after that the last reading was taken.
    late_ns: Option<u64>,
    idle: IdleLook,
    /// Whether all threads of the server have one table of descriptors.
    shares_table: bool,
    tells_idle: TellsIdle<'a>,
    cancel: &'a AtomicBool,
}

/// A server and its CPUs at one moment, as far as they could be read. That may be a little late, so every part has its
/// own time.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) cpu: Option<CpuReading>,
    pub(super) report: Option<Report>,
    /// Of a server that makes no report.
    pub(super) threads: Option<ThreadsReading>,
    /// How long each of its threads has run and waited for a CPU.
    pub(super) counts: Option<ThreadCounts>,
}

impl Window<'_> {
    /// `asks`: whether the server is asked for its report.
    fn snapshot(&mut self, asks: bool) -> Snapshot {
        let cpu = self.process.cpu();
        let report = if asks { self.server.report().ok() } else { None };
        let threads = self.process.threads();
        let counts = match self.process {
            Watched::Process(process) => self.own_counted.then(|| process.thread_counts()).flatten(),
            Watched::Tree(_) => threads.as_ref().and_then(|threads| threads.counts.clone()),
        };
        Snapshot { cpu, report, threads, counts }
    }
}

impl load::Observer for Window<'_> {
    fn idle_connections(&mut self, open: usize, all: usize) -> Result<(), String> {
        (self.tells_idle)(open, all);
        // What another program has accepted cannot be seen.
        let (Watched::Process(process), true) = (self.process, open == 0 || open == all) else { return Ok(()) };
        if open == 0 {
            let opened = idle::report(self.server)?;
            self.idle = IdleLook { opened, before: process.anonymous_bytes(), ..IdleLook::default() };
        } else {
            let before = &self.idle.opened;
            let report = idle::wait_until_accepted(self.server, before, all, self.shares_table, self.cancel)?;
            self.idle.accepted_per_thread = report.accepted_per_thread;
            self.idle.after = process.anonymous_bytes();
        }
        Ok(())
    }

    fn window_closes_at(&mut self, monotonic_ns: u64) {
        self.closes_at_ns = Some(monotonic_ns);
    }

    fn window_opens(&mut self) {
        self.watch.window_opens();
        self.opened = Some(self.snapshot(true));
    }

    fn window_closed(&mut self) {
        self.watch.window_closed();
        // A first answer that never came would be taken for the second.
        let answers = self.opened.as_ref().is_some_and(|opened| opened.report.is_some());
        let closed = self.snapshot(answers);
        self.late_ns = self.closes_at_ns.and_then(|closes_at_ns| reading::late_ns(&closed, closes_at_ns));
        self.closed = Some(closed);
    }
}

/// Whether a receipt says of its `descriptors` that the threads share a table.
fn shares_table(descriptors: &Value) -> bool {
    descriptors.as_str().is_some_and(|text| text.starts_with("shared table"))
}

/// CPUs that the server's threads could run on at once.
fn usable_cpus(threading: Threading, cell: &Cell, cpus: usize) -> usize {
    // Threads of idle connections wait all the time.
    server_threads(threading, &Cell { idle_connections: 0, ..cell.clone() }).min(cpus)
}

fn server_threads(threading: Threading, cell: &Cell) -> usize {
    match threading {
        Threading::LoopPerThread => cell.server_threads,
        Threading::ThreadPerConnection => cell.connections + cell.idle_connections,
        // And the thread that accepts for them.
        Threading::Pool { workers } => cell.server_threads * (workers + 1),
    }
}

/// What was counted between two readings, and the time that lay between them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span<T> {
    count: T,
    between: Duration,
}

/// When the server was looked at, in a window of that length.
#[derive(Clone, Copy, Debug)]
enum Looked {
    /// When it opened and when it closed, as exactly as may be: counts are scaled to it.
    AtBothEnds(Duration),
    /// The load ended early, and the second look came some time after that. Nothing happened in between, so that the counts
    /// are those of the window.
    AfterTheEndOf(Duration),
}

/// What a server spent between two snapshots; none where a reading failed.
#[derive(Debug, Default)]
struct Spans {
    /// CPU time in ns.
    cpu: Option<Span<u64>>,
    own: Option<Span<OwnCounts>>,
}

/// What a server counts by itself, or what can be seen of it from outside.
#[derive(Debug)]
struct OwnCounts {
    voluntary_switches: u64,
    involuntary_switches: u64,
    /// Known to the server alone.
    syscalls: Option<BTreeMap<String, u64>>,
    /// What else it counts, by name; so it is, too.
    events: BTreeMap<String, u64>,
}

impl Spans {
    fn between(opened: &Snapshot, closed: &Snapshot) -> Self {
        let cpu = opened.cpu.zip(closed.cpu).and_then(|(opened, closed)| {
            let count = closed.cpu_ns.checked_sub(opened.cpu_ns)?;
            Some(Span { count, between: closed.at.saturating_duration_since(opened.at) })
        });
        let reports = opened.report.as_ref().zip(closed.report.as_ref());
        let threads = opened.threads.as_ref().zip(closed.threads.as_ref());
        let own = reports.and_then(|(opened, closed)| own_counts(opened, closed));
        Self { cpu, own: own.or_else(|| threads.and_then(|(opened, closed)| seen_counts(opened, closed))) }
    }

    /// In the window.
    fn measured(&self, looked: Looked, requests: u64, cpus: usize) -> ServerMeasured {
        let (elapsed, load_ended) = match looked {
            Looked::AtBothEnds(elapsed) => (Some(elapsed), None),
            Looked::AfterTheEndOf(elapsed) => (None, Some(elapsed)),
        };
        let cpu_ns = self.cpu.map(|cpu| scaled(cpu.count, cpu.between, elapsed));
        let utilisation = self.cpu.and_then(|cpu| {
            let time = load_ended.unwrap_or(cpu.between);
            per(cpu.count as f64, time.as_secs_f64() * 1e9 * cpus as f64)
        });
        // In a short window a tick of CPU time from before it may be more than all that there is.
        let utilisation = utilisation.map(|share| share.min(1.0));
        let own =
            |count: fn(&OwnCounts) -> u64| self.own.as_ref().map(|own| scaled(count(&own.count), own.between, elapsed));
        let calls = self.own.as_ref().and_then(|own| {
            let calls = own.count.syscalls.as_ref()?.iter();
            let calls = calls.map(|(name, &count)| (name.clone(), scaled(count, own.between, elapsed)));
            Some(calls.collect::<BTreeMap<_, _>>())
        });
        let event = |event: Event| {
            let own = self.own.as_ref()?;
            Some(scaled(*own.count.events.get(event.name())?, own.between, elapsed))
        };
        ServerMeasured {
            cpu_ns,
            cpu_ns_per_request: cpu_ns.and_then(|cpu_ns| per(cpu_ns as f64, requests as f64)),
            utilisation,
            voluntary_switches: own(|counts| counts.voluntary_switches),
            involuntary_switches: own(|counts| counts.involuntary_switches),
            syscalls: calls.as_ref().map(|calls| calls.values().sum()),
            syscalls_by_name: calls,
            wakeups: event(Event::Wakeups),
            bytes_received: event(Event::BytesReceived),
            bytes_sent: event(Event::BytesSent),
            bytes_copied: event(Event::BytesCopied),
            ..ServerMeasured::default()
        }
    }
}

/// What each of a server's threads had of the load; none where a reading failed.
#[derive(Debug, Default)]
struct ThreadShares {
    connections_per_thread: Option<Vec<u64>>,
    busy_per_thread: Option<Vec<f64>>,
}

impl ThreadShares {
    /// Of threads that each serve what they accept, themselves or with workers of their own. `idle`: what each of them had
    /// accepted when the idle connections were open, which are no part of the load.
    fn between(threading: Threading, idle: &[u64], opened: &Snapshot, closed: &Snapshot) -> Self {
        let Some(report) = closed.report.as_ref() else { return Self::default() };
        let accepted = || {
            let idle = idle.iter().copied().chain(iter::repeat(0));
            report.accepted_per_thread.iter().zip(idle).map(|(all, idle)| all.saturating_sub(idle)).collect()
        };
        let ran = || {
            let counts = opened.counts.as_ref().zip(closed.counts.as_ref());
            counts.and_then(|(opened, closed)| closed.ran_since(opened, &report.thread_ids))
        };
        match threading {
            Threading::LoopPerThread => Self { connections_per_thread: Some(accepted()), busy_per_thread: ran() },
            // Those that accept do nothing else, and how busy they are says nothing of their workers.
            Threading::Pool { .. } => Self { connections_per_thread: Some(accepted()), busy_per_thread: None },
            Threading::ThreadPerConnection => Self::default(),
        }
    }
}

fn own_counts(opened: &Report, closed: &Report) -> Option<Span<OwnCounts>> {
    let calls = since(&opened.syscalls, &closed.syscalls);
    Some(Span {
        count: OwnCounts {
            voluntary_switches: closed.voluntary_switches.checked_sub(opened.voluntary_switches)?,
            involuntary_switches: closed.involuntary_switches.checked_sub(opened.involuntary_switches)?,
            syscalls: Some(calls.filter(|&(_, count)| count > 0).collect()),
            events: since(&opened.events, &closed.events).collect(),
        },
        between: Duration::from_nanos(closed.at_ns.checked_sub(opened.at_ns)?),
    })
}

/// How much each count grew.
fn since(opened: &BTreeMap<String, u64>, closed: &BTreeMap<String, u64>) -> impl Iterator<Item = (String, u64)> {
    closed.iter().map(|(name, count)| (name.clone(), count.saturating_sub(*opened.get(name).unwrap_or(&0))))
}

fn seen_counts(opened: &ThreadsReading, closed: &ThreadsReading) -> Option<Span<OwnCounts>> {
    let switches = closed.since(opened)?;
    Some(Span {
        count: OwnCounts {
            voluntary_switches: switches.voluntary,
            involuntary_switches: switches.involuntary,
            syscalls: None,
            events: BTreeMap::new(),
        },
        between: closed.at.saturating_duration_since(opened.at),
    })
}

/// What was counted in the time `between` two readings, for the time that it is to be compared with.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count times a ratio near 1 is a count")]
fn scaled(count: u64, between: Duration, elapsed: Option<Duration>) -> u64 {
    let factor = elapsed.and_then(|elapsed| per(elapsed.as_secs_f64(), between.as_secs_f64())).unwrap_or(1.0);
    (count as f64 * factor).round() as u64
}

fn with_measurement(sweep: Sweep<'_>, slot: &Slot, trial: Trial) -> TrialRecord {
    let Trial { outcome, server, interference, left_cpus } = trial;
    let end = LoadEnd::of(&outcome);
    let measured = Measured { interference: interference.into(), ..Measured::new(outcome, Some(server)) };
    let judgement = judge(&Evidence {
        cpus_shared: sweep.plan.server_cpus.overlaps(&sweep.plan.client_cpus),
        server_left_its_cpus: left_cpus,
        ..Evidence::of(&measured, &slot.cell).with_end(&end)
    });
    TrialRecord {
        trial: slot.trial,
        block: slot.block,
        backend: slot.backend.clone(),
        cell: slot.cell.clone(),
        outcome: Outcome::Ok,
        error: None,
        measured: Some(measured),
        verdict: judgement.verdict,
        reasons: judgement.reasons,
        bottleneck: judgement.bottleneck,
    }
}

fn without_measurement(slot: &Slot, outcome: Outcome, error: String) -> TrialRecord {
    TrialRecord {
        trial: slot.trial,
        block: slot.block,
        backend: slot.backend.clone(),
        cell: slot.cell.clone(),
        outcome,
        error: Some(error),
        measured: None,
        verdict: Verdict::Invalid,
        reasons: vec![NOT_MEASURED.to_owned()],
        bottleneck: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::plan;

    #[test]
    fn a_loop_per_thread_uses_as_many_cpus_as_threads() {
        let cell = Cell { server_threads: 2, connections: 64, ..plan::tests::plan().cells().remove(0) };
        assert_eq!(usable_cpus(Threading::LoopPerThread, &cell, 4), 2);
        assert_eq!(usable_cpus(Threading::LoopPerThread, &cell, 1), 1);
        assert_eq!(usable_cpus(Threading::ThreadPerConnection, &cell, 4), 4);
        let alone = Cell { connections: 1, idle_connections: 1000, ..cell };
        assert_eq!(server_threads(Threading::ThreadPerConnection, &alone), 1001);
        assert_eq!(usable_cpus(Threading::Pool { workers: 4 }, &cell, 16), 10);
        let alone = Cell { connections: 1, ..cell };
        assert_eq!(usable_cpus(Threading::ThreadPerConnection, &alone, 4), 1);
    }

    fn report(at_ms: u64, calls: u64) -> Report {
        Report {
            at_ns: at_ms * 1_000_000,
            voluntary_switches: calls / 2,
            syscalls: BTreeMap::from([("read".to_owned(), calls), ("futex".to_owned(), 7)]),
            events: BTreeMap::from([("wakeups".to_owned(), calls / 4), ("bytes_copied".to_owned(), 0)]),
            ..Report::default()
        }
    }

    fn snapshot(at: Instant, cpu_ms: u64, report: Option<Report>) -> Snapshot {
        let cpu = Some(CpuReading { at, cpu_ns: cpu_ms * 1_000_000 });
        Snapshot { cpu, report, threads: None, counts: None }
    }

    #[test]
    fn readings_are_scaled_from_the_time_between_them_to_the_window() {
        let at = Instant::now();
        // The second look came late, the report more so.
        let opened = snapshot(at, 100, Some(report(0, 1000)));
        let closed = snapshot(at + Duration::from_millis(1100), 650, Some(report(1250, 3500)));
        let spans = Spans::between(&opened, &closed);
        let measured = spans.measured(Looked::AtBothEnds(Duration::from_secs(1)), 1000, 1);
        assert_eq!((measured.cpu_ns, measured.cpu_ns_per_request), (Some(500_000_000), Some(500_000.0)));
        assert!((measured.utilisation.unwrap() - 0.5).abs() < 1e-9);
        assert_eq!((measured.voluntary_switches, measured.involuntary_switches), (Some(1000), Some(0)));
        assert_eq!(measured.syscalls, Some(2000));
        assert_eq!((measured.wakeups, measured.bytes_copied, measured.bytes_sent), (Some(500), Some(0), None));
        assert_eq!(measured.syscalls_by_name, Some(BTreeMap::from([("read".to_owned(), 2000)])));
        // After a load that ended early there was nothing to count: all of it is of the time that it took.
        let early = spans.measured(Looked::AfterTheEndOf(Duration::from_secs(1)), 1000, 1);
        assert_eq!((early.cpu_ns, early.syscalls), (Some(550_000_000), Some(2500)));
        assert!((early.utilisation.unwrap() - 0.55).abs() < 1e-9);
    }

    #[test]
    fn idle_connections_do_not_hide_how_the_others_are_spread() {
        let at = Instant::now();
        let opened = snapshot(at, 0, Some(report(0, 0)));
        let accepted_per_thread = vec![16_700, 16_790, 16_610];
        let closed = snapshot(at, 0, Some(Report { accepted_per_thread, ..report(1, 0) }));
        let of =
            |threading, idle: &[u64]| ThreadShares::between(threading, idle, &opened, &closed).connections_per_thread;
        assert_eq!(of(Threading::LoopPerThread, &[16_699, 16_700, 16_601]), Some(vec![1, 90, 9]));
        assert_eq!(of(Threading::Pool { workers: 4 }, &[16_699, 16_700, 16_601]), Some(vec![1, 90, 9]));
        assert_eq!(of(Threading::LoopPerThread, &[]), Some(vec![16_700, 16_790, 16_610]));
        assert_eq!(of(Threading::ThreadPerConnection, &[]), None);
    }

    #[test]
    fn only_a_receipt_that_says_so_is_one_of_a_shared_table() {
        assert!(shares_table(&"shared table: Function not implemented".into()));
        assert!(!shares_table(&"own table".into()) && !shares_table(&7.into()));
    }

    #[test]
    fn what_was_not_seen_at_both_ends_is_unknown() {
        let at = Instant::now();
        let blind = Snapshot { cpu: None, ..snapshot(at, 0, None) };
        let seen = snapshot(at, 0, Some(report(1, 1)));
        for (opened, closed) in [(&blind, &seen), (&seen, &blind)] {
            assert_eq!(
                Spans::between(opened, closed).measured(Looked::AtBothEnds(Duration::ZERO), 1, 1),
                ServerMeasured::default()
            );
        }
    }
}
