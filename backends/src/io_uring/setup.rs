//! Which ring flags the running kernel grants: each is asked for by itself, so that one refusal does not cost the rest.

use std::io;

use io_uring::{Builder, IoUring};
use rustix::io::Errno;

use super::locked_memory::{explained, is_short, patiently, queues_bytes};
use crate::kernel::failed;
use crate::refusal::{IO_URING_SETUP, NO_RINGS};

/// Who works out completions, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskWork {
    /// This thread when it asks for them; or the next best that the kernel grants.
    DeferredOrNextBest,
    /// This thread when it asks for them.
    Deferred,
    /// This thread, interrupted for it.
    AtOnce,
    /// This thread, interrupted for it, while one of the kernel takes submissions.
    AtOnceAndPolled,
}

/// A setup flag.
struct Flag {
    name: &'static str,
    set: fn(&mut Builder),
}

/// 5.18: one refused submission does not hold back those behind it.
const SUBMIT_ALL: Flag = Flag { name: "SUBMIT_ALL", set: |ring| _ = ring.setup_submit_all() };
/// 6.0: no locking against other submitters.
const SINGLE_ISSUER: Flag = Flag { name: "SINGLE_ISSUER", set: |ring| _ = ring.setup_single_issuer() };
/// 6.1: completions are worked out when the loop asks for them, not whenever it enters the kernel. Refused without
/// `SINGLE_ISSUER`.
const DEFER_TASKRUN: Flag = Flag { name: "DEFER_TASKRUN", set: |ring| _ = ring.setup_defer_taskrun() };
/// 5.19: the next best, no interrupts to work out completions.
const COOP_TASKRUN: Flag = Flag { name: "COOP_TASKRUN", set: |ring| _ = ring.setup_coop_taskrun() };
/// A thread of the kernel looks for submissions, and sleeps when for some time there were none.
const SQPOLL: Flag = Flag { name: "SQPOLL", set: |ring| _ = ring.setup_sqpoll(SQ_THREAD_IDLE_MS) };
/// 6.6: the indirection through a second array, which nobody uses, is left out.
const NO_SQARRAY: Flag = Flag { name: "NO_SQARRAY", set: |ring| _ = ring.setup_no_sqarray() };

/// Long enough to span the gaps of a busy server, short enough that an idle one does not keep a CPU.
pub(super) const SQ_THREAD_IDLE_MS: u32 = 2;

impl TaskWork {
    /// Flags that must be had.
    fn needed(self) -> &'static [Flag] {
        match self {
            Self::DeferredOrNextBest | Self::AtOnce => &[],
            Self::Deferred => &[SINGLE_ISSUER, DEFER_TASKRUN],
            Self::AtOnceAndPolled => &[SQPOLL],
        }
    }
}

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
    granted_for(TaskWork::DeferredOrNextBest, submissions, completions)
}

/// As [`granted`], with the flags of `task_work`.
pub(super) fn granted_for(task_work: TaskWork, submissions: u32, completions: u32) -> io::Result<Granted> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(completions).setup_clamp();
    let needed_bytes = queues_bytes(submissions, completions);
    let ring = patiently(needed_bytes, || builder.build(submissions)).map_err(|error| {
        let is_refused = matches!(Errno::from_io_error(&error), Some(Errno::PERM | Errno::ACCESS | Errno::NOSYS));
        let error = explained(IO_URING_SETUP, needed_bytes, error);
        if is_refused { failed(NO_RINGS, error) } else { error }
    })?;
    let (flags, refused) = (vec!["CQSIZE"], Vec::new());
    let mut asking = Asking { builder, submissions, needed_bytes, ring: Some(ring), flags, refused };
    // What is refused of the optional ones is in the receipt.
    let _ = asking.ask(&SUBMIT_ALL);
    for flag in task_work.needed() {
        let what = format!("the ring flag {} is refused", flag.name);
        asking.ask(flag).map_err(|error| explained(&what, needed_bytes, error))?;
    }
    if task_work == TaskWork::DeferredOrNextBest {
        let _ = asking.ask(&SINGLE_ISSUER);
        if asking.ask(&DEFER_TASKRUN).is_err() {
            let _ = asking.ask(&COOP_TASKRUN);
        }
    }
    let _ = asking.ask(&NO_SQARRAY);
    let ring = asking.best()?;
    let Asking { flags, refused, .. } = asking;
    let params = ring.params();
    if !params.is_feature_ext_arg() || !params.is_feature_nodrop() || !params.is_feature_skip_cqe_on_success() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel's io_uring lacks EXT_ARG, NODROP or CQE_SKIP: Linux 5.17 or newer is needed",
        ));
    }
    Ok(Granted { ring, flags, refused })
}

/// The best ring so far.
struct Asking {
    builder: Builder,
    submissions: u32,
    needed_bytes: u64,
    /// None where there was no memory for two at once.
    ring: Option<IoUring>,
    flags: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl Asking {
    /// Asks for one flag more.
    fn ask(&mut self, flag: &Flag) -> io::Result<()> {
        let mut with_flag = self.builder.clone();
        (flag.set)(&mut with_flag);
        let mut built = with_flag.build(self.submissions);
        if built.as_ref().is_err_and(is_short) {
            // That is said of the memory and not of the flag.
            self.ring = None;
            built = patiently(self.needed_bytes, || with_flag.build(self.submissions));
        }
        match built {
            Ok(better) => {
                (self.builder, self.ring) = (with_flag, Some(better));
                self.flags.push(flag.name);
                Ok(())
            }
            Err(error) => {
                self.refused.push(flag.name);
                Err(error)
            }
        }
    }

    /// The ring with every flag that was granted.
    fn best(&mut self) -> io::Result<IoUring> {
        if let Some(ring) = self.ring.take() {
            return Ok(ring);
        }
        let built = patiently(self.needed_bytes, || self.builder.build(self.submissions));
        built.map_err(|error| explained("io_uring_setup", self.needed_bytes, error))
    }
}
