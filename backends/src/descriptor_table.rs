//! A descriptor table of its own for a thread.
//!
//! All threads of a process share one table of descriptors, and pay for it: every call that names a descriptor takes a
//! reference to the open file and gives it back (`fdget`), every accept takes the table's lock, and `RLIMIT_NOFILE`
//! bounds them together. A thread that is alone in its table pays for none of that, and the limit is then its own.
//!
//! The price is that a number means one open file here and another there, or none. So a thread with its own table keeps
//! the numbers that it was told to keep, and nothing that it opens is ever given to a thread of another table. What it
//! does not keep must not stay open in its copy of the table: a socket that somebody else closes would send no FIN. The
//! kernel therefore copies no more than the numbers up to the last one that is kept, and of those the others are closed
//! at once. Threads that start on such a thread, also those of the kernel that work for it, share its table.
#![expect(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// One above the highest number of standard input, output and error.
const AFTER_STANDARD_STREAMS: libc::c_uint = 3;

/// Gives the calling thread a descriptor table of its own, in which only the standard streams and `kept` are open, under
/// the numbers that they have.
///
/// # Errors
///
/// The kernel refuses (before 5.9, or in a sandbox): then the thread goes on in the table that it had.
///
/// # Safety
///
/// From now on the calling thread, and every thread that it starts, may use only the standard streams, `kept`, and what it
/// opens itself; and nothing that it opens may be used or dropped by a thread of another table.
pub unsafe fn own(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<libc::c_uint> = kept.iter().map(|fd| fd.as_raw_fd().unsigned_abs()).collect();
    kept.sort_unstable();
    kept.dedup();
    let after_last = kept.last().map_or(AFTER_STANDARD_STREAMS, |last| AFTER_STANDARD_STREAMS.max(last + 1));
    close_range(after_last, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE)?;
    let mut next = AFTER_STANDARD_STREAMS;
    for number in kept {
        if next < number {
            close_range(next, number - 1, 0)?;
        }
        next = next.max(number + 1);
    }
    Ok(())
}

/// Closes everything but the standard streams in the table of the calling thread. The kernel lets go of a table some time
/// after whoever waits for its last thread was woken; what must be closed by then is closed by this.
///
/// # Safety
///
/// The thread is alone in a table of its [`own`], and will use nothing that is open there any more.
pub unsafe fn close_all() {
    // Fails for nobody for whom `own` did not.
    let _ = close_range(AFTER_STANDARD_STREAMS, libc::c_uint::MAX, 0);
}

/// Not in rustix, and in nix only without flags.
fn close_range(first: libc::c_uint, last: libc::c_uint, flags: libc::c_uint) -> io::Result<()> {
    // By number: not every C library has a function for it.
    // SAFETY: it reads and writes no memory of ours. That nobody uses what it closes is demanded of the caller of `own`.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, RawFd};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    /// The numbers that are open in the table of the calling thread, besides the one that it takes to look.
    fn open_numbers() -> Vec<RawFd> {
        let mut numbers: Vec<RawFd> = fs::read_dir("/proc/thread-self/fd")
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.unwrap();
                let is_this = fs::read_link(entry.path()).unwrap().to_string_lossy().ends_with("/fd");
                (!is_this).then(|| entry.file_name().to_str().unwrap().parse().unwrap())
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn a_thread_keeps_what_it_was_told_to_and_nothing_else() {
        let files = [(); 6].map(|()| File::open("/dev/null").unwrap());
        let kept = [files[4].as_fd(), files[1].as_fd()];
        let mut expected = vec![0, 1, 2, files[1].as_raw_fd(), files[4].as_raw_fd()];
        expected.sort_unstable();
        let open = thread::scope(|scope| {
            let looking = scope.spawn(move || {
                // SAFETY: this thread uses nothing but what it opens to look.
                unsafe { own(&kept) }.unwrap();
                open_numbers()
            });
            looking.join().unwrap()
        });
        assert_eq!(open, expected);
        // And here nothing has changed.
        assert!(files.iter().all(|file| file.metadata().is_ok()));
    }

    #[test]
    fn the_end_of_a_stream_is_seen_while_a_thread_with_its_own_table_runs() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (mut told, tell) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            let kept = tell.as_fd();
            scope.spawn(move || {
                // SAFETY: this thread uses nothing but `kept`.
                unsafe { own(&[kept]) }.unwrap();
                rustix::io::write(kept, b"!").unwrap();
                // Until the test is over.
                let _ = rustix::io::read(kept, &mut [0; 1]);
            });
            told.read_exact(&mut [0]).unwrap();
            drop(ours);
            assert_eq!(theirs.read(&mut [0; 1]).unwrap(), 0);
            told.write_all(b"!").unwrap();
        });
    }
}
