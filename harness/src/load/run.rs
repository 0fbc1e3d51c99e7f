//! A run from its plan to its outcome: connects, sets the threads going at one moment, and adds up what they saw.

use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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
use super::engine::{Choice, Prepared};
use super::error::LoadError;
use super::idle::Idle;
use super::recorder::Recorder;
use super::share::Share;
use super::timers::{self, TimerLateness};
use super::traffic::Traffic;
use super::window::Window;
use super::{ClientCost, Engine, LoadOutcome, LoadPlan, Observer, Pace};

/// How long the end of a run may go unseen by the thread that waits for the window.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// From the moment at which a run is requested to end early to the end of its window: by then every thread has looked.
const CUT_AFTER_NS: u64 = 100_000_000;

/// How long it may go unseen that the last answer has come.
const LONGEST_WAIT: Duration = Duration::from_millis(1);

/// Carries out a plan. Blocks until the last answer to what is measured has come or was given up, or until `cancel` is
/// set, which leaves nothing.
///
/// The soft limit on open files is raised as far as it goes.
///
/// # Errors
///
/// [`LoadError`], where the load could not be carried out as planned. Connections that break during the run are
/// counted in the outcome instead.
pub fn run(plan: &LoadPlan, observer: &mut dyn Observer, cancel: &AtomicBool) -> Result<LoadOutcome, LoadError> {
    carry_out(plan, observer, cancel, Cancelled::IsLost)
}

/// The same, but what was measured is kept: where `cancel` is set while the window is open, it closes, and the outcome is
/// [`cut_short`](LoadOutcome::cut_short).
///
/// # Errors
///
/// As of [`run`]; [`LoadError::Cancelled`] where `cancel` was set before the window opened.
pub fn run_until_cancelled(
    plan: &LoadPlan,
    observer: &mut dyn Observer,
    cancel: &AtomicBool,
) -> Result<LoadOutcome, LoadError> {
    carry_out(plan, observer, cancel, Cancelled::IsKept)
}

/// What becomes of a run that is cancelled in its window.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cancelled {
    IsLost,
    IsKept,
}

