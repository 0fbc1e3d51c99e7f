//! The command as its users meet it: the real binary, real sockets on loopback, real signals.
//!
//! Every wait is for something that was seen to happen, and bounded.
#![allow(clippy::disallowed_methods)]

mod brief;
mod capacity;
mod compare;
mod counted;
mod described;
mod doctor;
mod export;
mod floor;
mod foreign;
mod idle;
mod inherited;
mod list;
mod load;
mod made;
mod mistakes;
mod refusals;
mod report;
mod sandbox;
mod schema;
mod serve;
mod skipping;
mod strangers;
mod support;
mod sweep;
mod syscall_guard;
mod terminal;
mod threads;
mod until;
