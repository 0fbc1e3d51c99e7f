//! One trial: a fresh server, load on it, and what both of them spent on it.

use std::sync::atomic::AtomicBool;

use backends::Threading;
use serde_json::{Map, Value};

use super::process::{Process, Usage};
use super::server::Server;
use super::verdict::{Evidence, judge};
use super::{Slot, Sweep};
use crate::control::Report;
use crate::load::{self, LoadOutcome, LoadPlan};
use crate::plan::Cell;
use crate::results::{Measured, Outcome, ServerMeasured, TrialRecord, Verdict, per};

/// Runs the trial of `slot`. Whatever goes wrong with it is in the record.
pub(super) fn run(sweep: Sweep<'_>, slot: &Slot, cancel: &AtomicBool) -> TrialRecord {
    let Some(backend) = backends::backend(&slot.backend) else {
        return without_measurement(slot, Outcome::Failed, format!("there is no backend '{}'", slot.backend));
    };
    if let Err(unavailable) = backend.probe() {
        return without_measurement(slot, Outcome::Unavailable, unavailable.reason);
    }
    match measure(sweep, slot, backend.info().threading, cancel) {
        Ok((outcome, server)) => with_measurement(sweep, slot, outcome, server),
        Err(error) => without_measurement(slot, Outcome::Failed, error),
    }
}

fn measure(
    sweep: Sweep<'_>,
    slot: &Slot,
    threading: Threading,
    cancel: &AtomicBool,
) -> Result<(LoadOutcome, ServerMeasured), String> {
    let plan = sweep.plan;
    let (mut server, listening) = Server::start(sweep.server_executable, &slot.backend, &slot.cell, &plan.server_cpus)?;
    let load = LoadPlan {
        target: listening.listening,
        connections: slot.cell.connections,
        payload_bytes: slot.cell.payload_bytes,
        depth: slot.cell.depth,
        pace: slot.cell.pace(),
        warmup: plan.warmup(),
        duration: plan.duration(),
        threads: plan.client_cpus.len().min(slot.cell.connections),
        cpus: plan.client_cpus.iter().collect(),
        seed: slot.arrivals_seed,
    };
    let process = Process::new(server.pid());
    let mut window = Window { server: &mut server, process, opened: None, closed: None };
    let outcome = load::run(&load, &mut window, cancel);
    let (opened, closed) = (window.opened.unwrap_or_default(), window.closed.unwrap_or_default());
    // A server that died is why the load failed, so its end is looked at first.
    server.stop()?;
    let outcome = outcome.map_err(|error| error.to_string())?;
    let cpus = usable_cpus(threading, &slot.cell, plan.server_cpus.len());
    let measured = server_measured(&opened, &closed, &outcome, cpus, listening.receipt);
    Ok((outcome, measured))
}

/// Looks at the server at both ends of the window.
struct Window<'a> {
    server: &'a mut Server,
    process: Process,
    opened: Option<Snapshot>,
    closed: Option<Snapshot>,
}

/// A server at one moment; `None` what it did not say.
#[derive(Debug, Default)]
struct Snapshot {
    usage: Usage,
    report: Option<Report>,
}

impl load::Observer for Window<'_> {
    fn window_opens(&mut self) {
        let usage = self.process.usage();
        self.opened = Some(Snapshot { usage, report: self.server.report().ok() });
    }

    fn window_closed(&mut self) {
        let usage = self.process.usage();
        // A first answer that never came would be taken for the second.
        let answers = self.opened.as_ref().is_some_and(|opened| opened.report.is_some());
        let report = if answers { self.server.report().ok() } else { None };
        self.closed = Some(Snapshot { usage, report });
    }
}

/// CPUs that the server's threads could run on at once.
fn usable_cpus(threading: Threading, cell: &Cell, cpus: usize) -> usize {
    match threading {
        Threading::LoopPerThread => cell.server_threads.min(cpus),
        Threading::ThreadPerConnection => cell.connections.min(cpus),
    }
}

fn server_measured(
    opened: &Snapshot,
    closed: &Snapshot,
    outcome: &LoadOutcome,
    cpus: usize,
    receipt: Map<String, Value>,
) -> ServerMeasured {
    let cpu_ns = difference(opened.usage.cpu_ns, closed.usage.cpu_ns);
    let cpu_share = |cpu_ns| per(cpu_ns as f64, outcome.elapsed.as_secs_f64() * 1e9 * cpus as f64);
    let switches = |count: fn(&Usage) -> Option<u64>| difference(count(&opened.usage), count(&closed.usage));
    let calls = opened.report.as_ref().zip(closed.report.as_ref()).map(|(opened, closed)| {
        let counts = closed.syscalls.iter();
        counts
            .map(|(name, count)| (name.clone(), count - opened.syscalls.get(name).unwrap_or(&0).min(count)))
            .filter(|&(_, count)| count > 0)
            .collect::<std::collections::BTreeMap<_, _>>()
    });
    ServerMeasured {
        cpu_ns,
        cpu_ns_per_request: cpu_ns.and_then(|cpu_ns| per(cpu_ns as f64, outcome.requests as f64)),
        utilisation: cpu_ns.and_then(cpu_share),
        max_rss_bytes: closed.usage.max_rss_bytes,
        voluntary_switches: switches(|usage| usage.switches.map(|switches| switches.voluntary)),
        involuntary_switches: switches(|usage| usage.switches.map(|switches| switches.involuntary)),
        requests: difference(requests(opened), requests(closed)),
        syscalls: calls.as_ref().map(|calls| calls.values().sum()),
        syscalls_by_name: calls,
        receipt,
    }
}

fn requests(snapshot: &Snapshot) -> Option<u64> {
    snapshot.report.as_ref()?.requests()
}

fn difference(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    after?.checked_sub(before?)
}

fn with_measurement(sweep: Sweep<'_>, slot: &Slot, outcome: LoadOutcome, server: ServerMeasured) -> TrialRecord {
    let first_error = outcome.first_error.clone();
    let measured = Measured::new(outcome, Some(server));
    let judgement = judge(&Evidence {
        first_error,
        rate_rps: slot.cell.rate_rps,
        cpus_shared: sweep.plan.server_cpus.overlaps(&sweep.plan.client_cpus),
        ..Evidence::of(&measured)
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
        reasons: Vec::new(),
        bottleneck: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    #[test]
    fn a_loop_per_thread_uses_as_many_cpus_as_threads() {
        let cell = Cell { server_threads: 2, connections: 64, ..plan::tests::plan().cells().remove(0) };
        assert_eq!(usable_cpus(Threading::LoopPerThread, &cell, 4), 2);
        assert_eq!(usable_cpus(Threading::LoopPerThread, &cell, 1), 1);
        assert_eq!(usable_cpus(Threading::ThreadPerConnection, &cell, 4), 4);
        let alone = Cell { connections: 1, ..cell };
        assert_eq!(usable_cpus(Threading::ThreadPerConnection, &alone, 4), 1);
    }

    #[test]
    fn what_was_not_seen_at_both_ends_is_unknown() {
        assert_eq!(difference(Some(3), Some(5)), Some(2));
        assert_eq!(difference(None, Some(5)), None);
        assert_eq!(difference(Some(5), Some(3)), None);
    }
}
