//! The servers that use `io_uring`, as data: one server, and which features of the interface each variant of it uses.
//!
//! Read from the top the table is a ladder: each step adds one feature to the one before, so that what two neighbours
//! differ by in a measurement is what that feature buys. What is not on the way to `io_uring` hangs at the side, also
//! one step away from what it is to be compared with.

use crate::backend::{BackendInfo, IoModel, Isolation, Threading, Waiting};

/// What a server makes use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools)] // Independent features, a table of them.
pub(super) struct Features {
    /// One accept goes on from connection to connection.
    pub(super) multishot_accept: bool,
    /// One receive goes on from message to message, into buffers that the kernel picks from a ring shared by all.
    pub(super) multishot_receive: bool,
    /// The ring flags `SINGLE_ISSUER`, without which the other is refused, and `DEFER_TASKRUN`: no locking against other
    /// submitters, and completions are worked out when the loop asks for them.
    pub(super) deferred_task_work: bool,
    /// A send that finds room at once posts no completion (`IOSQE_CQE_SKIP_SUCCESS`). So that its end is known when the
    /// call returns it does not wait (`MSG_DONTWAIT`), and fails if it is short (`MSG_WAITALL`); what is left goes out with
    /// a second send that waits. Where a connection has to go on after a success, the loop enters the kernel once more
    /// to learn of it.
    pub(super) silent_sends: bool,
    /// Sockets live in a table of the ring, not in that of the process.
    pub(super) direct_descriptors: bool,
    /// A thread of the kernel takes submissions.
    pub(super) sq_poll: bool,
    /// The network reads what is sent from where it lies.
    pub(super) zero_copy_sends: bool,
    /// Replies that wait behind a send stay where they were received, and leave together in one send (a bundle).
    pub(super) send_bundles: bool,
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) info: BackendInfo,
    /// The variant that it is compared with: the one that it differs from in one feature.
    pub(super) step_from: Option<&'static str>,
    pub(super) features: Features,
    /// What it does where the kernel does not grant [`Features::deferred_task_work`]: the next best, and say so, or
    /// nothing.
    pub(super) may_fall_back: bool,
}

/// Where the ladder starts.
const NONE: Features = Features {
    multishot_accept: false,
    multishot_receive: false,
    deferred_task_work: false,
    silent_sends: false,
    direct_descriptors: false,
    sq_poll: false,
    zero_copy_sends: false,
    send_bundles: false,
};
const ACCEPT: Features = Features { multishot_accept: true, ..NONE };
const PROVIDED: Features = Features { multishot_receive: true, ..ACCEPT };
const DEFER: Features = Features { deferred_task_work: true, ..PROVIDED };
const SILENT: Features = Features { silent_sends: true, ..DEFER };
const DIRECT: Features = Features { direct_descriptors: true, ..SILENT };
const BUNDLE: Features = Features { send_bundles: true, ..SILENT };
/// The kernel refuses a zero-copy send that is to be silent.
const ZERO_COPY: Features = Features { zero_copy_sends: true, ..DEFER };
/// The kernel refuses deferred task work beside it; and silent sends rest on a call that returns when they are made.
const SQ_POLL: Features = Features { sq_poll: true, ..PROVIDED };

