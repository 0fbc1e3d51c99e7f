//! All prices of one machine, in rounds that take each of them once: a change of clock, or a neighbour, then hits all alike.

mod rounds;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use self::rounds::Rounds;
use super::{FloorError, Price};
use crate::cpus::CpuSet;

/// What is measured, and for how long.
#[derive(Clone, Debug)]
pub struct FloorPlan {
    /// Payloads of the echoes.
    pub payloads_bytes: Vec<u32>,
    /// Everything is measured on the first of these, and between it and the first of the client's.
    pub server_cpus: CpuSet,
    /// CPUs of the other end.
    pub client_cpus: CpuSet,
    /// How often each price is taken.
    pub rounds: usize,
    /// For how long, each time.
    pub slice: Duration,
}

/// What the kernel charges. Each price but that of a wake-up is CPU time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Floor {
    /// Where all was measured that takes one CPU, and the server's end of what takes two.
    pub server_cpu: usize,
    /// Where the other end was; null where there is one CPU only.
    pub client_cpu: Option<usize>,
    /// Why nothing was measured between two CPUs; null where it was.
    pub two_cpus_missing: Option<String>,
    /// How often each price was taken; as often as planned, unless that was interrupted.
    pub rounds: usize,
    /// For how long, each time.
    pub slice_ns: u64,
    /// `getppid`.
    pub system_call: Price,
    /// `epoll_wait` that finds an eventfd ready.
    pub epoll_wait_ready: Price,
    /// A NOP through `io_uring`, submitted and waited for by itself.
    pub io_uring_nop: Option<Price>,
    /// One of [`BATCH_OF_NOPS`](super::BATCH_OF_NOPS) that are submitted and waited for together.
    pub io_uring_nop_in_batch: Option<Price>,
    /// Why there are no NOPs; null where there are.
    pub io_uring_missing: Option<String>,
    /// A `write` to an eventfd and a `read` from it, on one thread.
    pub eventfd_write_read: Price,
    /// A switch between two threads of one CPU that hand each other a token through eventfds, without `eventfd_write_read`.
    pub context_switch: Price,
    /// From handing a token to a thread that waits on the other CPU until that has it: half a round trip, by the clock, and
    /// with the calls.
    pub cross_cpu_wake_up: Option<Price>,
    /// By payload, in the order of the plan.
    pub echoes: Vec<EchoPrice>,
}

/// What an echo costs its server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EchoPrice {
    /// Payload; four bytes more are sent, as in a frame.
    pub payload_bytes: u32,
    /// With both ends on one thread: a `send` and a `recv`.
    pub one_cpu: Price,
    /// With the ends on two CPUs that poll.
    pub two_cpus: Option<TwoCpus>,
}

/// What an echo costs its server where the client is on another CPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TwoCpus {
    /// CPU time, without looks in vain.
    #[serde(flatten)]
    pub price: Price,
    /// Median of the rounds: the ceiling for one CPU against one with single calls.
    pub echoes_per_s: f64,
    /// Where that median lies; null below six rounds.
    pub echoes_per_s_interval: Option<[f64; 2]>,
    /// By round.
    pub rounds_echoes_per_s: Vec<f64>,
    /// Median of the share of the server's CPU time that went into looking in vain.
    pub in_vain: f64,
    /// Rounds that were left out, as the other CPU had no time to send anything worth measuring.
    pub rounds_left_out: usize,
}

