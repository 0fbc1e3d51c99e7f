//! Why there was no load.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a run did not begin, or did not end by itself. The failure of a single connection is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan contradicts what [`LoadPlan`](super::LoadPlan) says of it.
    #[error("{0}")]
    Plan(String),
    /// The target is another machine, which may not be ours to load.
    #[error("{target} is not a loopback address: give one in 127.0.0.0/8, or ::1")]
    NotLoopback {
        /// The target.
        target: SocketAddr,
    },
    /// No server.
    #[error("nothing listens on {target}: start the server first, or correct the address")]
    Refused {
        /// The target.
        target: SocketAddr,
    },
    /// The server did not accept in time.
    #[error(
        "only {connected} of {count} connections to {target} were accepted in {} s: ask for fewer, or give the server \
         a longer listen queue",
        after.as_secs()
    )]
    ConnectTimeout {
        /// The target.
        target: SocketAddr,
        /// Connections that were open in time.
        connected: usize,
        /// Connections asked for.
        count: usize,
        /// How long they were tried for.
        after: Duration,
    },
    /// The server did not answer a first request on every connection in time.
    #[error(
        "only {answered} of {count} connections to {target} {} answered within {} s: {}",
        if *answered == 1 { "was" } else { "were" },
        after.as_secs_f64().round(),
        if *answered == 0 {
            "see whether the server sends back what it is sent, and accepts"
        } else {
            "the server serves no more at a time; ask for fewer, or see what keeps it from the others"
        }
    )]
    Silent {
        /// The target.
        target: SocketAddr,
        /// Connections that were answered in time.
        answered: usize,
        /// Connections asked for.
        count: usize,
        /// How long they were awaited.
        after: Duration,
    },
    /// The server answered the first request with something else.
    #[error("the server at {target} does not echo: give the address of one that sends back what it is sent")]
    NoEcho {
        /// The target.
        target: SocketAddr,
    },
    /// The loopback interface does not have the address of the target.
    #[error(
        "{target} cannot be reached: {}",
        if target.is_ipv6() {
            "IPv6 is disabled here (sysctl net.ipv6.conf.lo.disable_ipv6); enable it, or use 127.0.0.1"
        } else {
            "the loopback interface is down; set it up (ip link set lo up)"
        }
    )]
    NoAddress {
        /// The target.
        target: SocketAddr,
    },
    /// Every local port has a connection to the target already.
    #[error(
        "no local port is left to reach {target} from: ask for fewer connections, or widen net.ipv4.ip_local_port_range"
    )]
    PortsUsedUp {
        /// The target.
        target: SocketAddr,
    },
    /// Any other failure to connect.
    #[error("cannot connect to {target}: {cause}")]
    Connect {
        /// The target.
        target: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
    /// Connections need descriptors.
    #[error(
        "{needed} open files are needed, and this process may have {limit}: ask for fewer connections, or raise the limit \
         (ulimit -Hn, and fs.nr_open where that is lower)"
    )]
    Descriptors {
        /// Descriptors for the connections and for all else.
        needed: u64,
        /// Those that this process may have.
        limit: u64,
    },
    /// A thread may not run on a CPU that the plan names.
    #[error("cannot run a thread on CPU {cpu}: {cause}")]
    Pin {
        /// The CPU.
        cpu: usize,
        /// What the kernel said.
        cause: io::Error,
    },
    /// What observes the run could not go on with its idle connections.
    #[error("{0}")]
    Idle(String),
    /// A call failed that only fails when the system is out of something.
    #[error("cannot {what}: {cause}")]
    Kernel {
        /// What it was for.
        what: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The kernel does not grant the engine that was asked for.
    #[error("the engine {engine} is refused here: {reason}; use another, or auto")]
    Engine {
        /// Its name.
        engine: &'static str,
        /// What the kernel does not grant.
        reason: &'static str,
    },
    /// The run was told to stop.
    #[error("cancelled")]
    Cancelled,
}
