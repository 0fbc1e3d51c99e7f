//! What a sweep expects of the server that it starts: its CPUs, reports, and an end when it is told.

use std::io::{self, BufRead};
use std::thread;

use backends::ServeReport;
use harness::control::{REPORT_REQUEST, Report};
use harness::cpus::{self, CpuSet};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The part of `harness serve`'s arguments that matters here.
pub(crate) struct Asked {
    cpus: Option<CpuSet>,
    control: bool,
}

impl Asked {
    pub(crate) fn read(arguments: &[String]) -> Self {
        let cpus = arguments.iter().skip_while(|argument| *argument != "--cpus").nth(1);
        Self {
            cpus: cpus.and_then(|cpus| cpus.parse().ok()),
            control: arguments.iter().any(|argument| argument == "--control"),
        }
    }

    /// Does it, for all threads that start from here on.
    pub(crate) fn settle(&self) -> io::Result<()> {
        if let Some(cpus) = &self.cpus {
            cpus::pin(cpus).map_err(io::Error::other)?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                std::process::exit(0);
            }
        });
        if self.control {
            thread::spawn(answer_requests);
        }
        Ok(())
    }
}

fn answer_requests() {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if line == REPORT_REQUEST.trim_end() {
            let report = Report::of_this_process(&ServeReport::default());
            println!("{}", serde_json::to_string(&report).expect("it has nothing but numbers"));
        }
    }
    // Whoever started us has gone.
    std::process::exit(0);
}
