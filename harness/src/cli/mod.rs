//! The arguments of the command, as they are given.
//!
//! Every value is parsed into the type it is used as, so a mistake is found here and said in one line.

pub(crate) mod capacity;
pub(crate) mod export;
pub(crate) mod floor;
pub(crate) mod machine;
pub(crate) mod named;
pub(crate) mod servers;
pub(crate) mod settings;
pub(crate) mod suggestion;
pub(crate) mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use backends::Backend;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use harness::cpus::CpuSet;
use harness::figures;
use harness::load::LoadPlan;
use harness::plan::{Arrivals, Engine, Protocol, Spread};

use self::capacity::CapacityArguments;
use self::export::ExportArguments;
use self::floor::FloorArguments;
use self::named::{Named, text};
use self::settings::{Settings, unknown_backend};
use self::suggestion::did_you_mean;
use self::values::{AtMost, Count, Percent, Rate, Size, Span};
use crate::failure::Failure;
use crate::output;

/// Connections open at once.
pub(crate) type Connections = Count<1_000_000>;
/// Connections on which nothing is sent.
pub(crate) type Idle = AtMost<1_000_000>;
/// Requests in flight on one connection.
pub(crate) type Depth = Count<{ LoadPlan::MAX_DEPTH }>;
/// Threads of one process.
pub(crate) type Threads = Count<1024>;

/// Requests in flight on all connections: each is remembered until its answer has come, which is some hundred MiB for as
/// many as this.
const MAX_IN_FLIGHT: usize = 16 << 20;

/// Refuses connections and a depth that only together are too much.
pub(crate) fn check_in_flight(connections: usize, depth: usize) -> Result<(), String> {
    let in_flight = connections.saturating_mul(depth);
    if in_flight <= MAX_IN_FLIGHT {
        return Ok(());
    }
    Err(format!(
        "{} with a depth of {depth} are {in_flight} requests in flight and may be {MAX_IN_FLIGHT}; ask for fewer of \
         either",
        figures::counted(connections, "connection")
    ))
}

/// Reads the arguments of this process. Help and version are printed here.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let error = match Cli::try_parse_from(&arguments) {
        Ok(cli) => return Ok(cli.command),
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        output::print(error.to_string().trim_end())?;
        return Err(Failure::OutputClosed);
    }
    let command = arguments.get(1).and_then(|name| COMMANDS.into_iter().find(|command| name == command));
    Err(Failure::Usage { message: one_line(&error), command })
}

/// What is accepted, for whoever describes it: shells and manual pages. What people do not call is not there.
pub(crate) fn definition() -> clap::Command {
    let all = Cli::command();
    let shown: Vec<clap::Command> = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    let about = all.get_about().cloned().unwrap_or_default();
    clap::Command::new("harness").version(env!("CARGO_PKG_VERSION")).about(about).subcommands(shown)
}

/// What clap says of an error, without what follows it: the usage, and tips that guess from the letters and name
/// `--server-cpus` for `--server`; of those, what is one slip away is kept. What people do not call is not named.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let follows = |line: &str| ["tip:", "Usage:", "For more information"].iter().any(|start| line.starts_with(start));
    let lines = lines.take_while(|line| !follows(line));
    let line = lines.collect::<Vec<_>>().join(" ");
    let mut line = line.strip_prefix("error: ").unwrap_or(&line).to_owned();
    for hidden in Cli::command().get_subcommands().filter(|command| command.is_hide_set()) {
        line = line.replace(&format!(", {}", hidden.get_name()), "");
    }
    line + &suggestion(error).unwrap_or_default()
}

/// ` (did you mean 'sweep'?)`.
fn suggestion(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let said = match error.kind() {
        ErrorKind::InvalidSubcommand => did_you_mean(
            text(ContextKind::InvalidSubcommand)?,
            definition().get_subcommands().map(clap::Command::get_name),
        ),
        ErrorKind::UnknownArgument => did_you_mean(text(ContextKind::InvalidArg)?, [text(ContextKind::SuggestedArg)?]),
        ErrorKind::InvalidValue => did_you_mean(text(ContextKind::InvalidValue)?, [text(ContextKind::SuggestedValue)?]),
        _ => return None,
    };
    Some(said)
}

