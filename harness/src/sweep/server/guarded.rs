//! A program below a guard, as the sweep sees it.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use backends::refusal::{refused, start_refused};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Signal;

use super::wait::{Lines, with_last_words};
use crate::cpus::CpuSet;
use crate::descriptors::given_limit;
use crate::guard::{END_TIMEOUT, Event, Program, tell_env};
use crate::process_tree::{Handle, handles};

/// For a guard to say that it has started the program.
const GUARD_TIMEOUT: Duration = Duration::from_secs(10);
/// Handles are descriptors, and those are for connections.
const MOST_HELD: usize = 32;

/// How guards are started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guards<'a> {
    pub(super) executable: &'a Path,
    /// Where the program may run.
    pub(super) cpus: &'a CpuSet,
}

/// What of a program has ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
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
pub(super) struct Guarded {
    guard: Child,
    /// Tells the guard the variables of the program; its end tells it to end.
    stdin: Option<ChildStdin>,
    stdout: Lines<ChildStdout>,
    /// A file without a name: nobody has to read it for the program to go on. The guard keeps it from filling memory.
    pub(super) stderr: File,
    /// What there was of the program when it listened, in case that the guard is killed.
    held: Vec<Handle>,
    /// How the process that was started has ended.
    ended_early: Option<(String, bool)>,
}

impl Guarded {
    pub(super) fn start(guards: Guards<'_>, program: &Program) -> Result<Self, String> {
        let mut guarded =
            Self::spawn(guards, program).map_err(|error| format!("cannot start the guard of the server: {error}"))?;
        // A guard that has ended says why below.
        let _ = guarded.stdin.as_ref().map(|stdin| tell_env(stdin, &program.env));
        let name = &program.words[0];
        match guarded.stdout.next(GUARD_TIMEOUT).map(|line| line.as_deref().map(serde_json::from_str)) {
            Ok(Some(Ok(Event::Started))) => Ok(guarded),
            Ok(Some(Ok(Event::NotStarted { error }))) => Err(not_started(name, &error)),
            Ok(None) => {
                Err(with_last_words(&guarded.stderr, "the guard of the server ended before it started it".to_owned()))
            }
            Ok(Some(said)) => {
                let what = format!("the guard of the server did not say whether it has started it, but {said:?}");
                Err(with_last_words(&guarded.stderr, what))
            }
            Err(error) => {
                let what = format!("the guard of the server did not say whether it has started it ({error})");
                Err(with_last_words(&guarded.stderr, what))
            }
        }
    }

    fn spawn(guards: Guards<'_>, program: &Program) -> io::Result<Self> {
        let stderr =
            File::from(memfd_create("stderr", MemfdFlags::CLOEXEC).map_err(|error| refused("memfd_create", error))?);
        let mut command = Command::new(guards.executable);
        command.arg0("harness").args(["guard", "--cpus", &guards.cpus.to_string()]);
        // What the sweep has raised for itself is not what the user's shell would give the program.
        if let Some(soft) = given_limit() {
            command.args(["--descriptors", &soft.to_string()]);
        }
        if program.keeps_output {
            command.arg("--keep-output");
        }
        if let Some(directory) = &program.directory {
            command.arg("--directory").arg(directory);
        }
        command.arg("--").args(&program.words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr.try_clone()?);
        // Ctrl-C in a terminal goes to a whole process group; ending the server is up to us.
        let mut guard = command.process_group(0).spawn().map_err(start_refused)?;
        let (stdin, Some(stdout)) = (guard.stdin.take(), guard.stdout.take()) else {
            unreachable!("both were asked for above")
        };
        Ok(Self { guard, stdin, stdout: Lines::new(stdout), stderr, held: Vec::new(), ended_early: None })
    }

    /// The process below which all of it is.
    pub(super) fn guard(&self) -> u32 {
        self.guard.id()
    }

    /// Remembers what there is of it now.
    pub(super) fn hold(&mut self) {
        // Where none can be had, nothing is held: a number may be a stranger's by the time that it is needed.
        self.held = handles(self.guard()).unwrap_or_default();
        self.held.truncate(MOST_HELD);
    }

    /// After [`End::All`], in words.
    pub(super) fn how_all_ended(&mut self) -> String {
        match (&self.ended_early, self.guard.wait()) {
            (_, Ok(end)) if !end.success() => format!("its guard: {end}"),
            (Some((how, _)), _) => how.clone(),
            (None, _) => "nothing is left of it".to_owned(),
        }
    }

    /// Waits until something of it ends, at most for `timeout`.
    pub(super) fn end(&mut self, timeout: Duration) -> Result<End, String> {
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
    pub(super) fn finish(&mut self) -> Result<(), String> {
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

/// Why a program that is there could not be started, in the words of the kernel (`os error 8`: ENOEXEC).
fn not_started(name: &str, error: &str) -> String {
    let advice = if error.contains("(os error 8)") {
        format!("; it is neither a script that begins with #! nor built for this machine ({})", std::env::consts::ARCH)
    } else {
        String::new()
    };
    format!("cannot start '{name}': {error}{advice}")
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Does nothing where it has ended. The failure that led here is said already.
        let _ = self.finish();
        let _ = self.guard.kill();
        if self.guard.wait().is_ok_and(|end| end.success()) {
            return;
        }
        for process in &self.held {
            process.send(Signal::KILL);
        }
    }
}
