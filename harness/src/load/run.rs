//! A run from its plan to its outcome: connects, sets the threads going at one moment, and adds up what they saw.

use std::mem;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use backends::refusal::{refused, start_refused};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::clock::Clock;
use super::clock_step::clock_step_ns;
use super::connect::{allow_descriptors, connect};
use super::cpu_meter::CpuUse;
use super::engine::Prepared;
use super::error::LoadError;
use super::idle::Idle;
use super::recorder::Recorder;
use super::share::Share;
use super::traffic::Traffic;
use super::window::Window;
use super::{ClientCost, Engine, LoadOutcome, LoadPlan, Observer, Pace};

/// How long the end of a run may go unseen by the thread that waits for the window.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// Carries out a plan. Blocks until the last answer to what is measured has come or was given up, or until `cancel` is
/// set.
///
/// The soft limit on open files is raised to the hard limit.
///
/// # Errors
///
/// [`LoadError`], where the load could not be carried out as planned. Connections that break during the run are
/// counted in the outcome instead.
pub fn run(plan: &LoadPlan, observer: &mut dyn Observer, cancel: &AtomicBool) -> Result<LoadOutcome, LoadError> {
    plan.check()?;
    allow_descriptors(plan.connections)?;
    let engine = plan.engine.granted(plan.payload_bytes)?;
    let window = Window::new(plan.warmup, plan.duration);
    let traffic = Traffic::new(plan.payload_bytes, plan.depth);
    let shares = Share::deal(plan, window, &traffic);
    let mut idle = Idle::open(plan.target, plan.idle_connections, observer, cancel)?;
    // Where a server accepts in the order of arrival, it has accepted all idle ones when it has answered these.
    let mut sockets = connect(plan.target, plan.connections, plan.payload_bytes, cancel)?;

    let end = End::new(cancel, plan.threads);
    let finished = thread::scope(|scope| {
        let jobs = shares.into_iter().enumerate().map(|(index, share)| Job {
            engine,
            cpu: (!plan.cpus.is_empty()).then(|| plan.cpus[index % plan.cpus.len()]),
            sockets: sockets.split_off(sockets.len() - share.connections()),
            share,
        });
        let (clock, threads) = start(scope, jobs, &end)?;
        let over = || end.is_abandoned() || threads.iter().all(ScopedJoinHandle::is_finished);
        sleep_until(window.opens_ns, clock, over);
        observer.window_opens();
        sleep_until(window.closes_ns, clock, over);
        if !end.is_abandoned() {
            observer.window_closed();
        }
        threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    if cancel.load(Ordering::Relaxed) {
        return Err(LoadError::Cancelled);
    }
    let mut outcome = outcome(plan, engine, finished);
    outcome.idle_lost = idle.lost();
    if outcome.idle_lost > 0 {
        let lost = || format!("{} idle connections were closed, or sent what nobody had asked for", outcome.idle_lost);
        outcome.first_error.get_or_insert_with(lost);
    }
    Ok(outcome)
}

/// What a thread comes back with.
#[derive(Debug)]
pub(super) struct Finished<'run> {
    pub(super) share: Share<'run>,
    pub(super) cpu: CpuUse,
    /// Still open.
    pub(super) sockets: Vec<OwnedFd>,
}

/// Whether threads may leave the run. One whose own part is settled carries on: answers that the others still await
/// are to come under the load that they were asked for under.
#[derive(Debug)]
pub(super) struct End<'a> {
    cancel: &'a AtomicBool,
    /// A thread could not go on, so the run is worth nothing.
    failed: AtomicBool,
    /// Threads that still await answers.
    unsettled: AtomicUsize,
}

impl<'a> End<'a> {
    pub(super) fn new(cancel: &'a AtomicBool, threads: usize) -> Self {
        Self { cancel, failed: AtomicBool::new(false), unsettled: AtomicUsize::new(threads) }
    }

    /// Told once by each thread that has all the answers it can get.
    pub(super) fn thread_is_settled(&self) {
        self.unsettled.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_reached(&self) -> bool {
        self.is_abandoned() || self.unsettled.load(Ordering::Relaxed) == 0
    }

    /// Cancelled or failed.
    fn is_abandoned(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }
}

/// What one thread is given.
struct Job<'run> {
    engine: Engine,
    cpu: Option<usize>,
    sockets: Vec<OwnedFd>,
    share: Share<'run>,
}

type Thread<'scope, 'run> = ScopedJoinHandle<'scope, Result<Finished<'run>, LoadError>>;

