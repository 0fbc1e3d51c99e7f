//! What a parent leaves to the command, and what the command leaves to a server: signals, limits, and all else that goes from
//! process to process.

use std::fs;
use std::path::Path;
use std::process::Command;

use libc::c_int;
use nix::sys::signal::Signal;

use crate::sandbox::{leave_signals, limit_descriptors};
use crate::support::{HARNESS, Running, eventually, has_tool, kill_id, serving, skipped};

/// Says what it has inherited, and serves with our own server, which may be any program's.
const REPORTING: &str = r#"
{
    cat /proc/self/limits
    grep -E '^(SigBlk|SigIgn|ShdPnd|NoNewPrivs|Seccomp|Umask|CapEff)' /proc/self/status
    echo "session, priority, niceness, policy: $(cut -d' ' -f 6,18,19,41 </proc/self/stat)"
    echo "oom: $(cat /proc/self/oom_score_adj) slack: $(cat /proc/self/timerslack_ns) descriptors:" $(ls /proc/self/fd)
    pwd
    env | grep -vE '^(_|SHLVL|OLDPWD|PWD)=' | sort
} >"$1"
[ $# -lt 2 ] || exec "$HARNESS" serve --backend poll --listen "127.0.0.1:$2"
"#;

const SWEEP: [&str; 12] = [
    "sweep",
    "--connections",
    "1",
    "--trials",
    "1",
    "--warmup",
    "10ms",
    "--duration",
    "20ms",
    "--output",
    "run.jsonl",
    "--quiet",
];

/// Every signal that a parent may leave ignored or blocked.
const EVERY: [c_int; 16] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCHLD,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGWINCH,
    libc::SIGIO,
    libc::SIGSYS,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// What is sent by a terminal or by a limit of `ulimit`, and is left ignored on purpose: by `nohup`, by a shell that starts
/// something with `&`, by `trap`.
const ON_PURPOSE: [c_int; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGXCPU, libc::SIGXFSZ];

/// Those of the C library's own (32 to 34), which it has ignored in all that it spawns until they are its own there, too.
const OF_THE_LIBRARY: u64 = 0b111 << 31;

/// As the kernel lists signals, without those of the C library.
fn mask(signals: &[c_int]) -> String {
    format!("{:016x}", signals.iter().fold(0_u64, |mask, signal| mask | 1 << (signal - 1)))
}

/// The report without those.
fn without_library(report: &str) -> String {
    let line = |line: &str| match line.strip_prefix("SigIgn:") {
        Some(mask) => format!("SigIgn: {:016x}", u64::from_str_radix(mask.trim(), 16).unwrap() & !OF_THE_LIBRARY),
        None => line.to_owned(),
    };
    report.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A sweep of a server that reports what it inherits, which is what comes back.
fn reported(directory: &Path, prepare: impl Fn(&mut Command)) -> String {
    fs::write(directory.join("server.sh"), REPORTING).unwrap();
    let mut sweep = Command::new(HARNESS);
    sweep.args(SWEEP).args(["--backends", "none", "--server", "other=sh server.sh report {port}"]);
    sweep.current_dir(directory).env("HARNESS", HARNESS);
    prepare(&mut sweep);
    let ended = Running::start_command(&mut sweep).end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    without_library(&fs::read_to_string(directory.join("report")).unwrap())
}

#[test]
fn a_server_inherits_what_the_shell_would_give_it() {
    let directory = tempfile::tempdir().unwrap();
    let prepare = |command: &mut Command| limit_descriptors(command, 300);
    let of_sweep = reported(directory.path(), prepare);
    let mut direct = Command::new("sh");
    direct.args(["server.sh", "direct"]).current_dir(directory.path()).env("HARNESS", HARNESS);
    direct.env_remove("COLUMNS").env_remove("CLICOLOR_FORCE");
    prepare(&mut direct);
    assert!(direct.status().unwrap().success());
    let of_shell = without_library(&fs::read_to_string(directory.path().join("direct")).unwrap());
    assert!(of_shell.contains("Max open files            300 "), "{of_shell}");
    assert_eq!(of_sweep, of_shell);
}

#[test]
fn signals_that_a_parent_blocks_or_ignores_cost_no_trial_and_are_not_passed_on() {
    let directory = tempfile::tempdir().unwrap();
    let report = reported(directory.path(), |sweep| leave_signals(sweep, &EVERY, &EVERY));
    let line = |name: &str| report.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert_eq!(line("SigBlk:"), mask(&[]), "{report}");
    assert_eq!(line("SigIgn:"), mask(&ON_PURPOSE), "{report}");
}

#[test]
fn a_parent_that_ignores_its_children_costs_our_own_servers_no_trial() {
    let directory = tempfile::tempdir().unwrap();
    let mut sweep = Command::new(HARNESS);
    sweep.args(SWEEP).args(["--backends", "poll"]).current_dir(directory.path());
    leave_signals(&mut sweep, &EVERY, &EVERY);
    let ended = Running::start_command(&mut sweep).end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[test]
fn what_is_ignored_on_purpose_stays_ignored_and_sigterm_ends() {
    let mut command = Command::new(HARNESS);
    command.args(["serve", "--backend", "poll", "--listen", "127.0.0.1:0"]);
    leave_signals(&mut command, &EVERY, &EVERY);
    let served = serving(Running::start_command(&mut command));
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        served.process.signal(signal);
    }
    // It has had them by the time that it answers.
    let status = fs::read_to_string(format!("/proc/{}/status", served.process.id())).unwrap();
    assert!(status.lines().any(|line| line.starts_with("State:") && !line.contains('Z')), "{status}");
    served.process.signal(Signal::SIGTERM);
    let ended = served.process.end();
    // What it did until then is its last line.
    assert_eq!((ended.code(), ended.stdout.len()), (Some(0), 1), "{ended:?}");
}

#[test]
fn the_first_process_of_a_namespace_ends_at_a_signal() {
    if !has_tool("unshare") {
        return;
    }
    let namespace = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    let may = Command::new("unshare").args(namespace).arg("true").output().unwrap();
    if !may.status.success() {
        return skipped("no namespace of processes can be made here");
    }
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let mut command = Command::new("unshare");
        let running = Running::start_command(command.args(namespace).args([HARNESS, "doctor"]));
        let mut first = None;
        // From when on it handles the signal.
        eventually("it has begun", || {
            first = harness::process_tree::descendants(running.id()).first().copied();
            let status = first.and_then(|id| fs::read_to_string(format!("/proc/{id}/status")).ok()).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
            let caught = u64::from_str_radix(caught.trim(), 16).unwrap_or(0);
            caught & 1 << (signal as i32 - 1) > 0
        });
        kill_id(first.unwrap(), signal);
        let ended = running.end();
        assert_eq!(ended.code(), Some(code), "{ended:?}");
    }
}
