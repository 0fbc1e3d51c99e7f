//! What the network stack, and so loopback, is set to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::root::Root;

const IPV4: &str = "proc/sys/net/ipv4";
const CORE: &str = "proc/sys/net/core";
const LOOPBACK: &str = "sys/class/net/lo";

/// What the network stack is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Network {
    /// The longest queue of connections that wait to be accepted.
    pub somaxconn: Option<u64>,
    /// The longest queue of connections that are being opened.
    pub tcp_max_syn_backlog: Option<u64>,
    /// Whether connections beyond that queue are answered without being remembered.
    pub tcp_syncookies: Option<u64>,
    /// Whether a port in `TIME_WAIT` may be used again: 0 never, 1 always, 2 on loopback.
    pub tcp_tw_reuse: Option<u64>,
    /// Sockets that may be in `TIME_WAIT`.
    pub tcp_max_tw_buckets: Option<u64>,
    /// First and last port that a client is given.
    pub local_ports: Option<[u64; 2]>,
    /// How many of them are not reserved.
    pub local_ports_usable: Option<u64>,
    /// Least, initial and most bytes of a socket's receive buffer.
    pub tcp_rmem_bytes: Option<Vec<u64>>,
    /// Least, initial and most bytes of a socket's send buffer.
    pub tcp_wmem_bytes: Option<Vec<u64>>,
    /// Pages of all TCP buffers together: from the first on as it pleases, from the second on sparingly, never more than
    /// the third.
    pub tcp_mem_pages: Option<Vec<u64>>,
    /// Other ways to pace.
    pub tcp_available_congestion_control: Option<Vec<String>>,
    /// The queueing discipline of devices that have one; loopback has none unless it was given one.
    pub default_qdisc: Option<String>,
    /// The queueing disciplines that loopback has, its root first; `noqueue` unless it was given others.
    pub loopback_qdiscs: Option<Vec<String>>,
    /// How long `poll` and `select` spin for packets.
    pub busy_poll_us: Option<u64>,
    /// How long `read` spins for packets.
    pub busy_read_us: Option<u64>,
    /// CPUs to which loopback hands received packets, as the kernel's mask; 0: the CPU that sent them.
    pub loopback_rps_cpus: Option<String>,
    /// Packets that a CPU's queue takes before it drops; those of loopback pass through it.
    pub netdev_max_backlog: Option<u64>,
}

impl Network {
    pub(super) fn of(root: &Root) -> Self {
        let ipv4 = |file: &str| root.number::<u64>(&format!("{IPV4}/{file}"));
        let core = |file: &str| root.number::<u64>(&format!("{CORE}/{file}"));
        let local_ports = root.words::<u64>(&format!("{IPV4}/ip_local_port_range")).and_then(port_range);
        Self {
            somaxconn: core("somaxconn"),
            tcp_max_syn_backlog: ipv4("tcp_max_syn_backlog"),
            tcp_syncookies: ipv4("tcp_syncookies"),
            tcp_tw_reuse: ipv4("tcp_tw_reuse"),
            tcp_max_tw_buckets: ipv4("tcp_max_tw_buckets"),
            local_ports,
            local_ports_usable: local_ports.map(|range| usable(root, range)),
            tcp_rmem_bytes: root.words(&format!("{IPV4}/tcp_rmem")),
            tcp_wmem_bytes: root.words(&format!("{IPV4}/tcp_wmem")),
            tcp_mem_pages: root.words(&format!("{IPV4}/tcp_mem")),
            tcp_available_congestion_control: root.words(&format!("{IPV4}/tcp_available_congestion_control")),
            default_qdisc: root.line(&format!("{CORE}/default_qdisc")),
            // No file says it.
            loopback_qdiscs: None,
            busy_poll_us: core("busy_poll"),
            busy_read_us: core("busy_read"),
            loopback_rps_cpus: root.line(&format!("{LOOPBACK}/queues/rx-0/rps_cpus")),
            netdev_max_backlog: core("netdev_max_backlog"),
        }
    }
}

fn port_range(numbers: Vec<u64>) -> Option<[u64; 2]> {
    let range: [u64; 2] = numbers.try_into().ok()?;
    (range[0] <= range[1] && u16::try_from(range[1]).is_ok()).then_some(range)
}

/// How many ports from `first` to `last` are not reserved. The list is `1-5,9`; what in it makes no sense reserves nothing.
fn usable(root: &Root, [first, last]: [u64; 2]) -> u64 {
    let reserved = root.text(&format!("{IPV4}/ip_local_reserved_ports")).unwrap_or_default();
    let range = |part: &str| -> Option<(u64, u64)> {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (from.trim().parse::<u64>().ok()?.max(first), to.trim().parse::<u64>().ok()?.min(last));
        (from <= to).then_some((from, to))
    };
    let mut ranges: Vec<(u64, u64)> = reserved.split(',').filter_map(range).collect();
    ranges.sort_unstable();
    // In order, a range takes what those before it have left.
    let (mut usable, mut next) = (last - first + 1, first);
    for (from, to) in ranges {
        usable -= (to + 1).saturating_sub(from.max(next));
        next = next.max(to + 1);
    }
    usable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::fixtures::Tree;

    #[test]
    fn reserved_ports_are_not_usable() {
        let tree = Tree::empty();
        tree.text("proc/sys/net/ipv4/ip_local_port_range", "40000\t40099\n");
        assert_eq!(Network::of(&tree.root()).local_ports_usable, Some(100));
        tree.text("proc/sys/net/ipv4/ip_local_reserved_ports", "39990-40009,40050,40050,60000-1,x\n");
        assert_eq!(Network::of(&tree.root()).local_ports_usable, Some(89));
    }

    #[test]
    fn a_range_that_makes_no_sense_is_unknown() {
        for range in ["5 1", "1 70000", "1", "1 2 3", "-1 5", "18446744073709551616 1"] {
            let tree = Tree::empty();
            tree.text("proc/sys/net/ipv4/ip_local_port_range", range);
            assert_eq!(Network::of(&tree.root()).local_ports, None, "{range}");
        }
    }
}
