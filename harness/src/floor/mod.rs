//! The floor: what the kernel charges for what every server has to ask of it, whoever asks.
//!
//! A backend's CPU time per request means little by itself: half of it may be TCP, which no backend can save. Measured here
//! is what one echo takes with plain calls and nothing else, so that the rest is what a backend adds.
//!
//! Invariants: all traffic is on loopback and on sockets opened here; every thread started here has ended, and every
//! descriptor is closed, when the value that is measured with is dropped; nothing waits without an end.

mod clock;
pub mod echo;
mod error;
mod pair;
mod sockets;

pub use echo::{Echo, EchoCost};
pub use error::FloorError;
pub use pair::Pair;

/// How long anything here may take beyond what it was given, on however busy a machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
