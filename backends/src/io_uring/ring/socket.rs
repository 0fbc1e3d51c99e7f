//! A socket, and where it lives: in the table of the process, or in one of the ring (a direct descriptor), which knows
//! no calls, so that shutting down and closing are operations too.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;
use std::{fs, io, mem};

use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode, squeue};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{Shutdown, shutdown};

use super::Ring;
use super::operation::{Id, Kind, NOBODY};
use crate::backend::Limits;
use crate::io_uring::SETTLE_WAIT;
use crate::io_uring::patience::until_nothing_is_left;
use crate::kernel::failed;
use crate::listen::BACKLOG;
use crate::resource_limit::ResourceLimit;
use crate::stats::{Counters, Syscall};

/// A connected socket. One that is direct has to be closed by its ring.
#[derive(Debug)]
pub(in crate::io_uring) enum Socket {
    /// A descriptor of the process.
    Descriptor(OwnedFd),
    /// A place in the table of the ring.
    Direct(u32),
}

impl Socket {
    /// As operations name it, together with [`Socket::flags`].
    pub(super) fn fd(&self) -> Fd {
        match self {
            Socket::Descriptor(fd) => Fd(fd.as_raw_fd()),
            Socket::Direct(place) => Fd(place.cast_signed()),
        }
    }

    /// Says which table the number is of.
    pub(super) fn flags(&self) -> squeue::Flags {
        match self {
            Socket::Descriptor(_) => squeue::Flags::empty(),
            Socket::Direct(_) => squeue::Flags::FIXED_FILE,
        }
    }
}

/// The table of a ring's direct descriptors.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) places: u32,
    pub(super) used: u32,
    /// With fewer free places connections are accepted one at a time. A multishot accept takes all that wait, and loses
    /// who finds no place; so that needs places for as many as can wait, and once more for who comes meanwhile.
    pub(super) multishot_places: u32,
}

/// Shutdowns that are operations.
#[derive(Debug, Default)]
pub(super) struct ShutDowns {
    /// How many have not come into force.
    pending: usize,
    /// Those of them that the kernel gave up before they did anything.
    interrupted: Vec<Id>,
    /// How often it was given up to wait for them. Who belongs to an earlier time is of no interest any more: its place
    /// in the table may be another's by now.
    era: u32,
}

/// How long shutdowns may come no further before they are given up.
const SHUT_DOWN_PATIENCE: Duration = Duration::from_secs(1);

/// The most direct descriptors that the kernel lets a ring have.
const MAX_DIRECT: u64 = 1 << 20;

impl Table {
    /// An empty table for as many sockets as may be open at once.
    pub(super) fn register(ring: &IoUring, limits: &Limits) -> io::Result<Self> {
        let descriptors = ResourceLimit::descriptors()?.soft.unwrap_or(MAX_DIRECT).min(MAX_DIRECT);
        // One more than are let in, for that is accepted, too, to be closed.
        let admitted = limits.max_connections.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(MAX_DIRECT);
        let places = u32::try_from(descriptors.min(admitted.saturating_add(1))).unwrap_or(u32::MAX);
        ring.submitter()
            .register_files_sparse(places)
            .map_err(|error| failed("a table of direct descriptors (Linux 5.19 or newer) is refused", error))?;
        let multishot_places = backlog_max().saturating_mul(2);
        Ok(Self { places, used: 0, multishot_places })
    }
}

/// How a socket is shut down takes so many of the low bits of what tells operations on the same place apart.
const HOW_BITS: u32 = 2;

/// Whether that result says that nothing was done, and may be the next time.
fn is_interrupted(result: i32) -> bool {
    result < 0 && matches!(Errno::from_raw_os_error(-result), Errno::INTR | Errno::CANCELED | Errno::AGAIN)
}

/// The most connections that can wait to be accepted from one of our listeners.
fn backlog_max() -> u32 {
    let limit = fs::read_to_string("/proc/sys/net/core/somaxconn").ok().and_then(|limit| limit.trim().parse().ok());
    // Where it is not known, or is more than we ask for, that is the most.
    limit.unwrap_or(u32::MAX).min(BACKLOG.cast_unsigned())
}

/// Close with a reset, whatever is or was there to be read. Operations read it for as long as they like.
static RESET_ON_CLOSE: Linger = Linger { is_on: 1, seconds: 0 };

/// `struct linger` of the kernel.
#[repr(C)]
struct Linger {
    is_on: i32,
    seconds: i32,
}

