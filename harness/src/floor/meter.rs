//! One price at a time, on the thread that asks.

use std::time::Duration;

use super::calls::{self, Ready};
use super::nop::{BATCH_OF_NOPS, Nops};
use super::one_cpu::OneCpu;
use super::{Echo, EchoCost, FloorError, Pair, token};
use crate::cpus::{self, CpuSet};

/// Something that the kernel charges for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// `getppid`.
    SystemCall,
    /// `epoll_wait` that finds an eventfd ready.
    EpollWaitReady,
    /// A NOP through `io_uring`, submitted and waited for by itself.
    IoUringNop,
    /// One of [`BATCH_OF_NOPS`] that are submitted and waited for together.
    IoUringNopInBatch,
    /// A `write` to an eventfd and a `read` from it, on one thread.
    EventfdWriteRead,
    /// A switch between two threads of one CPU that hand each other a token through eventfds, without what
    /// [`EventfdWriteRead`](Self::EventfdWriteRead) costs just before.
    ContextSwitch,
    /// From handing a token to a thread that waits on the other CPU until that has it: half a round trip.
    CrossCpuWakeUp,
    /// A `send` and a `recv` of an echo, with both ends on one thread.
    EchoOnOneCpu {
        /// Payload; four bytes more are sent, as in a frame.
        payload_bytes: u32,
    },
    /// What [`Echo`] says.
    EchoOnTwoCpus {
        /// Payload; four bytes more are sent, as in a frame.
        payload_bytes: u32,
    },
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// The mean of its calls: CPU time, but for a wake-up, of which that would not say how long it took.
    pub ns: f64,
    /// How many there were.
    pub calls: u64,
}

impl From<&EchoCost> for Round {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far from what does not fit")]
    fn from(cost: &EchoCost) -> Self {
        Self { ns: cost.cpu_ns_per_echo, calls: cost.echoes.ceil() as u64 }
    }
}

/// What is needed to measure, by one thread.
pub struct Meter {
    server_cpu: usize,
    pair: Option<Pair>,
    ready: Ready,
    nops: Result<Nops, String>,
}

impl Meter {
    /// Keeps the calling thread, which has to do the measuring, to the first of the server's CPUs.
    ///
    /// # Errors
    ///
    /// [`FloorError`], but not for want of a second CPU or of `io_uring`.
    pub fn open(server: &CpuSet, client: &CpuSet) -> Result<Self, FloorError> {
        let server_cpu = server.iter().next().ok_or(FloorError::NoCpu)?;
        cpus::pin(&CpuSet::from_iter([server_cpu]))?;
        Ok(Self { server_cpu, pair: Pair::of(server, client), ready: Ready::open()?, nops: Nops::open() })
    }

    /// Where all is measured that takes one CPU, and the server's end of what takes two.
    #[must_use]
    pub fn server_cpu(&self) -> usize {
        self.server_cpu
    }

    /// Both CPUs, where there are two.
    #[must_use]
    pub fn pair(&self) -> Option<Pair> {
        self.pair
    }

    /// Why this cannot be measured here; none where it can.
    #[must_use]
    pub fn missing(&self, charge: Charge) -> Option<String> {
        match charge {
            Charge::IoUringNop | Charge::IoUringNopInBatch => self.nops.as_ref().err().cloned(),
            Charge::CrossCpuWakeUp | Charge::EchoOnTwoCpus { .. } => {
                self.pair.is_none().then(|| FloorError::NoPair.to_string())
            }
            _ => None,
        }
    }

    /// Takes about `slice`, or a few of them.
    ///
    /// # Errors
    ///
    /// [`FloorError`], also where the charge is [missing](Self::missing).
    pub fn measure(&mut self, charge: Charge, slice: Duration) -> Result<Round, FloorError> {
        let pair = || self.pair.ok_or(FloorError::NoPair);
        match charge {
            Charge::SystemCall => calls::system_call(slice),
            Charge::EpollWaitReady => self.ready.wait(slice),
            Charge::IoUringNop => self.nops()?.round(slice, 1),
            Charge::IoUringNopInBatch => self.nops()?.round(slice, BATCH_OF_NOPS),
            Charge::EventfdWriteRead => token::to_itself(slice),
            Charge::ContextSwitch => {
                let calls_ns = token::to_itself(slice)?.ns;
                let handed = token::to_another(slice, self.server_cpu)?;
                Ok(Round { ns: handed.ns - calls_ns, ..handed })
            }
            Charge::CrossCpuWakeUp => token::to_another_cpu(slice, pair()?.client()),
            // Opened anew every time: what differs from one set of sockets to the next is then part of what is measured.
            Charge::EchoOnOneCpu { payload_bytes } => OneCpu::open()?.round(slice, payload_bytes),
            Charge::EchoOnTwoCpus { payload_bytes } => {
                Ok(Round::from(&Echo::open(payload_bytes, pair()?)?.measure(slice)?))
            }
        }
    }

    fn nops(&mut self) -> Result<&mut Nops, FloorError> {
        self.nops.as_mut().map_err(|why| FloorError::NoRing(why.clone()))
    }
}