/// A file that is read; `-` is standard input, as everywhere.
fn input() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(|path| if path.as_os_str() == "-" { "/dev/stdin".into() } else { path })
}

/// A path that is written to, where `-` is no standard output: `instead` says what to do.
pub(crate) fn no_dash(instead: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path| if path.as_os_str() == "-" { Err(instead) } else { Ok(path) })
}

/// Of a results file: it is continued, and read again.
pub(crate) const NAME_A_FILE: &str =
    "results go to a file as trials end; name one (./- for one of that name), and take --json for standard output";
const NAME_A_FOLDER: &str = "a report is a folder; name one (./- for one of that name), or print all of it with --json";
const NAME_A_DIRECTORY: &str =
    "pages go to a directory; name one, or leave out --output to print the page of the command";

/// Benchmarks ways of doing I/O in network servers, and says how sure the answer is and why it came out that way.
#[derive(Parser)]
#[command(name = "harness", version, about, max_term_width = 100, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The names of [`Command`]'s variants.
const COMMANDS: [&str; 14] = [
    "list",
    "serve",
    "load",
    "sweep",
    "capacity",
    "floor",
    "compare",
    "report",
    "export",
    "schema",
    "doctor",
    "completions",
    "man",
    "guard",
];

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say which backends there are and whether this machine can run them.
    List(ListArguments),
    /// Serve echo with one backend until SIGINT or SIGTERM.
    Serve(ServeArguments),
    /// Put load on a server and time its answers.
    Load(LoadArguments),
    /// Compare backends: a fresh server for every trial, in random order, and a table at the end.
    Sweep(Box<SweepArguments>),
    /// Find the highest rate that each backend sustains under a latency goal.
    Capacity(Box<CapacityArguments>),
    /// Say what the kernel charges on this machine for what no server can do without.
    Floor(FloorArguments),
    /// Compare the backends of a results file, or two files, before and after a change.
    Compare(CompareArguments),
    /// Make a folder of results files: a page, Markdown and pictures, with the answer in words.
    Report(ReportArguments),
    /// Write a results file in the format of another program.
    Export(ExportArguments),
    /// Print the JSON Schema of the lines of a results file.
    Schema,
    /// Say what on this machine takes part in figures, and what to do about it.
    Doctor(DoctorArguments),
    /// Print what a shell needs to complete the arguments of this command.
    Completions(CompletionsArguments),
    /// Print the manual page.
    Man(ManArguments),
    /// Start a program for a sweep and see to it that nothing of it is left.
    #[command(hide = true)]
    Guard(GuardArguments),
}

/// What `harness list --json` prints.
const LIST_FIELDS: &str = "\
Print a JSON array.

An object for each backend: 'name'; 'main' (whether it takes part where none is named); 'summary', 'use_when', \
'avoid_when' (a line each); 'model' (blocking, readiness or completion); 'threading' (what --threads means to it); \
'waiting' (sleeps or spins while nothing is to be done); 'stopped_by_unread_peers' (how many peers that do not read \
their answers stop everybody, null if none do); 'available', and either 'receipt' (what the kernel grants) or 'reason' \
(why it does not).";