/// `SOL_SOCKET` and `SO_LINGER`, for which rustix has a call and no numbers.
const SOCKET_LEVEL: u32 = 1;
const LINGER: u32 = 13;
const LINGER_BYTES: u32 = 8;

impl Ring {
    /// Has the peer learn from a reset that the connection was given up. Without it, who was shut down while it had no room
    /// left, and is then read from to the end by a receive that was under way, ends in order: its peer was told of no room,
    /// is never told of any, and waits in its send for as long as the kernel keeps the rest of the connection in mind.
    pub(in crate::io_uring) fn reset_on_close(&mut self, socket: &Socket, counters: &Counters) -> io::Result<()> {
        match socket {
            Socket::Descriptor(fd) => {
                counters.syscall(Syscall::Setsockopt);
                // Fails for no TCP socket; and the end is only less abrupt then.
                let _ = set_socket_linger(fd, Some(Duration::ZERO));
                Ok(())
            }
            Socket::Direct(place) => {
                let linger = (&raw const RESET_ON_CLOSE).cast();
                let option = opcode::SetSockOpt::new(Fixed(*place), SOCKET_LEVEL, LINGER, linger, LINGER_BYTES).build();
                // What it points to is never freed. Before Linux 6.7 it fails, and the end is less abrupt.
                self.push_plain(option, Kind::SetOption, NOBODY, counters)
            }
        }
    }

    /// Makes the stream end once everything that came was received; with [`Shutdown::Both`] makes a send fail, too. In
    /// force after [`Ring::await_shut_downs`].
    pub(in crate::io_uring) fn shut_down(
        &mut self,
        socket: &Socket,
        how: Shutdown,
        counters: &Counters,
    ) -> io::Result<()> {
        match socket {
            Socket::Descriptor(fd) => {
                counters.syscall(Syscall::Shutdown);
                // Fails only where the peer has already gone; the operations in flight say so.
                let _ = shutdown(fd, how);
                Ok(())
            }
            Socket::Direct(place) => {
                let how: u32 = match how {
                    Shutdown::Read => 0,
                    Shutdown::Write => 1,
                    Shutdown::Both => 2,
                };
                let id = Id::new(*place, self.shut_downs.era << HOW_BITS | how);
                self.push_shut_down(id, counters)
            }
        }
    }

    /// Shuts down the socket at the place and in the way that `id` says.
    fn push_shut_down(&mut self, id: Id, counters: &Counters) -> io::Result<()> {
        let how = (id.generation & ((1 << HOW_BITS) - 1)).cast_signed();
        self.push_plain(opcode::Shutdown::new(Fixed(id.key), how).build(), Kind::Shutdown, id, counters)?;
        self.shut_downs.pending += 1;
        Ok(())
    }