/// How long a request to stop may go unseen.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Measures, on threads of its own, and tells `progress` of every round that has ended. Where `stop` is set meanwhile, it is
/// the floor of the rounds until then, at once: what was under way is left to its thread, which ends when it has taken the
/// price that it was at.
///
/// # Errors
///
/// [`FloorError`]. That there is one CPU only, or no `io_uring`, is none; [`FloorError::Stopped`] where `stop` was set before
/// the first round had ended.
pub fn survey(plan: &FloorPlan, stop: &AtomicBool, mut progress: impl FnMut()) -> Result<Floor, FloorError> {
    let (ended, rounds) = mpsc::channel();
    let left = Arc::new(AtomicBool::new(false));
    let (plan, is_left) = (plan.clone(), Arc::clone(&left));
    let thread = thread::Builder::new().name("floor".to_owned()).spawn(move || {
        let measured = take_all(&plan, &is_left, &ended);
        // The caller that has stopped does not want it any more.
        let _ = ended.send(measured.map(|()| None));
    });
    let thread = thread.map_err(FloorError::start)?;
    let mut floor = None;
    loop {
        if stop.load(Ordering::Relaxed) {
            left.store(true, Ordering::Relaxed);
            return floor.ok_or(FloorError::Stopped);
        }
        match rounds.recv_timeout(LONGEST_WAIT) {
            Ok(Ok(Some(so_far))) => {
                floor = Some(so_far);
                progress();
            }
            Ok(Ok(None)) => {
                // It has nothing left to do.
                let _ = thread.join();
                return floor.ok_or(FloorError::NoRounds);
            }
            Ok(Err(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let panic = thread.join().expect_err("it says how it ends, or panics");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

type SoFar = Result<Option<Floor>, FloorError>;

/// Takes the rounds, and sends what all of them so far came to.
fn take_all(plan: &FloorPlan, is_left: &AtomicBool, ended: &mpsc::Sender<SoFar>) -> Result<(), FloorError> {
    let mut rounds = Rounds::new(plan)?;
    for _ in 0..plan.rounds {
        if !rounds.take(is_left)? || ended.send(rounds.so_far().map(Some)).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpus;

    fn plan(server_cpus: CpuSet, client_cpus: CpuSet) -> FloorPlan {
        FloorPlan {
            payloads_bytes: vec![64, 16_384],
            server_cpus,
            client_cpus,
            rounds: 2,
            slice: Duration::from_millis(1),
        }
    }

    #[test]
    fn every_price_is_taken_in_every_round() {
        let (server, client) = cpus::split(&cpus::cores().unwrap(), 1);
        let mut rounds = 0;
        let floor = survey(&plan(server, client), &AtomicBool::new(false), || rounds += 1).unwrap();
        assert_eq!(rounds, 2);
        let prices = [&floor.system_call, &floor.epoll_wait_ready, &floor.eventfd_write_read, &floor.context_switch];
        let echoes = floor.echoes.iter().map(|echo| &echo.one_cpu);
        let rings = [&floor.io_uring_nop, &floor.io_uring_nop_in_batch, &floor.cross_cpu_wake_up];
        for price in prices.into_iter().chain(echoes).chain(rings.into_iter().flatten()) {
            assert!(price.rounds_ns.len() == 2 && price.calls > 0, "{floor:?}");
        }
        let two = |echo: &EchoPrice| echo.two_cpus.as_ref().map(|two| two.price.rounds_ns.len() + two.rounds_left_out);
        assert!(floor.echoes.iter().filter_map(two).all(|rounds| rounds == 2), "{floor:?}");
        assert_eq!(floor.io_uring_nop.is_some(), floor.io_uring_missing.is_none());
    }

    #[test]
    fn on_one_cpu_there_is_a_reason_in_place_of_what_takes_two() {
        let cpu: CpuSet = cpus::cores().unwrap()[0].iter().take(1).collect();
        let floor = survey(&plan(cpu.clone(), cpu), &AtomicBool::new(false), || ()).unwrap();
        assert!(floor.two_cpus_missing.unwrap().contains("two different CPUs"));
        assert!(floor.client_cpu.is_none() && floor.cross_cpu_wake_up.is_none());
        assert!(floor.echoes.iter().all(|echo| echo.two_cpus.is_none() && echo.one_cpu.median_ns > 0.0));
    }

    #[test]
    fn without_a_cpu_nothing_can_be_measured() {
        let error = survey(&plan(CpuSet::default(), CpuSet::default()), &AtomicBool::new(false), || ()).unwrap_err();
        assert!(matches!(error, FloorError::NoCpu), "{error}");
    }

    #[test]
    fn a_survey_that_is_stopped_is_that_of_the_rounds_until_then() {
        let cpu: CpuSet = cpus::cores().unwrap()[0].iter().take(1).collect();
        let plan = FloorPlan { rounds: 10_000, payloads_bytes: vec![64], ..plan(cpu.clone(), cpu) };
        let (stop, mut rounds) = (AtomicBool::new(false), 0);
        let floor = survey(&plan, &stop, || {
            rounds += 1;
            stop.store(rounds == 2, Ordering::Relaxed);
        });
        let floor = floor.unwrap();
        assert_eq!((floor.rounds, floor.system_call.rounds_ns.len()), (2, 2));
    }

    #[test]
    fn a_survey_that_is_stopped_in_its_first_round_has_nothing_however_long_a_price_takes() {
        let cpu: CpuSet = cpus::cores().unwrap()[0].iter().take(1).collect();
        let plan = FloorPlan { slice: Duration::from_secs(1), ..plan(cpu.clone(), cpu) };
        let stopped = survey(&plan, &AtomicBool::new(true), || ()).unwrap_err();
        assert!(matches!(stopped, FloorError::Stopped), "{stopped}");
    }
}
