//! The server of a bench: this executable once more, as a process of its own that serves one backend.
//!
//! What it does is in `serving`.

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use backends::Backend;
use backends::refusal::start_refused;

use crate::place::{Kept, Place};
use crate::serving::SERVE;

/// The very executable that runs, even where a new build has taken its place.
const THIS_EXECUTABLE: &str = "/proc/self/exe";

/// For a server to say where it listens; none takes a tenth of it.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that runs. While it does, this thread is kept to the CPUs of the client. Dropping it kills it.
pub(crate) struct Server<'a> {
    backend: &'static str,
    child: Child,
    address: SocketAddr,
    _client: Kept<'a>,
}

impl<'a> Server<'a> {
    /// Starts one and waits until it listens.
    ///
    /// # Panics
    ///
    /// Where it cannot be started: there is nothing to be measured then, here as in all that follows.
    pub(crate) fn start(backend: &dyn Backend, place: &'a Place) -> Self {
        let name = backend.info().name;
        let child = Command::new(THIS_EXECUTABLE)
            .arg0("benches")
            .args([SERVE, name, &place.server_cpus.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot start a server of {name}: {error}"));
        let stdout = child.stdout.take().expect("it was asked for above");
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { backend: name, child, address: unknown, _client: place.kept_to_the_client() };

        let (said, hears) = mpsc::channel();
        let reader = thread::Builder::new().name("reader".to_owned()).spawn(move || {
            let mut line = String::new();
            // Whatever is wrong with the line is seen in it; nobody hears one that comes too late.
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = said.send(line);
        });
        reader.unwrap_or_else(|error| panic!("cannot start a thread: {}", start_refused(error)));
        let line = hears.recv_timeout(START_TIMEOUT).unwrap_or_default();
        server.address = line.trim_end().parse().unwrap_or_else(|_| panic!("{name} did not say where it listens"));
        server
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives up, since nothing can be measured with it, and says why. Where it has ended, that is why.
    ///
    /// # Panics
    ///
    /// Always.
    pub(crate) fn give_up(&mut self, reason: impl Display) -> ! {
        match self.child.try_wait() {
            Ok(Some(end)) => panic!("{}: the server ended ({end}): {reason}", self.backend),
            Ok(None) | Err(_) => panic!("{}: {reason}", self.backend),
        }
    }

    /// Ends it.
    ///
    /// # Panics
    ///
    /// Where it had ended before, or does not end in order: what was measured meanwhile means nothing.
    pub(crate) fn stop(mut self) {
        drop(self.child.stdin.take());
        let end = self.child.wait().expect("a child can be waited for");
        assert!(end.success(), "{}: the server did not end as it should ({end})", self.backend);
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Neither does anything to a process that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