    /// Waits until sockets are shut down. The kernel leaves that to a thread of its own, which an operation that is
    /// started afterwards could overtake.
    ///
    /// A signal can keep the kernel from starting that thread, and then it cancels what was to be done: that is asked for
    /// again. What the kernel does not do at all is given up in the end: whoever waits for an end of the stream has a
    /// time-out, and closing needs no shutdown.
    pub(in crate::io_uring) fn await_shut_downs(&mut self, counters: &Counters) -> io::Result<()> {
        let in_force = until_nothing_is_left(SHUT_DOWN_PATIENCE, || {
            for id in mem::take(&mut self.shut_downs.interrupted) {
                self.shut_downs.pending -= 1;
                self.push_shut_down(id, counters)?;
            }
            if self.shut_downs.pending > 0 && self.shut_downs.interrupted.is_empty() {
                self.enter_only(1, Some(SETTLE_WAIT), counters)?;
                self.take_over();
            }
            Ok(self.shut_downs.pending)
        });
        match in_force {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.shut_downs = ShutDowns { era: self.shut_downs.era.wrapping_add(1), ..ShutDowns::default() };
                Ok(())
            }
            in_force => in_force,
        }
    }

    /// Takes over what has completed, in order.
    pub(super) fn take_over(&mut self) {
        let before = self.entries.len();
        self.entries.extend(self.uring.completion());
        let ShutDowns { pending, interrupted, era } = &mut self.shut_downs;
        if *pending == 0 {
            return;
        }
        let era = Id::new(0, *era << HOW_BITS).generation >> HOW_BITS;
        for entry in &self.entries[before..] {
            match Kind::of(entry.user_data()) {
                (Kind::Shutdown, id) if id.generation >> HOW_BITS == era => {
                    if is_interrupted(entry.result()) {
                        interrupted.push(id);
                    } else {
                        // Also where the peer has already gone; the operations in flight say so.
                        *pending -= 1;
                    }
                }
                _ => {}
            }
        }
    }

    /// Closes a socket on which nothing is in flight.
    pub(in crate::io_uring) fn close(&mut self, socket: Socket, counters: &Counters) -> io::Result<()> {
        match socket {
            Socket::Descriptor(fd) => {
                counters.syscall(Syscall::Close);
                drop(fd);
                Ok(())
            }
            Socket::Direct(place) => {
                self.push_plain(opcode::Close::new(Fixed(place)).build(), Kind::Close, NOBODY, counters)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpStream;

    use io_uring::cqueue;

    use super::*;
    use crate::io_uring::ring::{Completion, fd};
    use crate::io_uring::variants::{VARIANTS, position};
    use crate::listen::{Spread, bind};
    use crate::stop::Stop;

    /// A ring with direct descriptors and a connection among them; none where the kernel grants no such ring.
    fn connected() -> Option<(Ring, Socket, TcpStream, Counters)> {
        let limits = Limits { max_connections: Some(4), ..Limits::default() };
        let counters = Counters::new();
        let mut ring = match Ring::new(&VARIANTS[position("io_uring-direct")], &limits) {
            Ok(ring) => ring,
            Err(error) => {
                assert_ne!(std::env::var("REQUIRE_BACKENDS").as_deref(), Ok("all"), "{error}");
                return None;
            }
        };
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 1, Spread::default()).unwrap();
        ring.accept(&listeners.sockets()[0], false, &counters).unwrap();
        let client = TcpStream::connect(listeners.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let socket = loop {
            ring.wait(Some(SETTLE_WAIT), &counters).unwrap();
            if let Some(Completion::Accepted { result, .. }) = ring.next() {
                break result.unwrap();
            }
        };
        Some((ring, socket, client, counters))
    }

    #[test]
    fn a_shutdown_that_was_cancelled_is_made_again() {
        let Some((mut ring, socket, mut client, counters)) = connected() else { return };
        // What is linked to an operation that fails is cancelled.
        let fails = opcode::Shutdown::new(Fixed(1_000_000), 2).build().flags(squeue::Flags::IO_LINK);
        ring.push_plain(fails, Kind::Cancel, NOBODY, &counters).unwrap();
        ring.shut_down(&socket, Shutdown::Both, &counters).unwrap();
        ring.await_shut_downs(&counters).unwrap();
        assert_eq!((ring.shut_downs.pending, ring.shut_downs.era), (0, 0));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let shut_downs = ring.entries.iter().filter(|entry| Kind::of(entry.user_data()).0 == Kind::Shutdown);
        let results: Vec<i32> = shut_downs.map(cqueue::Entry::result).collect();
        assert_eq!(results, [-Errno::CANCELED.raw_os_error(), 0], "one was cancelled, and one was not");
    }

    #[test]
    fn a_shutdown_that_does_not_come_is_given_up() {
        let Some((mut ring, socket, _client, counters)) = connected() else { return };
        // What is linked to an operation that does not end does not begin.
        let never = Stop::new().unwrap();
        let waits = opcode::PollAdd::new(fd(&never), 1).build().flags(squeue::Flags::IO_LINK);
        ring.push_plain(waits, Kind::Cancel, NOBODY, &counters).unwrap();
        ring.shut_down(&socket, Shutdown::Both, &counters).unwrap();
        ring.await_shut_downs(&counters).unwrap();
        assert_eq!((ring.shut_downs.pending, ring.shut_downs.era), (0, 1));
        // It ends with what it waits for, and then nobody asks for it again.
        assert!(ring.settle());
        assert!(ring.shut_downs.interrupted.is_empty());
    }

    #[test]
    fn a_place_is_free_when_its_socket_is_closed_and_not_before() {
        let Some((mut ring, socket, _client, counters)) = connected() else { return };
        let used = |ring: &Ring| ring.table.as_ref().map(|table| table.used);
        ring.close(socket, &counters).unwrap();
        assert_eq!(used(&ring), Some(1));
        while !matches!(ring.next(), Some(Completion::Closed)) {
            ring.wait(Some(SETTLE_WAIT), &counters).unwrap();
        }
        assert_eq!(used(&ring), Some(0));
    }
}
