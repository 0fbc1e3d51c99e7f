//! Which addresses many connections come from: one has no more ports than `net.ipv4.ip_local_port_range` says.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use rustix::net::{SocketFlags, bind, sockopt};

use super::connect::{begin_over, no_socket, socket_to};
use super::error::LoadError;

/// The ports of an address that are used, as a share: the kernel looks for a free one, and finds none at once where most
/// are taken. It gives away every other one first.
const USED: u32 = 2;

/// The source addresses of the connections to one target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources {
    target: SocketAddr,
    connections_each: u32,
}

impl Sources {
    pub(super) fn of(target: SocketAddr) -> Result<Self, LoadError> {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
        let range = range.as_deref().and_then(crate::crowd::ports);
        let ports = range.and_then(|ports| u32::try_from(ports).ok()).filter(|&ports| ports >= USED);
        let ports = ports.ok_or(LoadError::PortsUsedUp { target })?;
        Ok(Self { target, connections_each: ports / USED })
    }

    /// The address for the `index`-th connection: 127.0.0.2 and those that follow. IPv6 has one loopback address, which the
    /// kernel picks by itself.
    fn address(self, index: usize) -> Option<Ipv4Addr> {
        if self.target.is_ipv6() {
            return None;
        }
        let nth = u32::try_from(index / self.connections_each as usize).unwrap_or(u32::MAX);
        // 127.255.255.255 is a broadcast address, and nobody opens the 16 million connections before it.
        Some(Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + nth.min(0x00ff_fff0)))
    }

    /// Begins to open the `index`-th connection. When it is closed, its peer gets a reset.
    pub(super) fn begin(self, index: usize) -> Result<OwnedFd, LoadError> {
        let socket = socket_to(self.target, SocketFlags::NONBLOCK)
            .and_then(|socket| sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).map(|()| socket))
            .map_err(|cause| no_socket(self.target, cause))?;
        self.bind(&socket, index)?;
        begin_over(socket, self.target)
    }

    /// Binds the socket of the `index`-th connection to its address.
    pub(super) fn bind(self, socket: &OwnedFd, index: usize) -> Result<(), LoadError> {
        let Some(address) = self.address(index) else { return Ok(()) };
        let kernel = |what| move |cause: io::Error| LoadError::Kernel { what, cause };
        // Without it, bind would pick the port, and it must then be one that no connection uses to anywhere.
        setsockopt(socket, IpBindAddressNoPort, &true).map_err(|cause| kernel("bind a socket late")(cause.into()))?;
        bind(socket, &SocketAddr::new(IpAddr::V4(address), 0))
            .map_err(|cause| kernel("bind a socket to a loopback address")(cause.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_share_of_ports_and_then_comes_the_next() {
        let sources = Sources { target: "127.0.0.1:7".parse().unwrap(), connections_each: 14_116 };
        let address = |index| sources.address(index).unwrap().to_string();
        assert_eq!([0, 14_115, 14_116, 99_999].map(address), ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.9"]);
        assert_eq!(address(254 * 14_116), "127.0.1.0");
        let ipv6 = Sources { target: "[::1]:7".parse().unwrap(), ..sources };
        assert_eq!(ipv6.address(0), None);
    }
}
