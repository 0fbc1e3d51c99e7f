//! A port for a program that has to be told where to listen.
//!
//! Nobody can hold a port for somebody else: a program that binds without `SO_REUSEADDR` would be refused what is held for
//! it. So a port is chosen that nobody gets by chance: one that the kernel gives to no one who asks for any.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::{fs, io};

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::net::{AddressFamily, SocketType, bind, socket};

/// Below are ports that only root may listen on, and those of services that may not run now.
const FIRST: u16 = 10_000;
/// With fewer ports than this outside the range of the kernel, one of that range is as good.
const ENOUGH: usize = 1000;
/// How many are tried, of which most are free on any machine.
const ATTEMPTS: usize = 64;

/// A port of 127.0.0.1 that nobody uses now.
pub(super) fn free_address() -> io::Result<SocketAddr> {
    let unasked = by_name_only(&given_by_kernel());
    if unasked.len() >= ENOUGH {
        let random = || Some(unasked[SysRng.try_next_u32().ok()? as usize % unasked.len()]);
        let tried = (0..ATTEMPTS).filter_map(|_| random());
        if let Some(free) = tried.map(|port| (Ipv4Addr::LOCALHOST, port).into()).find(is_free) {
            return Ok(free);
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// As for a server that does not ask to share (`SO_REUSEADDR`), which connections that have ended keep from it for a while.
fn is_free(address: &SocketAddr) -> bool {
    socket(AddressFamily::INET, SocketType::STREAM, None).is_ok_and(|socket| bind(&socket, address).is_ok())
}

/// The ports that the kernel gives to whoever asks for any, or connects.
fn given_by_kernel() -> RangeInclusive<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().map(str::parse);
    match (ends.next(), ends.next()) {
        (Some(Ok(first)), Some(Ok(last))) => first..=last,
        // Nothing is known: then all of them.
        _ => 0..=u16::MAX,
    }
}

/// The ports that are got only by who names them.
fn by_name_only(given_by_kernel: &RangeInclusive<u16>) -> Vec<u16> {
    (FIRST..=u16::MAX).filter(|port| !given_by_kernel.contains(port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_and_not_of_those_that_others_get_by_chance() {
        let given_by_kernel = given_by_kernel();
        let enough = by_name_only(&given_by_kernel).len() >= ENOUGH;
        let address = free_address().unwrap();
        assert_eq!(given_by_kernel.contains(&address.port()), !enough);
        let listener = TcpListener::bind(address).unwrap();
        assert!(!is_free(&address), "somebody listens there");
        drop(listener);
        assert!(is_free(&address));
    }

    #[test]
    fn ports_outside_the_range_of_the_kernel_may_lie_on_both_sides_of_it_or_be_none() {
        let ports = by_name_only(&(20_000..=60_000));
        assert_eq!((ports[0], ports[9_999], ports[10_000], ports.len()), (10_000, 19_999, 60_001, 15_535));
        assert!(by_name_only(&(1024..=65_535)).is_empty() && by_name_only(&(0..=u16::MAX)).is_empty());
    }
}
