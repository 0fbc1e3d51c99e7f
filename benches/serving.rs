//! This executable as a server.
//!
//! It says where it listens in one line and serves until its standard input ends. That is when the bench stops it, and
//! also when the bench is gone, however it went: no server is left behind. One that does not come to its end then is
//! ended.

use std::env;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use backends::protocol::{Framed, ProtocolKind};
use backends::refusal::start_refused;
use backends::{Backend, Limits, ServeJob, Spread, Stats, Stop};
use harness::cpus::{self, CpuSet};

/// The first argument of a server. Criterion would refuse it: nobody filters benches by it.
pub(crate) const SERVE: &str = "--serve";

/// For a server to end after its standard input did; it may drain for one second.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What a server is started for.
pub(crate) struct Request {
    backend: &'static dyn Backend,
    cpus: CpuSet,
}

impl Request {
    /// None where this is not to be a server, but the bench.
    ///
    /// # Panics
    ///
    /// Where the arguments are not those that `server` gives.
    pub(crate) fn from_arguments() -> Option<Self> {
        let mut arguments = env::args().skip(1);
        if arguments.next().as_deref() != Some(SERVE) {
            return None;
        }
        let backend = arguments.next().and_then(|name| backends::backend(&name));
        let cpus = arguments.next().and_then(|cpus| cpus.parse().ok());
        Some(Self { backend: backend.expect("the name of a backend"), cpus: cpus.expect("a list of CPUs") })
    }

    /// Serves frames on loopback until standard input ends.
    pub(crate) fn serve(self) -> ExitCode {
        match self.try_serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the server {} gave up: {error}", self.backend.info().name);
                ExitCode::FAILURE
            }
        }
    }

    fn try_serve(&self) -> io::Result<()> {
        cpus::pin(&self.cpus).map_err(io::Error::other)?;
        // For `top` and `perf`; without it, servers are only harder to tell apart.
        let _ = fs::write("/proc/self/comm", self.backend.info().name);
        let stop = Arc::new(Stop::new()?);
        let listeners = backends::bind((Ipv4Addr::LOCALHOST, 0).into(), 1, Spread::default())?;
        let address = listeners.local_addr()?;
        end_with_standard_input(Arc::clone(&stop))?;
        let job = ServeJob {
            listeners,
            protocol: ProtocolKind::Framed(Framed::default()),
            limits: Limits::default(),
            stats: Arc::new(Stats::default()),
            ready: &|_| println!("{address}"),
        };
        self.backend.serve(job, &stop).map(drop)
    }
}

fn end_with_standard_input(stop: Arc<Stop>) -> io::Result<()> {
    let thread = thread::Builder::new().name("end".to_owned()).spawn(move || {
        // Nothing is ever written to it, and to read from it in vain is its end, too.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        stop.request();
        thread::sleep(STOP_TIMEOUT);
        eprintln!("the server does not end, and is ended");
        process::exit(1);
    });
    thread.map(drop).map_err(start_refused)
}
