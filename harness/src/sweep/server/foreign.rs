//! Any other program as the server of a trial: started, and ended with all that it has started, by a guard.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::elsewhere::Elsewhere;
use super::guarded::{End, Guarded, Guards};
use super::listener::{self, Owner, Sight, Stranger, owner};
use super::port::free_address;
use super::wait::{printable, tail, with_last_words};
use crate::foreign::ForeignServer;
use crate::guard::Program;
use crate::plan::Cell;

/// Between two looks whether a server that begins listens.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Somebody else may take a port between its choice and its use, but not every time.
const PORTS: usize = 4;
/// So often in a row somebody else is seen to listen before it is believed: a listener that a process hands to another is
/// nobody's on its way.
const SIGHTINGS: usize = 3;
/// Why a server had a connection more than those of the load.
const PROBED: &str = "/proc/net/tcp, which would show it without one, cannot be read";
/// For a server whose connections broke to end, if it is going to.
const DEATH_TIMEOUT: Duration = Duration::from_millis(500);
/// For a program to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(2);
/// A version is no longer than this.
const VERSION_BYTES: usize = 200;

/// A server that runs. Dropping it ends it.
#[derive(Debug)]
pub(in crate::sweep) struct Server {
    guarded: Guarded,
    /// Whether it was connected to once before the load was, for want of another way to see that it listens.
    is_probed: bool,
}

impl Server {
    /// Starts a server and waits until it listens, or until `cancel` is set.
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
            let mut server = Self { guarded, is_probed: false };
            match server.listens(address, entrant.start_timeout(), cancel) {
                Ok(()) => {
                    server.guarded.hold();
                    return Ok((server, address));
                }
                Err(NotUp::PortTaken(_)) if ports_left > 0 => {}
                Err(NotUp::Failed(_)) if ports_left > 0 && server.says_port_was_taken() => {}
                Err(NotUp::PortTaken(stranger)) => {
                    let what = format!("somebody else listens on {address}, and not the server: {stranger}");
                    return Err(server.with_last_words(format!("{what}; it was tried on {PORTS} ports")));
                }
                Err(NotUp::Failed(error)) => return Err(server.with_last_words(error)),
            }
        }
    }

    fn listens(&mut self, address: SocketAddr, timeout: Duration, cancel: &AtomicBool) -> Result<(), NotUp> {
        let deadline = Instant::now() + timeout;
        let mut sightings = 0;
        let mut elsewhere = Elsewhere::new(address, self.guard(), timeout);
        loop {
            // What listens on the port of a program that has ended is another one.
            let sight = self.look(address);
            let is_there = !matches!(sight, Sight::Nothing);
            match self.guarded.end(if is_there && sightings == 0 { Duration::ZERO } else { LOOK_INTERVAL })? {
                // What it has left behind may be the server.
                End::None | End::Program { success: true, .. } => {}
                End::Program { how, .. } => return Err(self.ended_early(&how).into()),
                End::All => {
                    let how = self.guarded.how_all_ended();
                    return Err(self.ended_early(&how).into());
                }
            }
            match sight {
                Sight::Listener(Owner::Tree) => return Ok(()),
                Sight::Listener(Owner::Stranger(stranger)) => {
                    sightings += 1;
                    if sightings == SIGHTINGS {
                        return Err(NotUp::PortTaken(stranger));
                    }
                }
                Sight::Nothing | Sight::Hidden => {
                    sightings = 0;
                    if let Some(elsewhere) = elsewhere.is_certain() {
                        return Err(elsewhere.into());
                    }
                }
            }
            if cancel.load(Ordering::Relaxed) {
                return Err("cancelled".to_owned().into());
            }
            if Instant::now() >= deadline {
                let timeout = humantime::format_duration(timeout);
                let not_yet = || format!("the server did not listen on {address} within {timeout}");
                return Err(elsewhere.said().unwrap_or_else(not_yet).into());
            }
        }
    }

    /// Where the kernel does not show who listens, a connection tells whether anything does.
    fn look(&mut self, address: SocketAddr) -> Sight {
        match listener::look(address, self.guard()) {
            Sight::Hidden if accepts(address) => {
                self.is_probed = true;
                Sight::Listener(owner(address, self.guard()))
            }
            Sight::Hidden => Sight::Nothing,
            sight => sight,
        }
    }

    fn ended_early(&self, how: &str) -> String {
        format!("the server ended before it listened ({how}){}", self.probe())
    }

    /// What may have ended a server that serves one client.
    fn probe(&self) -> String {
        if !self.is_probed {
            return String::new();
        }
        format!("; it had a first connection, made to see whether it listens: {PROBED}")
    }

    /// It knows by itself, and says what everybody says.
    fn says_port_was_taken(&self) -> bool {
        let words = String::from_utf8_lossy(&tail(&self.guarded.stderr)).to_lowercase();
        words.contains("in use") || words.contains("eaddrinuse")
    }

    /// The process below which all of it is.
    pub(super) fn guard(&self) -> u32 {
        self.guarded.guard()
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
            End::All => self.guarded.how_all_ended(),
            End::None | End::Program { .. } => {
                return self.guarded.finish().map_err(|error| self.with_last_words(error));
            }
        };
        Err(self.with_last_words(format!("the server ended during the trial ({how}){}", self.probe())))
    }

    pub(super) fn with_last_words(&self, what: String) -> String {
        with_last_words(&self.guarded.stderr, what)
    }
}

/// Why a server does not listen.
#[derive(Debug)]
enum NotUp {
    /// Somebody else does, and would have been measured in its place.
    PortTaken(Stranger),
    /// In words for people.
    Failed(String),
}

impl From<String> for NotUp {
    fn from(what: String) -> Self {
        Self::Failed(what)
    }
}

fn accepts(address: SocketAddr) -> bool {
    // Where nothing listens, the kernel may pick the very port for our end, and TCP connects the socket to itself.
    TcpStream::connect(address).is_ok_and(|stream| stream.local_addr().is_ok_and(|own| own != address))
}

/// What is known about a server that is not ours.
pub(super) fn receipt(guards: Guards<'_>, entrant: &ForeignServer, server: &Server) -> Map<String, Value> {
    let mut receipt = Map::new();
    receipt.insert("command".to_owned(), entrant.command.clone().into());
    if server.is_probed {
        receipt.insert("probe".to_owned(), format!("a connection was made before those of the load: {PROBED}").into());
    }
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
