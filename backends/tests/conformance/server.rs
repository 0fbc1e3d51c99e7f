//! The server under test: started on a thread, watched by its counters, stopped within a bound.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use backends::protocol::{Framed, ProtocolKind, Raw};
use backends::{BACKENDS, Event, Limits, Listeners, Receipt, ReceiptValue, ServeJob, ServeReport, Spread, Stats, Stop};
use socket2::SockRef;

use crate::client::{Client, frame};
use crate::kept::Sockets;
use crate::{Subject, wait};

/// Both protocols. A client that sends whole frames cannot tell one from the other.
pub(crate) const PROTOCOLS: [ProtocolKind; 2] =
    [ProtocolKind::Framed(Framed { max_frame_bytes: 16 * 1024 * 1024 }), ProtocolKind::Raw(Raw)];

/// What the server is asked to be.
pub(crate) struct Setup {
    pub(crate) protocol: ProtocolKind,
    pub(crate) limits: Limits,
    pub(crate) threads: usize,
    pub(crate) ip: IpAddr,
    pub(crate) spread: Spread,
    /// How many connections may wait to be accepted; None for as many as a backend's listener asks for.
    pub(crate) backlog: Option<i32>,
    /// What the kernel holds of a reply before a send is short; None for what it thinks best.
    pub(crate) send_buffer_bytes: Option<usize>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            protocol: ProtocolKind::Framed(Framed::default()),
            limits: Limits::default(),
            threads: 1,
            ip: Ipv4Addr::LOCALHOST.into(),
            spread: Spread::default(),
            backlog: None,
            send_buffer_bytes: None,
        }
    }
}

impl Setup {
    pub(crate) fn of(protocol: ProtocolKind) -> Self {
        Self { protocol, ..Self::default() }
    }

    pub(crate) fn limited(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// On an address where no other server is: for a test that connects after its server has ended, when somebody else may
    /// have the port. `test` tells such tests of a backend apart.
    pub(crate) fn apart(self, backend: Subject, test: u8) -> Self {
        let place = BACKENDS.iter().position(|other| other.info().name == backend.info().name);
        let place = place.and_then(|place| u8::try_from(place + 1).ok()).expect("backends are few");
        Self { ip: Ipv4Addr::new(127, 0, test, place).into(), ..self }
    }

    /// The listeners of such a server. From now on peers can connect and send, though nobody serves them yet.
    pub(crate) fn bind(&self) -> Listeners {
        let address = SocketAddr::new(self.ip, 0);
        let listeners = backends::bind(address, self.threads, self.spread).expect("loopback can be bound to");
        for listener in listeners.sockets() {
            if let Some(backlog) = self.backlog {
                rustix::net::listen(listener, backlog).expect("the backlog of a listener can be changed");
            }
            if let Some(bytes) = self.send_buffer_bytes {
                // The sockets that it accepts inherit it.
                SockRef::from(listener).set_send_buffer_size(bytes).expect("a listener takes options");
            }
        }
        listeners
    }
}

/// A server that accepts connections. It is stopped when dropped, and then must have ended within a bound.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) receipt: Receipt,
    stats: Arc<Stats>,
    stop: Arc<Stop>,
    sockets: Sockets,
    drain_timeout: Duration,
    /// None once joined.
    serving: Option<JoinHandle<io::Result<ServeReport>>>,
}

impl Server {
    pub(crate) fn start(backend: Subject, setup: Setup) -> Self {
        Self::start_on(setup.bind(), backend, setup)
    }

    /// Starts a server on listeners of its setup.
    pub(crate) fn start_on(listeners: Listeners, backend: Subject, setup: Setup) -> Self {
        let address = listeners.local_addr().expect("a bound listener has an address");
        let sockets = Sockets::of(&listeners);
        let stats = Arc::new(Stats::default());
        let stop = Arc::new(Stop::new().expect("a stop needs one descriptor"));
        let drain_timeout = setup.limits.drain_timeout;
        let (granted, receipts) = mpsc::channel();

        let serving = thread::spawn({
            let (stats, stop) = (Arc::clone(&stats), Arc::clone(&stop));
            move || {
                let was_ready = AtomicBool::new(false);
                let ready = |receipt: &Receipt| {
                    assert!(!was_ready.swap(true, Ordering::Relaxed), "ready was called twice");
                    granted.send(receipt.clone()).expect("the test waits for the receipt");
                };
                let job = ServeJob { listeners, protocol: setup.protocol, limits: setup.limits, stats, ready: &ready };
                backend.serve(job, &stop)
            }
        });
        let Ok(receipt) = receipts.recv_timeout(wait::DEADLINE) else {
            assert!(serving.is_finished(), "the server was not ready within {:?}", wait::DEADLINE);
            panic!("the server ended before it was ready: {:?}", serving.join());
        };
        Self { address, receipt, stats, stop, sockets, drain_timeout, serving: Some(serving) }
    }

