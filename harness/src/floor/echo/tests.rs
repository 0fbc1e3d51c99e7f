//! Counts, never times: what moves must be all that was sent, however long it is.

use std::io::{Read, Write};
use std::net::Shutdown;

use rustix::net::sockopt;

use super::*;
use crate::cpus::cores;

/// The whole of this machine that may be used, as both ends would be given it.
fn pair() -> Option<Pair> {
    let (server, client) = cpus::split(&cores().unwrap(), 1);
    Pair::of(&server, &client)
}

/// Both ends, to be taken through their turns on one thread.
fn ends(connections: usize, request: Vec<u8>) -> (Server, Client) {
    let ends = sockets::open(connections).unwrap().into_iter().map(|Ends { server, client }| (server, client));
    let (servers, clients): (Vec<_>, Vec<_>) = ends.unzip();
    (Server::new(servers.into_iter()), Client::new(clients.into_iter(), request))
}

#[test]
fn every_request_comes_back_whole_at_any_length() {
    for request_bytes in [1, 68, RECEIVE_BYTES, RECEIVE_BYTES + 1, (1 << 20) + 4, 16 << 20] {
        let (mut server, mut client) = ends(3, vec![7; request_bytes]);
        // Far more turns than even the longest takes.
        for _ in 0..100_000 {
            if client.answers >= 6 {
                break;
            }
            client.turn().unwrap();
            server.turn().unwrap();
        }
        assert!(client.answers >= 6, "{request_bytes} bytes: {:?}", server.counts);
        assert!(server.counts.bytes >= client.answers * request_bytes as u64);
    }
}

#[test]
fn what_finds_no_room_is_sent_later_and_in_order() {
    let Ends { server, mut client } = sockets::open(1).unwrap().remove(0);
    for end in [&server, &client] {
        sockopt::set_socket_send_buffer_size(end, 128 * 1024).unwrap();
        sockopt::set_socket_recv_buffer_size(end, 128 * 1024).unwrap();
    }
    let mut server = Server::new([server].into_iter());
    let sent: Vec<u8> = (0..4_u32 << 20).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let mut unsent = &sent[..];
    // Nobody receives until there is no room left anywhere.
    while server.counts.sends_in_vain < 1000 {
        let wrote = client.write(unsent).unwrap_or(0);
        unsent = &unsent[wrote..];
        server.turn().unwrap();
        assert!(!unsent.is_empty(), "4 MiB are more than the buffers of a connection take");
    }
    let mut came = Vec::new();
    let mut piece = vec![0; 1 << 20];
    while came.len() < sent.len() {
        let wrote = if unsent.is_empty() { 0 } else { client.write(unsent).unwrap_or(0) };
        unsent = &unsent[wrote..];
        server.turn().unwrap();
        let bytes = client.read(&mut piece).unwrap_or(0);
        came.extend_from_slice(&piece[..bytes]);
    }
    assert!(came == sent, "the bytes changed");
}

#[test]
fn looks_in_vain_are_counted() {
    let (mut server, mut client) = ends(4, vec![1; 64]);
    server.turn().unwrap();
    server.turn().unwrap();
    assert_eq!(server.counts, Counts { receives_in_vain: 8, ..Counts::default() });
    client.turn().unwrap();
    while server.counts.bytes < 4 * 64 {
        server.turn().unwrap();
    }
    assert_eq!(server.counts.sends_in_vain, 0);
    assert_eq!(client.answers, 0, "an answer is taken in the turn after");
}

#[test]
fn a_server_that_only_looks_in_vain_costs_nothing() {
    let (mut server, _client) = ends(CONNECTIONS, vec![1; 64]);
    let mut vain = Vain::open().unwrap();
    let over = AtomicBool::new(false);
    let (priced_ns, cpu) = (vain.receive_ns().unwrap(), thread_cpu());
    turn_until(&mut server, &End(&over), |counts, _| counts.receives_in_vain >= 100_000).unwrap();
    let looked = server.counts.receives_in_vain as f64;
    let share = priced_ns * looked / (thread_cpu().saturating_sub(cpu).as_secs_f64() * 1e9);
    assert!((0.5..2.0).contains(&share), "{share}");
}

