//! Any other program as the server of a trial: started, and ended with all that it has started, by a guard.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::{Map, Value};

use super::wait::{Lines, last_words, printable, with_last_words};
use crate::cpus::CpuSet;
use crate::foreign::ForeignServer;
use crate::guard::{END_TIMEOUT, Event, Program};
use crate::plan::Cell;

/// For a guard to say that it has started the program.
const GUARD_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts to connect to a server that begins.
const CONNECT_INTERVAL: Duration = Duration::from_millis(5);
/// Somebody else may take a port between its choice and its use, but not every time.
const PORTS: usize = 4;
/// For a server whose connections broke to end, if it is going to.
const DEATH_TIMEOUT: Duration = Duration::from_millis(500);
/// For a program to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(2);
/// A version is no longer than this.
const VERSION_BYTES: usize = 200;

/// How guards are started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guards<'a> {
    pub(super) executable: &'a Path,
    /// Where the program may run.
    pub(super) cpus: &'a CpuSet,
}

/// A server that runs. Dropping it ends it.
#[derive(Debug)]
pub(in crate::sweep) struct Server {
    guarded: Guarded,
}

impl Server {
    /// Starts a server and waits until it accepts a connection, or until `cancel` is set.
    ///
    /// # Errors
    ///
    /// A sentence for people, with what the server said last.
    pub(super) fn start(
        guards: Guards<'_>,
        entrant: &ForeignServer,
        cell: &Cell,
        cancel: &AtomicBool,
    ) -> Result<(Self, SocketAddr), String> {
        let mut ports_left = PORTS;
        loop {
            ports_left -= 1;
            let address = free_address().map_err(|error| format!("there is no port for the server: {error}"))?;
            let guarded = Guarded::start(guards, &entrant.program(address, cell.server_threads))?;
            let mut server = Self { guarded };
            match server.listens(address, entrant.start_timeout(), cancel) {
                Ok(()) => return Ok((server, address)),
                Err(_) if ports_left > 0 && server.port_was_taken() => {}
                Err(error) => return Err(server.with_last_words(error)),
            }
        }
    }

    fn listens(&mut self, address: SocketAddr, timeout: Duration, cancel: &AtomicBool) -> Result<(), String> {
        let deadline = Instant::now() + timeout;
        loop {
            if accepts(address) {
                return Ok(());
            }
            if cancel.load(Ordering::Relaxed) {
                return Err("cancelled".to_owned());
            }
            if Instant::now() >= deadline {
                let timeout = humantime::format_duration(timeout);
                return Err(format!("the server did not listen on {address} within {timeout}"));
            }
            match self.guarded.end(CONNECT_INTERVAL)? {
                // What it has left behind may be the server.
                End::None | End::Program { success: true, .. } => {}
                End::Program { how, .. } => return Err(format!("the server ended before it listened ({how})")),
                End::All => return Err("the server ended before it listened, and left nothing behind".to_owned()),
            }
        }
    }

    /// Whether it says so.
    fn port_was_taken(&self) -> bool {
        let words = last_words(&self.guarded.stderr).to_lowercase();
        words.contains("in use") || words.contains("eaddrinuse")
    }

    /// The process below which all of it is.
    pub(super) fn guard(&self) -> u32 {
        self.guarded.guard.id()
    }

    /// Ends it. `broken`: whether there is a sign that it ended by itself before.
    ///
    /// # Errors
    ///
    /// A sentence for people, where it had ended before or could not be ended.
    pub(super) fn stop(&mut self, broken: bool) -> Result<(), String> {
        // Connections break before their process has ended.
        let timeout = if broken { DEATH_TIMEOUT } else { Duration::ZERO };
        let mut ended = self.guarded.end(timeout)?;
        if matches!(ended, End::Program { success: true, .. }) {
            ended = self.guarded.end(timeout)?;
        }
        let how = match ended {
            End::Program { how, success: false } => how,
            End::All => self.guarded.ended_early.as_ref().map_or("nothing is left of it", |(how, _)| how).to_owned(),
            End::None | End::Program { .. } => {
                return self.guarded.finish().map_err(|error| self.with_last_words(error));
            }
        };
        Err(self.with_last_words(format!("the server ended during the trial ({how})")))
    }

    pub(super) fn with_last_words(&self, what: String) -> String {
        with_last_words(&self.guarded.stderr, what)
    }
}

/// A port that nobody listens on, for a moment.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn accepts(address: SocketAddr) -> bool {
    // Where nothing listens, the kernel may pick the very port for our end, and TCP connects the socket to itself.
    TcpStream::connect(address).is_ok_and(|stream| stream.local_addr().is_ok_and(|own| own != address))
}

