//! What one echo costs the server's side where the ends are on two CPUs: plain calls, no framing, and no waiting.
//!
//! Two threads, each kept to its CPU, and [`CONNECTIONS`] connections. The server visits its ends in turn, receives, and
//! where something came sends it back; the client keeps one request under way on each. Neither ever waits in the kernel, so
//! nobody is woken, and nothing is asked but what an echo needs. What the server's visits in vain cost (a receive that
//! returns EAGAIN) is measured on the same thread, before and after, and taken off.
//!
//! This is the floor for single calls on one core against one core. A server that is asked several things at once, or that
//! hands the kernel several calls at once, may stay below it.

mod client;
mod server;
mod vain;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use self::client::Client;
use self::server::{Counts, Server};
use self::vain::Vain;
use super::clock::thread_cpu;
use super::sockets::{self, Ends};
use super::{FloorError, PATIENCE, Pair};
use crate::cpus::{self, CpuSet};

/// Enough that the server always has something to do, as far as one client can see to it.
pub const CONNECTIONS: usize = 64;
/// Descriptors that it takes to measure between two CPUs: both ends of those, and of those that stay quiet.
pub const DESCRIPTORS: usize = 2 * (CONNECTIONS + QUIET_CONNECTIONS + 1);
/// Connections on which looks in vain are timed. It makes no difference how many.
const QUIET_CONNECTIONS: usize = 8;
/// How much both ends receive at most with one call; as in the servers under test.
pub(super) const RECEIVE_BYTES: usize = 128 * 1024;
/// What a request has beside its payload: the bytes are as many as the servers under test get to answer.
pub(super) const HEADER_BYTES: usize = 4;
/// Of the window, how long at least both ends run before it, and which part of it.
const WARM_UP: Duration = Duration::from_millis(2);
const WARM_UP_PART: u32 = 8;
/// The price of a look is the mean of the one before the window and the one after it. Where that leaves more of an echo's cost
/// in doubt, the window is not used.
const MOST_DOUBT: f64 = 0.1;
/// Where more of the server's time went into looking in vain, what is left of it says nothing.
const MOST_IN_VAIN: f64 = 0.75;

/// Open connections between two CPUs.
#[derive(Debug)]
pub struct Echo {
    pair: Pair,
    request_bytes: usize,
    server: Server,
    client: Client,
    vain: Vain,
}

/// What came of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EchoCost {
    /// CPU time of the server's thread for an echo, without what it looked for in vain.
    pub cpu_ns_per_echo: f64,
    /// Echoes a second: the ceiling for one core against one core with single calls.
    pub echoes_per_s: f64,
    /// Echoes in the window. Long ones are counted by their bytes, so that this need not be a whole number.
    pub echoes: f64,
    /// Length of the window.
    pub window_ns: u64,
    /// CPU time of the server's thread in the window, all of it.
    pub cpu_ns: u64,
    /// Receives that found nothing.
    pub receives_in_vain: u64,
    /// What each of them took.
    pub receive_in_vain_ns: f64,
    /// Sends that found no room, which only long echoes make.
    pub sends_in_vain: u64,
    /// What each of them took.
    pub send_in_vain_ns: f64,
}

impl EchoCost {
    /// The share of the server's CPU time that went into empty polls. Not what is left of the whole: rounding makes
    /// something of nothing there.
    #[must_use]
    pub fn in_vain(&self) -> f64 {
        let in_vain_ns =
            self.receives_in_vain as f64 * self.receive_in_vain_ns + self.sends_in_vain as f64 * self.send_in_vain_ns;
        (in_vain_ns / self.cpu_ns.max(1) as f64).clamp(0.0, 1.0)
    }
}

impl Echo {
    /// Opens the connections. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// [`FloorError::Kernel`], such as for want of descriptors: it takes [`DESCRIPTORS`].
    pub fn open(payload_bytes: u32, cpus: Pair) -> Result<Self, FloorError> {
        let (servers, clients): (Vec<_>, Vec<_>) =
            sockets::open(CONNECTIONS)?.into_iter().map(|Ends { server, client }| (server, client)).unzip();
        let request_bytes = HEADER_BYTES + payload_bytes as usize;
        let request = (0..request_bytes).map(|at| at.to_le_bytes()[0]).collect();
        Ok(Self {
            pair: cpus,
            request_bytes,
            server: Server::new(servers.into_iter()),
            client: Client::new(clients.into_iter(), request),
            vain: Vain::open()?,
        })
    }

