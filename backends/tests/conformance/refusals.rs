//! The kernel starts no more threads: whoever needs one is turned away, and nobody else.

use backends::{Event, Threading};
use rustix::process::{Resource, Uid};
use rustix::thread::set_thread_res_uid;

use crate::client::{Client, frame};
use crate::server::{Server, Setup};
use crate::{Subject, process};

/// A user that is nobody here. The limit on threads is that of a user, and root has none.
const SOMEBODY: u32 = 54_321;

pub(crate) fn a_refused_thread_costs_one_connection(backend: Subject) {
    if rustix::process::geteuid().is_root() {
        // Of this thread, and of those that it starts.
        let somebody = Uid::from_raw(SOMEBODY);
        set_thread_res_uid(somebody, somebody, somebody).expect("root may become anybody");
    }
    let server = Server::start(backend, Setup::default());
    let message = frame(1, 1000);
    let admitted = Client::connect(&server);
    admitted.exchange(&message);

    let before = process::limit(Resource::Nproc, Some(0));
    for refused in 1..=10 {
        let is_served = Client::connect(&server).exchange_unless_ended(&message);
        admitted.exchange(&message);
        match backend.info().threading {
            Threading::ThreadPerConnection => {
                assert!(!is_served);
                // Counted after the socket was closed.
                server.wait_for(Event::Unservable, refused);
            }
            Threading::LoopPerThread | Threading::Pool { .. } => assert!(is_served),
        }
    }
    process::limit(Resource::Nproc, before);
    Client::connect(&server).exchange(&message);
    admitted.exchange(&message);
    server.wait_for(Event::Closed, server.count(Event::Accepted) - 1);
}
