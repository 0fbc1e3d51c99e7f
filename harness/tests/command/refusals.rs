//! System calls that a container or a sandbox refuses: a fallback, or one line that names the call, and nothing is left.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use libc::c_long;

use crate::confined::Group;
use crate::sandbox::{MARK, marked, refuse};
use crate::support::{Ended, HARNESS, Running, eventually, harness, serve};

const EPERM: i32 = libc::EPERM;
const ENOSYS: i32 = libc::ENOSYS;

/// A call, and what it is called in messages.
type Call = (c_long, &'static str);

const IO_URING_SETUP: Call = (libc::SYS_io_uring_setup, "io_uring_setup");
const PIDFD_OPEN: Call = (libc::SYS_pidfd_open, "pidfd_open");
const PIDFD_SEND_SIGNAL: Call = (libc::SYS_pidfd_send_signal, "pidfd_send_signal");
const MEMFD_CREATE: Call = (libc::SYS_memfd_create, "memfd_create");
const PRLIMIT64: Call = (libc::SYS_prlimit64, "prlimit64");
const PRCTL: Call = (libc::SYS_prctl, "prctl");
const SCHED_SETAFFINITY: Call = (libc::SYS_sched_setaffinity, "sched_setaffinity");
const CLONE3: Call = (libc::SYS_clone3, "clone3");
const EPOLL_CREATE1: Call = (libc::SYS_epoll_create1, "epoll_create1");
const EPOLL_PWAIT: Call = (libc::SYS_epoll_pwait, "epoll_pwait");
const EVENTFD2: Call = (libc::SYS_eventfd2, "eventfd2");
const TIMERFD_CREATE: Call = (libc::SYS_timerfd_create, "timerfd_create");
const WAIT4: Call = (libc::SYS_wait4, "wait4");
const GETRUSAGE: Call = (libc::SYS_getrusage, "getrusage");
const KILL: Call = (libc::SYS_kill, "kill");

/// The rest of what containers are known to refuse. All of it is optional here, or asked for with another call where it is
/// refused.
const OTHERS: [Call; 12] = [
    (libc::SYS_epoll_pwait2, "epoll_pwait2"),
    (libc::SYS_unshare, "unshare"),
    (libc::SYS_perf_event_open, "perf_event_open"),
    (libc::SYS_statx, "statx"),
    (libc::SYS_getrandom, "getrandom"),
    (libc::SYS_openat2, "openat2"),
    (libc::SYS_close_range, "close_range"),
    (libc::SYS_fallocate, "fallocate"),
    (libc::SYS_waitid, "waitid"),
    (libc::SYS_sched_setscheduler, "sched_setscheduler"),
    (libc::SYS_copy_file_range, "copy_file_range"),
    (libc::SYS_timerfd_settime, "timerfd_settime"),
];

const SHORT: [&str; 8] = ["--connections", "1", "--trials", "1", "--warmup", "10ms", "--duration", "20ms"];

/// What is run, by the name of the command.
fn arguments(command: &str, target: &str) -> Vec<String> {
    let external = format!("other={HARNESS} serve --backend poll --listen 127.0.0.1:{{port}}");
    let words: Vec<&str> = match command {
        "floor" => vec!["floor", "--rounds", "1", "--duration", "1ms"],
        "load" => vec!["load", "--target", target, "--warmup", "10ms", "--duration", "20ms"],
        "load over epoll" => {
            vec!["load", "--engine", "epoll", "--target", target, "--warmup", "10ms", "--duration", "20ms"]
        }
        "sweep" => [&["sweep", "--backends", "poll", "--output", "run.jsonl"][..], &SHORT].concat(),
        "external" => {
            [&["sweep", "--backends", "none", "--server", &external, "--output", "run.jsonl"][..], &SHORT].concat()
        }
        "capacity" => {
            let searched = ["--backends", "poll", "--budget", "200ms", "--duration", "50ms", "--warmup", "10ms"];
            [&["capacity", "--slo", "p50<1s", "--output", "run.jsonl"][..], &searched].concat()
        }
        other => vec![other],
    };
    words.into_iter().map(str::to_owned).collect()
}

/// Runs it under a filter, and sees to it that it ended as it may, whatever was refused.
#[track_caller]
fn survives(command: &str, (number, name): Call, errno: i32, target: &str) -> Ended {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let directory = tempfile::tempdir().unwrap();
    let mark = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let mut process = Command::new(HARNESS);
    process.args(arguments(command, target)).current_dir(directory.path()).env(MARK, &mark);
    refuse(&mut process, &[number], errno);
    let ended = Running::start_command(&mut process).end();
    let what = format!("{command} without {name} (errno {errno}): {ended:?}");
    assert!(ended.code().is_some_and(|code| code <= 3), "{what}");
    let stderr = ended.stderr.join("\n");
    for trace in ["panicked", "RUST_BACKTRACE", "fault of the harness", "Ok(None)"] {
        assert!(!stderr.contains(trace) && !ended.stdout.join("\n").contains(trace), "{what}");
    }
    // What is searched for, and not found in so short a time, is another matter.
    if ended.code() != Some(0) && command != "capacity" {
        let errors: Vec<&String> = ended.stderr.iter().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(name), "{what}");
    }
    // A process that was killed takes a moment to go.
    eventually("nothing of it is left", || marked(&mark).is_empty());
    ended
}

/// All of them, two at a time.
fn all_survive(cases: &[(&str, Call, i32)]) {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "poll", "--listen", "127.0.0.1:0"], directory.path());
    let target = served.address.to_string();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&(command, call, errno)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    survives(command, call, errno, &target);
                }
            });
        }
    });
}

