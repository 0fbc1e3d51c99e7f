//! Many connections at once.

use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::thread;

use backends::Event;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Subject;
use crate::client::{Client, frame};
use crate::server::{PROTOCOLS, Server, Setup};

/// Held by a test that opens thousands of descriptors, so that one test at a time needs them, however many run.
static CROWD: Mutex<()> = Mutex::new(());

pub(crate) fn two_thousand_connections_are_served(backend: Subject) {
    let _alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    raise_descriptor_limit();
    let server = Server::start(backend, Setup::default());
    let clients: Vec<Client> = (0..2000).map(|_| Client::connect(&server)).collect();
    let highest = clients.iter().map(|client| client.stream.as_raw_fd()).max();
    assert!(highest > Some(1024), "no descriptor lies beyond what select(2) of the C library can name");

    for (client, seed) in clients.iter().zip(0..) {
        client.send(&frame(seed, 64));
    }
    for (client, seed) in clients.iter().zip(0..) {
        client.expect(&frame(seed, 64));
    }
    // A reset leaves no TIME_WAIT behind. Thousands of them take the ports that other tests, and runs, listen on.
    clients.into_iter().for_each(Client::reset);
    server.wait_for(Event::Closed, 2000);
}

pub(crate) fn many_long_streams_flow_at_once(backend: Subject) {
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        thread::scope(|scope| {
            for seed in 0..32 {
                let server = &server;
                scope.spawn(move || Client::connect(server).stream(&frame(seed, 1024 * 1024)));
            }
        });
    }
}

/// Both ends of every connection are in this process, and the usual soft limit is 1024.
pub(crate) fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a soft limit may be raised to the hard one");
    assert!(limit.maximum.is_none_or(|maximum| maximum >= 5000), "needs `ulimit -Hn` to be at least 5000");
}