/// What is known about a server that is not ours.
pub(super) fn receipt(guards: Guards<'_>, entrant: &ForeignServer) -> Map<String, Value> {
    let mut receipt = Map::new();
    receipt.insert("command".to_owned(), entrant.command.clone().into());
    if let Some(program) = entrant.version_program() {
        match version(guards, &program) {
            Ok(version) => receipt.insert("version".to_owned(), version.into()),
            Err(error) => receipt.insert("version_error".to_owned(), error.into()),
        };
    }
    receipt
}

/// The first line that a program says.
fn version(guards: Guards<'_>, program: &Program) -> Result<String, String> {
    let mut guarded = Guarded::start(guards, program)?;
    match guarded.end(VERSION_TIMEOUT)? {
        End::Program { success: true, .. } | End::All => {}
        End::Program { how, .. } => return Err(with_last_words(&guarded.stderr, format!("it failed ({how})"))),
        End::None => {
            let timeout = humantime::format_duration(VERSION_TIMEOUT);
            return Err(format!("it did not end within {timeout}"));
        }
    }
    let mut said = [0; VERSION_BYTES];
    let length = guarded.stderr.read_at(&mut said, 0).map_err(|error| format!("cannot read what it said: {error}"))?;
    let said = String::from_utf8_lossy(&said[..length]).into_owned();
    let line = said.lines().map(printable).find(|line| !line.is_empty());
    line.ok_or_else(|| "it said nothing".to_owned())
}

/// What of a program has ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    None,
    /// The process that was started; others may go on.
    Program {
        how: String,
        success: bool,
    },
    /// All processes.
    All,
}

/// A program below a guard.
#[derive(Debug)]
struct Guarded {
    guard: Child,
    /// Its end tells the guard to end.
    stdin: Option<ChildStdin>,
    stdout: Lines<ChildStdout>,
    /// A file without a name: nobody has to read it for the program to go on.
    stderr: File,
    /// How the process that was started has ended.
    ended_early: Option<(String, bool)>,
}

impl Guarded {
    fn start(guards: Guards<'_>, program: &Program) -> Result<Self, String> {
        let mut guarded =
            Self::spawn(guards, program).map_err(|error| format!("cannot start the guard of the server: {error}"))?;
        let name = &program.words[0];
        match guarded.stdout.next(GUARD_TIMEOUT).map(|line| line.as_deref().map(serde_json::from_str)) {
            Ok(Some(Ok(Event::Started))) => Ok(guarded),
            Ok(Some(Ok(Event::NotStarted { error }))) => Err(format!("cannot start '{name}': {error}")),
            said => Err(with_last_words(&guarded.stderr, format!("the guard of the server said {said:?}"))),
        }
    }

    fn spawn(guards: Guards<'_>, program: &Program) -> io::Result<Self> {
        let stderr = File::from(memfd_create("stderr", MemfdFlags::CLOEXEC)?);
        let mut command = Command::new(guards.executable);
        command.arg0("harness").args(["guard", "--cpus", &guards.cpus.to_string()]);
        if program.keeps_output {
            command.arg("--keep-output");
        }
        if let Some(directory) = &program.directory {
            command.arg("--directory").arg(directory);
        }
        for (name, value) in &program.env {
            command.arg(format!("--env={name}={value}"));
        }
        command.arg("--").args(&program.words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr.try_clone()?);
        // Ctrl-C in a terminal goes to a whole process group; ending the server is up to us.
        let mut guard = command.process_group(0).spawn()?;
        let (stdin, Some(stdout)) = (guard.stdin.take(), guard.stdout.take()) else {
            unreachable!("both were asked for above")
        };
        Ok(Self { guard, stdin, stdout: Lines::new(stdout), stderr, ended_early: None })
    }

    /// Waits until something of it ends, at most for `timeout`.
    fn end(&mut self, timeout: Duration) -> Result<End, String> {
        if let Some((how, success)) = self.ended_early.clone() {
            return match self.stdout.next(timeout) {
                Ok(None) => Ok(End::All),
                _ => Ok(End::Program { how, success }),
            };
        }
        let line = match self.stdout.next(timeout) {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(End::All),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(End::None),
            Err(error) => return Err(format!("cannot hear the guard of the server: {error}")),
        };
        match serde_json::from_str(&line) {
            Ok(Event::Ended { how, success }) => {
                self.ended_early = Some((how.clone(), success));
                Ok(End::Program { how, success })
            }
            _ => Err(format!("the guard of the server said '{line}'")),
        }
    }

    /// Ends all of it and waits until it has ended.
    fn finish(&mut self) -> Result<(), String> {
        self.stdin = None;
        let deadline = Instant::now() + END_TIMEOUT;
        loop {
            match self.stdout.next(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Err(format!("the guard of the server did not end: {error}")),
            }
        }
        match self.guard.wait() {
            Ok(end) if end.success() => Ok(()),
            Ok(end) => Err(format!("the server could not be ended ({end})")),
            Err(error) => Err(format!("cannot wait for the guard of the server: {error}")),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Does nothing where it has ended. The failure that led here is said already.
        let _ = self.finish();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}
