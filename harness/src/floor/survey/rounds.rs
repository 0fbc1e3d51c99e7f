//! One round after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::floor::{
    Charge, Echo, EchoCost, EchoPrice, Floor, FloorError, FloorPlan, Meter, Pair, Price, Round, TwoCpus,
};
use crate::statistics::{median, median_interval};

/// All that takes no payload.
const CALLS: [Charge; 7] = [
    Charge::SystemCall,
    Charge::EpollWaitReady,
    Charge::IoUringNop,
    Charge::IoUringNopInBatch,
    Charge::EventfdWriteRead,
    Charge::ContextSwitch,
    Charge::CrossCpuWakeUp,
];

/// What was measured so far.
pub(super) struct Rounds<'a> {
    plan: &'a FloorPlan,
    taken: usize,
    meter: Meter,
    calls: [Vec<Round>; CALLS.len()],
    /// By payload.
    echoes: Vec<Echoes>,
}

#[derive(Default)]
struct Echoes {
    payload_bytes: u32,
    one_cpu: Vec<Round>,
    two_cpus: Vec<EchoCost>,
    left_out: usize,
}

impl<'a> Rounds<'a> {
    /// To be taken by the calling thread, which is kept to the server's CPU from here on.
    pub(super) fn new(plan: &'a FloorPlan) -> Result<Self, FloorError> {
        let meter = Meter::open(&plan.server_cpus, &plan.client_cpus)?;
        let echoes = plan.payloads_bytes.iter();
        let echoes = echoes.map(|&payload_bytes| Echoes { payload_bytes, ..Echoes::default() }).collect();
        Ok(Self { plan, taken: 0, meter, calls: Default::default(), echoes })
    }

    /// Takes every price once; false where `stop` was set meanwhile, and the round is not whole.
    pub(super) fn take(&mut self, stop: &AtomicBool) -> Result<bool, FloorError> {
        let slice = self.plan.slice;
        for (rounds, charge) in self.calls.iter_mut().zip(CALLS) {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if self.meter.missing(charge).is_none() {
                rounds.push(self.meter.measure(charge, slice)?);
            }
        }
        for echoes in &mut self.echoes {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let charge = Charge::EchoOnOneCpu { payload_bytes: echoes.payload_bytes };
            echoes.one_cpu.push(self.meter.measure(charge, slice)?);
            if let Some(pair) = self.meter.pair() {
                echoes.take_two_cpus(pair, slice)?;
            }
        }
        self.taken += 1;
        Ok(true)
    }

    /// Of the rounds until now, all of which have to be whole.
    pub(super) fn so_far(&self) -> Result<Floor, FloorError> {
        let price = |charge| {
            let place = CALLS.iter().position(|&one| one == charge)?;
            Price::of(&self.calls[place])
        };
        let always = |charge| price(charge).ok_or(FloorError::NoRounds);
        let echoes = self.echoes.iter().map(Echoes::price).collect::<Result<Vec<_>, FloorError>>()?;
        let drowned = || {
            let nothing = !echoes.is_empty() && echoes.iter().all(|echo| echo.two_cpus.is_none());
            nothing.then(|| FloorError::Drowned.to_string())
        };
        Ok(Floor {
            server_cpu: self.meter.server_cpu(),
            client_cpu: self.meter.pair().map(Pair::client),
            two_cpus_missing: self.meter.missing(Charge::CrossCpuWakeUp).or_else(drowned),
            rounds: self.taken,
            slice_ns: u64::try_from(self.plan.slice.as_nanos()).unwrap_or(u64::MAX),
            system_call: always(Charge::SystemCall)?,
            epoll_wait_ready: always(Charge::EpollWaitReady)?,
            io_uring_nop: price(Charge::IoUringNop),
            io_uring_nop_in_batch: price(Charge::IoUringNopInBatch),
            io_uring_missing: self.meter.missing(Charge::IoUringNop),
            eventfd_write_read: always(Charge::EventfdWriteRead)?,
            context_switch: always(Charge::ContextSwitch)?,
            cross_cpu_wake_up: price(Charge::CrossCpuWakeUp),
            echoes,
        })
    }
}

impl Echoes {
    fn take_two_cpus(&mut self, pair: Pair, slice: Duration) -> Result<(), FloorError> {
        match Echo::open(self.payload_bytes, pair)?.measure(slice) {
            Ok(cost) => self.two_cpus.push(cost),
            Err(FloorError::Drowned) => self.left_out += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn price(&self) -> Result<EchoPrice, FloorError> {
        Ok(EchoPrice {
            payload_bytes: self.payload_bytes,
            one_cpu: Price::of(&self.one_cpu).ok_or(FloorError::NoRounds)?,
            two_cpus: self.two_cpus(),
        })
    }

    /// None where there was no round, or none that was worth anything.
    fn two_cpus(&self) -> Option<TwoCpus> {
        let rounds: Vec<Round> = self.two_cpus.iter().map(Round::from).collect();
        let rounds_echoes_per_s: Vec<f64> = self.two_cpus.iter().map(|cost| cost.echoes_per_s).collect();
        let in_vain: Vec<f64> = self.two_cpus.iter().map(EchoCost::in_vain).collect();
        Some(TwoCpus {
            price: Price::of(&rounds)?,
            echoes_per_s: median(&rounds_echoes_per_s)?,
            echoes_per_s_interval: median_interval(&rounds_echoes_per_s),
            in_vain: median(&in_vain)?,
            rounds_echoes_per_s,
            rounds_left_out: self.left_out,
        })
    }
}
