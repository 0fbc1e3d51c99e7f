//! Rows about what loopback goes through.

use super::{UNKNOWN, list, text};
use crate::environment::{Conditions, Environment};

pub(super) fn network(environment: &Environment) -> String {
    let network = &environment.network;
    format!(
        "loopback MTU {}, qdisc {}, receive steering {}, busy_poll {}, busy_read {}, netdev_max_backlog {}; {} of {}; default qdisc {}",
        text(environment.loopback_mtu_bytes),
        network
            .loopback_qdiscs
            .as_deref()
            .filter(|kinds| !kinds.is_empty())
            .map_or(UNKNOWN.to_owned(), |kinds| kinds.join(" ")),
        text(network.loopback_rps_cpus.as_ref()),
        text(network.busy_poll_us),
        text(network.busy_read_us),
        text(network.netdev_max_backlog),
        text(environment.tcp_congestion_control.as_ref()),
        list(network.tcp_available_congestion_control.as_deref(), "none"),
        text(network.default_qdisc.as_ref()),
    )
}

pub(super) fn tcp_memory(environment: &Environment) -> String {
    let triple = |values: Option<&Vec<u64>>| {
        values.map_or(UNKNOWN.to_owned(), |values| values.iter().map(u64::to_string).collect::<Vec<_>>().join(" "))
    };
    let network = &environment.network;
    format!(
        "receive {} bytes, send {} bytes, all sockets {} pages",
        triple(network.tcp_rmem_bytes.as_ref()),
        triple(network.tcp_wmem_bytes.as_ref()),
        triple(network.tcp_mem_pages.as_ref())
    )
}

pub(super) fn sockets(environment: &Environment, conditions: &Conditions) -> String {
    let network = &environment.network;
    let ports = network.local_ports.map_or(UNKNOWN.to_owned(), |[first, last]| format!("{first} to {last}"));
    format!(
        "ports {ports} ({} usable); TCP: {} in use, {} in TIME_WAIT (most {}, tw_reuse {}); somaxconn {}, \
         tcp_max_syn_backlog {}, syncookies {}; open files {}",
        text(network.local_ports_usable),
        text(conditions.tcp_sockets),
        text(conditions.tcp_time_wait),
        text(network.tcp_max_tw_buckets),
        text(network.tcp_tw_reuse),
        text(network.somaxconn),
        text(network.tcp_max_syn_backlog),
        text(network.tcp_syncookies),
        text(conditions.open_files),
    )
}
