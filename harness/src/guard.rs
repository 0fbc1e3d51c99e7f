//! A process between a sweep and a program that is not ours: it starts the program, and whatever happens, to the sweep
//! too, nothing of what came of the program is left when it ends itself.
//!
//! What loses its parent below a *subreaper* becomes its child. So the tree of the program is all that is below the
//! guard, sessions and process groups notwithstanding, and it has gone when the guard has no child any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use backends::refusal::{refused, start_refused};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FallocateFlags, fallocate, fcntl_get_seals, fstat};
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, setrlimit, wait,
};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use crate::process_tree::{descendants, handles, is_dead, own_children};
use crate::signals::is_ignored;

/// For a program to end by itself after SIGTERM.
const TERM_TIMEOUT: Duration = Duration::from_secs(2);
/// For the kernel to end what it was told to kill.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often what is to end is looked for anew: it may start others until it does.
const KILL_INTERVAL: Duration = Duration::from_millis(20);
/// A program whose output is kept may write no file longer than this; one that does not end soon would use up memory. Of
/// what any other writes to standard error, this much of the end is kept.
const KEPT_BYTES: u64 = 1 << 20;
/// How often what is before that is let go.
const TRIM_INTERVAL: Duration = Duration::from_millis(100);
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

/// The variables of the program, as the sweep says them: the first line of standard input. On a command line, everybody
/// could read them.
///
/// # Errors
///
/// Where there is no such line.
pub fn told_env() -> io::Result<BTreeMap<String, String>> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// As [`told_env`] reads them.
///
/// # Errors
///
/// Those of `stdin`.
pub fn tell_env(mut stdin: impl Write, env: &BTreeMap<String, String>) -> io::Result<()> {
    stdin.write_all((serde_json::to_string(env)? + "\n").as_bytes())
}

/// Starts `program` and ends with it, or at the end of standard input, or at a signal. What the program has started is
/// ended then.
///
/// # Errors
///
/// Where something could not be ended, and that of the kernel where it refuses what a guard needs.
pub fn run(program: &Program) -> io::Result<()> {
    set_child_subreaper(Some(getpid())).map_err(|error| refused("prctl", error))?;
    let signals = readable_at(&[SIGCHLD])?;
    // What is ignored on purpose stays so, in the program too: a handler would give it the default there.
    let heeded: Vec<i32> = [SIGTERM, SIGINT, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)).collect();
    let told = readable_at(&heeded)?;
    if program.keeps_output {
        let limit = Rlimit { current: Some(KEPT_BYTES), maximum: Some(KEPT_BYTES) };
        setrlimit(Resource::Fsize, limit).map_err(|error| refused("prlimit64", error))?;
    }
    let child = match start(program) {
        Ok(child) => child,
        Err(error) => return say(&Event::NotStarted { error: error.to_string() }),
    };
    say(&Event::Started)?;
    let mut tree = Tree { program: child, signals, trimmed_bytes: 0 };
    let interval = Timespec::try_from(TRIM_INTERVAL).map_err(|_| io::ErrorKind::InvalidInput)?;
    let stdin = io::stdin();
    while tree.reap_or_kill()? {
        let fds = [stdin.as_fd(), told.as_fd(), tree.signals.as_fd()];
        let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        match poll(&mut fds, Some(&interval)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                kill_all();
                return Err(error.into());
            }
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
    let child = command.stdout(stdout).spawn().map_err(start_refused)?;
    Ok(Pid::from_child(&child))
}

/// A program and all that it has started.
#[derive(Debug)]
struct Tree {
    program: Pid,
    /// Has something to read when a child may have ended.
    signals: UnixStream,
    /// What is kept of its standard error begins here.
    trimmed_bytes: u64,
}

