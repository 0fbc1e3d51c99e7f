//! Findings about what loopback goes through.

use super::Level::{Good, Note, Warning};
use super::{Check, Finding, Subject, Topic};
use crate::environment::NO_QUEUE;
use crate::figures;

pub(super) const CHECKS: &[Check] =
    &[qdisc, ports, time_wait, backlog, congestion_control, mtu, receive_steering, busy_polling];

/// Ports that many a comparison wants, since a port is held for a while after its connection has gone.
const MANY_PORTS: u64 = 16_384;
/// Ports that every comparison wants.
const SOME_PORTS: u64 = 4_096;
/// Connections that come at once.
const BURST: u64 = 1_024;
/// What loopback has unless somebody changed it.
const USUAL_MTU: u64 = 65_536;

fn qdisc(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "loopback qdisc",
        effect: "A queueing discipline may shape, delay or drop what is sent over loopback: figures are then its own and not the \
                 server's.",
        change: "tc qdisc del dev lo root; tc qdisc del dev lo clsact (or ingress)",
    };
    let kinds = subject.environment.network.loopback_qdiscs.as_ref()?;
    let is_none = kinds.iter().all(|kind| kind == NO_QUEUE);
    Some(if is_none { topic.found(Good, "none") } else { topic.found(Warning, kinds.join(", ")) })
}

fn ports(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "ports",
        effect: "Each connection to one server needs a port of its own: cells with more connections fail.",
        change: "sysctl net.ipv4.ip_local_port_range='1024 65535'",
    };
    let usable = subject.environment.network.local_ports_usable?;
    let level = match usable {
        MANY_PORTS.. => Good,
        SOME_PORTS.. => Note,
        _ => Warning,
    };
    Some(topic.found(level, figures::grouped(usable as f64)))
}

fn time_wait(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "TIME_WAIT",
        effect: "Connections that have ended hold their ports for a minute: new ones may find none.",
        change: "wait for a minute, or sysctl net.ipv4.tcp_tw_reuse=2 (reuse on loopback)",
    };
    let (waiting, usable) = (subject.conditions.tcp_time_wait?, subject.environment.network.local_ports_usable?);
    let level = if waiting.saturating_mul(2) >= usable { Note } else { Good };
    Some(topic.found(level, format!("{} sockets", figures::grouped(waiting as f64))))
}

fn backlog(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "backlog",
        effect: "Of connections that are opened at once, those beyond it are dropped and tried again after a second.",
        change: "sysctl net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096",
    };
    let network = &subject.environment.network;
    let somaxconn = network.somaxconn?;
    let syn = network.tcp_max_syn_backlog.unwrap_or(somaxconn);
    let level = if somaxconn.min(syn) < BURST { Note } else { Good };
    let (somaxconn, syn) = (figures::grouped(somaxconn as f64), figures::grouped(syn as f64));
    Some(topic.found(level, format!("somaxconn {somaxconn}, tcp_max_syn_backlog {syn}")))
}

fn congestion_control(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "congestion control",
        effect: "It spaces packets by a timer, on loopback too: that takes CPU and delays what is sent in bursts, with every \
                 backend.",
        change: "sysctl net.ipv4.tcp_congestion_control=cubic",
    };
    let name = subject.environment.tcp_congestion_control.as_deref()?;
    let level = if name.starts_with("bbr") { Note } else { Good };
    Some(topic.found(level, name))
}

fn mtu(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "loopback MTU",
        effect: "Large payloads become more packets than on other machines where it is smaller, and fewer where it is larger.",
        change: "ip link set lo mtu 65536",
    };
    let bytes = subject.environment.loopback_mtu_bytes?;
    Some(topic.found(if bytes == USUAL_MTU { Good } else { Note }, format!("{} bytes", figures::grouped(bytes as f64))))
}

fn receive_steering(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "receive steering",
        effect: "Packets on loopback are handed to other CPUs, which may be those of the other side.",
        change: "echo 0 > /sys/class/net/lo/queues/rx-0/rps_cpus",
    };
    let mask = subject.environment.network.loopback_rps_cpus.as_deref()?;
    // `00000000,00000000` on machines of many CPUs.
    let off = mask.chars().all(|digit| matches!(digit, '0' | ','));
    Some(if off { topic.found(Good, "off") } else { topic.found(Note, format!("to the CPUs of the mask {mask}")) })
}

fn busy_polling(subject: Subject<'_>) -> Option<Finding> {
    let topic = Topic {
        name: "busy polling",
        effect: "poll, select and read spin before they sleep: they look better, and cost more CPU, than where that is off.",
        change: "sysctl net.core.busy_poll=0 net.core.busy_read=0",
    };
    let network = &subject.environment.network;
    let (poll, read) = (network.busy_poll_us?, network.busy_read_us?);
    let level = if poll.max(read) > 0 { Note } else { Good };
    Some(topic.found(level, format!("busy_poll {poll} µs, busy_read {read} µs")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::finds;

    #[test]
    fn few_ports_are_found() {
        finds("ports", Note, |patient| patient.environment.network.local_ports_usable = Some(10_000));
        finds("ports", Warning, |patient| patient.environment.network.local_ports_usable = Some(1000));
        finds("TIME_WAIT", Note, |patient| patient.conditions.tcp_time_wait = Some(20_000));
    }

    #[test]
    fn a_loopback_that_shapes_what_it_carries_is_warned_of() {
        let kinds = |kinds: &[&str]| Some(kinds.iter().copied().map(str::to_owned).collect());
        for shaped in [&["tbf"][..], &["netem"], &["htb", "fq_codel"], &["noqueue", "clsact"]] {
            let patient = finds("loopback qdisc", Warning, |patient| {
                patient.environment.network.loopback_qdiscs = kinds(shaped);
            });
            assert_eq!(patient.value("loopback qdisc"), shaped.join(", "));
        }
        for usual in [&[][..], &["noqueue"]] {
            let mut patient = crate::doctor::tests::Patient::healthy();
            patient.environment.network.loopback_qdiscs = kinds(usual);
            assert_eq!(patient.value("loopback qdisc"), "none");
        }
    }

    #[test]
    fn a_short_queue_is_found() {
        finds("backlog", Note, |patient| patient.environment.network.somaxconn = Some(128));
        finds("backlog", Note, |patient| patient.environment.network.tcp_max_syn_backlog = Some(256));
    }

    #[test]
    fn what_takes_part_in_every_packet_is_noted() {
        let bbr = Some("bbr".to_owned());
        finds("congestion control", Note, |patient| patient.environment.tcp_congestion_control = bbr);
        finds("loopback MTU", Note, |patient| patient.environment.loopback_mtu_bytes = Some(1500));
        finds("loopback MTU", Note, |patient| patient.environment.loopback_mtu_bytes = Some(131_072));
        let mask = Some("00000000,00000003".to_owned());
        finds("receive steering", Note, |patient| patient.environment.network.loopback_rps_cpus = mask);
        finds("busy polling", Note, |patient| patient.environment.network.busy_read_us = Some(50));
    }
}
