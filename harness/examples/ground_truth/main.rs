//! A server whose response times are known: ground truth for whatever measures servers.
//!
//! It echoes whole frames, one at a time on each connection, and answers them when it was told to. It says that it listens
//! as `harness serve` does, and can stand in its place in a sweep: `ground_truth --spin 5us -- serve --control …`.
//! Listens on loopback alone; a thread for each connection.
#![allow(clippy::disallowed_methods)]

mod behaviour;
mod connection;
mod sweep;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;

use behaviour::{Behaviour, Mix};

#[derive(Parser)]
#[command(about = "Echoes frames after times that are known")]
struct Arguments {
    /// Where to listen; loopback only
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Answer so long after a frame was read
    #[arg(long, value_parser = humantime::parse_duration, conflicts_with = "mix")]
    fixed: Option<Duration>,
    /// SHORT:LONG:N, answer after SHORT, and each N-th frame of a connection after LONG
    #[arg(long)]
    mix: Option<Mix>,
    /// Stop for so long, all connections at once, at the end of each --every
    #[arg(long, value_parser = humantime::parse_duration, requires = "every")]
    stop: Option<Duration>,
    /// From the beginning of one stop to the beginning of the next
    #[arg(long, value_parser = humantime::parse_duration, requires = "stop")]
    every: Option<Duration>,
    /// Burn CPU for so long before each answer
    #[arg(long, value_parser = humantime::parse_duration)]
    spin: Option<Duration>,
    /// From --after on, burn CPU for so long instead
    #[arg(long, value_parser = humantime::parse_duration, requires = "after")]
    then: Option<Duration>,
    /// Counted from the first connection
    #[arg(long, value_parser = humantime::parse_duration, requires = "then")]
    after: Option<Duration>,
    /// Change a byte of each N-th frame of a connection
    #[arg(long, value_name = "N")]
    mangle: Option<u64>,
    /// Reset a connection instead of answering its N-th frame
    #[arg(long, value_name = "N")]
    reset: Option<u64>,
    /// Answer nothing but the first frame on each N-th connection
    #[arg(long, value_name = "N")]
    mute: Option<u64>,
    /// Know one length only: read so many bytes, and echo these when all of them are there
    #[arg(long, value_name = "N")]
    frame_bytes: Option<usize>,
    /// Serve one connection at a time; the others wait in the listen queue
    #[arg(long)]
    iterative: bool,
    /// End with the first connection
    #[arg(long)]
    once: bool,
    /// What a sweep asks of its server
    #[arg(last = true)]
    sweep: Vec<String>,
}

fn main() -> ExitCode {
    match serve(&Arguments::parse()) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> io::Result<std::convert::Infallible> {
    if !arguments.listen.ip().is_loopback() {
        return Err(io::Error::other("--listen: only loopback addresses are served"));
    }
    let asked = sweep::Asked::read(&arguments.sweep);
    asked.settle()?;
    let listener = TcpListener::bind(arguments.listen)?;
    let behaviour = Behaviour {
        fixed: arguments.fixed.unwrap_or_default(),
        mix: arguments.mix,
        stop: arguments.stop.zip(arguments.every),
        spin: arguments.spin.unwrap_or_default(),
        then: arguments.after.zip(arguments.then),
        mangle: arguments.mangle,
        reset: arguments.reset,
        mute: arguments.mute,
        frame_bytes: arguments.frame_bytes,
    };
    let line = serde_json::json!({
        "listening": listener.local_addr()?,
        "backend": "ground_truth",
        "receipt": { "behaviour": format!("{behaviour:?}") },
    });
    writeln!(io::stdout(), "{line}")?;
    let mut began_ns = None;
    for number in 0.. {
        let (stream, _) = listener.accept()?;
        let began_ns = *began_ns.get_or_insert_with(behaviour::now_ns);
        let behaviour = behaviour.clone();
        // How it ends is for the client to see.
        let serve = move || _ = connection::serve(&stream, number, &behaviour, began_ns);
        if arguments.once || arguments.iterative {
            serve();
        } else {
            thread::spawn(serve);
        }
        if arguments.once {
            std::process::exit(0);
        }
    }
    unreachable!("numbers do not end")
}
