//! The command that repeats a run, read back by the command line: it comes to the plan of the run.

use std::ffi::OsString;
use std::path::Path;

use harness::cpus::CpuSet;
use harness::crowd::Room;
use harness::environment::{Build, Conditions, Environment};
use harness::plan::{CapacityPlan, SweepPlan};
use harness::report::repeat;
use harness::results::{RunRecord, SCHEMA_VERSION};

use crate::cli::machine::Machine;
use crate::cli::settings::Settings;
use crate::cli::{self, Command};
use crate::command::capacity;

/// A machine on which anything may be asked for, and whose CPUs are others than those of the runs.
fn machine() -> Machine {
    let room = Room {
        descriptors: 1 << 20,
        files: None,
        ports: None,
        memory_bytes: None,
        group_memory_bytes: None,
        threads: None,
    };
    Machine { cores: [7, 8, 9].map(|cpu| CpuSet::from_iter([cpu])).into(), descriptors: 1 << 20, room }
}

fn parsed(words: &[String]) -> Command {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    cli::parse(words).unwrap_or_else(|failure| panic!("{failure:?}"))
}

fn record(plan: SweepPlan, capacity: Option<CapacityPlan>) -> RunRecord {
    RunRecord {
        schema_version: SCHEMA_VERSION,
        started: String::new(),
        build: Build::current(),
        plan,
        seed: 3_614_201_455,
        environment: Environment::default(),
        conditions: Conditions::default(),
        generator: None,
        capacity,
    }
}

/// The settings that such flags, or such a plan file, give.
fn settings(line: &str, toml: &str) -> Settings {
    let Command::Sweep(arguments) = parsed(&shlex::split(&format!("harness sweep {line}")).unwrap()) else { panic!() };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plan.toml");
    std::fs::write(&path, toml).unwrap();
    arguments.settings.or(Settings::read(&path).unwrap())
}

#[test]
fn the_command_comes_to_the_plan_it_was_made_of() {
    for (line, toml) in [
        ("", ""),
        ("--backends io_uring*,epoll --connections 64 --payload 64,16KiB,1500,3MiB --depth 1,16 --trials 9", ""),
        ("--rate 1000,20000.25 --arrivals poisson --warmup 0s --duration 1500ms --protocol raw --twice epoll", ""),
        ("--rate 10.1 --server-cpus 0-1,5 --client-cpus 2 --engine epoll --idle 0,1000", ""),
        ("--backends epoll --server-threads 1,2 --spread shared --connections 4000", ""),
        (
            "--backends none --server 'other=sh -c \"exec x {port} | \\\"$Y\\\"\"' --server 'b=cat --x=\"a b\" {port}'",
            "",
        ),
        ("--twice b --server 'b=cat {port}'", ""),
        (
            "--trials 3",
            "[[server]]\nname = \"other\"\ncommand = [\"sh\", \"-c\", \"exec x\\nEND\\n\"]\nenv = { PORT = \"{port}\", A = \"'\\\"\\n\" }\n\
                        version = \"sh --version\"\ndirectory = \"/\"\nstart-timeout = \"1500ms\"",
        ),
    ] {
        let plan = settings(line, toml)
            .plan(&Machine { cores: vec![CpuSet::from_iter([0]), CpuSet::from_iter([1])], ..machine() })
            .unwrap();
        let command = repeat::command(&record(plan.clone(), None));
        let (flags, file) = command.split_once(" <<'END'\n").unwrap_or((&command, ""));
        let Command::Sweep(arguments) = parsed(&shlex::split(flags).unwrap()) else { panic!("{command}") };
        assert_eq!(arguments.settings.seed, Some(3_614_201_455));
        let reads_plan = arguments.plan.as_deref() == Some(Path::new("/dev/stdin"));
        assert_eq!(reads_plan, !file.is_empty(), "{command}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.toml");
        std::fs::write(&path, file.strip_suffix("END").unwrap_or_default()).unwrap();
        let again = arguments.settings.or(Settings::read(&path).unwrap()).plan(&machine()).unwrap();
        assert_eq!(again, plan, "{command}");
    }
}

#[test]
fn the_command_of_a_search_comes_to_the_search_it_was_made_of() {
    for line in [
        "--slo p99<1ms",
        "--slo p50<200us,p99.9<=2500us --backends epoll,poll --connections 8 --payload 1KiB --depth 4 --resolution 7",
        "--slo max<1s --arrivals constant --repeats 3 --warmup 1s --duration 2s --budget 90s --idle 5 --protocol raw",
        "--slo mean<1ms --server 'other=cat {port}' --server-threads 2 --spread shared --engine epoll --resolution 0.3",
    ] {
        let words = shlex::split(&format!("harness capacity {line}")).unwrap();
        let Command::Capacity(arguments) = parsed(&words) else { panic!() };
        let (plan, searched) = capacity::plans(&arguments, &machine()).unwrap();
        let command = repeat::command(&record(plan.clone(), Some(searched.clone())));
        let Command::Capacity(arguments) = parsed(&shlex::split(&command).unwrap()) else { panic!("{command}") };
        assert_eq!(arguments.seed, Some(3_614_201_455));
        let other = Machine { cores: vec![CpuSet::from_iter([0]), CpuSet::from_iter([1])], ..machine() };
        assert_eq!(capacity::plans(&arguments, &other).unwrap(), (plan, searched), "{command}");
    }
}
