//! What a server says of itself.

use backends::{Event, IoModel, Receipt, ReceiptValue, ServeReport, Syscall, Waiting};

use crate::client::{Client, frame};
use crate::server::{Server, Setup};
use crate::{Subject, wait};

const CONNECTIONS: u64 = 3;
const FRAMES_EACH: u64 = 20;

fn report_of_a_small_run(backend: Subject) -> ServeReport {
    let server = Server::start(backend, Setup::default());
    let clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(&server)).collect();
    for seed in 0..FRAMES_EACH {
        for client in &clients {
            client.exchange(&frame(seed, 100));
        }
    }
    if backend.info().waiting == Waiting::Spins {
        // On a busy machine it may come to look only when there is something: nothing is sent until it has looked in vain.
        let received = || server.report().syscall(Syscall::Recvfrom);
        wait::until("it has looked in vain", || received() > CONNECTIONS * FRAMES_EACH);
    }
    drop(clients);
    server.wait_for(Event::Closed, CONNECTIONS);
    server.stop()
}

pub(crate) fn the_report_adds_up(backend: Subject) {
    let report = report_of_a_small_run(backend);
    let frames = CONNECTIONS * FRAMES_EACH;
    for &event in Event::ALL {
        let count = report.count(event);
        match event {
            Event::Accepted | Event::Closed => assert_eq!(count, CONNECTIONS, "{}", event.name()),
            Event::Replies => assert_eq!(count, frames, "{}", event.name()),
            Event::BytesReceived | Event::BytesSent => assert_eq!(count, frames * 104, "{}", event.name()),
            // Every send has its notice; and loopback, which has nothing to gather with, copies each.
            Event::ZeroCopyNotices | Event::ZeroCopyCopied if sends_zero_copy(backend) => {
                assert_eq!(count, frames, "{}", event.name());
            }
            // One wake-up may serve several connections; without any nothing was served, but by who never sleeps.
            Event::Wakeups => {
                assert_eq!(count > 0, backend.info().waiting != Waiting::Spins, "{count} {}", event.name());
            }
            _ => assert_eq!(count, 0, "{}", event.name()),
        }
    }
    assert_eq!(report.accepted_per_thread, [CONNECTIONS]);
}

/// Whether the kernel sends from the server's memory, without a copy of its own.
pub(crate) fn sends_zero_copy(backend: Subject) -> bool {
    let receipt = backend.probe().expect("a backend that runs is available");
    receipt
        .entries()
        .any(|entry| matches!(entry, ("operations", ReceiptValue::List(names)) if names.contains(&"SEND_ZC")))
}

pub(crate) fn the_calls_of_its_model_are_counted(backend: Subject) {
    let report = report_of_a_small_run(backend);
    let frames = CONNECTIONS * FRAMES_EACH;
    match backend.info().model {
        IoModel::Blocking | IoModel::Readiness => {
            assert!(report.syscall(Syscall::Accept4) >= CONNECTIONS);
            // Each connection ends with a receive that finds its end.
            let (receives, useful) = (report.syscall(Syscall::Recvfrom), frames + CONNECTIONS);
            match backend.info().waiting {
                Waiting::Sleeps | Waiting::KernelSpins => assert_eq!(receives, useful),
                Waiting::Spins => assert!(receives > useful, "{receives} receives for {useful}"),
            }
            assert_eq!(report.syscall(Syscall::Sendto), frames);
            assert_eq!(report.syscall(Syscall::Close), CONNECTIONS);
        }
        IoModel::Completion => {
            assert!(report.syscall(Syscall::IoUringEnter) > 0);
            assert_eq!(report.syscall(Syscall::Recvfrom) + report.syscall(Syscall::Sendto), 0);
        }
    }
}

pub(crate) fn the_receipt_names_what_was_granted(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let probed = backend.probe().expect("a backend that runs is available");
    for receipt in [&probed, &server.receipt] {
        let names: Vec<&str> = names(receipt).collect();
        assert!(names.contains(&"kernel"), "no kernel in {names:?}");
        assert!(names.contains(&"interface"), "no interface in {names:?}");
        assert!(names.iter().enumerate().all(|(i, name)| !names[..i].contains(name)), "twice the same in {names:?}");
    }
}

fn names(receipt: &Receipt) -> impl Iterator<Item = &'static str> {
    receipt.entries().map(|(name, _)| name)
}
