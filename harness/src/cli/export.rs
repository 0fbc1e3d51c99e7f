//! The arguments of `harness export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use harness::export;

/// What each format is, and how the files are written.
const FORMATS: &str = "\
csv: a row for each trial, invalid ones included, with their verdict. Its columns are described in results/README.md. A text \
that begins like a formula has an apostrophe in front of it.

hgrm: the latencies of each backend in each cell, all trials merged, as HdrHistogram prints percentiles; in microseconds. \
A file for each. Lines end where requests begin that were \
not sent in time, or never answered; a comment at the end and a note say how many.

hlog: the latencies of each trial as a log of HdrHistogram, in nanoseconds; the tag is the backend. A file for each cell. When \
a trial began is not recorded: the times are the earliest possible. Requests that were not sent in time, or never answered, are in no line; a comment at the top says how many.

github-action-benchmark: bigger-is-better.json and smaller-is-better.json, for customBiggerIsBetter and \
customSmallerIsBetter of benchmark-action/github-action-benchmark.

bmf: Bencher Metric Format. The measures are throughput (requests/s), latency (the p50, ns), latency-p99 (ns), \
server-cpu-per-request (ns), syscalls-per-request, memory-per-idle-connection (bytes). Throughput and latency are left out \
where the load generator was the bottleneck.

The figures of the last two are medians over the trials, with the 95 % interval of that median where there are 6 or more. \
Invalid trials, and such as were not measured, are in csv alone; suspect ones count.

A file that exists is replaced if it is an export in the same format, and left alone if it is anything else. Each file is \
there as a whole or not at all. Files of an earlier export that this one does not make stay where they are.";

#[derive(Args)]
#[command(after_long_help = FORMATS)]
pub(crate) struct ExportArguments {
    /// A results file, or - for standard input.
    #[arg(value_name = "FILE.jsonl", value_parser = super::input())]
    pub(crate) file: PathBuf,
    /// What to write; --help says what each is.
    #[arg(long)]
    pub(crate) format: Format,
    /// Where: a file for csv and bmf, a folder for the others [default: standard output (or -), where it is one file].
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}

/// The name of a format.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Csv,
    Hgrm,
    Hlog,
    GithubActionBenchmark,
    Bmf,
}

impl From<Format> for export::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Hgrm => Self::Hgrm,
            Format::Hlog => Self::Hlog,
            Format::GithubActionBenchmark => Self::GithubActionBenchmark,
            Format::Bmf => Self::Bmf,
        }
    }
}