/// Starts a thread for each job, and the clock when all of them have what they need.
fn start<'scope, 'run>(
    scope: &'scope Scope<'scope, 'run>,
    jobs: impl Iterator<Item = Job<'run>>,
    end: &'run End<'run>,
) -> Result<(Clock, Vec<Thread<'scope, 'run>>), LoadError> {
    let (ready, readiness) = mpsc::channel();
    // To give up is to drop these: threads that wait for the clock then leave.
    let mut clocks = Vec::new();
    let mut threads = Vec::new();
    for (index, job) in jobs.enumerate() {
        let ready = ready.clone();
        let (clock, start) = mpsc::channel();
        let thread = thread::Builder::new().name(format!("load-{index}"));
        let thread = thread.spawn_scoped(scope, move || job.carry_out(ready, &start, end));
        threads
            .push(thread.map_err(|cause| LoadError::Kernel { what: "start a thread", cause: start_refused(cause) })?);
        clocks.push(clock);
    }
    drop(ready);
    for _ in &threads {
        readiness.recv().unwrap_or(Err(LoadError::Cancelled))?;
    }
    let clock = Clock::start();
    for thread in clocks {
        // A thread that is ready waits for the clock.
        let _ = thread.send(clock);
    }
    Ok((clock, threads))
}

impl<'run> Job<'run> {
    fn carry_out(
        self,
        ready: mpsc::Sender<Result<(), LoadError>>,
        start: &mpsc::Receiver<Clock>,
        end: &End<'_>,
    ) -> Result<Finished<'run>, LoadError> {
        let (engine, outcome) = match prepare(self.engine, self.cpu, self.sockets, &self.share) {
            Ok(engine) => (Some(engine), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // Nobody is there to be told where another thread failed first; then the clock does not come either.
        let _ = ready.send(outcome);
        drop(ready);
        let (Some(engine), Ok(clock)) = (engine, start.recv()) else { return Err(LoadError::Cancelled) };
        engine.run(self.share, clock, end).map_err(|cause| {
            end.failed.store(true, Ordering::Relaxed);
            LoadError::Kernel { what: "wait for events", cause }
        })
    }
}

fn prepare<'run>(
    engine: Engine,
    cpu: Option<usize>,
    sockets: Vec<OwnedFd>,
    share: &Share<'run>,
) -> Result<Prepared<'run>, LoadError> {
    cpu.map_or(Ok(()), pin)?;
    Prepared::new(engine, sockets, share).map_err(|cause| LoadError::Kernel { what: "set up an event loop", cause })
}

/// Binds the calling thread to one CPU.
fn pin(cpu: usize) -> Result<(), LoadError> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &cpus))
        .map_err(|cause| LoadError::Pin { cpu, cause: refused("sched_setaffinity", cause) })
}

fn sleep_until(at_ns: u64, clock: Clock, woken: impl Fn() -> bool) {
    while !woken() {
        let rest_ns = at_ns.saturating_sub(clock.now_ns());
        if rest_ns == 0 {
            break;
        }
        thread::sleep(Duration::from_nanos(rest_ns).min(LONGEST_SLEEP));
    }
}

fn join<'run>(thread: Thread<'_, 'run>) -> Result<Finished<'run>, LoadError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn outcome(plan: &LoadPlan, engine: Engine, mut finished: Vec<Finished<'_>>) -> LoadOutcome {
    let connections = finished.iter_mut().flat_map(|thread| mem::take(&mut thread.sockets)).collect();
    let client = ClientCost {
        engine: engine.name(),
        threads: finished.len(),
        cpu: Duration::from_nanos(finished.iter().map(|thread| thread.cpu.cpu_ns).sum()),
        utilisation: finished.iter().map(|thread| thread.cpu.utilisation).fold(0.0, f64::max),
        involuntary_switches: finished.iter().map(|thread| thread.cpu.involuntary_switches).sum(),
        waited: finished.iter().filter_map(|thread| thread.cpu.waited).reduce(f64::max),
        clock_step_ns: clock_step_ns(),
    };
    let seen = finished.into_iter().map(|thread| thread.share.finish()).reduce(Recorder::merge);
    let seen = seen.expect("a plan has at least one thread");
    LoadOutcome {
        requests: seen.latency.len(),
        in_flight_edges: seen.in_flight_edges(),
        elapsed: plan.duration,
        due: (plan.pace != Pace::Closed).then_some(seen.due),
        service: seen.service.unwrap_or_else(|| seen.latency.clone()),
        latency: seen.latency,
        send_lag: seen.send_lag,
        errors: seen.errors,
        first_error: seen.first_error.map(|(_, error)| error),
        mismatches: seen.mismatches,
        censored: seen.censored,
        client,
        connections,
        slices: seen.slices.answers().to_vec(),
        in_flight_mean: seen.in_flight_mean,
        silent_connections: seen.silent_connections,
        unanswered: seen.unanswered,
        slice_service_ns: seen.slices.mean_service_ns(),
        idle_lost: 0,
    }
}
