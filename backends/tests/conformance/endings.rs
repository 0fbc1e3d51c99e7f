//! How connections end: by a half-close, a close or a reset, and what that may not do to others.

use std::thread;

use backends::Event;

use crate::backpressure::NeverReading;
use crate::client::{Client, frame};
use crate::server::{PROTOCOLS, Server, Setup};
use crate::stopping::{leaves_its_answer_in_the_kernel, with_room};
use crate::{Subject, process};

pub(crate) fn half_close_drains(backend: Subject) {
    let message = (0..100).map(|seed| frame(seed, 100)).collect::<Vec<_>>().concat();
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        let client = Client::connect(&server);
        client.send(&message);
        client.finish_sending();
        client.expect(&message);
        client.expect_eof();
    }
}

pub(crate) fn half_close_drains_long_frames(backend: Subject) {
    let message = (0..4).map(|seed| frame(seed, 1024 * 1024)).collect::<Vec<_>>().concat();
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        let client = Client::connect(&server);
        thread::scope(|scope| {
            scope.spawn(|| {
                client.send(&message);
                client.finish_sending();
            });
            client.expect(&message);
        });
        client.expect_eof();
    }
}

pub(crate) fn a_peer_that_closes_is_closed(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let client = Client::connect(&server);
    client.exchange(&frame(1, 10));
    drop(client);
    server.wait_for(Event::Closed, 1);
    assert_eq!(server.count(Event::ConnectionErrors), 0);
}

pub(crate) fn a_peer_that_closes_behind_an_answer_it_never_read_is_closed(backend: Subject) {
    let server = Server::start(backend, with_room(Setup::default()));
    let (client, _) = leaves_its_answer_in_the_kernel(&server);
    client.finish_sending();
    drop(client);
    server.wait_for(Event::Closed, 1);
}

pub(crate) fn half_a_frame_is_not_answered(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let client = Client::connect(&server);
    let (whole, cut_off) = (frame(1, 100), frame(2, 100));
    client.send(&[&whole, &cut_off[..50]].concat());
    client.finish_sending();
    client.expect(&whole);
    client.expect_eof();
    let report = server.stop();
    assert_eq!(report.count(Event::Replies), 1);
    assert_eq!(report.count(Event::Violations), 0);
}

pub(crate) fn a_reset_in_mid_frame_leaves_the_others_untouched(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let others: Vec<Client> = (0..4).map(|_| Client::connect(&server)).collect();
    let pending = frame(1, 1000);
    let (head, tail) = pending.split_at(500);
    for other in &others {
        other.send(head);
    }
    let resetting = Client::connect(&server);
    resetting.send(head);
    server.wait_for(Event::BytesReceived, 5 * head.len() as u64);

    resetting.reset();
    server.wait_for(Event::ConnectionErrors, 1);
    server.wait_for(Event::Closed, 1);
    for other in &others {
        other.send(tail);
        other.expect(&pending);
        other.exchange(&frame(2, 100));
    }
}

pub(crate) fn a_reset_ends_a_peer_that_never_reads(backend: Subject) {
    let server = Server::start(backend, Setup::default());
    let other = Client::connect(&server);
    other.exchange(&frame(1, 10));
    NeverReading::connect(&server).client.reset();
    server.wait_for(Event::ConnectionErrors, 1);
    server.wait_for(Event::Closed, 1);
    other.exchange(&frame(2, 10));
}

pub(crate) fn connections_come_and_go(backend: Subject) {
    // Descriptors, and whatever a server keeps by them, are used again and again: nothing of the last may be left.
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup::of(protocol));
        let staying = Client::connect(&server);
        thread::scope(|scope| {
            for visitor in 0..4 {
                let server = &server;
                scope.spawn(move || {
                    for visit in 0..50 {
                        let client = Client::connect(server);
                        let message = frame(visitor * 1000 + visit, 300);
                        client.exchange(&message);
                        match visit % 3 {
                            0 => drop(client),
                            1 => {
                                client.send(&message[..200]);
                                client.reset();
                            }
                            _ => {
                                client.send(&message);
                                client.finish_sending();
                                client.expect(&message);
                                client.expect_eof();
                            }
                        }
                    }
                });
            }
        });
        staying.exchange(&frame(1, 300));
        server.wait_for(Event::Closed, 4 * 50);
    }
}

pub(crate) fn a_reset_right_behind_half_a_frame_is_seen(backend: Subject) {
    process::handle_interruptions();
    let others = process::threads();
    let server = Server::start(backend, Setup::default());
    let [staying, resetting, closing, quiet] = [(); 4].map(|()| {
        let client = Client::connect(&server);
        // After an answer the server waits for more, in every way it has.
        client.exchange(&frame(1, 100));
        client
    });
    let threads = process::threads().difference(&others).copied().collect();
    let half = &frame(2, 100)[..50];
    // Both have arrived when the server looks: it has to be told of both.
    process::while_held(&threads, || {
        resetting.send(half);
        resetting.reset();
        closing.send(half);
        drop(closing);
        quiet.reset();
    });
    server.wait_for(Event::Closed, 3);
    assert_eq!(server.count(Event::ConnectionErrors), 2);
    staying.exchange(&frame(3, 100));
}
