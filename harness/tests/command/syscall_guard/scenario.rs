//! Two loads in which the number of system calls does not depend on who is quicker.
//!
//! A server that is looked at while it works may or may not have come to its next call. So each step begins only when
//! all of its threads wait, which the kernel says; then it does the same each time, however busy the machine is.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use backends::{BackendInfo, Waiting};
use harness::control::{REPORT_REQUEST, Report};
use harness::figures::{counted, grouped};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::support::{PATIENCE, Served, serve};

const PAYLOAD_BYTES: u8 = 64;

/// A load that is the same each time.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    connections: usize,
    depth: usize,
    rounds: usize,
    /// Whether the server is stopped while requests are sent.
    stopped: bool,
}

/// One request after the other, the next when the server waits again.
pub(super) const LOCKSTEP: Scenario =
    Scenario { name: "lockstep", connections: 1, depth: 1, rounds: 200, stopped: false };

/// All requests have come before the server sees the first: it is stopped meanwhile.
pub(super) const BURST: Scenario = Scenario { name: "burst", connections: 64, depth: 16, rounds: 1, stopped: true };

impl Scenario {
    pub(super) fn requests(&self) -> u64 {
        (self.connections * self.depth * self.rounds) as u64
    }

    pub(super) fn what(&self) -> String {
        let connections = counted(self.connections, "connection");
        format!("{} requests on {connections} × depth {}", grouped(self.requests() as f64), self.depth)
    }

    /// The system calls that a server of that backend makes under this load, by name.
    pub(super) fn calls_of(&self, backend: &BackendInfo) -> BTreeMap<String, u64> {
        let directory = tempfile::tempdir().unwrap();
        let process = serve(&["--backend", backend.name, "--control"], directory.path());
        let address = process.address;
        let mut server = Server { served: process, rests: backend.waiting != Waiting::Spins };
        let mut clients: Vec<_> = (0..self.connections).map(|number| Client::connect(address, number)).collect();
        // So that all have been accepted, and nothing is done for the first time.
        for client in &mut clients {
            client.send(1);
            client.receive(1);
        }
        let before = server.report();
        for _ in 0..self.rounds {
            server.rest();
            if self.stopped {
                server.stop();
            }
            for client in &mut clients {
                client.send(self.depth);
            }
            if self.stopped {
                server.go_on();
            }
            for client in &mut clients {
                client.receive(self.depth);
            }
        }
        let after = server.report();
        assert_eq!(after.events["requests"] - before.events["requests"], self.requests(), "{}", backend.name);
        let earlier = |call: &String| before.syscalls.get(call).copied().unwrap_or(0);
        let made = after.syscalls.iter().map(|(call, count)| (call.clone(), count - earlier(call)));
        made.filter(|(_, count)| *count > 0).collect()
    }
}

struct Server {
    served: Served,
    /// Whether it waits when it has nothing to do.
    rests: bool,
}

impl Server {
    /// What it has counted when there is nothing left to be done.
    fn report(&mut self) -> Report {
        self.rest();
        self.served.process.say(REPORT_REQUEST);
        serde_json::from_str(&self.served.process.next_line()).unwrap()
    }

    /// Waits until all of its threads wait, if they ever do.
    fn rest(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.rests && !self.is_at_rest() {
            assert!(Instant::now() < deadline, "the server does not come to rest");
            thread::yield_now();
        }
    }

    fn is_at_rest(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.served.process.id())).unwrap();
        // A thread that has ended meanwhile, has.
        let mut stats = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("stat")).ok());
        stats.all(|stat| {
            let (before, after) = stat.rsplit_once(')').unwrap();
            let name = before.split_once('(').unwrap().1;
            // A thread of the kernel that looks for submissions goes on for a while.
            name.starts_with("iou-sqp-") || after.trim_start().starts_with('S')
        })
    }

    /// Takes all CPUs away from it.
    fn stop(&self) {
        self.served.process.signal(Signal::SIGSTOP);
        let id = Id::Pid(Pid::from_raw(self.served.process.id().try_into().unwrap()));
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        let status = waitid(id, flags).unwrap();
        assert!(matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)), "{status:?}");
    }

    fn go_on(&self) {
        self.served.process.signal(Signal::SIGCONT);
    }
}

/// One connection, which sends frames that are like no other's.
struct Client {
    stream: TcpStream,
    frame: Vec<u8>,
}

impl Client {
    fn connect(address: std::net::SocketAddr, number: usize) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let payload = [u8::try_from(number).unwrap(); PAYLOAD_BYTES as usize];
        Self { stream, frame: [&u32::from(PAYLOAD_BYTES).to_be_bytes()[..], &payload].concat() }
    }

    /// In one piece, as one segment.
    fn send(&mut self, frames: usize) {
        self.stream.write_all(&self.frame.repeat(frames)).unwrap();
    }

    fn receive(&mut self, frames: usize) {
        let mut answers = vec![0; frames * self.frame.len()];
        self.stream.read_exact(&mut answers).unwrap();
        assert_eq!(answers, self.frame.repeat(frames));
    }
}
