//! What a server counts, against what others see of it: the kernel's counts of its threads, and the bytes of its clients.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io::{Read, Write};
use std::net::TcpStream;

use backends::{BACKENDS, Waiting};
use serde_json::Value;

use crate::support::{PATIENCE, Running, eventually, serve};

const CONNECTIONS: usize = 4;
/// Between two looks.
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
        let (mut looks, mut rounds) = (None, 1);
        eventually("no thread ends between two looks", || {
            let opened = Look::at(&mut served.process);
            for _ in 0..ROUNDS {
                clients.iter().for_each(exchange);
            }
            let closed = Look::at(&mut served.process);
            rounds += ROUNDS;
            // What a thread has done that ends, its process still counts, and nobody else sees. Those are some that were to
            // find out what the kernel can do, and it takes its time to end them; the others serve.
            let is_whole = opened.before.keys().all(|thread| closed.after.contains_key(thread));
            looks = Some((opened, closed));
            is_whole
        });
        let (opened, closed) = looks.unwrap();
        for (place, field) in ["voluntary_switches", "involuntary_switches"].into_iter().enumerate() {
            let counted = count(&closed.report, field) - count(&opened.report, field);
            let sum = |threads: &Switches| threads.values().map(|switches| switches[place]).sum::<u64>();
            let least = sum(&closed.before).saturating_sub(sum(&opened.after));
            let seen = least..=sum(&closed.after) - sum(&opened.before);
            assert!(seen.contains(&counted), "{name}: {counted} {field}, the kernel saw {seen:?}");
            // Each client waited for its answer before the next one asked.
            assert!(!sleeps || place > 0 || counted > 0, "{name} never waited");
        }

        drop(clients);
        served.process.close_stdin();
        let report = served.process.next_json();
        assert_eq!(served.process.end().code(), Some(0), "{name}");
        let bytes = (CONNECTIONS * rounds * FRAME.len()) as u64;
        assert_eq!(count(&report, "requests"), (CONNECTIONS * rounds) as u64, "{name}");
        assert_eq!((count(&report, "bytes_received"), count(&report, "bytes_sent")), (bytes, bytes), "{name}");
    }
}

/// What a server says of itself, and what the kernel says before and after that.
struct Look {
    before: Switches,
    report: Value,
    after: Switches,
}

/// Of each thread: times that it went to wait, and times that it was made to.
type Switches = BTreeMap<OsString, [u64; 2]>;

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

/// As the kernel tells anybody; of threads that are there now.
fn switches(process: u32) -> Switches {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_thread = |thread: DirEntry| {
        // It may just have ended.
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let switches = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"].map(|name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse::<u64>().unwrap()
        });
        Some((thread.file_name(), switches))
    };
    threads.filter_map(|thread| of_thread(thread.unwrap())).collect()
}