/// Every variant.
pub(super) static VARIANTS: &[Variant] = &[
    variant(
        "io_uring-oneshot",
        None,
        NONE,
        [
            "the naive port: accept, recv and send one at a time, into memory of each connection, on a plain ring",
            "you want to know what a straight port of a blocking server to io_uring gets you",
            "peers are many or idle: each holds memory; and each message takes an operation more than it has to",
        ],
    ),
    variant(
        "io_uring-accept",
        Some("io_uring-oneshot"),
        ACCEPT,
        [
            "io_uring-oneshot, but one accept goes on from connection to connection (multishot)",
            "connections come and go all the time",
            "connections last: then it is io_uring-oneshot",
        ],
    ),
    variant(
        "io_uring-provided",
        Some("io_uring-accept"),
        PROVIDED,
        [
            "io_uring-accept, but one receive per connection goes on (multishot), into buffers shared by all",
            "many connections are idle, or messages come faster than one at a time",
            "kernels before 6.0 have to be served",
        ],
    ),
    variant(
        "io_uring-defer",
        Some("io_uring-provided"),
        DEFER,
        [
            "io_uring-provided, but completions are worked out when asked for (SINGLE_ISSUER, DEFER_TASKRUN)",
            "you want to see what silent sends add: io_uring is this one with them",
            "kernels before 6.1 have to be served",
        ],
    ),
    Variant {
        info: BackendInfo {
            name: "io_uring",
            is_main: true,
            summary: "one completion loop: multishot accept and receive, provided buffers, one call per turn",
            use_when: "many requests arrive at once and a system call for each is what costs most",
            avoid_when: "a sandbox or an administrator forbids io_uring, or kernels before 6.1 have to be served",
            model: IoModel::Completion,
            threading: Threading::LoopPerThread,
            waiting: Waiting::Sleeps,
            isolation: Isolation::Full,
        },
        step_from: Some("io_uring-defer"),
        features: SILENT,
        may_fall_back: true,
    },
    variant(
        "io_uring-direct",
        Some("io_uring"),
        DIRECT,
        [
            "io_uring, but sockets live in a table of the ring instead of that of the process (direct descriptors)",
            "the process needs its descriptors for something else; what a table shared by threads costs, threads here do not pay",
            "something else has to use the sockets; or the limit is low: near it connections are accepted one at a time",
        ],
    ),
    variant(
        "io_uring-zc",
        Some("io_uring-defer"),
        ZERO_COPY,
        [
            "io_uring-defer, but the network reads what is sent from where it lies (SEND_ZC)",
            "messages of many KiB leave through a real network card that can gather and checksum",
            "messages are short, or peers are on this host: loopback copies all the same, and says so afterwards",
        ],
    ),
    variant(
        "io_uring-sqpoll",
        Some("io_uring-provided"),
        SQ_POLL,
        [
            "io_uring-provided, but a thread of the kernel takes submissions, so that a busy loop makes few calls (SQPOLL)",
            "a CPU can be spared for each server thread, and latency is worth it",
            "CPUs are few or shared: the thread of the kernel spins beside the server, on its CPU time",
        ],
    ),
    variant(
        "io_uring-bundle",
        Some("io_uring"),
        BUNDLE,
        [
            "io_uring, but replies that wait behind a send stay in the buffers they came in and leave in one send (bundle)",
            "long streams without frames, much in flight: what waits is not copied",
            "frames are echoed: few wait in one piece, and it is io_uring; a page is locked for each peer that had to wait",
        ],
    ),
];

