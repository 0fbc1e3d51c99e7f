//! Descriptors, of the process and of the server's thread, and their limit: these tests run alone in their process.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use backends::protocol::ProtocolKind;
use backends::{Event, Limits, ReceiptValue, Waiting};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::client::{Client, frame};
use crate::server::{PROTOCOLS, Server, Setup};
use crate::sizes::SIZES;
use crate::{Subject, sandbox, wait};

pub(crate) fn descriptors_come_back_after_every_stop(backend: Subject) {
    // Once beforehand, for what a process opens once and keeps.
    start_and_stop(backend);
    let before = open_descriptors();
    for _ in 0..SIZES.lives {
        start_and_stop(backend);
    }
    assert_eq!(open_descriptors(), before);
}

/// A server's life with every way for a connection to end.
fn start_and_stop(backend: Subject) {
    let limits = Limits { max_connections: Some(4), ..Limits::default() };
    for protocol in PROTOCOLS {
        let server = Server::start(backend, Setup { protocol, limits: limits.clone(), ..Setup::default() });
        let table = table_of_the_server();
        let own = descriptors_in(&table);
        let message = frame(1, 1000);
        let connect = || {
            let client = Client::connect(&server);
            client.exchange(&message);
            client
        };
        let closing = connect();
        // None where the backend keeps sockets elsewhere.
        let each = descriptors_in(&table).len() - own.len();
        let [resetting, idle, unfinished] = [(); 3].map(|()| connect());
        Client::connect(&server).expect_end();
        drop(closing);
        resetting.reset();
        unfinished.send(&message[..500]);
        // The table of a server's thread ends with it, so it is looked at while there is one.
        let with_two = own.len() + 2 * each;
        wait::until("two of four connections leave no descriptor", || descriptors_in(&table).len() == with_two);
        if matches!(protocol, ProtocolKind::Framed(_)) {
            drop(unfinished);
            idle.exchange(&message);
            drop(idle);
            wait::until("no connection leaves a descriptor", || descriptors_in(&table) == own);
            server.stop();
        } else {
            server.stop();
            drop((idle, unfinished));
        }
    }
}

/// What is open in the table of the server's thread; that of the process where it has none of its own.
fn table_of_the_server() -> PathBuf {
    let is_server =
        |thread: &PathBuf| fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "server");
    let mut servers = Vec::new();
    // The one before may still be listed for a moment after it was joined.
    wait::until("one thread is that of the server", || {
        let threads = fs::read_dir("/proc/self/task").expect("Linux lists its threads");
        servers = threads.map(|thread| thread.expect("a thread has a number").path()).filter(is_server).collect();
        servers.len() == 1
    });
    servers.remove(0).join("fd")
}

/// What is open in the table of this process, itself included.
fn open_descriptors() -> Vec<String> {
    descriptors_in(Path::new("/proc/self/fd"))
}

fn descriptors_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("Linux lists its descriptors");
    let mut descriptors: Vec<String> =
        entries.map(|entry| entry.expect("a descriptor has a name").file_name().to_string_lossy().into()).collect();
    descriptors.sort_unstable();
    descriptors
}

/// How long a server without descriptors is watched: four of its rests.
const WATCHED: Duration = Duration::from_millis(400);

