//! What every backend must do, whatever it is made of: one suite, instantiated for each by one list.
//!
//! A backend that this machine cannot run is named on stderr and passed over; `REQUIRE_BACKENDS=all` makes that a
//! failure. No test sleeps in order to be late enough: it waits for bytes, for the end of a stream or for a counter,
//! and fails when that has not come within [`wait::DEADLINE`].
#![allow(clippy::disallowed_methods)]

mod backpressure;
mod bundles;
mod bursts;
mod bytes;
mod churn;
mod client;
mod copies;
mod crowds;
mod descriptors;
mod endings;
mod kept;
mod lies;
mod limits;
mod probing;
mod process;
mod queues;
mod quiet;
mod refusals;
mod report;
mod resets;
mod sandbox;
mod server;
mod shortage;
mod signals;
mod sizes;
mod spread;
mod stopping;
mod wait;

use std::env;
use std::io::Write;
use std::process::Command;

use backends::{BACKENDS, Backend};

/// Instantiates the suite for every backend, in a module named like it but with `_` for `-`.
macro_rules! conformance_of {
    ($($backend:ident),+ $(,)?) => {
        /// The backends that the suite covers.
        const COVERED: &[&str] = &[$(stringify!($backend)),+];

        $(mod $backend {
            suite!(stringify!($backend));
        })+
    };
}

/// The tests of one backend. Those that are `alone` change or count what belongs to the whole process.
macro_rules! suite {
    ($backend:expr) => {
        suite! { run, $backend,
            bytes::every_payload_size_comes_back
            bytes::a_message_dripped_byte_by_byte_is_answered_once_complete
            bytes::a_message_may_be_split_anywhere
            bytes::many_frames_may_share_a_segment
            bytes::a_long_stream_flows_both_ways
            bytes::ipv6_is_served
            bytes::two_threads_share_the_connections
            endings::half_close_drains
            endings::half_close_drains_long_frames
            endings::a_peer_that_closes_is_closed
            endings::a_peer_that_closes_behind_an_answer_it_never_read_is_closed
            endings::half_a_frame_is_not_answered
            endings::a_reset_in_mid_frame_leaves_the_others_untouched
            endings::a_reset_ends_a_peer_that_never_reads
            endings::connections_come_and_go
            backpressure::a_peer_that_never_reads_is_read_from_no_more
            backpressure::peers_that_read_now_and_then_are_owed_no_more
            backpressure::a_flood_behind_a_violation_is_not_taken
            backpressure::peers_that_never_read_cost_nobody_else_calls
            backpressure::peers_that_never_read_starve_no_more_than_is_said
            crowds::two_thousand_connections_are_served
            crowds::many_long_streams_flow_at_once
            limits::an_over_long_frame_ends_its_connection_only
            limits::an_over_long_frame_is_refused_by_its_header
            limits::what_came_before_an_over_long_frame_is_answered_in_full
            limits::one_connection_over_the_limit_is_closed
            limits::the_connection_limit_is_that_of_all_threads
            limits::an_idle_connection_is_closed_and_a_busy_one_is_not
            limits::a_peer_that_never_reads_is_idle
            limits::a_half_closed_peer_that_never_reads_is_idle
            limits::a_half_closed_peer_that_leaves_its_answer_in_the_kernel_is_closed
            limits::a_slow_but_steady_reader_is_not_idle
            stopping::stops_without_connections
            stopping::stops_while_idle
            stopping::stops_while_busy
            stopping::stops_while_long_frames_stream
            stopping::stops_all_threads
            stopping::stops_with_half_a_frame_pending
            stopping::stops_with_a_peer_that_never_reads
            stopping::stops_with_an_answer_that_lies_in_the_kernel
            stopping::an_answer_that_lies_in_the_kernel_is_read_after_the_stop
            stopping::a_peer_that_never_reads_holds_up_nobody_who_ends
            stopping::answers_what_was_sent_before_the_stop
            stopping::finishes_a_long_answer_after_the_stop
            quiet::idle_connections_cost_nothing
            quiet::a_peer_that_never_reads_costs_nothing
            quiet::draining_costs_nothing
            bursts::stops_in_mid_burst
            churn::stops_while_peers_come_and_go
            lies::lies_about_lengths_harm_nobody_else
            lies::floods_of_empty_frames_are_answered
            report::the_report_adds_up
            report::the_calls_of_its_model_are_counted
            report::the_receipt_names_what_was_granted
            copies::frames_that_come_together_take_one_wake_up_and_no_copy
            copies::pieces_of_a_stream_are_not_copied
            copies::a_frame_in_two_pieces_is_copied_to_lie_in_one
            spread::the_receipt_says_how_connections_are_spread
            spread::every_thread_accepts_from_a_shared_listener
            spread::connections_are_counted_by_thread_while_they_are_open
            spread::all_threads_answer_what_was_sent_before_the_stop
        }
        suite! { run_alone, $backend,
            descriptors::descriptors_come_back_after_every_stop
            descriptors::accepting_pauses_while_descriptors_are_out
            descriptors::stops_while_descriptors_are_out
            descriptors::a_server_that_is_refused_a_table_of_its_own_says_so_and_serves
            spread::accepting_from_a_shared_listener_comes_back_with_descriptors
            endings::a_reset_right_behind_half_a_frame_is_seen
            shortage::peers_take_turns_while_descriptors_are_out
            shortage::who_leaves_before_being_accepted_harms_nobody
            shortage::an_overflowing_backlog_keeps_nobody_out_for_good
            bursts::a_burst_that_came_before_the_server_is_answered
            bursts::a_crowd_is_answered_and_drained_at_once
            resets::resets_end_sends_in_flight_and_nothing_else
            churn::thousands_of_visits_leave_nothing_behind
            lies::a_promise_reserves_nothing
            signals::signals_cost_no_byte
            signals::stops_amid_signals
            refusals::a_refused_thread_costs_one_connection
            probing::a_probe_leaves_nothing_behind
        }
    };
    ($runner:ident, $backend:expr, $($theme:ident::$test:ident)+) => {
        $(#[test]
        fn $test() {
            crate::$runner(concat!($backend, "::", stringify!($test)), $backend, crate::$theme::$test);
        })+
    };
}

