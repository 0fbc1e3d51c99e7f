//! The queueing disciplines of loopback and its MTU, asked for over rtnetlink(7): tc(8) and ip(8) ask the same, and may not
//! be installed.

use std::io;
use std::iter;
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with, sockopt};

/// The interface of loopback in every network namespace (`LOOPBACK_IFINDEX` of the kernel).
const LOOPBACK: u32 = 1;

/// `RTM_NEWLINK`, `RTM_GETLINK`, `RTM_NEWQDISC` and `RTM_GETQDISC` of linux/rtnetlink.h.
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_QDISC: u16 = 36;
const GET_QDISC: u16 = 38;
/// `NLMSG_ERROR` and `NLMSG_DONE` of linux/netlink.h.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_ALL: u16 = 0x301;
/// `struct nlmsghdr`, and `struct ifinfomsg` or `struct tcmsg` behind it.
const HEADER_BYTES: usize = 16;
const IFINFOMSG_BYTES: usize = 16;
const TCMSG_BYTES: usize = 20;
/// `IFLA_MTU` of `linux/if_link.h`.
const MTU: u16 = 4;
/// `TCA_KIND` of linux/rtnetlink.h; an attribute begins with its length and its type, 16 bits each.
const KIND: u16 = 1;
const ATTRIBUTE_BYTES: usize = 4;
/// The longest name, its zero not counted (`IFNAMSIZ`).
const LONGEST_NAME: usize = 15;

/// The kind of an interface that was given none: packets go straight through.
pub(crate) const NO_QUEUE: &str = "noqueue";

/// An answer is larger than a page only where an interface has very many of them.
const ANSWER_BYTES: usize = 64 * 1024;
/// The kernel answers within the call that asks; this only bounds what cannot happen.
const PATIENCE: Duration = Duration::from_secs(1);
/// Far more parts than an answer has.
const MOST_PARTS: usize = 1000;

/// The queueing disciplines of loopback by their kind, the root first, `clsact` and `ingress` among them. Nothing where the
/// kernel does not say.
pub(crate) fn of_loopback() -> Option<Vec<String>> {
    let mut kinds = Kinds::default();
    ask(&request(GET_QDISC, TCMSG_BYTES), |part| kinds.add(part)).ok()?;
    kinds.finished()
}

/// The MTU of loopback in the network namespace of this process; `/sys` may show that of another.
pub(crate) fn loopback_mtu_bytes() -> Option<u64> {
    let mut mtu = Mtu::default();
    ask(&request(GET_LINK, IFINFOMSG_BYTES), |part| mtu.add(part)).ok()?;
    mtu.bytes
}

/// Hands over the parts of an answer until `add` has had the last.
fn ask(request: &[u8], mut add: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    // No protocol is protocol 0, which is `NETLINK_ROUTE`.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    send(&socket, request, SendFlags::empty())?;
    let mut part = vec![0; ANSWER_BYTES];
    for _ in 0..MOST_PARTS {
        let (_, bytes) = recv(&socket, part.as_mut_slice(), RecvFlags::empty())?;
        if bytes == 0 || add(&part[..bytes.min(ANSWER_BYTES)]) {
            break;
        }
    }
    Ok(())
}

/// A `struct nlmsghdr` with so many zeros behind it: the kernel lists what all interfaces have.
fn request(get: u16, body_bytes: usize) -> Vec<u8> {
    let length = HEADER_BYTES + body_bytes;
    let mut message = vec![0; length];
    message[0..4].copy_from_slice(&u32::try_from(length).expect("a few bytes").to_ne_bytes());
    message[4..6].copy_from_slice(&get.to_ne_bytes());
    message[6..8].copy_from_slice(&REQUEST_ALL.to_ne_bytes());
    message
}

/// What an answer says of queueing disciplines, as its parts come.
#[derive(Debug, Default)]
struct Kinds {
    root: Vec<String>,
    others: Vec<String>,
    done: bool,
    failed: bool,
}

