//! The command as its users meet it: the real binary, real sockets on loopback, real signals.
//!
//! Every wait is for something that was seen to happen, and bounded.
#![allow(clippy::disallowed_methods)]

mod agreeing;
mod brief;
mod capacity;
mod compare;
mod confined;
mod counted;
mod described;
mod doctor;
mod elsewhere;
mod export;
mod floor;
mod foreign;
mod hung_up;
mod idle;
mod inherited;
mod interrupted;
mod limits;
mod list;
mod load;
mod made;
mod mistakes;
mod refusals;
mod refused_start;
mod report;
mod sandbox;
mod schema;
mod serve;
mod short_window;
mod skipping;
mod strangers;
mod streams;
mod support;
mod sweep;
mod syscall_guard;
mod taken_away;
mod terminal;
mod threads;
mod until;
mod unusable;
mod waiting;
mod wording;