#[test]
fn a_refused_call_is_named_or_done_without_and_nothing_is_left() {
    let mut cases = vec![
        ("list", IO_URING_SETUP, ENOSYS),
        ("list", EPOLL_CREATE1, EPERM),
        ("list", PRLIMIT64, EPERM),
        ("floor", SCHED_SETAFFINITY, EPERM),
        ("floor", EVENTFD2, EPERM),
        ("floor", CLONE3, EPERM),
        ("load", PRLIMIT64, ENOSYS),
        ("load", PRCTL, EPERM),
        ("load", CLONE3, EPERM),
        ("load", GETRUSAGE, EPERM),
        ("load over epoll", EPOLL_CREATE1, ENOSYS),
        ("load over epoll", EPOLL_PWAIT, EPERM),
        ("load over epoll", TIMERFD_CREATE, EPERM),
        ("sweep", MEMFD_CREATE, EPERM),
        ("sweep", KILL, EPERM),
        ("sweep", WAIT4, EPERM),
        ("external", WAIT4, ENOSYS),
        ("external", PRCTL, EPERM),
        ("external", MEMFD_CREATE, ENOSYS),
    ];
    if std::env::var("FAULTS").as_deref() == Ok("full") {
        let known = [
            IO_URING_SETUP,
            PIDFD_OPEN,
            PIDFD_SEND_SIGNAL,
            MEMFD_CREATE,
            PRLIMIT64,
            PRCTL,
            SCHED_SETAFFINITY,
            CLONE3,
            EPOLL_CREATE1,
            EPOLL_PWAIT,
            EVENTFD2,
            TIMERFD_CREATE,
            WAIT4,
            GETRUSAGE,
            KILL,
        ];
        let commands = ["list", "doctor", "floor", "load", "load over epoll", "sweep", "external", "capacity"];
        for call in known.into_iter().chain(OTHERS) {
            cases.extend(commands.iter().flat_map(|command| [(*command, call, EPERM), (*command, call, ENOSYS)]));
        }
    }
    all_survive(&cases);
}

#[test]
fn a_server_ends_and_is_measured_where_no_handles_of_processes_are_to_be_had() {
    for (command, call) in [("external", PIDFD_OPEN), ("external", PIDFD_SEND_SIGNAL), ("sweep", PIDFD_OPEN)] {
        let ended = survives(command, call, EPERM, "");
        assert_eq!(ended.code(), Some(0), "{command} without {}: {ended:?}", call.1);
    }
}

#[test]
fn cpus_that_a_sandbox_does_not_let_choose_are_no_mistake_in_the_arguments() {
    let ended = survives("sweep", SCHED_SETAFFINITY, EPERM, "");
    ended.assert_refused(1, "sched_setaffinity: ");
    assert!(ended.stderr[0].contains("seccomp") && !ended.stderr[0].contains("--"), "{ended:?}");
}

#[test]
fn a_ring_that_a_container_refuses_is_blamed_on_it_everywhere() {
    // Says what the sysctl is here: where it forbids rings, that is the reason.
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    if disabled.trim() != "0" {
        return crate::support::skipped("kernel.io_uring_disabled is not 0");
    }
    for command in ["list", "doctor"] {
        let said = survives(command, IO_URING_SETUP, EPERM, "").stdout.join(" ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("seccomp") && !said.contains("see the sysctl"), "{command}: {said}");
        assert!(!said.contains("allowed (kernel.io_uring_disabled"), "{command}: {said}");
    }
}

/// Calls that make threads and processes.
const STARTING: [c_long; 2] = [libc::SYS_clone, libc::SYS_clone3];

#[test]
fn a_thread_or_a_process_that_is_not_to_be_had_is_said_with_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let served = serve(&["--backend", "poll", "--listen", "127.0.0.1:0"], directory.path());
    let target = served.address.to_string();
    for command in ["floor", "load", "sweep", "external", "serve"] {
        let mut arguments = arguments(command, &target);
        if command == "serve" {
            arguments = ["serve", "--backend", "threads", "--listen", "127.0.0.1:0"].map(str::to_owned).to_vec();
        }
        let ended = starved(&arguments, directory.path());
        let _ = std::fs::remove_file(directory.path().join("run.jsonl"));
        assert_eq!(ended.code(), Some(1), "{command}: {ended:?}");
        let [line] = &ended.stderr[..] else { panic!("{command}: {ended:?}") };
        let limit = "the limit on processes and threads is reached: Resource temporarily unavailable (os error 11)";
        assert!(line.starts_with("error: ") && line.contains(limit), "{command}: {line}");
        assert!(line.contains("ulimit -u") || line.contains("pids.max"), "{command}: {line}");
        assert!(!line.contains("panic"), "{command}: {line}");
    }
    // What needs none does without.
    let ended = starved(&["list".to_owned()], directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    assert_eq!(harness(&["list"], directory.path()).code(), Some(0));
}

fn starved(arguments: &[String], directory: &Path) -> Ended {
    let mut process = Command::new(HARNESS);
    process.args(arguments).current_dir(directory);
    refuse(&mut process, &STARTING, libc::EAGAIN);
    Running::start_command(&mut process).end()
}

#[test]
fn a_control_group_with_few_processes_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let group = match Group::with("pids").and_then(|group| {
        group.set("pids.max", "3").map_err(|error| error.to_string())?;
        Ok(group)
    }) {
        Ok(group) => group,
        Err(why) => return crate::support::skipped(&why),
    };
    let mut process = group.command(HARNESS);
    process.args(arguments("sweep", ""));
    let ended = Running::start_command(process.current_dir(directory.path())).end();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr[0].contains("pids.max 3 of the control group /"), "{ended:?}");
    assert!(!ended.stderr.join(" ").contains("panic"), "{ended:?}");
}
