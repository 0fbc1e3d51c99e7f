//! A thread that holds idle connections in a descriptor table of its own.
#![expect(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use backends::descriptor_table;
use backends::refusal::start_refused;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::load::connect::{TIMEOUT, open};
use crate::load::error::LoadError;
use crate::load::source::Sources;

/// How long opening may take for each connection, beyond what any run may take; it takes a tenth of it.
const TIMEOUT_EACH: Duration = Duration::from_micros(500);

/// Connections between two reports.
const REPORTED: usize = 1000;

/// What a holder has done so far.
pub(super) enum Opened {
    /// So many.
    Some(usize),
    /// All that it was to open, or why not.
    All(Result<(), LoadError>),
}

/// A thread that holds connections until it is dropped.
#[derive(Debug)]
pub(super) struct Holder {
    /// Asks how many are lost. None when it is to end.
    ask: Option<Sender<Sender<u64>>>,
    /// Nobody waits for what it opens any more.
    given_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Holder {
    /// Starts to open the connections with those `indices`.
    pub(super) fn start(
        target: SocketAddr,
        sources: Sources,
        indices: Range<usize>,
        opened: Sender<Opened>,
    ) -> io::Result<Self> {
        let (ask, asked) = mpsc::channel();
        let given_up = Arc::new(AtomicBool::new(false));
        let is_given_up = Arc::clone(&given_up);
        let thread = thread::Builder::new().name("idle".into());
        let thread = thread.spawn(move || {
            // SAFETY: the thread uses the sockets that it opens from here on, and no other descriptor. They stay with it.
            let own = unsafe { descriptor_table::own(&[]) };
            let what = "give idle connections a descriptor table of their own (Linux 5.9, or a sandbox that allows it)";
            let sockets = own
                .map_err(|cause| LoadError::Kernel { what, cause })
                .and_then(|()| open_all(target, sources, indices, &opened, &is_given_up));
            match sockets {
                Ok(sockets) => {
                    // Whoever gave up meanwhile drops `ask`, too.
                    let _ = opened.send(Opened::All(Ok(())));
                    hold(&sockets, &asked);
                }
                Err(error) => {
                    let _ = opened.send(Opened::All(Err(error)));
                }
            }
        });
        let thread = thread.map_err(start_refused)?;
        Ok(Self { ask: Some(ask), given_up, thread: Some(thread) })
    }

    /// Connections that are lost.
    pub(super) fn lost(&mut self) -> u64 {
        let (answer, answered) = mpsc::channel();
        let asked = self.ask.as_ref().is_some_and(|ask| ask.send(answer).is_ok());
        assert!(asked, "a holder that has opened its connections waits to be asked");
        answered.recv().expect("a holder answers")
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.ask = None;
        self.given_up.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened, and `lost` panics after it.
            let _ = thread.join();
        }
    }
}

fn open_all(
    target: SocketAddr,
    sources: Sources,
    indices: Range<usize>,
    opened: &Sender<Opened>,
    given_up: &AtomicBool,
) -> Result<Vec<OwnedFd>, LoadError> {
    let count = indices.len();
    let timeout = TIMEOUT + TIMEOUT_EACH.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    let mut next_report = REPORTED;
    let goes_on = |open: usize| {
        if open >= next_report {
            next_report = open + REPORTED;
            // Whoever does not listen any more has given up.
            let _ = opened.send(Opened::Some(open));
        }
        // Looked at in every turn: a server that accepts nobody makes for turns without a report.
        !given_up.load(Ordering::Relaxed)
    };
    open(target, count, Instant::now() + timeout, |begun| sources.begin(indices.start + begun), goes_on)
}

/// Keeps the connections open and says what is asked, until nobody can ask any more.
fn hold(sockets: &[OwnedFd], asked: &Receiver<Sender<u64>>) {
    while let Ok(answer) = asked.recv() {
        let mut fds: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        // A poll that does not wait is not interrupted, and fails for no other reason that could be mended.
        let lost = poll(&mut fds, Some(&Timespec::default())).unwrap_or(sockets.len());
        let _ = answer.send(lost as u64);
    }
}
