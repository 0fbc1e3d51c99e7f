//! One round after the other, on the thread that is kept to the server's CPU.

use crate::floor::calls::{self, Ready};
use crate::floor::nop::{BATCH_OF_NOPS, Nops};
use crate::floor::one_cpu::OneCpu;
use crate::floor::price::Round;
use crate::floor::{Echo, EchoCost, EchoPrice, Floor, FloorError, FloorPlan, Pair, Price, TwoCpus, token};
use crate::statistics::{median, median_interval};

/// What was measured so far.
pub(super) struct Rounds<'a> {
    plan: &'a FloorPlan,
    server_cpu: usize,
    pair: Option<Pair>,
    ready: Ready,
    nops: Result<Nops, String>,
    system_call: Vec<Round>,
    epoll_wait_ready: Vec<Round>,
    nop: Vec<Round>,
    nop_in_batch: Vec<Round>,
    to_itself: Vec<Round>,
    switch: Vec<Round>,
    wake_up: Vec<Round>,
    /// By payload.
    echoes: Vec<Echoes>,
}

#[derive(Default)]
struct Echoes {
    one_cpu: Vec<Round>,
    two_cpus: Vec<EchoCost>,
    left_out: usize,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(plan: &'a FloorPlan, server_cpu: usize, pair: Option<Pair>) -> Result<Self, FloorError> {
        let rounds = || Vec::with_capacity(plan.rounds);
        Ok(Self {
            plan,
            server_cpu,
            pair,
            ready: Ready::open()?,
            nops: Nops::open(),
            system_call: rounds(),
            epoll_wait_ready: rounds(),
            nop: rounds(),
            nop_in_batch: rounds(),
            to_itself: rounds(),
            switch: rounds(),
            wake_up: rounds(),
            echoes: plan.payloads_bytes.iter().map(|_| Echoes::default()).collect(),
        })
    }

    /// Takes every price once.
    pub(super) fn take(&mut self) -> Result<(), FloorError> {
        let slice = self.plan.slice;
        self.system_call.push(calls::system_call(slice)?);
        self.epoll_wait_ready.push(self.ready.wait(slice)?);
        if let Ok(nops) = &mut self.nops {
            self.nop.push(nops.round(slice, 1)?);
            self.nop_in_batch.push(nops.round(slice, BATCH_OF_NOPS)?);
        }
        let to_itself = token::to_itself(slice)?;
        let to_another = token::to_another(slice, self.server_cpu)?;
        self.to_itself.push(to_itself);
        self.switch.push(Round { ns: to_another.ns - to_itself.ns, ..to_another });
        if let Some(pair) = self.pair {
            self.wake_up.push(token::to_another_cpu(slice, pair.client())?);
        }
        // Opened anew in every round: what differs from one set of sockets to the next is then part of what is measured.
        let mut one_cpu = OneCpu::open()?;
        for (echoes, &payload_bytes) in self.echoes.iter_mut().zip(&self.plan.payloads_bytes) {
            echoes.one_cpu.push(one_cpu.round(slice, payload_bytes)?);
        }
        drop(one_cpu);
        if let Some(pair) = self.pair {
            for (echoes, &payload_bytes) in self.echoes.iter_mut().zip(&self.plan.payloads_bytes) {
                match Echo::open(payload_bytes, pair)?.measure(slice) {
                    Ok(cost) => echoes.two_cpus.push(cost),
                    Err(FloorError::Drowned) => echoes.left_out += 1,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Floor, FloorError> {
        let price = |rounds: &[Round]| Price::of(rounds).ok_or(FloorError::NoRounds);
        let echo = |(echoes, &payload_bytes): (&Echoes, &u32)| {
            Ok(EchoPrice { payload_bytes, one_cpu: price(&echoes.one_cpu)?, two_cpus: echoes.two_cpus() })
        };
        let echoes =
            self.echoes.iter().zip(&self.plan.payloads_bytes).map(echo).collect::<Result<Vec<_>, FloorError>>()?;
        let drowned = !echoes.is_empty() && echoes.iter().all(|echo| echo.two_cpus.is_none());
        let two_cpus_missing = match self.pair {
            None => Some("it takes two different CPUs, one for each end".to_owned()),
            Some(_) => drowned.then(|| FloorError::Drowned.to_string()),
        };
        Ok(Floor {
            server_cpu: self.server_cpu,
            client_cpu: self.pair.map(Pair::client),
            two_cpus_missing,
            rounds: self.plan.rounds,
            slice_ns: u64::try_from(self.plan.slice.as_nanos()).unwrap_or(u64::MAX),
            system_call: price(&self.system_call)?,
            epoll_wait_ready: price(&self.epoll_wait_ready)?,
            io_uring_nop: Price::of(&self.nop),
            io_uring_nop_in_batch: Price::of(&self.nop_in_batch),
            io_uring_missing: self.nops.err(),
            eventfd_write_read: price(&self.to_itself)?,
            context_switch: price(&self.switch)?,
            cross_cpu_wake_up: Price::of(&self.wake_up),
            echoes,
        })
    }
}

impl Echoes {
    /// None where there was no round, or none that was worth anything.
    fn two_cpus(&self) -> Option<TwoCpus> {
        let round = |cost: &EchoCost| Round { ns: cost.cpu_ns_per_echo, calls: cost.echoes };
        let rounds: Vec<Round> = self.two_cpus.iter().map(round).collect();
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
