//! Several server threads, and both ways to spread connections over them.

use backends::{Event, Limits, ReceiptValue, ServeReport, Spread, Threading};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::client::{Client, frame};
use crate::server::{Server, Setup};
use crate::stopping::{patient, wait_until_arrived};
use crate::{Subject, wait};

const SPREADS: [Spread; 2] = [Spread::ReusePort, Spread::Shared];

/// Waits for a shared listener that wake one thread and not all of them.
const EXCLUSIVE: &str = "one that waits";

fn spread_over(threads: usize, spread: Spread) -> Setup {
    Setup { threads, spread, ..Setup::default() }
}

pub(crate) fn the_receipt_says_how_connections_are_spread(backend: Subject) {
    for (threads, spread, expected) in [
        (1, Spread::ReusePort, "one thread accepts all"),
        (1, Spread::Shared, "one thread accepts all"),
        (2, Spread::ReusePort, "SO_REUSEPORT"),
        (3, Spread::Shared, "shared listener"),
    ] {
        let server = Server::start(backend, spread_over(threads, spread));
        let entry = |name| server.receipt.entries().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
        assert_eq!(entry("spread"), Some(ReceiptValue::Text(expected.to_owned())));
        let counted = match backend.info().threading {
            Threading::LoopPerThread => "threads",
            Threading::ThreadPerConnection | Threading::Pool { .. } => "accepting_threads",
        };
        assert_eq!(entry(counted), Some(ReceiptValue::Number(threads as u64)));
        assert!(matches!(entry("served_by"), Some(ReceiptValue::Text(_))));
        assert_eq!(entry("woken_by_listener").is_some(), threads > 1 && spread == Spread::Shared);
    }
}

pub(crate) fn every_thread_accepts_from_a_shared_listener(backend: Subject) {
    const AT_A_TIME: u64 = 90;
    let server = Server::start(backend, spread_over(3, Spread::Shared));
    let woken = server.receipt.entries().find(|(name, _)| *name == "woken_by_listener");
    let is_exclusive = matches!(woken, Some((_, ReceiptValue::Text(woken))) if woken.starts_with(EXCLUSIVE));
    // Who waits exclusively comes in turn. Where all are woken nobody can say who is first, but none is last for ever.
    let enough = if is_exclusive { AT_A_TIME / 9 } else { 1 };
    // A thread that has no CPU is passed over: on a busy machine it may take a while until none is.
    wait::until("each thread has accepted its share of connections that came one by one", || {
        let before = server.report().accepted_per_thread;
        for seed in 0..AT_A_TIME {
            let client = Client::connect(&server);
            client.exchange(&frame(seed, 100));
            // No TIME_WAIT is left behind, however often this has to be done.
            client.reset();
        }
        let after = server.report().accepted_per_thread;
        after.iter().zip(before).all(|(after, before)| after - before >= enough)
    });
    let report = server.stop();
    assert_eq!(report.accepted_per_thread.len(), 3);
    let (accepted, missed) = (report.count(Event::Accepted), report.count(Event::AcceptMissed));
    // A thread that is busy is passed over and comes later, so that a few may come in vain; but not two each time.
    assert!(!is_exclusive || missed <= accepted, "{missed} came for nobody, {accepted} were accepted");
}

pub(crate) fn connections_are_counted_by_thread_while_they_are_open(backend: Subject) {
    for spread in SPREADS {
        let server = Server::start(backend, spread_over(2, spread));
        let before = server.report();
        assert_eq!(before.accepted_per_thread, [0, 0]);
        assert!(before.thread_ids.len() == 2 && before.thread_ids[0] != before.thread_ids[1], "{before:?}");
        let clients: Vec<Client> = (0..20).map(|_| Client::connect(&server)).collect();
        for (client, seed) in clients.iter().zip(0..) {
            client.exchange(&frame(seed, 100));
        }
        let open = server.report();
        assert_eq!(accepted(&open), 20);
        clients.into_iter().for_each(Client::reset);
        server.wait_for(Event::Closed, 20);
        let ended = server.stop();
        assert_eq!((&ended.accepted_per_thread, &ended.thread_ids), (&open.accepted_per_thread, &before.thread_ids));
    }
}

fn accepted(report: &ServeReport) -> u64 {
    report.accepted_per_thread.iter().sum()
}

pub(crate) fn all_threads_answer_what_was_sent_before_the_stop(backend: Subject) {
    let message = (0..50).map(|seed| frame(seed, 1000)).collect::<Vec<_>>().concat();
    for spread in SPREADS {
        let server = Server::start(backend, Setup { threads: 3, spread, ..patient() });
        let clients: Vec<Client> = (0..12).map(|_| Client::connect(&server)).collect();
        for client in &clients {
            client.exchange(&frame(1, 10));
        }
        for client in &clients {
            client.send(&message);
        }
        clients.iter().for_each(wait_until_arrived);
        server.request_stop();
        for client in &clients {
            client.expect(&message);
            client.expect_eof();
        }
        assert_eq!(server.stop().count(Event::Forced), 0);
    }
}

/// More than two threads can take with [`FEW_DESCRIPTORS`], whether they share a table or not.
const CLIENTS: u64 = 300;
const FEW_DESCRIPTORS: u64 = 100;

pub(crate) fn accepting_from_a_shared_listener_comes_back_with_descriptors(backend: Subject) {
    let sockets: Vec<Socket> =
        (0..CLIENTS).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).expect("descriptors are left")).collect();
    let limits = Limits { drain_timeout: wait::DEADLINE, ..Limits::default() };
    let server = Server::start(backend, Setup { limits, ..spread_over(2, Spread::Shared) });
    let enough = set_descriptor_limit(Some(FEW_DESCRIPTORS));
    for socket in &sockets {
        socket.connect(&server.address.into()).expect("the kernel completes connections before they are accepted");
    }
    let clients: Vec<Client> = sockets.into_iter().map(|socket| Client::over(socket.into())).collect();
    if server.granted("direct_descriptors").is_some() {
        // The limit counts when a table of the ring is made, and not afterwards.
        server.wait_for(Event::Accepted, CLIENTS);
        assert_eq!(server.count(Event::AcceptPaused), 0);
    } else {
        wait::until("the server finds no descriptor", || server.count(Event::AcceptPaused) > 0);
    }
    set_descriptor_limit(enough);
    for (client, seed) in clients.iter().zip(0..) {
        client.exchange(&frame(seed, 100));
    }
    let report = server.stop();
    assert_eq!(accepted(&report), CLIENTS);
    assert_eq!(report.count(Event::Forced) + report.count(Event::ConnectionErrors), 0);
}

/// Sets the soft limit of this process, and returns what it was.
fn set_descriptor_limit(soft: Option<u64>) -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    let before = std::mem::replace(&mut limit.current, soft);
    setrlimit(Resource::Nofile, limit).expect("a soft limit may be anything up to the hard one");
    before
}
