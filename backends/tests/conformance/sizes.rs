//! How large the faults are: small ones in every run of the tests, the full ones with `FAULTS=full`.

use std::env;
use std::sync::LazyLock;

/// How many of what.
pub(crate) struct Sizes {
    /// Connections that all send before anybody reads, some of them after the server has started. Each takes a descriptor on both sides.
    pub(crate) bursting: usize,
    /// Peers that open a connection and close it.
    pub(crate) visits: usize,
    /// Peers that reset while a send to them waits.
    pub(crate) resetting: usize,
    /// Peers that announce a frame of the longest kind and keep most of it.
    pub(crate) promising: usize,
    /// Frames without payload, sent in one go.
    pub(crate) empty_frames: usize,
    /// Peers of a server that has descriptors for some dozens of them.
    pub(crate) waiting: usize,
    /// Signals that reach the threads of a server.
    pub(crate) signals: u64,
    /// Lives of a server, one after the other. To end a ring with a table of its own takes the kernel a while.
    pub(crate) lives: usize,
    /// Peers that send all they can and read some of the answers now and then, in each of so many protocols.
    pub(crate) reading_now_and_then: usize,
    pub(crate) protocols_read_so: usize,
}

const EVERY_RUN: Sizes = Sizes {
    bursting: 1800,
    visits: 1500,
    resetting: 64,
    promising: 250,
    empty_frames: 20_000,
    waiting: 120,
    signals: 500,
    lives: 15,
    reading_now_and_then: 2,
    protocols_read_so: 1,
};

const FULL: Sizes = Sizes {
    bursting: 10_000,
    visits: 50_000,
    resetting: 400,
    promising: 4000,
    empty_frames: 1_000_000,
    waiting: 1200,
    signals: 20_000,
    lives: 100,
    reading_now_and_then: 6,
    protocols_read_so: 2,
};

/// The sizes of this run.
pub(crate) static SIZES: LazyLock<&Sizes> = LazyLock::new(|| match env::var("FAULTS").as_deref() {
    Ok("full") => &FULL,
    Err(env::VarError::NotPresent) | Ok("") => &EVERY_RUN,
    other => panic!("FAULTS is {other:?}; it may be `full` or not set"),
});
