//! What it costs to look in vain, measured on sockets where nothing ever happens.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

use super::RECEIVE_BYTES;
use crate::floor::sockets::{self, Ends};
use crate::floor::{FloorError, PATIENCE};
use crate::statistics;

/// Looks that are timed together, and how many times so: the median of them does not see what a single one was
/// interrupted by.
const LOOKS: u32 = 100;
const TIMES: usize = 15;

/// A connection on which nobody sends, and one on which nobody receives.
#[derive(Debug)]
pub(super) struct Vain {
    silent: Ends,
    full: Ends,
    buffer: Vec<u8>,
}

impl Vain {
    pub(super) fn open() -> Result<Self, FloorError> {
        let failed = || FloorError::kernel("open connections that stay quiet");
        let [silent, full] = <[Ends; 2]>::try_from(sockets::open(2)?).expect("as many as were asked for");
        // Soon full.
        sockopt::set_socket_send_buffer_size(&full.server, 1).map_err(failed())?;
        let vain = Self { silent, full, buffer: vec![0; RECEIVE_BYTES] };
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
        median_ns(|| match recv(&self.silent.server, &mut self.buffer[..], RecvFlags::empty()) {
            Err(Errno::AGAIN) => Ok(()),
            Ok(_) => Err(FloorError::Closed),
            Err(errno) => Err(FloorError::kernel("receive on loopback")(errno)),
        })
    }

    /// Nanoseconds of a send that finds no room.
    pub(super) fn send_ns(&self) -> Result<f64, FloorError> {
        // What was on its way to the other end's buffer when it was filled has made room here since.
        median_ns(|| self.send_somewhere_full().map(drop))
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

fn median_ns(mut look: impl FnMut() -> Result<(), FloorError>) -> Result<f64, FloorError> {
    let mut taken_ns = [0.0; TIMES];
    for taken_ns in &mut taken_ns {
        let start = Instant::now();
        (0..LOOKS).try_for_each(|_| look())?;
        *taken_ns = nanoseconds(start.elapsed()) / f64::from(LOOKS);
    }
    Ok(statistics::median(&taken_ns).expect("there is one at least"))
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_find_nothing_however_often() {
        let mut vain = Vain::open().unwrap();
        for _ in 0..3 {
            assert!(vain.receive_ns().unwrap() > 0.0 && vain.send_ns().unwrap() > 0.0);
            assert!(!vain.send_somewhere_full().unwrap());
        }
    }
}