conformance_of![
    threads,
    select,
    poll,
    epoll,
    polling,
    io_uring,
    epoll_et,
    spin,
    thread_pool,
    io_uring_oneshot,
    io_uring_accept,
    io_uring_provided,
    io_uring_defer,
    io_uring_direct,
    io_uring_zc,
    io_uring_sqpoll,
    io_uring_bundle,
];

/// What only one backend does.
mod of_one {
    suite! { run, "io_uring_bundle",
        bundles::small_replies_that_wait_leave_together
        bundles::long_replies_that_wait_leave_together
        bundles::streams_that_wait_leave_in_bundles
        bundles::half_of_all_buffers_are_not_held
    }
}

#[test]
fn every_backend_is_covered() {
    let registered: Vec<String> = BACKENDS.iter().map(|backend| module_of(*backend)).collect();
    assert_eq!(COVERED, registered, "the list in this file, left, must name every entry of BACKENDS, right");
}

/// The name of a backend's module here.
fn module_of(backend: Subject) -> String {
    backend.info().name.replace('-', "_")
}

/// What a test is run against.
type Subject = &'static dyn Backend;

fn run(test_name: &str, backend_module: &str, test: impl FnOnce(Subject)) {
    let backend = BACKENDS
        .iter()
        .find(|backend| module_of(**backend) == backend_module)
        .unwrap_or_else(|| panic!("no entry of BACKENDS has the module {backend_module}"));
    match backend.probe() {
        Ok(_) => test(*backend),
        Err(unavailable) if unavailable_backends_fail() => panic!("unavailable here: {unavailable}"),
        // Not `eprintln!`, which is kept from view while a test passes.
        Err(unavailable) => writeln!(std::io::stderr(), "{test_name} not run, unavailable here: {unavailable}")
            .expect("stderr can be written to"),
    }
}

fn unavailable_backends_fail() -> bool {
    match env::var("REQUIRE_BACKENDS").as_deref() {
        Ok("all") => true,
        Err(env::VarError::NotPresent) | Ok("") => false,
        other => panic!("REQUIRE_BACKENDS is {other:?}; it may be `all` or not set"),
    }
}

/// Set in the process of a test that runs alone.
const ALONE: &str = "CONFORMANCE_TEST_ALONE";

/// Runs a test in a process that no other test runs in: this program once more, told to run nothing else.
fn run_alone(test_name: &str, backend_module: &str, test: fn(Subject)) {
    let is_alone = env::var_os(ALONE).is_some();
    run(test_name, backend_module, |backend| if is_alone { test(backend) } else { start_alone(test_name) });
}

fn start_alone(test_name: &str) {
    let program = env::current_exe().expect("a test knows its own program");
    let alone = Command::new(program)
        .args([test_name, "--exact", "--nocapture"])
        .env(ALONE, "yes")
        .output()
        .expect("a test can start its own program");
    let (stdout, stderr) = (String::from_utf8_lossy(&alone.stdout), String::from_utf8_lossy(&alone.stderr));
    // A name that matches no test would make an empty run, which succeeds.
    let passed = alone.status.success() && stdout.contains("1 passed");
    assert!(passed, "{test_name}, in a process of its own: {}\n{stdout}\n{stderr}", alone.status);
}