fn carry_out(
    plan: &LoadPlan,
    observer: &mut dyn Observer,
    cancel: &AtomicBool,
    cancelled: Cancelled,
) -> Result<LoadOutcome, LoadError> {
    plan.check()?;
    allow_descriptors(plan.connections)?;
    let mut choice = Choice::of(plan.engine, plan.payload_bytes)?;
    let window = Window::new(plan.warmup, plan.duration);
    let traffic = Traffic::new(plan.payload_bytes, plan.depth);
    let shares = Share::deal(plan, window, &traffic);
    let mut idle = Idle::open(plan.target, plan.idle_connections, observer, cancel)?;
    // Where a server accepts in the order of arrival, it has accepted all idle ones when it has answered these.
    let mut sockets = connect(plan.target, plan.connections, plan.payload_bytes, cancel)?;

    let end = End::new(plan.threads);
    let finished = thread::scope(|scope| {
        let jobs = shares.into_iter().enumerate().map(|(index, share)| Job {
            choice: choice.clone(),
            cpu: (!plan.cpus.is_empty()).then(|| plan.cpus[index % plan.cpus.len()]),
            sockets: sockets.split_off(sockets.len() - share.connections()),
            share,
            // One thread is enough to know the machine by.
            timed_sleep: timers::sleep_of(plan).filter(|_| index == 0),
        });
        let (clock, threads) = start(scope, jobs.collect(), &end, &mut choice)?;
        observer.window_closes_at(clock.monotonic_ns(window.closes_ns));
        watch(window, clock, &threads, observer, &Stop { cancel, cancelled, end: &end });
        threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    if end.is_abandoned() {
        return Err(LoadError::Cancelled);
    }
    let mut outcome = outcome(plan, choice, finished);
    let is_whole = outcome.elapsed == plan.duration && outcome.unanswered == 0;
    outcome.cut_short = end.cut_ns().is_some() && !is_whole;
    outcome.idle_lost = idle.lost();
    if outcome.idle_lost > 0 {
        let lost = || {
            let were = if outcome.idle_lost == 1 { "was" } else { "were" };
            let lost = usize::try_from(outcome.idle_lost).unwrap_or(usize::MAX);
            let idle = crate::figures::counted(lost, "idle connection");
            format!("{idle} {were} closed, or sent what was not requested")
        };
        outcome.first_error.get_or_insert_with(lost);
    }
    Ok(outcome)
}

/// Looks at a run from its beginning to its end: tells the observer of the window, and the threads of a request to stop.
fn watch(window: Window, clock: Clock, threads: &[Thread<'_, '_>], observer: &mut dyn Observer, stop: &Stop<'_>) {
    let finished = || threads.iter().all(ScopedJoinHandle::is_finished);
    let over = || stop.end.is_abandoned() || finished();
    sleep_until(window.opens_ns, clock, || over() || stop.is_asked_for());
    if stop.is_asked_for() {
        // Nothing was measured.
        stop.end.abandon();
    }
    if stop.end.is_abandoned() {
        return;
    }
    observer.window_opens();
    sleep_until(window.closes_ns, clock, || over() || stop.is_asked_for());
    if stop.is_asked_for() && !over() {
        let at_ns = clock.now_ns().saturating_add(CUT_AFTER_NS);
        stop.tell(at_ns);
        sleep_until(at_ns.min(window.closes_ns), clock, over);
    }
    if stop.end.is_abandoned() {
        return;
    }
    observer.window_closed();
    while !over() {
        if stop.is_asked_for() {
            stop.tell(clock.now_ns());
        }
        thread::sleep(LONGEST_WAIT);
    }
}

/// A request to stop, and what it does.
struct Stop<'a> {
    cancel: &'a AtomicBool,
    cancelled: Cancelled,
    end: &'a End,
}

impl Stop<'_> {
    fn is_asked_for(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn tell(&self, at_ns: u64) {
        match self.cancelled {
            Cancelled::IsLost => self.end.abandon(),
            Cancelled::IsKept => self.end.cut(at_ns),
        }
    }
}

/// What a thread comes back with.
#[derive(Debug)]
pub(super) struct Finished<'run> {
    pub(super) share: Share<'run>,
    pub(super) cpu: CpuUse,
    /// Still open.
    pub(super) sockets: Vec<OwnedFd>,
    /// Of the machine, where the thread had to find that out.
    pub(super) timers: Option<TimerLateness>,
}

/// Whether threads may leave the run. One whose own part is settled carries on: answers that the others still await
/// are to come under the load that they were asked for under.
#[derive(Debug)]
pub(super) struct End {
    /// The run is worth nothing: it was cancelled, or a thread could not go on.
    abandoned: AtomicBool,
    /// When the window is to close instead; [`NOT_CUT`] where it is not.
    cut_ns: AtomicU64,
    /// Threads that still await answers.
    unsettled: AtomicUsize,
}

const NOT_CUT: u64 = u64::MAX;

impl End {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            abandoned: AtomicBool::new(false),
            cut_ns: AtomicU64::new(NOT_CUT),
            unsettled: AtomicUsize::new(threads),
        }
    }

    /// Told once by each thread that has all the answers it can get.
    pub(super) fn thread_is_settled(&self) {
        self.unsettled.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_reached(&self) -> bool {
        self.is_abandoned() || self.unsettled.load(Ordering::Relaxed) == 0
    }

    /// When the window is to close, where that is earlier than it was planned to be.
    pub(super) fn cut_ns(&self) -> Option<u64> {
        Some(self.cut_ns.load(Ordering::Relaxed)).filter(|&at_ns| at_ns != NOT_CUT)
    }

    /// The first call decides.
    fn cut(&self, at_ns: u64) {
        let _ = self.cut_ns.compare_exchange(NOT_CUT, at_ns, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }
}

/// What one thread is given.
struct Job<'run> {
    choice: Choice,
    cpu: Option<usize>,
    sockets: Vec<OwnedFd>,
    share: Share<'run>,
    /// How long it sleeps to find out how late the timers of the machine are, where it is to.
    timed_sleep: Option<Duration>,
}

