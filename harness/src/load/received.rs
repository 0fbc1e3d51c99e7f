//! How much has come on a connection, as the kernel has counted it: asked for when one is lost, so that nothing has to be
//! counted for every answer.
#![expect(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};

/// Where `tcpi_bytes_received` lies in `struct tcp_info` of include/uapi/linux/tcp.h; since Linux 4.1. Fields of that
/// structure are only added at its end, and the kernel copies as much of it as there is room for.
const BYTES_RECEIVED_AT: usize = 128;
const INFO_BYTES: usize = BYTES_RECEIVED_AT + size_of::<u64>();

/// Bytes of the stream that came in order, and one for its end, which the kernel counts, too. None where it does not say:
/// no TCP, or a kernel that leaves it out (gVisor).
pub(super) fn received_bytes(socket: &OwnedFd) -> Option<u64> {
    let mut info = [0_u8; INFO_BYTES];
    let mut length = libc::socklen_t::try_from(INFO_BYTES).ok()?;
    // SAFETY: the kernel writes at most `length` bytes to `info`, which is as long, and how many they were to `length`; any
    // bytes are a valid array of bytes.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let is_whole = outcome == 0 && usize::try_from(length).is_ok_and(|length| length >= INFO_BYTES);
    let (_, counted) = info.split_at(BYTES_RECEIVED_AT);
    is_whole.then(|| u64::from_ne_bytes(counted.try_into().expect("it is as long as that")))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_came_is_known_after_the_end_of_the_stream_and_whether_or_not_it_was_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        theirs.write_all(&[7; 1000]).unwrap();
        drop(theirs);
        ours.read_exact(&mut [0; 400]).unwrap();
        ours.read_to_end(&mut Vec::new()).unwrap();
        let Some(bytes) = received_bytes(&OwnedFd::from(ours)) else { return };
        assert!((1000..=1001).contains(&bytes), "{bytes}");
    }

    #[test]
    fn of_what_is_no_tcp_nothing_is_known() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(received_bytes(&OwnedFd::from(ours)), None);
    }
}