    /// Runs both ends, on threads that have ended when this returns, and measures for `window` after a short warm-up.
    ///
    /// What is under way at the end stays there, in the kernel's buffers, until the next window or until this is dropped.
    ///
    /// # Errors
    ///
    /// [`FloorError`], with no hope that the next window is better unless it is [`Drowned`](FloorError::Drowned).
    pub fn measure(&mut self, window: Duration) -> Result<EchoCost, FloorError> {
        let Self { pair, request_bytes, server, client, vain } = self;
        let (asking, serving) = (CpuSet::from_iter([pair.client()]), CpuSet::from_iter([pair.server()]));
        let warm_up = WARM_UP.max(window / WARM_UP_PART);
        let over = AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            // Whichever thread ends, or is not to be had, takes the other one with it.
            let end = End(&over);
            let client = start(scope, "floor-client", move || {
                cpus::pin(&asking)?;
                ask_until(client, &end, window.saturating_add(warm_up + PATIENCE))
            })?;
            let end = End(&over);
            let server = start(scope, "floor-server", move || {
                cpus::pin(&serving)?;
                serve(server, vain, &end, [warm_up, window])
            });
            // The server's thread leaves without a reason of its own where the client's had one.
            join(client).and(server.and_then(join))
        })?;
        seen.cost(*request_bytes)
    }
}

/// Ends both threads when it is dropped by either.
struct End<'a>(&'a AtomicBool);

impl End<'_> {
    fn is_reached(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Thread<'scope, T> = ScopedJoinHandle<'scope, Result<T, FloorError>>;

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> Result<T, FloorError> + Send + 'scope,
) -> Result<Thread<'scope, T>, FloorError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work);
    thread.map_err(FloorError::start)
}

fn join<T>(thread: Thread<'_, T>) -> Result<T, FloorError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn ask_until(client: &mut Client, end: &End<'_>, at_most: Duration) -> Result<(), FloorError> {
    let start = Instant::now();
    while !end.is_reached() {
        client.turn()?;
        if start.elapsed() > at_most {
            return Err(FloorError::Stuck);
        }
    }
    Ok(())
}

/// What the server's thread saw of a window.
struct Seen {
    counts: Counts,
    elapsed: Duration,
    cpu: Duration,
    /// What looks in vain took before the window and after it: a receive, and a send.
    looked_ns: [[f64; 2]; 2],
}

fn serve(
    server: &mut Server,
    vain: &mut Vain,
    end: &End<'_>,
    [warm_up, window]: [Duration; 2],
) -> Result<Seen, FloorError> {
    let before = server.counts;
    turn_until(server, end, |counts, elapsed| counts.bytes > before.bytes || elapsed > PATIENCE)?;
    if server.counts.bytes == before.bytes {
        return Err(FloorError::Stuck);
    }
    turn_until(server, end, |_, elapsed| elapsed > warm_up)?;
    let looked_before = [vain.receive_ns()?, vain.send_ns()?];
    let (before, start, cpu) = (server.counts, Instant::now(), thread_cpu());
    turn_until(server, end, |_, elapsed| elapsed > window)?;
    let (cpu, elapsed) = (thread_cpu().saturating_sub(cpu), start.elapsed());
    let looked_after = [vain.receive_ns()?, vain.send_ns()?];
    Ok(Seen { counts: server.counts.since(before), elapsed, cpu, looked_ns: [looked_before, looked_after] })
}

/// Serves until it is `enough`, of what was counted and of the time since now.
fn turn_until(server: &mut Server, end: &End<'_>, enough: impl Fn(Counts, Duration) -> bool) -> Result<(), FloorError> {
    let start = Instant::now();
    while !enough(server.counts, start.elapsed()) {
        if end.is_reached() {
            return Err(FloorError::Stuck);
        }
        server.turn()?;
    }
    Ok(())
}

impl Seen {
    fn cost(self, request_bytes: usize) -> Result<EchoCost, FloorError> {
        let Self { counts, elapsed, cpu, looked_ns: [before, after] } = self;
        let [receive_in_vain_ns, send_in_vain_ns] = [0, 1].map(|look| f64::midpoint(before[look], after[look]));
        let cpu_ns = cpu.as_secs_f64() * 1e9;
        let looks = [counts.receives_in_vain as f64, counts.sends_in_vain as f64];
        let in_vain_ns = looks[0] * receive_in_vain_ns + looks[1] * send_in_vain_ns;
        let doubt_ns: f64 = (0..2).map(|look| looks[look] * (after[look] - before[look]).abs() / 2.0).sum();
        let echoes = counts.bytes as f64 / request_bytes as f64;
        let is_drowned = in_vain_ns > MOST_IN_VAIN * cpu_ns || doubt_ns > MOST_DOUBT * (cpu_ns - in_vain_ns);
        if counts.bytes == 0 || is_drowned {
            return Err(FloorError::Drowned);
        }
        Ok(EchoCost {
            cpu_ns_per_echo: (cpu_ns - in_vain_ns) / echoes,
            echoes_per_s: echoes / elapsed.as_secs_f64(),
            echoes,
            window_ns: nanoseconds(elapsed),
            cpu_ns: nanoseconds(cpu),
            receives_in_vain: counts.receives_in_vain,
            receive_in_vain_ns,
            sends_in_vain: counts.sends_in_vain,
            send_in_vain_ns,
        })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