/// What a thread that is ready is to do.
enum Order {
    /// Another thread could not get a ring, and all are to do I/O alike: to be ready with readiness, and to say so.
    UseReadiness(mpsc::Sender<Result<(), LoadError>>),
    /// The load begins.
    Start(Clock),
}

type Thread<'scope, 'run> = ScopedJoinHandle<'scope, Result<Finished<'run>, LoadError>>;

/// Starts a thread for each job, and the clock when all of them have what they need.
fn start<'scope, 'run>(
    scope: &'scope Scope<'scope, 'run>,
    jobs: Vec<Job<'run>>,
    end: &'run End,
    choice: &mut Choice,
) -> Result<(Clock, Vec<Thread<'scope, 'run>>), LoadError> {
    let (ready, readiness) = mpsc::channel();
    // To give up is to drop these: threads that wait for the clock then leave.
    let mut orders = Vec::new();
    let mut threads = Vec::new();
    for (index, job) in jobs.into_iter().enumerate() {
        let ready = ready.clone();
        let (order, obeyed) = mpsc::channel();
        let thread = thread::Builder::new().name(format!("load-{index}"));
        let thread = thread.spawn_scoped(scope, move || job.carry_out(ready, &obeyed, end));
        let thread =
            thread.map_err(|cause| LoadError::Kernel { what: "start a thread", cause: start_refused(cause) })?;
        threads.push(thread);
        orders.push(order);
    }
    drop(ready);
    let mut fallen_back = None;
    for _ in &threads {
        fallen_back = readiness.recv().unwrap_or(Err(LoadError::Cancelled))?.or(fallen_back);
    }
    if let Some(reason) = fallen_back {
        choice.fall_back(reason);
        let (ready, readiness) = mpsc::channel();
        for thread in &orders {
            // A thread that is ready waits for an order.
            let _ = thread.send(Order::UseReadiness(ready.clone()));
        }
        drop(ready);
        for _ in &threads {
            readiness.recv().unwrap_or(Err(LoadError::Cancelled))?;
        }
    }
    let clock = Clock::start();
    for thread in orders {
        let _ = thread.send(Order::Start(clock));
    }
    Ok((clock, threads))
}

impl<'run> Job<'run> {
    fn carry_out(
        self,
        ready: mpsc::Sender<Result<Option<String>, LoadError>>,
        orders: &mpsc::Receiver<Order>,
        end: &End,
    ) -> Result<Finished<'run>, LoadError> {
        let sleep = self.timed_sleep;
        let prepared = prepare(&self.choice, self.cpu, self.sockets, &self.share)
            .and_then(|(engine, fallen_back)| Ok((timed(engine, sleep, end)?, fallen_back)));
        let (mut timed_engine, outcome) = match prepared {
            Ok((engine, fallen_back)) => (Some(engine), Ok(fallen_back)),
            Err(error) => (None, Err(error)),
        };
        // Nobody is there to be told where another thread failed first; then the clock does not come either.
        let _ = ready.send(outcome);
        drop(ready);
        loop {
            let (Some((prepared, timers)), Ok(order)) = (timed_engine.take(), orders.recv()) else {
                return Err(LoadError::Cancelled);
            };
            match order {
                Order::UseReadiness(ready) => {
                    let prepared = with_readiness(prepared.into_sockets(), &self.share);
                    let outcome = prepared.and_then(|prepared| timed(prepared, sleep, end)).map(|engine| {
                        timed_engine = Some(engine);
                    });
                    let _ = ready.send(outcome);
                }
                Order::Start(clock) => {
                    let finished = prepared.run(self.share, clock, end).map_err(|cause| {
                        end.abandon();
                        LoadError::Kernel { what: "wait for events", cause }
                    })?;
                    return Ok(Finished { timers, ..finished });
                }
            }
        }
    }
}