pub(crate) fn accepting_pauses_while_descriptors_are_out(backend: Subject) {
    let cpu_clock = CpuClock::open();
    let Shortage { server, mut admitted, waiting } = Shortage::begin(backend);
    let accepted = admitted.len() as u64;
    let message = frame(1, 1000);

    let pauses_before = server.count(Event::AcceptPaused);
    let (start, cpu_before, turns_before) = (Instant::now(), cpu_clock.seconds(), server.turns());
    thread::sleep(WATCHED);
    let cpu_share = (cpu_clock.seconds() - cpu_before) / start.elapsed().as_secs_f64();
    let turns = server.turns() - turns_before;
    let pauses = server.count(Event::AcceptPaused) - pauses_before;
    assert!(pauses < 40, "accepting was tried again {pauses} times within {WATCHED:?} in which it could not succeed");
    match backend.info().waiting {
        Waiting::Sleeps | Waiting::KernelSpins => {
            assert!(cpu_share < 0.2, "while accepting paused, {:.0} % of a CPU were used", cpu_share * 100.0);
            assert!(
                turns < 400,
                "{turns} turns and system calls within {WATCHED:?} in which nothing could be accepted"
            );
        }
        Waiting::Spins => assert!(turns > 400, "it says that it spins, and made {turns} calls within {WATCHED:?}"),
    }
    for client in &admitted {
        client.exchange(&message);
    }
    assert_eq!(server.count(Event::Accepted), accepted);

    // Each that leaves makes room for one that waits.
    let stays = admitted.pop().expect("somebody was admitted");
    admitted.truncate(waiting.len());
    drop(admitted);
    for client in &waiting {
        client.exchange(&message);
    }
    stays.exchange(&message);
    let report = server.stop();
    assert_eq!(report.count(Event::Accepted), accepted + waiting.len() as u64);
    assert_eq!(report.count(Event::ConnectionErrors), 0);
}

pub(crate) fn stops_while_descriptors_are_out(backend: Subject) {
    let Shortage { server, admitted, waiting } = Shortage::begin(backend);
    let report = server.stop();
    assert_eq!(report.count(Event::Accepted), admitted.len() as u64);
    for client in &admitted {
        client.expect_eof();
    }
    drop(waiting);
}

pub(crate) fn a_server_that_is_refused_a_table_of_its_own_says_so_and_serves(backend: Subject) {
    let said = |server: &Server| {
        let client = Client::connect(server);
        client.exchange(&frame(1, 1000));
        server.receipt.entries().find_map(|entry| match entry {
            ("descriptors", ReceiptValue::Text(text)) => Some(text.clone()),
            _ => None,
        })
    };
    assert_eq!(said(&Server::start(backend, Setup::default())).as_deref(), Some("own table"));
    sandbox::refuse_close_range();
    let refused = said(&Server::start(backend, Setup::default())).expect("a receipt says it");
    assert!(refused.starts_with("shared table: ") && refused.contains("not permitted"), "{refused}");
}

/// A server that serves as many clients as it has descriptors for, while others wait.
struct Shortage {
    server: Server,
    admitted: Vec<Client>,
    waiting: Vec<Client>,
}

impl Shortage {
    /// Descriptors that a server may open, its own and those of connections.
    const LIMIT: u64 = 40;
    /// More than that, and so few that those who have to wait find room when the others have left.
    const CLIENTS: usize = 48;

    /// The limit is one of numbers, in whichever table: so the numbers below it are left to the server, and the clients,
    /// which are opened before it is lowered, have those above.
    fn begin(backend: Subject) -> Self {
        let low: Vec<File> = (0..Self::LIMIT).map(|_| File::open("/dev/null").expect("descriptors are left")).collect();
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("descriptors are left");
        let sockets: Vec<Socket> = (0..Self::CLIENTS).map(|_| socket()).collect();
        drop(low);
        // Before the server starts: io_uring goes by the limit of when it was asked to accept.
        lower_descriptor_limit(Self::LIMIT);
        let server = Server::start(backend, Setup::default());
        // The first of them is served before the others come.
        let mut clients = Vec::new();
        for socket in sockets {
            socket.connect(&server.address.into()).expect("the kernel completes connections before they are accepted");
            let client = Client::over(socket.into());
            if clients.is_empty() {
                client.exchange(&frame(1, 1000));
            }
            clients.push(client);
        }
        wait::until("the server finds no descriptor", || server.count(Event::AcceptPaused) > 0);
        // They are accepted in the order in which they came.
        let accepted = usize::try_from(server.count(Event::Accepted)).expect("a few");
        assert!((1..Self::CLIENTS).contains(&accepted), "{accepted} of {} clients were accepted", Self::CLIENTS);
        let waiting = clients.split_off(accepted);
        Self { server, admitted: clients, waiting }
    }
}

fn lower_descriptor_limit(descriptors: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(descriptors);
    setrlimit(Resource::Nofile, limit).expect("a soft limit may be lowered");
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
