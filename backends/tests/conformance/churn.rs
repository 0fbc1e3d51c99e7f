//! Peers that come and go, by the thousand: nothing of them is left.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use backends::Event;
use socket2::{Domain, Socket, Type};

use crate::client::{Client, frame};
use crate::server::{Server, Setup};
use crate::sizes::SIZES;
use crate::{Subject, process, wait};

/// Threads that visit at the same time.
const VISITORS: usize = 4;

/// More memory than a server may keep of visits that are over, beside what it needs for those at the same time.
const KEPT_BYTES_MAX: u64 = 1024 * 1024;

pub(crate) fn thousands_of_visits_leave_nothing_behind(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let staying = Client::connect(&server);
    server.use_all_buffers(&staying);
    // Beforehand, for what a server keeps to use it again.
    let warm_up = SIZES.visits / 5;
    visit(&server, warm_up);
    server.wait_for(Event::Closed, warm_up as u64);
    let (memory, descriptors) = (process::memory(), process::descriptors());

    visit(&server, SIZES.visits);
    server.wait_for(Event::Closed, (warm_up + SIZES.visits) as u64);
    staying.exchange(&frame(2, 1000));
    wait::until("descriptors are back", || process::descriptors_are_back(&descriptors));
    process::expect_memory_back(memory, KEPT_BYTES_MAX);
    drop(staying);
    let report = server.stop();
    assert_eq!(report.count(Event::Accepted), (1 + warm_up + SIZES.visits) as u64);
    assert_eq!(report.count(Event::Violations), 0);
}

pub(crate) fn stops_while_peers_come_and_go(backend: Subject) {
    let server = Server::start(backend, Setup::default().apart(backend, 2));
    let (address, stopped) = (server.address, AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..VISITORS {
            scope.spawn(|| {
                let message = frame(1, 1000);
                while !stopped.load(Ordering::Relaxed) {
                    let Ok(stream) = TcpStream::connect(address) else { continue };
                    let client = Client::over(stream);
                    client.exchange_unless_ended(&message);
                    client.reset();
                }
            });
        }
        wait::until("peers come and go", || server.count(Event::Closed) > 100);
        let _stopped = wait::SetOnDrop(&stopped);
        server.stop();
    });
}

/// Comes `visits` times, by some threads at once, and goes in every way there is.
fn visit(server: &Server, visits: usize) {
    thread::scope(|scope| {
        for visitor in 0..VISITORS {
            scope.spawn(move || (visitor..visits).step_by(VISITORS).for_each(|visit| come_and_go(server, visit)));
        }
    });
}

fn come_and_go(server: &Server, visit: usize) {
    let message = frame(visit as u64, 300);
    // The number of visitors has no part in 9, so that each comes in every way.
    match visit % 9 {
        0 => drop(from_elsewhere(server)),
        1 => {
            let client = from_elsewhere(server);
            client.send(&message);
            client.finish_sending();
            client.expect(&message);
            client.expect_eof();
        }
        2 | 3 => Client::connect(server).reset(),
        4 => {
            let client = Client::connect(server);
            client.send(&message[..visit % message.len()]);
            client.reset();
        }
        5 => {
            let client = Client::connect(server);
            client.send(&message);
            client.reset();
        }
        _ => {
            let client = Client::connect(server);
            client.exchange(&message);
            client.reset();
        }
    }
}

/// A connection that may end in an orderly way: that leaves a port of the peer's waiting for a minute, and those of the
/// address that servers listen on are needed by other tests. So this process has one for itself.
fn from_elsewhere(server: &Server) -> Client {
    let [.., high, low] = std::process::id().to_be_bytes();
    let elsewhere = Ipv4Addr::new(127, 1, high, low);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is left");
    socket.bind(&SocketAddr::from((elsewhere, 0)).into()).expect("all of 127.0.0.0/8 is loopback");
    socket.connect(&server.address.into()).expect("the server listens");
    Client::over(socket.into())
}
