//! The backends compared by criterion: `cargo bench`. What the groups are, and what their figures are not good for, is in
//! `docs/BENCHES.md`.
//!
//! A group is a file with a function that takes what it adds its benches to. Those of backends are measured against a
//! server that is another process, started from this executable (`server`, `serving`), and under load by the harness itself
//! (`loaded`).

mod connect;
mod floor;
mod loaded;
mod payload;
mod place;
mod round_trip;
mod server;
mod serving;
mod throughput;

use std::process::ExitCode;
use std::time::Duration;

use criterion::Criterion;

use place::Place;

fn main() -> ExitCode {
    if let Some(request) = serving::Request::from_arguments() {
        return request.serve();
    }
    // Short, since there are many benches; the command line has the last word.
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(250))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let place = Place::of_this_machine();
    round_trip::add_to(&mut criterion, &place);
    throughput::add_to(&mut criterion, &place);
    payload::add_to(&mut criterion, &place);
    floor::add_to(&mut criterion, &place);
    // The last: what its visits leave in `TIME_WAIT` is work for the kernel a minute later.
    connect::add_to(&mut criterion, &place);
    criterion.final_summary();
    ExitCode::SUCCESS
}