impl Tree {
    /// Takes leave of those that have ended, and of what was said long ago; false when those were all.
    fn reap(&mut self) -> io::Result<bool> {
        trim(io::stderr().as_fd(), &mut self.trimmed_bytes);
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
                Err(error) => return Err(refused("wait4", error)),
            }
        }
    }

    /// As [`reap`](Self::reap). Where a sandbox does not let it wait, nothing of the program may be left all the same.
    fn reap_or_kill(&mut self) -> io::Result<bool> {
        self.reap().inspect_err(|_| kill_all())
    }

    /// Asks all of them to end, and kills those that do not.
    fn end(mut self) -> io::Result<()> {
        let begun = Instant::now();
        let mut asked = BTreeSet::new();
        if !send_to_handles(Signal::TERM) {
            send_to_children(Signal::TERM, &mut asked);
        }
        while begun.elapsed() < TERM_TIMEOUT {
            self.rest(TERM_TIMEOUT.saturating_sub(begun.elapsed()))?;
            // Children whose parents have ended are children of this process from then on.
            if !asked.is_empty() {
                send_to_children(Signal::TERM, &mut asked);
            }
            if !self.reap_or_kill()? {
                return Ok(());
            }
        }
        let begun = Instant::now();
        while begun.elapsed() < KILL_TIMEOUT {
            kill();
            self.rest(KILL_INTERVAL)?;
            if !self.reap_or_kill()? {
                return Ok(());
            }
        }
        Err(io::Error::other(Left(descendants(std::process::id()))))
    }

    /// Until a child has ended, at most for `longest`, and for no longer than standard error may grow.
    fn rest(&self, longest: Duration) -> io::Result<()> {
        let longest = Timespec::try_from(longest.min(TRIM_INTERVAL)).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&self.signals, PollFlags::IN)], Some(&longest)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Lets go of what was written to a file in memory, all but the end of it. Its length stays what it is, so that whoever
/// writes there does not notice and never waits. Nothing is done to any other file.
fn trim(file: BorrowedFd<'_>, trimmed_bytes: &mut u64) {
    let length = fstat(file).map_or(0, |stat| stat.st_size.cast_unsigned());
    let kept_from = length.saturating_sub(KEPT_BYTES);
    if kept_from > *trimmed_bytes && fcntl_get_seals(file).is_ok() {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if fallocate(file, hole, *trimmed_bytes, kept_from - *trimmed_bytes).is_ok() {
            *trimmed_bytes = kept_from;
        }
    }
}

/// Sends a signal to everything below this process; false where a sandbox refuses what that takes.
fn send_to_handles(signal: Signal) -> bool {
    handles(std::process::id()).is_ok_and(|handles| handles.iter().all(|handle| handle.send(signal)))
}

/// Sends a signal by number to the children of this process that are not among those who had it. They cannot be mistaken for
/// others before this process has waited for them; those below them could.
fn send_to_children(signal: Signal, had: &mut BTreeSet<i32>) {
    for child in own_children() {
        if had.insert(child.as_raw_nonzero().get()) {
            let _ = kill_process(child, signal);
        }
    }
}

fn kill() {
    if !send_to_handles(Signal::KILL) {
        send_to_children(Signal::KILL, &mut BTreeSet::new());
    }
}

/// Kills all that is below this process, without waiting for any of it.
fn kill_all() {
    let begun = Instant::now();
    while begun.elapsed() < KILL_TIMEOUT && descendants(std::process::id()).into_iter().any(|process| !is_dead(process))
    {
        kill();
        thread::sleep(KILL_INTERVAL);
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{FileExt, MetadataExt};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn a_program_that_says_much_uses_little_memory_and_its_last_words_are_kept() {
        let mut stderr = File::from(memfd_create("stderr", MemfdFlags::CLOEXEC).unwrap());
        let mut trimmed_bytes = 0;
        for round in 1..=4 {
            stderr.write_all(&vec![b'x'; 3 << 20]).unwrap();
            stderr.write_all(b"last words").unwrap();
            trim(stderr.as_fd(), &mut trimmed_bytes);
            let metadata = stderr.metadata().unwrap();
            assert_eq!(metadata.len(), round * ((3 << 20) + 10));
            assert!(metadata.blocks() * 512 <= KEPT_BYTES + (64 << 10), "{} blocks", metadata.blocks());
            let mut end = [0; 10];
            stderr.read_exact_at(&mut end, metadata.len() - 10).unwrap();
            assert_eq!(&end, b"last words");
        }
    }

    #[test]
    fn a_file_that_is_not_in_memory_alone_is_left_as_it_is() {
        let (read, mut write) = io::pipe().unwrap();
        write.write_all(b"x").unwrap();
        let mut trimmed_bytes = 0;
        trim(read.as_fd(), &mut trimmed_bytes);
        assert_eq!(trimmed_bytes, 0);
    }

    #[test]
    fn variables_may_hold_anything() {
        let env = BTreeMap::from([("A".to_owned(), "one\ntwo \" =".to_owned())]);
        let mut said = Vec::new();
        tell_env(&mut said, &env).unwrap();
        assert_eq!(said.lines().count(), 1);
        assert_eq!(serde_json::from_slice::<BTreeMap<String, String>>(&said).unwrap(), env);
    }
}
