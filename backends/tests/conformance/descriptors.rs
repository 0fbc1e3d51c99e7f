//! Descriptors belong to the whole process: these tests run alone in theirs.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

use backends::{Event, Limits, ReceiptValue};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::client::{Client, frame};
use crate::crowds::raise_descriptor_limit;
use crate::server::{PROTOCOLS, Server, Setup};
use crate::{Subject, wait};

pub(crate) fn descriptors_come_back_after_every_stop(backend: Subject) {
    // Once beforehand, for what a process opens once and keeps.
    start_and_stop(backend);
    let before = open_descriptors();
    for _ in 0..100 {
        start_and_stop(backend);
    }
    assert_eq!(open_descriptors(), before);
}

/// A server's life with every way for a connection to end.
fn start_and_stop(backend: Subject) {
    let limits = Limits { max_connections: Some(4), ..Limits::default() };
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup { protocol, limits: limits.clone(), ..Setup::default() });
        let message = frame(1, 1000);
        let [closing, resetting, idle, unfinished] = [(); 4].map(|()| {
            let client = Client::connect(&server);
            client.exchange(&message);
            client
        });
        Client::connect(&server).expect_end();
        drop(closing);
        resetting.reset();
        unfinished.send(&message[..500]);
        server.stop();
        drop(idle);
    }
}

/// What /proc/self/fd names, itself included.
fn open_descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").expect("Linux lists its descriptors");
    let mut descriptors: Vec<String> =
        entries.map(|entry| entry.expect("a descriptor has a name").file_name().to_string_lossy().into()).collect();
    descriptors.sort_unstable();
    descriptors
}

pub(crate) fn accepting_pauses_while_descriptors_are_out(backend: Subject) {
    let cpu_clock = CpuClock::open();
    let Shortage { server, admitted, accepted, waiting, hoard } = Shortage::begin(backend);
    let message = frame(1, 1000);

    let (start, cpu_before, turns_before) = (Instant::now(), cpu_clock.seconds(), server.turns());
    thread::sleep(Duration::from_secs(1));
    let cpu_share = (cpu_clock.seconds() - cpu_before) / start.elapsed().as_secs_f64();
    assert!(cpu_share < 0.2, "while accepting paused, {:.0} % of a CPU were used", cpu_share * 100.0);
    let turns = server.turns() - turns_before;
    assert!(turns < 1000, "{turns} turns and system calls within a second in which nothing could be accepted");
    admitted.exchange(&message);
    assert_eq!(server.count(Event::Accepted), accepted);

    drop(hoard);
    for client in &waiting {
        client.exchange(&message);
    }
    let report = server.stop();
    assert_eq!(report.count(Event::Accepted), accepted + waiting.len() as u64);
    assert_eq!(report.count(Event::ConnectionErrors), 0);
}

pub(crate) fn stops_while_descriptors_are_out(backend: Subject) {
    let Shortage { server, admitted, accepted, waiting: _waiting, hoard: _hoard } = Shortage::begin(backend);
    let report = server.stop();
    assert_eq!(report.count(Event::Accepted), accepted);
    admitted.expect_eof();
}

/// A server that serves one client and has no descriptor left for others, of whom some wait.
struct Shortage {
    server: Server,
    admitted: Client,
    /// How many were accepted so far.
    accepted: u64,
    waiting: Vec<Client>,
    /// What took all descriptors of the process, or all places in the server's own table of them.
    hoard: Vec<OwnedFd>,
}

impl Shortage {
    fn begin(backend: Subject) -> Self {
        // Before the server starts: io_uring goes by the limit of when it was asked to accept.
        lower_descriptor_limit();
        let server = Server::start(backend, Setup::default());
        let admitted = Client::connect(&server);
        admitted.exchange(&frame(1, 1000));
        let sockets: Vec<Socket> =
            (0..10).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).expect("descriptors are left")).collect();
        let hoard = match places_of_its_own(&server) {
            None => take_all_descriptors(),
            Some(places) => take_all_places(&server, places),
        };
        let accepted = server.count(Event::Accepted);
        for socket in &sockets {
            socket.connect(&server.address.into()).expect("the kernel completes connections before they are accepted");
        }
        let waiting = sockets.into_iter().map(|socket| Client::over(socket.into())).collect();
        wait::until("the server finds no descriptor", || server.count(Event::AcceptPaused) > 0);
        Self { server, admitted, accepted, waiting, hoard }
    }
}

/// How many sockets fit into the table of a server that does not take descriptors of the process for them.
fn places_of_its_own(server: &Server) -> Option<u64> {
    server.receipt.entries().find_map(|entry| match entry {
        ("direct_descriptors", ReceiptValue::Number(places)) => Some(*places),
        _ => None,
    })
}

/// Leaves no place in that table, but the one that is taken.
fn take_all_places(server: &Server, places: u64) -> Vec<OwnedFd> {
    raise_descriptor_limit();
    let connect = |seed| {
        let client = Client::connect(server);
        client.exchange(&frame(seed, 100));
        client.stream.into()
    };
    (1..places).map(connect).collect()
}

fn lower_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(200);
    setrlimit(Resource::Nofile, limit).expect("a soft limit may be lowered");
}

/// Leaves no descriptor to this process for as long as the files are kept.
fn take_all_descriptors() -> Vec<OwnedFd> {
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file.into());
    }
    hoard
}

/// The CPU time of this process, readable when no descriptor is left.
struct CpuClock {
    stat: File,
}

impl CpuClock {
    fn open() -> Self {
        Self { stat: File::open("/proc/self/stat").expect("Linux counts CPU time") }
    }

    fn seconds(&self) -> f64 {
        let mut line = [0; 4096];
        let length = self.stat.read_at(&mut line, 0).expect("an open file can be read");
        let line = String::from_utf8_lossy(&line[..length]);
        // The name of the program, in brackets, may contain anything; utime and stime are fields 14 and 15.
        let (_, fields) = line.rsplit_once(')').expect("the name is in brackets");
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = times.map(|time| time.parse::<f64>().expect("a time is a number")).sum();
        // Linux counts in hundredths of a second towards user space, whatever it does inside.
        ticks / 100.0
    }
}
