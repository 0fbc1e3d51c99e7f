//! A server with few descriptors and many peers: they have to take turns, and lose nothing by it.
//!
//! The peers have a descriptor table of their own, so that only the server runs out. Their sockets are opened before the
//! limit is lowered, and connected afterwards.

use std::collections::VecDeque;
use std::sync::{OnceLock, mpsc};
use std::{io, mem, panic, thread};

use backends::Event;
use rustix::net::connect_unspec;
use rustix::process::Resource;
use socket2::{Domain, Socket, Type};

use crate::client::{Client, frame};
use crate::crowds::raise_descriptor_limit;
use crate::server::{Server, Setup};
use crate::sizes::SIZES;
use crate::wait::{self, DEADLINE};
use crate::{Subject, process, quiet};

/// The limit on descriptors while a server runs: enough for itself and some dozens of connections.
const DESCRIPTORS: u64 = 64;

pub(crate) fn peers_take_turns_while_descriptors_are_out(backend: Subject) {
    with_few_descriptors(backend, Setup::default(), |server, sockets| {
        let mut waiting: VecDeque<Client> = sockets.map(|socket| connect(server, socket)).collect();
        for (client, seed) in waiting.iter().zip(0..) {
            client.send(&frame(seed, 1000));
        }
        wait_for_pause(server, 0);
        let admitted = usize::try_from(server.count(Event::Accepted)).expect("few are admitted");
        // All but those of the server itself, or, where sockets live in a table of their own, all.
        assert!((1..=DESCRIPTORS).contains(&(admitted as u64)), "{admitted} of {} were admitted", waiting.len());

        let (mut first, mut pauses) = (0, 0);
        while !waiting.is_empty() {
            let turn: Vec<Client> = waiting.drain(..admitted.min(waiting.len())).collect();
            for (client, seed) in turn.iter().zip(first..) {
                client.expect(&frame(seed, 1000));
            }
            if !waiting.is_empty() {
                wait_for_pause(server, pauses);
                pauses = server.count(Event::AcceptPaused);
            }
            // Who is in is served as if nothing were missing.
            for client in &turn {
                client.exchange(&frame(first, 10_000));
            }
            first += turn.len() as u64;
            turn.into_iter().for_each(Client::reset);
        }
    });
}

pub(crate) fn who_leaves_before_being_accepted_harms_nobody(backend: Subject) {
    with_few_descriptors(backend, Setup::default(), |server, sockets| {
        let clients: Vec<Client> = sockets.map(|socket| connect(server, socket)).collect();
        wait_for_pause(server, 0);
        let admitted = usize::try_from(server.count(Event::Accepted)).expect("few are admitted");
        let mut staying = Vec::new();
        for (place, client) in clients.into_iter().enumerate() {
            match place % 4 {
                // The next in the queue, whoever that is, is dead.
                0 if place > admitted => client.reset(),
                1 if place > admitted => {
                    client.send(&frame(1, 100));
                    client.reset();
                }
                2 if place > admitted => {
                    client.send(&frame(2, 100));
                    client.finish_sending();
                    staying.push((client, 2));
                }
                _ => {
                    client.send(&frame(3, 100));
                    staying.push((client, 3));
                }
            }
        }
        for (client, seed) in staying {
            client.expect(&frame(seed, 100));
            client.reset();
        }
    });
}

pub(crate) fn an_overflowing_backlog_keeps_nobody_out_for_good(backend: Subject) {
    let setup = Setup { backlog: Some(1), ..Setup::default() };
    with_few_descriptors(backend, setup, |server, sockets| {
        let mut outside: Vec<Socket> = sockets.collect();
        let mut inside = VecDeque::new();
        // Until the server is out of descriptors and its backlog is full, too.
        wait::until("nobody can connect any more", || {
            let paused = server.count(Event::AcceptPaused) > 0;
            let waits = inside.len() as u64 > server.count(Event::Accepted);
            !try_to_connect(server, &mut outside, &mut inside) && paused && waits
        });
        assert!(!outside.is_empty(), "everybody fits into a backlog of one");
        quiet::is_quiet(backend, server);
        while !outside.is_empty() || !inside.is_empty() {
            if let Some(client) = inside.pop_front() {
                client.exchange(&frame(inside.len() as u64, 1000));
                client.reset();
            }
            try_to_connect(server, &mut outside, &mut inside);
        }
    });
}

/// Connects those for whom there is room; false if there was none for anybody.
fn try_to_connect(server: &Server, outside: &mut Vec<Socket>, inside: &mut VecDeque<Client>) -> bool {
    let before = outside.len();
    for socket in mem::take(outside) {
        // Begins anew, at once: the kernel would try again by itself, but only after a second.
        connect_unspec(&socket).expect("a socket that is not connected can begin anew");
        socket.set_nonblocking(true).expect("an open socket takes options");
        // On loopback the answer, if there is one, has come when the call returns.
        if socket.connect(&server.address.into()).is_ok() || socket.peer_addr().is_ok() {
            socket.set_nonblocking(false).expect("an open socket takes options");
            inside.push_back(Client::over(socket.into()));
        } else {
            outside.push(socket);
        }
    }
    outside.len() < before
}

/// Runs `peers` against a server with [`DESCRIPTORS`], and then checks that all of them have been there, and that
/// nothing of them is left.
fn with_few_descriptors(
    backend: Subject,
    setup: Setup,
    peers: impl FnOnce(&Server, &mut dyn Iterator<Item = Socket>) + Send,
) {
    raise_descriptor_limit();
    let running = OnceLock::new();
    let before = thread::scope(|scope| {
        let (running, (open, opened), (start, started)) = (&running, mpsc::channel(), mpsc::channel());
        let apart = scope.spawn(move || {
            process::own_descriptor_table();
            let sockets: Vec<Socket> =
                (0..SIZES.waiting).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None)).collect::<Result<_, _>>()?;
            open.send(()).expect("the test waits");
            // Where the server could not be started, the test has failed already.
            if started.recv() == Ok(()) {
                peers(running.get().expect("the server runs"), &mut sockets.into_iter());
            }
            Ok::<_, io::Error>(())
        });
        let limit = opened.recv_timeout(DEADLINE).map(|()| process::limit(Resource::Nofile, Some(DESCRIPTORS)));
        let before = limit.is_ok().then(|| {
            assert!(running.set(Server::start(backend, setup)).is_ok(), "a server is started once");
            let before = process::descriptors();
            start.send(()).expect("the peers wait");
            before
        });
        apart.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)).expect("a peer needs a descriptor");
        process::limit(Resource::Nofile, limit.expect("the sockets were opened"));
        before.expect("the server was started")
    });
    let server = running.into_inner().expect("the server runs");
    // More, where the kernel has let somebody in who began anew meanwhile.
    wait::until("everybody was closed", || server.count(Event::Closed) >= SIZES.waiting as u64);
    wait::until("descriptors are back", || process::descriptors_are_back(&before));
    server.stop();
}

fn connect(server: &Server, socket: Socket) -> Client {
    socket.connect(&server.address.into()).expect("the kernel completes connections before they are accepted");
    Client::over(socket.into())
}

/// Waits until the server has paused more often than `pauses` times.
fn wait_for_pause(server: &Server, pauses: u64) {
    wait::until("the server finds no descriptor", || server.count(Event::AcceptPaused) > pauses);
}
