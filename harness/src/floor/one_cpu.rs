//! An echo with both ends on one thread: the calls, and all that TCP does, with everything in the caches of one CPU.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::echo::{CONNECTIONS, HEADER_BYTES, RECEIVE_BYTES};
use super::price::repeat;
use super::sockets::{self, Ends};
use super::{FloorError, PATIENCE, Round};

/// As many connections as there are between two CPUs, used in turn.
#[derive(Debug)]
pub(super) struct OneCpu {
    connections: Vec<Ends>,
    buffer: Vec<u8>,
}

impl OneCpu {
    pub(super) fn open() -> Result<Self, FloorError> {
        Ok(Self { connections: sockets::open(CONNECTIONS)?, buffer: vec![0; RECEIVE_BYTES] })
    }

    /// What one side of an echo costs: a `send` and a `recv`. The bytes go one way on every connection, and then the other
    /// way, as requests and answers do. What was looked for in vain is taken off, as between two CPUs.
    pub(super) fn round(&mut self, slice: Duration, payload_bytes: u32) -> Result<Round, FloorError> {
        let message = vec![0; HEADER_BYTES + payload_bytes as usize];
        let look_ns = self.look_in_vain_ns()?;
        let mut turn = self.connections.iter().cycle();
        let buffer = &mut self.buffer;
        let mut looks = Looks::default();
        let round = repeat(slice, 2, || {
            let Ends { server, client } = turn.next().expect("there are connections");
            looks.end_turn(carry(client, server, &message, buffer)? + carry(server, client, &message, buffer)?);
            Ok(())
        })?;
        Ok(looks.taken_off(round, look_ns))
    }

    /// Of a receive that finds nothing, as on all of these connections between two rounds.
    fn look_in_vain_ns(&mut self) -> Result<f64, FloorError> {
        let (mut turn, buffer) = (self.connections.iter().cycle(), &mut self.buffer);
        let slice = Duration::from_micros(200);
        let looks = repeat(slice, 1, || {
            let to = &turn.next().expect("there are connections").server;
            some(recv(to, &mut *buffer, RecvFlags::empty()).map(|(bytes, _)| bytes), "receive on loopback").map(drop)
        })?;
        Ok(looks.ns)
    }
}

/// Looks in vain of the turns that are in the price, which the first is not.
#[derive(Default)]
struct Looks {
    is_warm: bool,
    in_vain: u64,
}

impl Looks {
    fn end_turn(&mut self, in_vain: u64) {
        if self.is_warm {
            self.in_vain += in_vain;
        }
        self.is_warm = true;
    }

    fn taken_off(&self, round: Round, look_ns: f64) -> Round {
        // What was timed beside it can come out a little longer than the whole.
        Round { ns: (round.ns - self.in_vain as f64 * look_ns / round.calls as f64).max(0.0), ..round }
    }
}

/// Sends and receives in turn until all has arrived, and counts how often nothing had. Short messages are there at once, unless
/// the kernel has so much to deliver that it leaves that to a thread of its own (`ksoftirqd`).
fn carry(from: &TcpStream, to: &TcpStream, message: &[u8], buffer: &mut [u8]) -> Result<u64, FloorError> {
    let (mut sent, mut received, mut in_vain) = (0, 0, 0);
    // The clock is looked at only where something is missing.
    let mut waiting_since = None;
    while received < message.len() {
        if sent < message.len() {
            sent += some(send(from, &message[sent..], SendFlags::NOSIGNAL), "send on loopback")?;
        }
        match recv(to, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Err(FloorError::Closed),
            Err(Errno::AGAIN) => in_vain += 1,
            arrived => received += some(arrived.map(|(bytes, _)| bytes), "receive on loopback")?,
        }
        if received < message.len() && waiting_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(FloorError::Stuck);
        }
    }
    Ok(in_vain)
}

fn some(moved: Result<usize, Errno>, what: &'static str) -> Result<usize, FloorError> {
    match moved {
        Err(Errno::AGAIN) => Ok(0),
        moved => moved.map_err(FloorError::kernel(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_any_length_arrive() {
        let mut one_cpu = OneCpu::open().unwrap();
        for payload_bytes in [0, 64, 1 << 20, 4 << 20] {
            let round = one_cpu.round(Duration::ZERO, payload_bytes).unwrap();
            assert!(round.calls == 2 && round.ns > 0.0, "{payload_bytes}: {round:?}");
        }
    }

    #[test]
    fn looks_in_vain_are_taken_off_but_not_those_of_the_turn_that_is_not_counted() {
        let mut looks = Looks::default();
        for in_vain in [1000, 3, 0, 1] {
            looks.end_turn(in_vain);
        }
        let round = looks.taken_off(Round { ns: 1000.0, calls: 8 }, 200.0);
        assert_eq!((round.ns, round.calls), (900.0, 8));
    }

    #[test]
    fn an_end_that_is_gone_is_an_error() {
        let Ends { server, client } = sockets::open(1).unwrap().remove(0);
        server.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(carry(&client, &server, &[1; 64], &mut [0; 64]).is_err());
    }
}