impl Kinds {
    /// Whether that was the last part.
    fn add(&mut self, part: &[u8]) -> bool {
        for (kind, message) in messages(part) {
            match kind {
                NEW_QDISC => self.take(message),
                DONE => self.done = true,
                ERROR => self.failed = true,
                _ => {}
            }
        }
        self.done || self.failed
    }

    /// A message is `struct tcmsg`, of which the interface is at 4 and the parent at 12, and attributes.
    fn take(&mut self, message: &[u8]) {
        let (Some(LOOPBACK), Some(parent)) = (word(message, 4), word(message, 12)) else { return };
        let kind = attribute(message.get(TCMSG_BYTES..).unwrap_or_default(), KIND);
        let Some(name) = kind.and_then(name) else { return };
        // `TC_H_ROOT` of linux/pkt_sched.h.
        if parent == u32::MAX { self.root.push(name) } else { self.others.push(name) }
    }

    /// A listing that was cut off is none.
    fn finished(self) -> Option<Vec<String>> {
        let Self { root, mut others, done, failed } = self;
        others.sort_unstable();
        others.dedup();
        (done && !failed).then(|| root.into_iter().chain(others).collect())
    }
}

/// What an answer says of the MTU, as its parts come.
#[derive(Debug, Default)]
struct Mtu {
    bytes: Option<u64>,
}

impl Mtu {
    /// Whether that was the last part that is of interest. A message is `struct ifinfomsg`, of which the interface is at 4,
    /// and attributes.
    fn add(&mut self, part: &[u8]) -> bool {
        let mut over = false;
        for (kind, message) in messages(part) {
            if kind == NEW_LINK && word(message, 4) == Some(LOOPBACK) {
                let mtu = attribute(message.get(IFINFOMSG_BYTES..).unwrap_or_default(), MTU);
                self.bytes = mtu.and_then(|content| word(content, 0)).map(u64::from);
            }
            over |= matches!(kind, DONE | ERROR);
        }
        over || self.bytes.is_some()
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The types of messages and their contents.
fn messages(part: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = part;
    iter::from_fn(move || {
        let (kind, content, after) = message(rest)?;
        rest = after;
        Some((kind, content))
    })
}

/// The type of the first message, its content, and what comes after it; nothing at the end, and where a length is wrong.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let content = bytes.get(HEADER_BYTES..length)?;
    Some((kind, content, bytes.get(aligned(length)..).unwrap_or_default()))
}

/// The content of the first attribute of that type.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        let content = attributes.get(ATTRIBUTE_BYTES..length)?;
        if kind == wanted {
            return Some(content);
        }
        attributes = attributes.get(aligned(length)..)?;
    }
}

/// Up to its zero; nothing that the kernel would not call a queueing discipline.
fn name(content: &[u8]) -> Option<String> {
    let name = content.split(|&byte| byte == 0).next()?;
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && name.iter().all(is_letter);
    is_name.then(|| String::from_utf8_lossy(name).into_owned())
}

