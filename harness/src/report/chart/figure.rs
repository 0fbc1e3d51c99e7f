//! What is drawn upwards: the figures, and what they are called and shown as.

mod point;
mod values;

use super::facet::Along;
use super::{Axis, Scale, Unit};
use crate::figures;
use crate::plan::Cell;
use crate::statistics::Percentile;

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Throughput,
    P50,
    P99,
    P999,
    ServerCpu,
    /// The same as a multiple of what the kernel charges for an echo.
    Floor,
    Syscalls,
    /// The most memory that the server ever held.
    Memory,
    /// What it holds in user space for each idle connection.
    IdleMemory,
}

impl Figure {
    /// In the order in which they are shown.
    pub(super) const ALL: [Self; 9] = [
        Self::Throughput,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::ServerCpu,
        Self::Floor,
        Self::Syscalls,
        Self::Memory,
        Self::IdleMemory,
    ];

    /// Whether there are charts of it along that axis. An offered load decides the throughput, and connections the memory;
    /// of percentiles there are two, and along a load, where they part, three.
    pub(super) fn is_drawn(self, along: Along) -> bool {
        match self {
            Self::Throughput | Self::Memory | Self::IdleMemory => along != Along::Rate,
            Self::P50 => along == Along::Rate,
            Self::P99 | Self::P999 | Self::ServerCpu | Self::Floor | Self::Syscalls => true,
        }
    }

    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::ServerCpu => "cpu",
            Self::Floor => "floor",
            Self::Syscalls => "syscalls",
            Self::Memory => "memory",
            Self::IdleMemory => "idle-memory",
        }
    }

    /// Without its unit; what is measured from the sending of a request on is called service time.
    pub(super) fn label(self, cell: &Cell) -> String {
        let percentile = |name: &str| {
            let what = if cell.rate_rps.is_some() { "latency" } else { "service time" };
            format!("{name} {what}")
        };
        match self {
            Self::Throughput => "requests per second".to_owned(),
            Self::P50 => percentile("p50"),
            Self::P99 => percentile("p99"),
            Self::P999 => percentile("p99.9") + " of all requests",
            Self::ServerCpu => "server CPU time per request".to_owned(),
            Self::Floor => "server CPU per request ÷ the floor".to_owned(),
            Self::Syscalls => "system calls per request".to_owned(),
            Self::Memory => "server memory (max RSS)".to_owned(),
            Self::IdleMemory => "server memory per idle connection".to_owned(),
        }
    }

    pub(super) fn axis(self, cell: &Cell, scale: Scale) -> Axis {
        let unit = match self {
            Self::Throughput => Unit::PerSecond,
            Self::P50 | Self::P99 | Self::P999 | Self::ServerCpu => Unit::Nanoseconds,
            Self::Floor | Self::Syscalls => Unit::Count,
            Self::Memory | Self::IdleMemory => Unit::Bytes,
        };
        Axis { label: self.label(cell), unit, scale }
    }

    pub(super) fn percentile(self) -> Option<Percentile> {
        match self {
            Self::P50 => Some(Percentile::P50),
            Self::P99 => Some(Percentile::P99),
            Self::P999 => Some(Percentile::P999),
            _ => None,
        }
    }

    /// What a point and its bar are: both are of the same values, so that no point lies outside of its bar.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Memory => {
                "points: the median over the trials of the most memory that the server ever held, all that it needs by \
                 itself included; bars: where the median of many more trials lies, with 95 % confidence"
            }
            Self::Floor => {
                "points: the median of the trials, each by the floor beside it: what the kernel charges for one echo with \
                 plain calls and no waiting; bars: where the median of many more of them lies, with 95 % confidence"
            }
            Self::Throughput | Self::ServerCpu | Self::Syscalls | Self::IdleMemory => {
                "points: the median of the trials; bars: where the median of many more of them lies, with 95 % confidence"
            }
            Self::P50 | Self::P99 => {
                "points: the median of each trial's own percentile; bars: where the median of many more of them lies, with \
                 95 % confidence"
            }
            Self::P999 => {
                "points: the percentile of the requests of all trials together, without bars: most single trials have too few \
                 requests for it"
            }
        }
    }

    /// Whether it says no more than what the load generator could do, where that was busy.
    fn needs_an_idle_client(self) -> bool {
        matches!(self, Self::Throughput | Self::P50 | Self::P99 | Self::P999)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "memory is neither negative nor so large"
    )]
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Self::Throughput => format!("{}/s", figures::grouped(value)),
            Self::P50 | Self::P99 | Self::P999 | Self::ServerCpu => figures::duration(value),
            Self::Floor | Self::Syscalls => figures::three_digits(value),
            Self::Memory | Self::IdleMemory => figures::bytes(value.round() as u64),
        }
    }
}
