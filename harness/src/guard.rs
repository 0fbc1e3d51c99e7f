//! A process between a sweep and a program that is not ours: it starts the program, and whatever happens, to the sweep
//! too, nothing of what came of the program is left when it ends itself.
//!
//! What loses its parent below a *subreaper* becomes its child. So the tree of the program is all that is below the
//! guard, sessions and process groups notwithstanding, and it has gone when the guard has no child any more.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, pidfd_send_signal, set_child_subreaper, setrlimit, wait,
};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use crate::process_tree::{descendants, handles};

/// For a program to end by itself after SIGTERM.
const TERM_TIMEOUT: Duration = Duration::from_secs(2);
/// For the kernel to end what it was told to kill.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often what is to end is looked for anew: it may start others until it does.
const KILL_INTERVAL: Duration = Duration::from_millis(20);
/// A program whose output is kept may write no file longer than this; one that does not end soon would use up memory.
const KEPT_BYTES: u64 = 1 << 20;
/// By this time after a guard was told to end, it has ended.
pub const END_TIMEOUT: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Program and arguments; not empty.
    pub words: Vec<String>,
    /// Set besides what is inherited.
    pub env: BTreeMap<String, String>,
    /// Where, if not here.
    pub directory: Option<PathBuf>,
    /// Whether standard output is kept with standard error, and not thrown away.
    pub keeps_output: bool,
}

/// A line that a guard says on its standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The program runs.
    Started,
    /// The program could not be started; the guard ends.
    NotStarted {
        /// Why.
        error: String,
    },
    /// The process that was started has ended by itself. What it has started may go on.
    Ended {
        /// In words.
        how: String,
        /// Whether it said that all is well.
        success: bool,
    },
}

/// Starts `program` and ends with it, or at the end of standard input, or at a signal. What the program has started is
/// ended then.
///
/// # Errors
///
/// Where something could not be ended, and that of the kernel where it refuses what a guard needs.
pub fn run(program: &Program) -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let signals = readable_at(&[SIGCHLD])?;
    let told = readable_at(&[SIGTERM, SIGINT, SIGHUP])?;
    if program.keeps_output {
        let limit = Rlimit { current: Some(KEPT_BYTES), maximum: Some(KEPT_BYTES) };
        setrlimit(Resource::Fsize, limit)?;
    }
    let child = match start(program) {
        Ok(child) => child,
        Err(error) => return say(&Event::NotStarted { error: error.to_string() }),
    };
    say(&Event::Started)?;
    let mut tree = Tree { program: child, signals };
    let stdin = io::stdin();
    while tree.reap()? {
        let fds = [stdin.as_fd(), told.as_fd(), tree.signals.as_fd()];
        let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if fds[..2].iter().any(|fd| !fd.revents().is_empty()) {
            return tree.end();
        }
    }
    Ok(())
}

/// Has something to read from the first of these signals on.
fn readable_at(signals: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    for signal in signals {
        // A pipe that is full wakes as well as one more byte in it; the signal handler does not wait.
        signal_hook::low_level::pipe::register(*signal, write.try_clone()?)?;
    }
    Ok(read)
}

fn start(program: &Program) -> io::Result<Pid> {
    let (name, arguments) = program.words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(name);
    command.args(arguments).envs(&program.env).stdin(Stdio::null()).process_group(0);
    if let Some(directory) = &program.directory {
        command.current_dir(directory);
    }
    let stdout = if program.keeps_output { io::stderr().as_fd().try_clone_to_owned()?.into() } else { Stdio::null() };
    // It is waited for by number, with all the others.
    let child = command.stdout(stdout).spawn()?;
    Ok(Pid::from_child(&child))
}

/// A program and all that it has started.
#[derive(Debug)]
struct Tree {
    program: Pid,
    /// Has something to read when a child may have ended.
    signals: UnixStream,
}

impl Tree {
    /// Takes leave of those that have ended; false when that were all.
    fn reap(&mut self) -> io::Result<bool> {
        // Emptied first: whoever ends from here on is told of anew.
        while matches!(self.signals.read(&mut [0; 64]), Ok(1..)) {}
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => {
                    let status = ExitStatus::from_raw(status.as_raw());
                    // Where nobody listens any more, that is seen on standard input.
                    let _ = say(&Event::Ended { how: status.to_string(), success: status.success() });
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Ok(true),
                Err(Errno::CHILD) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks all of them to end, and kills those that do not.
    fn end(mut self) -> io::Result<()> {
        let begun = Instant::now();
        send(Signal::TERM);
        while begun.elapsed() < TERM_TIMEOUT {
            self.rest(TERM_TIMEOUT.saturating_sub(begun.elapsed()))?;
            if !self.reap()? {
                return Ok(());
            }
        }
        let begun = Instant::now();
        while begun.elapsed() < KILL_TIMEOUT {
            send(Signal::KILL);
            self.rest(KILL_INTERVAL)?;
            if !self.reap()? {
                return Ok(());
            }
        }
        Err(io::Error::other(Left(descendants(std::process::id()))))
    }

    /// Until a child has ended, at most for `longest`.
    fn rest(&self, longest: Duration) -> io::Result<()> {
        let longest = Timespec::try_from(longest).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&self.signals, PollFlags::IN)], Some(&longest)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Sends a signal to everything below this process.
fn send(signal: Signal) {
    for handle in handles(std::process::id()) {
        // Fails where it has ended meanwhile, which is as well.
        let _ = pidfd_send_signal(handle, signal);
    }
}

fn say(event: &Event) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(event)?)?;
    stdout.flush()
}

/// Processes that nothing could end.
#[derive(Debug)]
struct Left(Vec<u32>);

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "these processes of the program could not be ended: {:?}", self.0)
    }
}

impl std::error::Error for Left {}
