//! What it costs to look in vain, measured on sockets where nothing ever happens.

use std::net::TcpStream;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{SendFlags, send, sockopt};

use super::server::Server;
use super::{QUIET_CONNECTIONS, RECEIVE_BYTES};
use crate::floor::clock::thread_cpu;
use crate::floor::sockets::{self, Ends};
use crate::floor::{FloorError, PATIENCE};
use crate::statistics;

/// Looks that are timed together, and how many times so: the median of them does not see what a single one was
/// interrupted by.
const LOOKS: usize = 128;
const TIMES: usize = 15;

/// Connections on which nobody sends, and one on which nobody receives.
#[derive(Debug)]
pub(super) struct Vain {
    /// Looks with the very code whose looks are to be taken off.
    silent: Server,
    /// The other ends of those.
    _silent: Vec<TcpStream>,
    full: Ends,
    buffer: Vec<u8>,
}

impl Vain {
    pub(super) fn open() -> Result<Self, FloorError> {
        let failed = || FloorError::kernel("open connections that stay quiet");
        let mut ends = sockets::open(1 + QUIET_CONNECTIONS)?;
        let full = ends.pop().expect("as many as were asked for");
        let (silent, others): (Vec<_>, Vec<_>) = ends.into_iter().map(|ends| (ends.server, ends.client)).unzip();
        // Soon full.
        sockopt::set_socket_send_buffer_size(&full.server, 1).map_err(failed())?;
        let silent = Server::new(silent.into_iter());
        let vain = Self { silent, _silent: others, full, buffer: vec![0; RECEIVE_BYTES] };
        let deadline = Instant::now() + PATIENCE;
        while vain.send_somewhere_full()? {
            if Instant::now() > deadline {
                return Err(FloorError::Stuck);
            }
        }
        Ok(vain)
    }

    /// Nanoseconds of a receive that finds nothing.
    pub(super) fn receive_ns(&mut self) -> Result<f64, FloorError> {
        let silent = &mut self.silent;
        median_ns(|| (0..LOOKS / QUIET_CONNECTIONS).try_for_each(|_| silent.turn()))
    }

    /// Nanoseconds of a send that finds no room.
    pub(super) fn send_ns(&self) -> Result<f64, FloorError> {
        // What was on its way to the other end's buffer when it was filled has made room here since.
        median_ns(|| (0..LOOKS).try_for_each(|_| self.send_somewhere_full().map(drop)))
    }

    /// Whether there was room.
    fn send_somewhere_full(&self) -> Result<bool, FloorError> {
        match send(&self.full.server, &self.buffer, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(errno) => Err(FloorError::kernel("send on loopback")(errno)),
        }
    }
}

/// Of one of the [`LOOKS`] that `look` takes.
fn median_ns(mut look: impl FnMut() -> Result<(), FloorError>) -> Result<f64, FloorError> {
    let mut taken_ns = [0.0; TIMES];
    for taken_ns in &mut taken_ns {
        // By the clock that they are taken off from: what else the CPU is given to is in neither.
        let cpu = thread_cpu();
        look()?;
        *taken_ns = thread_cpu().saturating_sub(cpu).as_secs_f64() * 1e9 / LOOKS as f64;
    }
    Ok(statistics::median(&taken_ns).expect("there is one at least"))
}

#[cfg(test)]
mod tests {
    use super::super::server::Counts;
    use super::*;

    #[test]
    fn looks_find_nothing_however_often() {
        let mut vain = Vain::open().unwrap();
        for _ in 0..3 {
            assert!(vain.receive_ns().unwrap() > 0.0 && vain.send_ns().unwrap() > 0.0);
            assert!(!vain.send_somewhere_full().unwrap());
        }
        let looks = 3 * TIMES * LOOKS;
        assert_eq!(vain.silent.counts, Counts { receives_in_vain: looks as u64, ..Counts::default() });
    }
}