#[derive(Args)]
pub(crate) struct ListArguments {
    /// Print a JSON array.
    #[arg(long, long_help = LIST_FIELDS)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct ServeArguments {
    /// The way of doing I/O; see 'harness list'.
    #[arg(long, value_name = "NAME", value_parser = Named(backend), hide_possible_values = true)]
    pub(crate) backend: &'static dyn Backend,
    /// Where; with port 0 the kernel picks one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// What to say back.
    #[arg(long, default_value = "framed")]
    pub(crate) protocol: Protocol,
    /// Event loops; for 'threads' and 'thread-pool', those that accept.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) threads: Threads,
    /// CPUs to keep to, such as 0,2-3 [default: wherever the scheduler puts it].
    #[arg(long, value_name = "LIST")]
    pub(crate) cpus: Option<CpuSet>,
    /// Connections open at once; one more is closed at once [default: as many as there are descriptors].
    #[arg(long, value_name = "N")]
    pub(crate) max_connections: Option<Connections>,
    /// The longest payload of a frame; a longer one closes its connection [default: 16MiB].
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_frame: Option<Size<1, { 1 << 30 }>>,
    /// Close a connection on which nothing moved for so long [default: never].
    #[arg(long, value_name = "DUR")]
    pub(crate) idle_timeout: Option<Span<1>>,
    /// Answer every line 'report' on standard input with a report so far, and stop at its end.
    #[arg(long, hide = true)]
    pub(crate) control: bool,
    /// How connections are spread over several threads: a listener for each, or one for all [default: reuseport]
    #[arg(long)]
    pub(crate) spread: Option<Spread>,
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct LoadArguments {
    /// The server; only loopback addresses are accepted.
    #[arg(long, value_name = "ADDR", value_parser = target)]
    pub(crate) target: SocketAddr,
    /// Connections open at once.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) connections: Connections,
    /// Payload of each frame.
    #[arg(long, value_name = "SIZE", default_value = "64")]
    pub(crate) payload: Size<0, { LoadPlan::MAX_PAYLOAD_BYTES }>,
    /// Requests in flight on each connection.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) depth: Depth,
    /// Requests a second over all connections (open loop) [default: closed loop].
    #[arg(long, value_name = "R")]
    pub(crate) rate: Option<Rate>,
    /// How the requests of an open loop are spaced [default: constant].
    #[arg(long, requires = "rate")]
    pub(crate) arrivals: Option<Arrivals>,
    /// Load before what is measured, on the same connections.
    #[arg(long, value_name = "DUR", default_value = "200ms")]
    pub(crate) warmup: Span<0>,
    /// Length of what is measured.
    #[arg(long, value_name = "DUR", default_value = "5s")]
    pub(crate) duration: Span<1>,
    /// Threads [default: one for each CPU of --cpus, or one].
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<Threads>,
    /// CPUs to keep to, such as 0,2-3 [default: wherever the scheduler puts it].
    #[arg(long, value_name = "LIST")]
    pub(crate) cpus: Option<CpuSet>,
    /// The interface to do I/O with; auto is the cheaper one of those that the kernel grants.
    #[arg(long, default_value = "auto")]
    pub(crate) engine: Engine,
    /// Connections open besides those, on which nothing is ever sent [default: none].
    #[arg(long, value_name = "N")]
    pub(crate) idle: Option<Idle>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct SweepArguments {
    /// Read settings from a file; flags win over it. See plans/example.toml.
    #[arg(long, value_name = "FILE.toml", value_parser = input())]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Where the results go [default: a new file in results/].
    #[arg(long, value_name = "FILE.jsonl", value_parser = no_dash(NAME_A_FILE))]
    pub(crate) output: Option<PathBuf>,
    /// Do what is missing from the file of --output.
    #[arg(long, requires = "output")]
    pub(crate) resume: bool,
    /// Print each trial as a line of JSON when it has ended, and in the end the ranking as one more; no table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw no progress; results, errors and what changes their meaning are said as always.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Args)]
pub(crate) struct CompareArguments {
    /// A results file, or - for standard input; the earlier one of two.
    #[arg(value_name = "FILE.jsonl", value_parser = input())]
    pub(crate) file: PathBuf,
    /// The later one.
    #[arg(value_name = "NEW.jsonl", value_parser = input())]
    pub(crate) later: Option<PathBuf>,
    /// Compare every backend with this one, in the same blocks [default: the first of the file]; of two files, what changed
    /// in relation to it.
    #[arg(long, value_name = "BACKEND", value_parser = Named(text), hide_possible_values = true)]
    pub(crate) baseline: Option<String>,
    /// Exit with 3 where something is worse beyond the noise and most likely by more than this, or does not work any more.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) fail_above: Option<Percent>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct DoctorArguments {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ReportArguments {
    /// Results files, or - for standard input; those on the machine of the newest speak for its cells, the newest first.
    #[arg(value_name = "FILE.jsonl", required = true, value_parser = input())]
    pub(crate) files: Vec<PathBuf>,
    /// The folder; one that holds anything else than a report is left alone [default: beside the first file, named like it, without
    /// its ending and with -report; harness-report where that is no file, but a pipe]
    #[arg(long, value_name = "DIR", value_parser = no_dash(NAME_A_FOLDER))]
    pub(crate) output: Option<PathBuf>,
    /// Print all that the report says as one JSON object, and not the answer.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct CompletionsArguments {
    /// Which shell; bash reads its script with: source <(harness completions bash)
    pub(crate) shell: Shell,
}

#[derive(Args)]
pub(crate) struct ManArguments {
    /// Write a page for this command and one for each subcommand to a directory, which is made.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, value_parser = no_dash(NAME_A_DIRECTORY))]
    pub(crate) output: Option<PathBuf>,
}

/// What a sweep says to the guard of a program.
#[derive(Args)]
pub(crate) struct GuardArguments {
    #[arg(long, value_name = "LIST")]
    pub(crate) cpus: CpuSet,
    #[arg(long, value_name = "N")]
    pub(crate) descriptors: Option<u64>,
    #[arg(long)]
    pub(crate) keep_output: bool,
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) directory: Option<PathBuf>,
    #[arg(last = true, required = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}

fn backend(name: &str) -> Result<&'static dyn Backend, String> {
    backends::backend(name).ok_or_else(|| unknown_backend(name))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address and a port, such as 127.0.0.1:9000 or [::1]:9000".to_owned())
}

fn target(text: &str) -> Result<SocketAddr, String> {
    match address(text)? {
        target if !target.ip().is_loopback() => Err("only loopback addresses may be loaded".to_owned()),
        target if target.port() == 0 => Err("port 0 is nobody's".to_owned()),
        target => Ok(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> String {
        match parse(line.split(' ').map(OsString::from)) {
            Err(Failure::Usage { message, .. }) => message,
            _ => panic!("'{line}' was accepted"),
        }
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
        let names: Vec<String> = Cli::command().get_subcommands().map(|command| command.get_name().into()).collect();
        assert_eq!(names, COMMANDS);
    }

    #[test]
    fn every_mistake_is_one_line() {
        for (line, expected) in [
            ("harness", "requires a subcommand"),
            ("harness fly", "unrecognized subcommand 'fly'"),
            ("harness swep", "unrecognized subcommand 'swep' (did you mean 'sweep'?)"),
            ("harness gard", "unrecognized subcommand 'gard'"),
            ("harness sweep --backend epoll", "'--backend' found (did you mean '--backends'?)"),
            ("harness load --target 127.0.0.1:80 --engine epol", "(did you mean 'epoll'?)"),
            ("harness serve --backend eppol", "no backend 'eppol' (did you mean 'epoll'?); there are threads"),
            ("harness sweep --output -", "take --json for standard output"),
            ("harness report x --output -", "a report is a folder"),
            ("harness serve", "required arguments were not provided: --backend <NAME>"),
            ("harness serve --backend kqueue", "there is no backend 'kqueue'; there are threads"),
            ("harness serve --backend epoll --threads 0", "'0' is not a whole number from 1"),
            ("harness serve --backend epoll --listen localhost", "such as 127.0.0.1:9000"),
            ("harness load --target 192.0.2.1:80", "only loopback"),
            ("harness load --target 127.0.0.1:80 --connections -5", "'-5' is not a whole number"),
            ("harness load --target 127.0.0.1:80 --engine select", "[possible values: auto, epoll, io_uring]"),
            ("harness load --target 127.0.0.1:80 --arrivals poisson", "--rate <R>"),
            ("harness sweep --payload 17MiB", "'17MiB' is not within 0 and 16.0 MiB"),
            ("harness sweep --resume", "--output <FILE.jsonl>"),
            ("harness sweep --conections 1", "unexpected argument '--conections'"),
            ("harness sweep --server a", "'a' is not NAME=COMMAND"),
            ("harness sweep --server a='b", "a quotation mark is missing"),
            ("harness sweep --protocol frame", "[possible values: framed, raw]"),
        ] {
            let message = refusal(line);
            assert!(message.contains(expected) && !message.contains('\n'), "{message:?} for {line:?}");
            assert!(!message.contains("tip:") && !message.contains("guard"), "{message:?} for {line:?}");
        }
    }
}
