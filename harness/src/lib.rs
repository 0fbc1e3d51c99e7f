//! The measuring side: load generation, sweeps, results and their statistics.
//!
//! `load` never knows which backend it is talking to; everything above it never touches a socket.

pub mod load;
