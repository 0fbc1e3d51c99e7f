//! `harness serve`: one backend as a process of its own, until it is told to stop.

use std::ffi::CString;
use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, anyhow};
use backends::protocol::{Framed, ProtocolKind, Raw};
use backends::refusal::start_refused;
use backends::{Limits, Receipt, ServeJob, Stats, Stop};
use harness::control::{Listening, REPORT_REQUEST, Report, receipt_json};
use harness::plan::{Protocol, Spread};
use harness::{cpus, descriptors};
use rustix::io::Errno;

use crate::cli::ServeArguments;
use crate::failure::Failure;
use crate::{interrupt, output};

/// Serves until SIGINT, SIGTERM or, under `--control`, the end of standard input.
pub(crate) fn run(arguments: &ServeArguments) -> Result<ExitCode, Failure> {
    let (protocol, spread) = (protocol(arguments)?, spread(arguments)?);
    let backend = arguments.backend;
    let name = backend.info().name;
    // Threads that start from here on inherit both.
    if let Some(cpus) = &arguments.cpus {
        cpus::pin(cpus).map_err(|error| Failure::pin("serve", "--cpus", cpus, &error))?;
    }
    name_process(name);

    // Where it is too low for the clients that come, the server refuses those beyond it, and counts them.
    let _ = descriptors::raise_limit();
    backend.probe().map_err(|unavailable| Failure::run(anyhow!("{name} cannot run here: {unavailable}")))?;
    let stop = Arc::new(Stop::new().context("cannot make an eventfd").map_err(Failure::run)?);
    let stop_at_signal = Arc::clone(&stop);
    interrupt::request(stop_at_signal)?;
    let listeners = backends::bind(arguments.listen, arguments.threads.0, spread.into())
        .map_err(|error| cannot_listen(arguments.listen, &error))?;
    let listening = listeners.local_addr().map_err(Failure::run)?;
    let stats = Arc::new(Stats::default());
    if arguments.control {
        answer_requests(&stats, &stop)
            .map_err(|error| Failure::Run(anyhow!("cannot start a thread: {}", start_refused(error))))?;
    }

    let ready = |receipt: &Receipt| {
        let line = Listening { listening, backend: name.to_owned(), receipt: receipt_json(receipt) };
        say(&line, &stop);
    };
    let job = ServeJob { listeners, protocol, limits: limits(arguments), stats, ready: &ready };
    let report = backend.serve(job, &stop).with_context(|| format!("{name} gave up")).map_err(Failure::run)?;
    output::print_json(&Report::of_this_process(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    let advice = match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => "; another process listens there: name another port, or 0 for a free one",
        Some(Errno::ACCESS) => "; ports below 1024 need root (CAP_NET_BIND_SERVICE): name another port",
        Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT) if address.is_ipv6() => {
            "; no interface has the address, or IPv6 is disabled (sysctl net.ipv6.conf.lo.disable_ipv6)"
        }
        Some(Errno::ADDRNOTAVAIL) => "; no interface of this machine has the address",
        _ => "",
    };
    Failure::Run(anyhow!("cannot listen on {address}: {error}{advice}"))
}

fn protocol(arguments: &ServeArguments) -> Result<ProtocolKind, Failure> {
    match (arguments.protocol, arguments.max_frame) {
        (Protocol::Framed, None) => Ok(ProtocolKind::Framed(Framed::default())),
        (Protocol::Framed, Some(max)) => Ok(ProtocolKind::Framed(Framed { max_frame_bytes: max.0 })),
        (Protocol::Raw, None) => Ok(ProtocolKind::Raw(Raw)),
        (Protocol::Raw, Some(_)) => Err(Failure::usage("serve", "--max-frame means nothing to the raw protocol")),
    }
}

fn spread(arguments: &ServeArguments) -> Result<Spread, Failure> {
    match arguments.spread {
        Some(_) if arguments.threads.0 == 1 => {
            Err(Failure::usage("serve", "--spread means nothing with one thread; add --threads, or leave it out"))
        }
        spread => Ok(spread.unwrap_or_default()),
    }
}

fn limits(arguments: &ServeArguments) -> Limits {
    Limits {
        max_connections: arguments.max_connections.map(|count| count.0),
        idle_timeout: arguments.idle_timeout.map(|span| span.0),
        ..Limits::default()
    }
}

/// Lets `top` and `perf` tell servers apart: a sweep starts them all from one executable.
fn name_process(backend: &str) {
    if let Ok(name) = CString::new(backend) {
        // Without it, they are only harder to tell apart.
        let _ = rustix::thread::set_name(&name);
    }
}

/// Answers requests for reports. The end of standard input means that whoever started us has gone.
fn answer_requests(stats: &Arc<Stats>, stop: &Arc<Stop>) -> io::Result<()> {
    let (stats, stop) = (Arc::clone(stats), Arc::clone(stop));
    let thread = thread::Builder::new().name("control".to_owned());
    let answers = thread.spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if line == REPORT_REQUEST.trim_end() {
                say(&Report::of_this_process(&stats.report()), &stop);
            }
        }
        stop.request();
    });
    answers.map(drop)
}

/// Says something that the server can go on without, unless it cannot be said at all.
fn say(line: &impl serde::Serialize, stop: &Stop) {
    match output::print_json(line) {
        Ok(()) | Err(Failure::OutputClosed) => {}
        Err(failure) => {
            failure.report();
            stop.request();
        }
    }
}
