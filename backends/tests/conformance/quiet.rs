//! A server with nothing to do does nothing: no busy loop, in no state. One that says that it spins does, in every state.

use std::thread;
use std::time::{Duration, Instant};

use backends::{Event, Waiting};

use crate::Subject;
use crate::client::{Client, frame};
use crate::server::{Server, Setup};
use crate::stopping::{owed_more_than_fits, patient};

/// How long a server is watched. Not a wait for anything: the longer, the more a busy loop gives itself away.
const WATCHED: Duration = Duration::from_millis(300);

/// What a server may do while watched: a turn now and then. A busy loop takes tens of thousands.
const TURNS_MAX: u64 = 100;

/// How long it may take to come to rest: shorter than any drain of a server that is watched in one.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn idle_connections_cost_nothing(backend: Subject) {
    let server = Server::start(backend, Setup { threads: 2, ..Setup::default() });
    let clients: Vec<Client> = (0..20).map(|_| Client::connect(&server)).collect();
    for client in &clients {
        client.exchange(&frame(1, 100));
        client.send(&frame(2, 100)[..50]);
    }
    server.wait_for(Event::BytesReceived, 20 * (104 + 50));
    is_quiet(backend, &server);
}

pub(crate) fn a_peer_that_never_reads_costs_nothing(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let _owed = owed_more_than_fits(&server);
    is_quiet(backend, &server);
}

pub(crate) fn draining_costs_nothing(backend: Subject) {
    // It drains for as long as it is watched.
    let server = Server::start(backend, Setup { threads: 2, ..patient() });
    let idle = Client::connect(&server);
    idle.exchange(&frame(1, 100));
    let owed = owed_more_than_fits(&server);
    server.request_stop();
    idle.expect_eof();
    is_quiet(backend, &server);
    owed.reset();
}

/// Whether the server comes to rest, or does not where it says that it spins. A busy machine may keep it at what it has to
/// do for a while; what is busy for nothing never ends.
pub(crate) fn is_quiet(backend: Subject, server: &Server) {
    let turns_of_a_while = || {
        let before = server.turns();
        thread::sleep(WATCHED);
        server.turns() - before
    };
    let spins = match backend.info().waiting {
        // A thread of the kernel makes no calls.
        Waiting::Sleeps | Waiting::KernelSpins => false,
        Waiting::Spins => true,
    };
    let start = Instant::now();
    loop {
        let turns = turns_of_a_while();
        if spins == (turns > TURNS_MAX) {
            return;
        }
        let what = if spins { "it says that it spins" } else { "nothing happened" };
        assert!(start.elapsed() < PATIENCE, "{turns} turns and system calls within {WATCHED:?}, and {what}");
    }
}
