//! What a server counts, against what others see of it: the kernel's counts of its threads, and the bytes of its clients.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use backends::{BACKENDS, Waiting};
use serde_json::Value;

use crate::support::{PATIENCE, Running, serve};

const CONNECTIONS: usize = 4;
const ROUNDS: usize = 25;
/// A header that says so, and 10 bytes.
const FRAME: &[u8] = b"\0\0\0\x0a0123456789";

#[test]
fn every_backend_counts_switches_as_the_kernel_does_and_bytes_as_its_clients_do() {
    let directory = tempfile::tempdir().unwrap();
    for backend in BACKENDS.iter().filter(|backend| backend.probe().is_ok()) {
        let (name, sleeps) = (backend.info().name, backend.info().waiting == Waiting::Sleeps);
        let mut served = serve(&["--backend", name, "--control"], directory.path());
        let clients: Vec<TcpStream> = (0..CONNECTIONS).map(|_| client(&served.address)).collect();
        clients.iter().for_each(exchange);
        // Two looks, for threads that had ended before have switched, too, and are not to be seen any more; none of those
        // that there are now ends while the connections are open.
        let opened = Look::at(&mut served.process);
        for _ in 1..ROUNDS {
            clients.iter().for_each(exchange);
        }
        let closed = Look::at(&mut served.process);
        for (place, field) in ["voluntary_switches", "involuntary_switches"].into_iter().enumerate() {
            let counted = count(&closed.report, field) - count(&opened.report, field);
            let seen = closed.before[place] - opened.after[place]..=closed.after[place] - opened.before[place];
            assert!(seen.contains(&counted), "{name}: {counted} {field}, the kernel saw {seen:?}");
        }
        // Each client waited for its answer before the next one asked.
        assert!(!sleeps || closed.before[0] > opened.after[0], "{name} never waited");

        drop(clients);
        served.process.close_stdin();
        let report = served.process.next_json();
        assert_eq!(served.process.end().code(), Some(0), "{name}");
        let bytes = (CONNECTIONS * ROUNDS * FRAME.len()) as u64;
        assert_eq!(count(&report, "requests"), (CONNECTIONS * ROUNDS) as u64, "{name}");
        assert_eq!((count(&report, "bytes_received"), count(&report, "bytes_sent")), (bytes, bytes), "{name}");
    }
}

/// What a server says of itself, and what the kernel says before and after that.
struct Look {
    before: [u64; 2],
    report: Value,
    after: [u64; 2],
}

impl Look {
    fn at(process: &mut Running) -> Self {
        let before = switches(process.id());
        process.say("report\n");
        let report = process.next_json();
        Self { before, report, after: switches(process.id()) }
    }
}

fn client(address: &std::net::SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn exchange(mut client: &TcpStream) {
    client.write_all(FRAME).unwrap();
    let mut answer = [0; FRAME.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, FRAME);
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// Times that threads of a process went to wait and were made to, as the kernel tells anybody.
fn switches(process: u32) -> [u64; 2] {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_task = tasks.map(|task| {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"].map(|name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse::<u64>().unwrap()
        })
    });
    of_task.fold([0, 0], |sum, task| [sum[0] + task[0], sum[1] + task[1]])
}