const fn variant(
    name: &'static str,
    step_from: Option<&'static str>,
    features: Features,
    [summary, use_when, avoid_when]: [&'static str; 3],
) -> Variant {
    Variant {
        info: BackendInfo {
            name,
            is_main: false,
            summary,
            use_when,
            avoid_when,
            model: IoModel::Completion,
            threading: Threading::LoopPerThread,
            waiting: if features.sq_poll { Waiting::KernelSpins } else { Waiting::Sleeps },
            isolation: Isolation::Full,
        },
        step_from,
        features,
        may_fall_back: false,
    }
}

/// The place of a variant in the table.
pub(super) const fn position(name: &str) -> usize {
    let mut position = 0;
    while position < VARIANTS.len() {
        if is_same(VARIANTS[position].info.name, name) {
            return position;
        }
        position += 1;
    }
    panic!("no variant has that name")
}

/// `==`, which is not to be had before the program runs.
const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

impl Features {
    /// Every feature by its name, and whether it is used.
    pub(super) fn all(self) -> impl Iterator<Item = (&'static str, bool)> {
        let Self {
            multishot_accept,
            multishot_receive,
            deferred_task_work,
            silent_sends,
            direct_descriptors,
            sq_poll,
            zero_copy_sends,
            send_bundles,
        } = self;
        [
            ("multishot_accept", multishot_accept),
            ("multishot_receive", multishot_receive),
            ("deferred_task_work", deferred_task_work),
            ("silent_sends", silent_sends),
            ("direct_descriptors", direct_descriptors),
            ("sq_poll", sq_poll),
            ("zero_copy_sends", zero_copy_sends),
            ("send_bundles", send_bundles),
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BACKENDS;

    #[test]
    fn every_variant_is_a_backend() {
        let mut variants: Vec<_> = VARIANTS.iter().map(|variant| variant.info.name).collect();
        let names = BACKENDS.iter().map(|backend| backend.info().name);
        let mut backends: Vec<_> = names.filter(|name| name.starts_with("io_uring")).collect();
        variants.sort_unstable();
        backends.sort_unstable();
        assert_eq!(variants, backends);
    }

    fn differences(a: Features, b: Features) -> Vec<&'static str> {
        a.all().zip(b.all()).filter(|(a, b)| a.1 != b.1).map(|(a, _)| a.0).collect()
    }

    #[test]
    fn every_step_is_one_feature_more() {
        for (place, variant) in VARIANTS.iter().enumerate() {
            let name = variant.info.name;
            let Some(from) = variant.step_from else {
                assert_eq!((place, variant.features), (0, NONE), "{name}: only the lowest step is a step from nothing");
                continue;
            };
            let from = &VARIANTS[position(from)];
            let steps = differences(from.features, variant.features);
            assert_eq!(steps.len(), 1, "{} to {name}: {steps:?}", from.info.name);
            let used = |features: Features| features.all().filter(|(_, used)| *used).count();
            assert!(used(variant.features) > used(from.features), "{name} takes {steps:?} away");
        }
    }

    #[test]
    fn every_feature_is_the_step_to_one_variant() {
        let mut steps: Vec<&str> = VARIANTS
            .iter()
            .filter_map(|variant| Some((variant, &VARIANTS[position(variant.step_from?)])))
            .flat_map(|(variant, from)| differences(from.features, variant.features))
            .collect();
        let mut all: Vec<&str> = NONE.all().map(|(name, _)| name).collect();
        steps.sort_unstable();
        all.sort_unstable();
        assert_eq!(steps, all);
    }

    #[test]
    fn nothing_is_combined_that_the_kernel_or_the_server_cannot() {
        for Variant { info, features, .. } in VARIANTS {
            let name = info.name;
            assert!(!(features.sq_poll && features.deferred_task_work), "{name}: setup says EINVAL");
            assert!(!(features.sq_poll && features.silent_sends), "{name}: when a send is made is not known");
            assert!(!(features.zero_copy_sends && features.silent_sends), "{name}: SEND_ZC says EINVAL");
            // Only what lies in a provided buffer can be held, and it is not lent as well.
            assert!(!features.send_bundles || features.multishot_receive, "{name}: there is nothing to hold");
            assert!(!(features.send_bundles && features.zero_copy_sends), "{name}: a bundle is not lent");
            // A connection's own memory goes with it, and the network may go on reading.
            assert!(!features.zero_copy_sends || features.multishot_receive, "{name}: memory would be freed too early");
        }
    }

    #[test]
    fn who_has_a_thread_of_the_kernel_says_that_it_spins() {
        for Variant { info, features, .. } in VARIANTS {
            assert_eq!(info.waiting.hides_load(), features.sq_poll, "{}", info.name);
            assert_eq!(info.waiting.kernel_threads(), usize::from(features.sq_poll), "{}", info.name);
        }
    }

    #[test]
    fn only_the_main_one_stands_for_the_interface_and_may_fall_back() {
        for Variant { info, may_fall_back, .. } in VARIANTS {
            assert_eq!((info.is_main, *may_fall_back), (info.name == "io_uring", info.name == "io_uring"));
        }
    }
}
