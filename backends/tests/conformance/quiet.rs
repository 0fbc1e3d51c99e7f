//! A server with nothing to do does nothing: no busy loop, in no state. One that says that it spins does, in every state.

use std::thread;
use std::time::Duration;

use backends::{Event, Limits, Waiting};

use crate::Subject;
use crate::backpressure::NeverReading;
use crate::client::{Client, frame};
use crate::server::{Server, Setup};

/// How long a server is watched. Not a wait for anything: the longer, the more a busy loop gives itself away.
const WATCHED: Duration = Duration::from_millis(300);

/// What a server may do while watched: a turn now and then. A busy loop takes tens of thousands.
const TURNS_MAX: u64 = 100;

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
    let _never_reading = NeverReading::connect(&server);
    is_quiet(backend, &server);
}

pub(crate) fn draining_costs_nothing(backend: Subject) {
    let drain_timeout = WATCHED * 3;
    let server =
        Server::start(backend, Setup { threads: 2, ..Setup::limited(Limits { drain_timeout, ..Limits::default() }) });
    let idle = Client::connect(&server);
    idle.exchange(&frame(1, 100));
    let _never_reading = NeverReading::connect(&server);
    server.request_stop();
    idle.expect_eof();
    is_quiet(backend, &server);
}

pub(crate) fn is_quiet(backend: Subject, server: &Server) {
    let before = server.turns();
    thread::sleep(WATCHED);
    let turns = server.turns() - before;
    match backend.info().waiting {
        // A thread of the kernel makes no calls.
        Waiting::Sleeps | Waiting::KernelSpins => {
            assert!(turns <= TURNS_MAX, "{turns} turns and system calls within {WATCHED:?} in which nothing happened");
        }
        Waiting::Spins => assert!(turns > TURNS_MAX, "it says that it spins, and made {turns} calls in {WATCHED:?}"),
    }
}
