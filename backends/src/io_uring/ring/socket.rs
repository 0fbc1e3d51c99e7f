//! A socket, and where it lives: in the table of the process, or in one of the ring (a direct descriptor), which knows
//! no calls, so that shutting down and closing are operations too.

use std::os::fd::{AsRawFd, OwnedFd};
use std::{fs, io};

use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Resource, getrlimit};

use super::Ring;
use super::operation::{Kind, NOBODY};
use crate::backend::Limits;
use crate::kernel::failed;
use crate::listen::BACKLOG;
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

/// The most direct descriptors that the kernel lets a ring have.
const MAX_DIRECT: u64 = 1 << 20;

impl Table {
    /// An empty table for as many sockets as may be open at once.
    pub(super) fn register(ring: &IoUring, limits: &Limits) -> io::Result<Self> {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(MAX_DIRECT).min(MAX_DIRECT);
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

/// The most connections that can wait to be accepted from one of our listeners.
fn backlog_max() -> u32 {
    let limit = fs::read_to_string("/proc/sys/net/core/somaxconn").ok().and_then(|limit| limit.trim().parse().ok());
    // Where it is not known, or is more than we ask for, that is the most.
    limit.unwrap_or(u32::MAX).min(BACKLOG.cast_unsigned())
}

impl Ring {
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
                let how = match how {
                    Shutdown::Read => 0,
                    Shutdown::Write => 1,
                    Shutdown::Both => 2,
                };
                self.shutting_down += 1;
                self.push_plain(opcode::Shutdown::new(Fixed(*place), how).build(), Kind::Shutdown, NOBODY, counters)
            }
        }
    }

    /// Waits until sockets are shut down. The kernel leaves that to a thread of its own, which an operation that is
    /// started afterwards could overtake.
    pub(in crate::io_uring) fn await_shut_downs(&mut self, counters: &Counters) -> io::Result<()> {
        while self.shutting_down > 0 {
            self.enter_only(1, None, counters)?;
            self.take_over();
        }
        Ok(())
    }

    /// Takes over what has completed, in order.
    pub(super) fn take_over(&mut self) {
        let before = self.entries.len();
        self.entries.extend(self.uring.completion());
        if self.shutting_down > 0 {
            let is_shut_down = |entry: &&cqueue::Entry| Kind::of(entry.user_data()).0 == Kind::Shutdown;
            self.shutting_down -= self.entries[before..].iter().filter(is_shut_down).count();
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
                if let Some(table) = &mut self.table {
                    table.used -= 1;
                }
                self.push_plain(opcode::Close::new(Fixed(place)).build(), Kind::Close, NOBODY, counters)
            }
        }
    }
}