/// Messages and attributes begin at multiples of 4.
fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOT: u32 = u32::MAX;
    const INGRESS: u32 = 0xFFFF_FFF1;

    fn attribute_of(kind: u16, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(ATTRIBUTE_BYTES + content.len()).unwrap();
        let mut bytes = [length.to_ne_bytes().as_slice(), &kind.to_ne_bytes(), content].concat();
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn of_type(kind: u16, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER_BYTES + content.len()).unwrap();
        let mut bytes = [length.to_ne_bytes().as_slice(), &kind.to_ne_bytes(), &[0; 10], content].concat();
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn qdisc(interface: u32, parent: u32, name: &[u8]) -> Vec<u8> {
        let body = [&[0; 4], interface.to_ne_bytes().as_slice(), &[0; 4], &parent.to_ne_bytes(), &[0; 4]].concat();
        // Its options come after its kind, and something else may come before.
        let attributes = [attribute_of(7, b"12345"), attribute_of(KIND, name), attribute_of(2, &[0; 9])].concat();
        of_type(NEW_QDISC, &[body, attributes].concat())
    }

    fn link(interface: u32, mtu: &[u8]) -> Vec<u8> {
        let body = [&[0; 4], interface.to_ne_bytes().as_slice(), &[0; 8]].concat();
        of_type(NEW_LINK, &[body, attribute_of(3, b"lo\0"), attribute_of(MTU, mtu)].concat())
    }

    #[test]
    fn the_mtu_is_that_of_loopback() {
        let read = |part: &[u8]| {
            let mut mtu = Mtu::default();
            mtu.add(part);
            mtu.bytes
        };
        let part = [link(2, &9000_u32.to_ne_bytes()), link(1, &1500_u32.to_ne_bytes())].concat();
        assert_eq!(read(&part), Some(1500));
        assert_eq!((read(&link(2, &[0; 4])), read(&link(1, &[1; 3])), read(&[])), (None, None, None));
        assert_eq!(read(&link(1, &1500_u32.to_ne_bytes())[..40]), None);
    }

    fn read(parts: &[Vec<u8>]) -> Option<Vec<String>> {
        let mut kinds = Kinds::default();
        for part in parts {
            kinds.add(part);
        }
        kinds.finished()
    }

    #[test]
    fn those_of_loopback_are_listed_with_the_root_first() {
        let part = [
            qdisc(2, ROOT, b"mq\0"),
            qdisc(1, INGRESS, b"clsact\0"),
            qdisc(1, ROOT, b"htb\0"),
            qdisc(1, 0x0001_0010, b"fq_codel\0"),
            qdisc(1, 0x0001_0020, b"fq_codel\0"),
        ];
        let done = of_type(DONE, &[0; 4]);
        let expected = Some(["htb", "clsact", "fq_codel"].map(str::to_owned).to_vec());
        assert_eq!(read(&[part.concat(), done.clone()]), expected);
        assert_eq!(read(&[[part.concat(), done.clone()].concat()]), expected);
        assert_eq!(read(&[done]), Some(Vec::new()));
    }

    #[test]
    fn an_answer_that_is_cut_off_or_refused_is_none() {
        let (whole, done) = (qdisc(1, ROOT, b"tbf\0"), of_type(DONE, &[0; 4]));
        assert_eq!(read(&[]), None);
        assert_eq!(read(std::slice::from_ref(&whole)), None);
        assert_eq!(read(&[whole.clone(), of_type(ERROR, &(-1_i32).to_ne_bytes())]), None);
        for length in 0..whole.len() {
            let read = read(&[whole[..length].to_vec(), done.clone()]);
            assert!(read.is_some_and(|kinds| kinds.is_empty()), "{length}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_left_out() {
        for name in [&b"\0"[..], b"", b"\x1b[2J\0", b"a name\0", b"sixteen_letters_\0", "tbf\u{202e}".as_bytes()] {
            assert_eq!(read(&[qdisc(1, ROOT, name), of_type(DONE, &[])]), Some(Vec::new()), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_no_harm(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4), at in 0..60_usize, byte: u8) {
            let _ = read(&parts);
            let mut changed = [qdisc(1, ROOT, b"tbf\0"), of_type(DONE, &[0; 4])].concat();
            let length = changed.len();
            changed[at % length] = byte;
            let _ = (Mtu::default().add(&changed), read(&[changed]));
        }
    }

    #[test]
    fn this_kernel_says_what_loopback_has() {
        match of_loopback() {
            Some(kinds) => assert!(kinds.iter().all(|kind| !kind.is_empty()), "{kinds:?}"),
            None => crate::skipped::skipped("the kernel lists no queueing disciplines"),
        }
        assert!(loopback_mtu_bytes().is_none_or(|bytes| bytes > 0));
    }
}
