//! One of our backends as the server of a trial: a process of our own executable.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use backends::refusal::{refused, start_refused};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::wait::{Lines, readable_within, with_last_words};
use crate::control::{Listening, REPORT_REQUEST, Report};
use crate::cpus::CpuSet;
use crate::plan::{Cell, Spread};

/// For a server to say that it listens; none takes a tenth of it.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// For a server to say what it has done so far.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);
/// For a server to end after it was asked to; it may drain for one second.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at whether a server has ended, where the kernel does not say it.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// A server that runs. Dropping it kills it.
#[derive(Debug)]
pub(in crate::sweep) struct Server {
    child: Child,
    /// Held open: its end would mean to the server that we are gone.
    stdin: Option<ChildStdin>,
    stdout: Lines<ChildStdout>,
    /// A file without a name: nobody has to read it for the server to go on.
    stderr: File,
}

impl Server {
    /// Starts a server and waits until it listens.
    ///
    /// # Errors
    ///
    /// A sentence for people, with what the server said last.
    pub(super) fn start(
        executable: &Path,
        backend: &str,
        cell: &Cell,
        spread: Spread,
        cpus: &CpuSet,
    ) -> Result<(Self, Listening), String> {
        let mut server = Self::spawn(executable, backend, cell, spread, cpus)
            .map_err(|error| format!("cannot start the server process: {error}"))?;
        let line = match server.stdout.next(START_TIMEOUT) {
            Ok(Some(line)) => line,
            Ok(None) => {
                let end = server.end_within(STOP_TIMEOUT).map_or("without ending".to_owned(), |end| end.to_string());
                return Err(server.with_last_words(format!("the server gave up before it listened ({end})")));
            }
            Err(error) => {
                return Err(server.with_last_words(format!("the server did not say that it listens: {error}")));
            }
        };
        match serde_json::from_str(&line) {
            Ok(listening) => Ok((server, listening)),
            Err(error) => Err(server.with_last_words(format!("the server said '{line}' when it began: {error}"))),
        }
    }

    fn spawn(executable: &Path, backend: &str, cell: &Cell, spread: Spread, cpus: &CpuSet) -> io::Result<Self> {
        let stderr =
            File::from(memfd_create("stderr", MemfdFlags::CLOEXEC).map_err(|error| refused("memfd_create", error))?);
        // One thread has nothing to spread, and is told so.
        let spread = (cell.server_threads > 1).then(|| format!("--spread={spread}"));
        let mut child = Command::new(executable)
            .arg0("harness")
            .args(["serve", "--control", "--backend", backend, "--protocol", &cell.protocol.to_string()])
            .args(["--threads", &cell.server_threads.to_string(), "--cpus", &cpus.to_string()])
            .args(spread)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone()?)
            // Ctrl-C in a terminal goes to a whole process group; ending the server is up to us.
            .process_group(0)
            .spawn()
            .map_err(start_refused)?;
        let (stdin, Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for above")
        };
        Ok(Self { child, stdin, stdout: Lines::new(stdout), stderr })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has done so far.
    pub(super) fn report(&mut self) -> io::Result<Report> {
        self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(REPORT_REQUEST.as_bytes())?;
        let line = self.stdout.next(REPORT_TIMEOUT)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Asks it to stop and waits until it has; kills it where it does not.
    ///
    /// # Errors
    ///
    /// A sentence for people, where it had ended before or did not end as it should.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        if let Ok(Some(end)) = self.child.try_wait() {
            return Err(self.with_last_words(format!("the server ended during the trial ({end})")));
        }
        let asked = self.rustix_pid().is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        // Fails where it has just ended, which is seen below, or where a sandbox allows no signals; then this asks it to end.
        if !asked {
            self.stdin = None;
        }
        match self.end_within(STOP_TIMEOUT) {
            Ok(end) if end.success() => Ok(()),
            Ok(end) => Err(self.with_last_words(format!("the server did not end as it should ({end})"))),
            Err(error) => Err(self.with_last_words(format!("the server had to be killed: {error}"))),
        }
    }

    fn end_within(&mut self, timeout: Duration) -> io::Result<ExitStatus> {
        let pid = self.rustix_pid().ok_or(Errno::SRCH)?;
        let deadline = Instant::now() + timeout;
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(ended) => {
                readable_within(ended.as_fd(), deadline)?;
                self.child.wait().map_err(|error| refused("wait4", error))
            }
            // The call is refused to us; to ask now and then comes to the same.
            Err(_) => loop {
                if let Some(end) = self.child.try_wait().map_err(|error| refused("wait4", error))? {
                    return Ok(end);
                }
                if Instant::now() >= deadline {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                thread::sleep(LOOK_INTERVAL);
            },
        }
    }

    fn rustix_pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    pub(super) fn with_last_words(&self, what: String) -> String {
        with_last_words(&self.stderr, what)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its end asks the server to end; where it may be sent no signals, nothing else does.
        self.stdin = None;
        // Neither does anything to a process that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