/// With how late the timers wake it, where it is to sleep for that.
fn timed<'run>(
    mut engine: Prepared<'run>,
    sleep: Option<Duration>,
    end: &End,
) -> Result<(Prepared<'run>, Option<TimerLateness>), LoadError> {
    let Some(sleep) = sleep else { return Ok((engine, None)) };
    let timers = timers::measure(sleep, || !end.is_abandoned(), |clock, at_ns| engine.sleep_until(clock, at_ns));
    let timers = timers.map_err(|cause| LoadError::Kernel { what: "wait for a timer", cause })?;
    Ok((engine, timers))
}

/// An engine for a thread; and, where it is not the one that was chosen, why.
fn prepare<'run>(
    choice: &Choice,
    cpu: Option<usize>,
    sockets: Vec<OwnedFd>,
    share: &Share<'run>,
) -> Result<(Prepared<'run>, Option<String>), LoadError> {
    cpu.map_or(Ok(()), pin)?;
    match Prepared::new(choice.engine, sockets, share) {
        Ok(prepared) => Ok((prepared, None)),
        Err((cause, sockets)) if choice.is_free && choice.engine == Engine::IoUring => {
            Ok((with_readiness(sockets, share)?, Some(cause.to_string())))
        }
        Err((cause, _)) => Err(not_set_up(cause)),
    }
}

fn with_readiness<'run>(sockets: Vec<OwnedFd>, share: &Share<'run>) -> Result<Prepared<'run>, LoadError> {
    Prepared::new(Engine::Epoll, sockets, share).map_err(|(cause, _)| not_set_up(cause))
}

fn not_set_up(cause: io::Error) -> LoadError {
    LoadError::Kernel { what: "set up an event loop", cause }
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

fn outcome(plan: &LoadPlan, choice: Choice, mut finished: Vec<Finished<'_>>) -> LoadOutcome {
    let connections = finished.iter_mut().flat_map(|thread| mem::take(&mut thread.sockets)).collect();
    let client = ClientCost {
        engine: choice.engine.name(),
        engine_because: choice.because,
        threads: finished.len(),
        cpu: Duration::from_nanos(finished.iter().map(|thread| thread.cpu.cpu_ns).sum()),
        utilisation: finished.iter().map(|thread| thread.cpu.utilisation).fold(0.0, f64::max),
        involuntary_switches: finished.iter().map(|thread| thread.cpu.involuntary_switches).sum::<Option<u64>>(),
        waited: finished.iter().filter_map(|thread| thread.cpu.waited).reduce(f64::max),
        clock_step_ns: clock_step_ns(),
        timers: finished.iter().find_map(|thread| thread.timers),
    };
    // Where the last connection was lost, or the window was told to close, the load ended, and with it the window.
    let end_ns = finished.iter().map(|thread| thread.share.ended_ns()).max().unwrap_or(0);
    let planned = finished[0].share.window();
    let seen = finished.into_iter().map(|thread| thread.share.finish(end_ns)).reduce(Recorder::merge);
    let seen = seen.expect("a plan has at least one thread");
    let Window { opens_ns, closes_ns, .. } = seen.window();
    LoadOutcome {
        requests: seen.latency.len(),
        in_flight_edges: seen.in_flight_edges(),
        elapsed: Duration::from_nanos(closes_ns - opens_ns),
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
        slices: seen.slices.answers(end_ns).to_vec(),
        in_flight_mean: seen.in_flight_mean,
        silent_connections: seen.silent_connections,
        unanswered: seen.unanswered,
        slice_service_ns: seen.slices.mean_service_ns(end_ns),
        idle_lost: 0,
        lost_share: seen.losses.lost_share(planned, plan.connections),
        closed_after: seen.losses.closed_after(planned.closes_ns),
        cut_short: false,
        oldest_wait: Duration::from_nanos(seen.oldest_wait_ns),
    }
}