    /// What has been counted so far.
    pub(crate) fn report(&self) -> ServeReport {
        self.stats.report()
    }

    /// A number in the receipt.
    pub(crate) fn granted(&self, name: &str) -> Option<u64> {
        self.receipt.entries().find_map(|entry| match entry {
            (other, ReceiptValue::Number(number)) if other == name => Some(*number),
            _ => None,
        })
    }

    /// A text in the receipt.
    pub(crate) fn text_granted(&self, name: &str) -> Option<&str> {
        self.receipt.entries().find_map(|entry| match entry {
            (other, ReceiptValue::Text(text)) if other == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// Has every buffer of a completion loop used at least once, so that it counts as memory from now on.
    pub(crate) fn use_all_buffers(&self, client: &Client) {
        let bytes = self.granted("buffers").unwrap_or(1) * self.granted("buffer_bytes").unwrap_or(1000);
        let message = frame(1, 100_000);
        client
            .stream(&message.repeat(2 * usize::try_from(bytes).expect("buffers fit into memory") / message.len() + 1));
    }

    /// How often `event` has happened so far.
    pub(crate) fn count(&self, event: Event) -> u64 {
        self.report().count(event)
    }

    /// Waits until `event` has happened `count` times.
    pub(crate) fn wait_for(&self, event: Event, count: u64) {
        let mut seen = 0;
        wait::until(&format!("{} reaches {count}", event.name()), || {
            seen = self.count(event);
            seen >= count
        });
        assert_eq!(seen, count, "{}: {:?}", event.name(), self.report());
    }

    /// How much the server has done so far, whatever it was: what a busy loop drives up.
    pub(crate) fn turns(&self) -> u64 {
        let report = self.report();
        report.count(Event::Wakeups) + report.syscalls().map(|(_, count)| count).sum::<u64>()
    }

    /// Asks the server to stop and returns at once.
    pub(crate) fn request_stop(&self) {
        self.stop.request();
    }

    /// Stops the server and returns what it did.
    pub(crate) fn stop(mut self) -> ServeReport {
        self.keeps_nothing();
        self.request_stop();
        self.join()
    }

    /// Waits until no more sockets are open than connections are counted: exact where a test has waited for those that end.
    fn keeps_nothing(&self) {
        if self.text_granted("descriptors") != Some("own table") {
            return;
        }
        wait::until("no socket is kept of a connection that has ended", || {
            let kept = match self.granted("direct_descriptors") {
                // Its table belongs to the ring, which lists it for nobody.
                Some(_) => self.sockets.in_tables() + self.sockets.in_the_network(),
                None => self.sockets.in_tables(),
            };
            let report = self.report();
            kept as u64 <= report.count(Event::Accepted) - report.count(Event::Closed)
        });
    }

    fn join(&mut self) -> ServeReport {
        let serving = self.serving.take().expect("a server is joined once");
        wait::until_within(self.drain_timeout + wait::DEADLINE, "serve returns after the stop", || {
            serving.is_finished()
        });
        let report = match serving.join() {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => panic!("serve failed: {error}"),
            Err(panicked) => panic::resume_unwind(panicked),
        };
        assert_eq!(report.count(Event::Closed), report.count(Event::Accepted), "what was accepted must be closed");
        assert_eq!(report.accepted_per_thread.iter().sum::<u64>(), report.count(Event::Accepted));
        report
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.serving.is_none() {
            return;
        }
        if thread::panicking() {
            self.request_stop();
            // The test has failed already; a second panic would hide why.
            mem::forget(self.serving.take());
        } else {
            self.keeps_nothing();
            self.request_stop();
            self.join();
        }
    }
}
