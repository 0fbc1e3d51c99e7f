//! Starts the command, waits for it within bounds, and never leaves a process behind.

#[path = "skipped.rs"]
mod skipped;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde_json::Value;

pub(crate) use skipped::skipped;

/// Far longer than anything here takes, on a machine with ten times as many threads as CPUs too: a bound for what hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);

/// The executable under test.
pub(crate) const HARNESS: &str = env!("CARGO_BIN_EXE_harness");

/// How a process ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<String>,
    /// Without the progress.
    pub(crate) stderr: Vec<String>,
    pub(crate) progress: Vec<String>,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// What it printed, as if no line had been broken where a reader would have it.
    pub(crate) fn prose(&self) -> String {
        self.stdout.iter().flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ")
    }

    /// It ended with that code, printed no data, and said why in one line.
    #[track_caller]
    pub(crate) fn assert_refused(&self, code: i32, why: &str) {
        assert_eq!((self.code(), self.stdout.len(), self.stderr.len()), (Some(code), 0, 1), "{why:?}: {self:?}");
        assert!(self.stderr[0].starts_with("error: ") && self.stderr[0].contains(why), "{why:?}: {self:?}");
    }
}

/// A process of the command that runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str], directory: &Path) -> Self {
        Self::start_command(Command::new(HARNESS).args(arguments).current_dir(directory))
    }

    /// Starts another command, which may start ours.
    pub(crate) fn start_command(command: &mut Command) -> Self {
        // Whoever runs the tests may have said how wide and how colourful things are to be.
        command.env_remove("COLUMNS").env_remove("CLICOLOR_FORCE");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdin, stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn next_line(&self) -> String {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("no line: {error}; it said {:?}", self.stderr.try_iter().collect::<Vec<_>>()),
        }
    }

    pub(crate) fn next_json(&self) -> Value {
        serde_json::from_str(&self.next_line()).unwrap()
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_id(self.child.id(), signal);
    }

    /// Waits for it to end by itself.
    pub(crate) fn end(mut self) -> Ended {
        let mut status = None;
        eventually("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        // The ends of both pipes are the ends of these. How much of its progress is said depends on how busy the machine is.
        let (progress, stderr) = self.stderr.iter().partition(|line: &String| line.starts_with("progress: "));
        Ended { status: status.unwrap(), stdout: self.stdout.iter().collect(), stderr, progress }
    }
}

impl Running {
    /// Waits for it to end by itself, and says what CPU time it took: what it takes by the clock depends on what else runs.
    pub(crate) fn end_timed(self) -> (Ended, Duration) {
        let pid = Pid::from_raw(self.id().try_into().unwrap());
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        eventually("the process ends", || waitid(Id::Pid(pid), flags).unwrap() != WaitStatus::StillAlive);
        // Nobody has asked how it ended, so it is still listed.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        let took = Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
        (self.end(), took)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command to its end.
pub(crate) fn harness(arguments: &[&str], directory: &Path) -> Ended {
    Running::start(arguments, directory).end()
}

/// A server that accepts connections.
pub(crate) struct Served {
    pub(crate) process: Running,
    pub(crate) first_line: Value,
    pub(crate) address: SocketAddr,
}

pub(crate) fn serve(arguments: &[&str], directory: &Path) -> Served {
    serving(Running::start(&[&["serve"], arguments].concat(), directory))
}

/// Waits until `process` serves.
pub(crate) fn serving(process: Running) -> Served {
    let first_line = process.next_json();
    let address = first_line["listening"].as_str().unwrap().parse().unwrap();
    Served { process, first_line, address }
}

/// A server whose behaviour is chosen by its flags; built with all tests.
pub(crate) fn ground_truth() -> String {
    let path = Path::new(HARNESS).with_file_name("examples").join("ground_truth");
    assert!(path.exists(), "{} is missing: cargo build --example ground_truth", path.display());
    path.to_str().unwrap().to_owned()
}

/// As an external server in a sweep, with these flags.
pub(crate) fn ground_truth_server(name: &str, flags: &str) -> String {
    format!("{name}='{}' --listen {{host}}:{{port}} {flags}", ground_truth())
}

/// Whether a tool that is no part of this project is here. Where `REQUIRE_TOOLS=all`, it has to be.
pub(crate) fn has_tool(name: &str) -> bool {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        missing_tool(name);
    }
    found
}

/// Says that a test is skipped, or fails it where `REQUIRE_TOOLS=all`.
pub(crate) fn missing_tool(name: &str) {
    assert!(std::env::var("REQUIRE_TOOLS").as_deref() != Ok("all"), "{name} is required and not installed");
    skipped(&format!("{name} is not installed"));
}

pub(crate) fn kill_id(id: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(id).unwrap()), signal).unwrap();
}

/// Looks until `holds`, which has to happen within bounds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn lines(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