#[test]
fn a_window_in_which_the_price_of_a_look_changed_is_not_used() {
    let window = |after_ns: f64| Seen {
        counts: Counts { bytes: 68 * 100, receives_in_vain: 1000, ..Counts::default() },
        elapsed: Duration::from_micros(600),
        cpu: Duration::from_micros(500),
        looked_ns: [[200.0, 300.0], [after_ns, 300.0]],
    };
    assert!((window(200.0).cost(68).unwrap().cpu_ns_per_echo - 3000.0).abs() < 1e-6);
    assert!(window(220.0).cost(68).is_ok());
    for after_ns in [100.0, 280.0] {
        assert!(matches!(window(after_ns).cost(68), Err(FloorError::Drowned)), "{after_ns}");
    }
}

#[test]
fn an_end_that_is_gone_is_an_error() {
    for shutdown in [Shutdown::Write, Shutdown::Both] {
        let Ends { server, client } = sockets::open(1).unwrap().remove(0);
        client.shutdown(shutdown).unwrap();
        let mut server = Server::new([server].into_iter());
        let error = (0..1000).find_map(|_| server.turn().err());
        assert!(matches!(error, Some(FloorError::Closed)), "{error:?}");
    }
    let Ends { server, client } = sockets::open(1).unwrap().remove(0);
    drop(server);
    let mut client = Client::new([client].into_iter(), vec![1; 64]);
    assert!((0..1000).any(|_| client.turn().is_err()));
}

#[test]
fn a_stranger_that_says_more_than_it_was_asked_is_an_error() {
    let Ends { mut server, client } = sockets::open(1).unwrap().remove(0);
    let mut client = Client::new([client].into_iter(), vec![1; 64]);
    client.turn().unwrap();
    server.write_all(&[1; 65]).unwrap();
    let error = (0..1000).find_map(|_| client.turn().err());
    assert!(matches!(error, Some(FloorError::Unasked)), "{error:?}");
}

/// Where others keep the client's CPU busy, windows are worth nothing; of a hundred of them it may be all.
fn undrowned(echo: &mut Echo, window: Duration) -> Option<EchoCost> {
    let costs = (0..100).map(|_| echo.measure(window));
    let mut worth = costs.skip_while(|cost| matches!(cost, Err(FloorError::Drowned)));
    worth.next().map(Result::unwrap)
}

#[test]
fn a_window_adds_up_and_leaves_no_thread() {
    let Some(pair) = pair() else { return crate::skipped::skipped("there is one CPU only") };
    for payload_bytes in [0, 64, 1 << 20] {
        let mut echo = Echo::open(payload_bytes, pair).unwrap();
        let affinity = cores().unwrap();
        // What is under way when a window ends must not keep the next one from beginning.
        for window in [Duration::from_millis(10), Duration::from_millis(20)] {
            let Some(cost) = undrowned(&mut echo, window) else {
                return crate::skipped::skipped("others keep the CPU of the client busy");
            };
            let in_vain_ns = cost.receives_in_vain as f64 * cost.receive_in_vain_ns
                + cost.sends_in_vain as f64 * cost.send_in_vain_ns;
            let sum_ns = cost.cpu_ns_per_echo * cost.echoes + in_vain_ns;
            assert!((sum_ns / cost.cpu_ns as f64 - 1.0).abs() < 1e-6, "{cost:?}");
            assert!(cost.echoes > 0.0 && cost.cpu_ns_per_echo > 0.0, "{cost:?}");
            assert!(cost.window_ns >= nanoseconds(window) && cost.cpu_ns <= 2 * cost.window_ns, "{cost:?}");
            assert!((cost.echoes_per_s * cost.window_ns as f64 / 1e9 / cost.echoes - 1.0).abs() < 1e-6, "{cost:?}");
        }
        assert_eq!(cores().unwrap(), affinity, "this thread keeps its CPUs");
    }
}

#[test]
fn a_connection_that_breaks_ends_both_threads() {
    let Some(pair) = pair() else { return crate::skipped::skipped("there is one CPU only") };
    let mut echo = Echo::open(64, pair).unwrap();
    echo.client.hang_up();
    let error = echo.measure(Duration::from_hours(1)).unwrap_err();
    assert!(!matches!(error, FloorError::Stuck | FloorError::Drowned), "{error}");
}

#[test]
fn a_cpu_that_is_not_to_be_had_is_an_error() {
    let Some(usable) = cores().unwrap().first().and_then(|core| core.iter().next()) else { return };
    let cpu = |cpu: usize| CpuSet::from_iter([cpu]);
    for (server, client) in [(1023, usable), (usable, 1023)] {
        let mut echo = Echo::open(64, Pair::of(&cpu(server), &cpu(client)).unwrap()).unwrap();
        let error = echo.measure(Duration::from_hours(1)).unwrap_err();
        assert!(error.to_string().contains("may not use CPU 1023"), "{error}");
    }
}
