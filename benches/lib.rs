//! What the criterion comparisons beside this file share; run them with `cargo bench`.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;

use backends::protocol::{Framed, ProtocolKind};
use backends::{Backend, Limits, ServeJob, Spread, Stats, Stop};

/// Runs `client` while `backend` serves frames on loopback, on another thread of this process.
///
/// # Panics
///
/// When the server cannot start or does not end in order: a benchmark of it would mean nothing.
pub fn serving(backend: &dyn Backend, client: impl FnOnce(SocketAddr)) {
    let listeners = backends::bind(([127, 0, 0, 1], 0).into(), 1, Spread::default()).expect("loopback can be bound");
    let address = listeners.local_addr().expect("a bound listener");
    let stop = Stop::new().expect("an eventfd");
    let (ready, is_ready) = mpsc::channel();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let job = ServeJob {
                listeners,
                protocol: ProtocolKind::Framed(Framed::default()),
                limits: Limits::default(),
                stats: Arc::new(Stats::default()),
                ready: &move |_| _ = ready.send(()),
            };
            backend.serve(job, &stop)
        });
        {
            let _ended = StopOnDrop(&stop);
            // An error means that the server has failed; it says why below.
            if is_ready.recv().is_ok() {
                client(address);
            }
        }
        server.join().expect("the server does not panic").expect("the server ends in order");
    });
}

/// A client that panics must not leave the server running: the scope would wait for it.
struct StopOnDrop<'a>(&'a Stop);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}
