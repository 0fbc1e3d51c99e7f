//! Echo servers, one for each way of doing I/O, behind one trait.
//!
//! What all servers must do alike (framing, limits, counting, draining) is written once and called by each of them,
//! so that a difference between two backends is a difference between two kernel interfaces and nothing else.
// In tests alone a thread that is not to be had may be a panic.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

mod acceptor;
mod admission;
mod backend;
mod buffers;
mod connection;
pub mod descriptor_table;
pub mod io_uring;
mod kernel;
mod listen;
mod open_sockets;
pub mod protocol;
mod readiness;
pub mod refusal;
pub mod rehearsal;
mod replies;
pub mod resource_limit;
#[cfg(any(test, fuzzing))]
pub mod scripted;
mod stats;
mod stop;
mod thread_pool;
mod threads;
mod timers;
mod workers;

pub use backend::{
    Backend, BackendInfo, IoModel, Isolation, Limits, Receipt, ReceiptValue, ServeJob, Threading, Unavailable, Waiting,
};
pub use listen::{Listeners, Spread, bind};
pub use stats::{Event, ServeReport, Stats, Syscall};
pub use stop::Stop;
pub use workers::SHARED_LISTENER;

/// Every backend, in the order in which they are listed and compared.
pub static BACKENDS: &[&dyn Backend] = &[
    &threads::ThreadsBackend,
    &readiness::select::SelectBackend,
    &readiness::poll::PollBackend,
    &readiness::epoll::EpollBackend,
    &readiness::polling::PollingBackend,
    &io_uring::Main {},
    &readiness::epoll_et::EpollEtBackend,
    &readiness::spin::SpinBackend,
    &thread_pool::ThreadPoolBackend,
    &io_uring::Oneshot {},
    &io_uring::Accept {},
    &io_uring::Provided {},
    &io_uring::Defer {},
    &io_uring::Direct {},
    &io_uring::ZeroCopy {},
    &io_uring::SqPoll {},
    &io_uring::Bundle {},
];

/// The backend of that name.
#[must_use]
pub fn backend(name: &str) -> Option<&'static dyn Backend> {
    BACKENDS.iter().copied().find(|backend| backend.info().name == name)
}
