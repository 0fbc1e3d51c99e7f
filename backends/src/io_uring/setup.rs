//! Which ring flags the running kernel grants: each is asked for by itself, so that one refusal does not cost the rest.

use std::io;

use io_uring::{Builder, IoUring};
use rustix::io::Errno;

use crate::kernel::failed;

/// A setup flag that makes a loop cheaper and can be done without.
struct Flag {
    name: &'static str,
    /// Not worth asking for beside this one.
    pointless_with: Option<&'static str>,
    set: fn(&mut Builder),
}

/// In this order, for `DEFER_TASKRUN` is refused without `SINGLE_ISSUER`.
const FLAGS: &[Flag] = &[
    // 5.18: one refused submission does not hold back those behind it.
    Flag { name: "SUBMIT_ALL", pointless_with: None, set: |ring| _ = ring.setup_submit_all() },
    // 6.0: no locking against other submitters.
    Flag { name: "SINGLE_ISSUER", pointless_with: None, set: |ring| _ = ring.setup_single_issuer() },
    // 6.1: completions are worked out when the loop asks for them, not whenever it enters the kernel.
    Flag { name: "DEFER_TASKRUN", pointless_with: None, set: |ring| _ = ring.setup_defer_taskrun() },
    // 5.19: the next best, no interrupts to work out completions.
    Flag { name: "COOP_TASKRUN", pointless_with: Some("DEFER_TASKRUN"), set: |ring| _ = ring.setup_coop_taskrun() },
    // 6.6: the indirection through a second array, which nobody uses, is left out.
    Flag { name: "NO_SQARRAY", pointless_with: None, set: |ring| _ = ring.setup_no_sqarray() },
];

/// A ring, and what the kernel said to each flag.
pub struct Granted {
    /// To be used on the thread that asked for it, alone.
    pub ring: IoUring,
    /// Names of the flags that it has.
    pub flags: Vec<&'static str>,
    /// Names of those that it could not have.
    pub refused: Vec<&'static str>,
}

/// A ring with every flag that the kernel grants, and queues of at least that many entries as far as the kernel allows
/// them. When the queue of `completions` is full the kernel keeps the rest and hands it over in the next turn
/// (`IORING_FEAT_NODROP`), so its length bounds a turn and loses nothing.
///
/// # Errors
///
/// Where the kernel has no `io_uring`, forbids it, or lacks something that cannot be done without.
pub fn granted(submissions: u32, completions: u32) -> io::Result<Granted> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(completions).setup_clamp();
    let mut ring = builder.build(submissions).map_err(|error| match error.raw_os_error() {
        Some(raw) if raw == Errno::PERM.raw_os_error() => {
            failed("io_uring is forbidden here (see the sysctl kernel.io_uring_disabled)", error)
        }
        Some(raw) if raw == Errno::NOSYS.raw_os_error() => {
            failed("this kernel has no io_uring, or a sandbox hides it", error)
        }
        _ => failed("io_uring_setup", error),
    })?;
    let (mut flags, mut refused) = (vec!["CQSIZE"], Vec::new());
    for flag in FLAGS {
        if flag.pointless_with.is_some_and(|other| flags.contains(&other)) {
            continue;
        }
        let mut with_flag = builder.clone();
        (flag.set)(&mut with_flag);
        if let Ok(better) = with_flag.build(submissions) {
            (builder, ring) = (with_flag, better);
            flags.push(flag.name);
        } else {
            refused.push(flag.name);
        }
    }
    let params = ring.params();
    if !params.is_feature_ext_arg() || !params.is_feature_nodrop() || !params.is_feature_skip_cqe_on_success() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel's io_uring lacks EXT_ARG, NODROP or CQE_SKIP: Linux 5.17 or newer is needed",
        ));
    }
    Ok(Granted { ring, flags, refused })
}
