//! Programs that are not ours in a sweep: real ones, and such as do everything that a server should not.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use harness::cpus;
use harness::results::{Measured, Outcome, ServerMeasured, TrialRecord, Verdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::brief::recorded;
use crate::support::{Ended, HARNESS, Running, eventually, harness, has_tool};

/// What all servers below begin with: an echo that does as it should.
const ECHO: &str = r#"
import os, signal, socket, subprocess, sys, threading, time

def serve(answer=lambda data: data):
    def connection(peer):
        try:
            while data := peer.recv(65536):
                peer.sendall(answer(data))
        except OSError:
            pass
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
    while True:
        threading.Thread(target=connection, args=(listener.accept()[0],), daemon=True).start()

def note(name):
    with open(name + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(name + ".new", name)
"#;

/// A sweep of one foreign server, which is a Python program.
struct Foreign {
    directory: tempfile::TempDir,
}

impl Foreign {
    /// `more`: further lines of its table in the plan.
    fn new(program: &str, more: &str) -> Option<Self> {
        if !has_tool("python3") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("server.py"), format!("{ECHO}\n{program}")).unwrap();
        let plan = format!(
            "backends = 'none'\nconnections = 2\ntrials = 1\nwarmup = '0s'\nduration = '100ms'\n\
             [[server]]\nname = 'other'\ncommand = 'python3 -u server.py {{port}}'\n{more}"
        );
        fs::write(directory.path().join("plan.toml"), plan).unwrap();
        Some(Self { directory })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["sweep", "--plan", "plan.toml", "--output", "run.jsonl"], more].concat()
    }

    fn sweep(&self, more: &[&str]) -> Ended {
        harness(&Self::arguments(more), self.path())
    }

    fn begin(&self, more: &[&str]) -> Running {
        Running::start(&Self::arguments(more), self.path())
    }

    /// Runs it and gives its only trial.
    fn trial(&self, more: &[&str]) -> TrialRecord {
        let ended = self.sweep(more);
        let mut trials = recorded(self.path()).trials;
        assert_eq!(trials.len(), 1, "{ended:?}");
        trials.remove(0)
    }

    #[track_caller]
    fn measured(&self, more: &[&str]) -> (TrialRecord, Measured, ServerMeasured) {
        let trial = self.trial(more);
        assert_eq!(trial.outcome, Outcome::Ok, "{:?}", trial.error);
        let measured = trial.measured.clone().unwrap();
        let server = measured.server.clone().unwrap();
        (trial, measured, server)
    }

    #[track_caller]
    fn fails(&self, expected: &[&str]) {
        let trial = self.trial(&[]);
        assert_eq!((trial.outcome, trial.verdict), (Outcome::Failed, Verdict::Invalid));
        let error = trial.error.unwrap();
        for part in expected {
            assert!(error.contains(part), "{part:?} in {error:?}");
        }
        assert!(!error.contains('\n'), "{error:?}");
    }

    fn has_noted(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    fn process(&self, name: &str) -> i32 {
        let mut id = None;
        eventually("it has noted its process", || {
            id = fs::read_to_string(self.path().join(name)).ok();
            id.is_some()
        });
        id.unwrap().parse().unwrap()
    }
}

fn has_gone(process: i32) -> bool {
    // One that has ended is there until its parent has asked for it.
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plans/servers").join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn python_and_node_enter_beside_a_backend_in_the_same_blocks() {
    if !has_tool("python3") || !has_tool("node") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let asyncio = format!("asyncio=python3 '{}' {{host}} {{port}}", example("echo_asyncio.py"));
    let node = format!("node=node '{}' {{host}} {{port}}", example("echo_node.js"));
    let arguments = ["sweep", "--backends", "epoll", "--server", &asyncio, "--server", &node, "--connections", "1,64"];
    let rest = ["--trials", "1", "--warmup", "50ms", "--duration", "1s", "--output", "run.jsonl"];
    let ended = harness(&[arguments.as_slice(), &rest].concat(), directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");

    let recorded = recorded(directory.path());
    assert_eq!(recorded.run.unwrap().plan.backends, ["epoll", "asyncio", "node"]);
    assert_eq!(recorded.trials.len(), 6);
    for block in recorded.trials.chunks(3) {
        assert!(block.iter().all(|trial| trial.block == block[0].block && trial.cell == block[0].cell));
        for trial in block {
            assert_eq!(trial.outcome, Outcome::Ok, "{:?}", trial.error);
            let measured = trial.measured.as_ref().unwrap();
            assert_eq!((measured.errors, measured.mismatches), (0, 0), "{}", trial.backend);
            let server = measured.server.as_ref().unwrap();
            let used = server.cpu_ns.unwrap() > 0 && server.utilisation.unwrap() > 0.0;
            assert!(measured.requests > 0 && used, "{} requests, {server:?}", measured.requests);
            assert!(server.voluntary_switches.is_some() && server.involuntary_switches.is_some());
            assert_eq!(server.syscalls.is_some(), trial.backend == "epoll");
            if trial.backend != "epoll" {
                assert!(server.max_rss_bytes.unwrap() > 1 << 20);
                assert_eq!(server.receipt["command"][2], "{host}");
            }
        }
    }
}

#[test]
fn the_example_plan_runs() {
    if !has_tool("python3") || !has_tool("node") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let output = directory.path().join("run.jsonl");
    let arguments = ["sweep", "--plan", "plans/foreign.toml", "--trials", "1", "--duration", "50ms", "--connections"];
    let ended = harness(&[arguments.as_slice(), &["2", "--output", output.to_str().unwrap()]].concat(), &root);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let trials = recorded(directory.path()).trials;
    assert!(trials.len() == 4 && trials.iter().all(|trial| trial.outcome == Outcome::Ok), "{trials:?}");
    let version = |backend: &str| {
        let trial = trials.iter().find(|trial| trial.backend == backend).unwrap();
        trial.measured.as_ref().unwrap().server.as_ref().unwrap().receipt["version"].as_str().unwrap().to_owned()
    };
    assert!(version("asyncio").starts_with("Python 3"), "{}", version("asyncio"));
    assert!(version("node").starts_with('v'), "{}", version("node"));
}

#[test]
fn a_backend_costs_as_much_when_it_enters_as_a_stranger() {
    let directory = tempfile::tempdir().unwrap();
    let stranger = format!("stranger='{HARNESS}' serve --backend epoll --listen {{host}}:{{port}}");
    let arguments = ["sweep", "--backends", "epoll", "--server", &stranger, "--connections", "4", "--rate", "2000"];
    let rest = ["--trials", "3", "--duration", "300ms", "--output", "run.jsonl"];
    let ended = harness(&[arguments.as_slice(), &rest].concat(), directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let trials = recorded(directory.path()).trials;
    // In the middle one of three, so that what else runs here has to disturb two of them.
    let ratio = |of: fn(&ServerMeasured) -> f64| {
        let median = |name: &str| {
            let of_name = trials.iter().filter(|trial| trial.backend == name);
            let mut values: Vec<f64> =
                of_name.map(|trial| of(trial.measured.as_ref().unwrap().server.as_ref().unwrap())).collect();
            values.sort_by(f64::total_cmp);
            assert_eq!(values.len(), 3);
            values[1]
        };
        median("stranger") / median("epoll")
    };
    let ratios = [
        ratio(|server| server.cpu_ns.unwrap() as f64),
        ratio(|server| server.voluntary_switches.unwrap() as f64),
        ratio(|server| server.max_rss_bytes.unwrap() as f64),
        ratio(|server| server.utilisation.unwrap()),
    ];
    assert!(ratios.iter().all(|ratio| (0.2..5.0).contains(ratio)), "{ratios:?}");
}

#[test]
fn environment_and_directory_are_what_was_asked_for() {
    let program = "sys.argv = [None, os.environ['PORT']]\nassert os.getcwd() == '/' and os.environ['N'] == '3'\n\
                   with open(f'/proc/{os.getppid()}/cmdline') as guard: assert 'in secret' not in guard.read()\n\
                   assert os.environ['S'] == 'in secret'\nserve()";
    let Some(foreign) =
        Foreign::new(program, "env = { PORT = '{port}', N = '{threads}', S = 'in secret' }\ndirectory = '/'")
    else {
        return;
    };
    let plan = fs::read_to_string(foreign.path().join("plan.toml")).unwrap();
    let script = foreign.path().join("server.py").to_str().unwrap().to_owned();
    fs::write(foreign.path().join("plan.toml"), plan.replace("server.py {port}", &script)).unwrap();
    let (_, _, server) = foreign.measured(&["--server-threads", "3"]);
    assert!(server.connections_per_thread.is_none() && server.busy_per_thread.is_none(), "{server:?}");
}

#[test]
fn the_work_of_a_child_is_the_servers() {
    // The first process does nothing but wait.
    let Some(foreign) = Foreign::new("if os.fork():\n    os.wait()\nelse:\n    serve()", "") else { return };
    let (_, _, server) = foreign.measured(&["--duration", "300ms"]);
    assert!(server.cpu_ns_per_request.unwrap() > 1000.0 && server.voluntary_switches.unwrap() > 0, "{server:?}");
}

#[test]
fn what_a_child_did_that_ended_in_the_window_is_counted() {
    // It begins to work a while after the window opened, and is gone before its end. Almost nothing else is asked of the
    // server.
    let program = r#"
def work():
    while time.process_time() < 0.3:
        pass
    note("worked")
    os._exit(0)

def waited_for():
    child = os.fork()
    if not child:
        work()
    os.waitpid(child, 0)

def left_behind():
    if not os.fork():
        if not os.fork():
            os.setsid()
            work()
        os._exit(0)
    os.wait()

due = threading.Semaphore(9)
begun = threading.Lock()
def answer(data):
    if len(data) > 4 and not due.acquire(blocking=False) and begun.acquire(blocking=False):
        threading.Thread(target=globals()[os.environ["WORKER"]]).start()
    return data
serve(answer)
"#;
    for worker in ["waited_for", "left_behind"] {
        let Some(foreign) = Foreign::new(program, &format!("env = {{ WORKER = '{worker}' }}")) else { return };
        // Busy CPUs may keep it from its work for longer than a window; what is left of it then ends with the trial.
        let worked_within = |window: &&str| {
            let (_, _, server) = foreign.measured(&["--rate", "20", "--duration", window]);
            fs::remove_file(foreign.path().join("run.jsonl")).unwrap();
            foreign.has_noted("worked").then_some(server)
        };
        let server = ["1500ms", "6s", "24s"].iter().find_map(worked_within).expect("some window is long enough");
        assert!(has_gone(foreign.process("worked")));
        let cpu_ns = server.cpu_ns.unwrap();
        assert!((200_000_000..1_000_000_000).contains(&cpu_ns), "{worker}: {cpu_ns}");
    }
}

#[test]
fn a_server_that_chooses_other_cpus_is_suspect() {
    let cores = cpus::cores().unwrap();
    let [first, second, ..] = cores.as_slice() else { return };
    let program = "note('server')\nos.sched_setaffinity(0, eval(os.environ['CPUS']))\nserve()";
    let all: Vec<usize> = first.iter().chain(second.iter()).collect();
    let reason = "the server chose other CPUs than those given to it".to_owned();
    for (cpus, leaves) in [(all, true), (first.iter().collect(), false)] {
        let Some(foreign) = Foreign::new(program, &format!("env = {{ CPUS = '{cpus:?}' }}")) else { return };
        let server_cpus = first.to_string();
        let (trial, ..) = foreign.measured(&["--server-cpus", &server_cpus]);
        assert_eq!(trial.reasons.contains(&reason), leaves, "{:?}", trial.reasons);
        assert!(!leaves || trial.verdict != Verdict::Valid);
    }
}

/// Left behind in a session of its own, deaf to SIGTERM, while its parents have gone.
const DEAF_ORPHAN: &str = r#"
if not os.fork():
    os.setsid()
    if not os.fork():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note("orphan")
        while True:
            time.sleep(600)
    os._exit(0)
os.wait()
note("server")
"#;

#[test]
fn nothing_of_a_server_is_left_when_its_trial_is_over() {
    let Some(foreign) = Foreign::new(&format!("{DEAF_ORPHAN}\nserve()"), "") else { return };
    foreign.measured(&[]);
    assert!(has_gone(foreign.process("orphan")) && has_gone(foreign.process("server")));
}

#[test]
fn nothing_of_a_server_is_left_when_its_sweep_ends_before_it() {
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let Some(foreign) = Foreign::new(&format!("{DEAF_ORPHAN}\nserve()"), "") else { return };
        let sweep = foreign.begin(&["--duration", "60s"]);
        let (orphan, server) = (foreign.process("orphan"), foreign.process("server"));
        assert!(!has_gone(orphan) && !has_gone(server));
        sweep.signal(signal);
        sweep.end();
        eventually("the orphan has gone", || has_gone(orphan));
        eventually("the server has gone", || has_gone(server));
    }
}

#[test]
fn a_sweep_that_waits_for_a_server_to_listen_can_be_interrupted() {
    let Some(foreign) = Foreign::new("note('server')\ntime.sleep(600)", "start-timeout = '10m'") else { return };
    let sweep = foreign.begin(&[]);
    let server = foreign.process("server");
    sweep.signal(Signal::SIGINT);
    let ended = sweep.end();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(has_gone(server) && recorded(foreign.path()).trials.is_empty());
}

#[test]
fn a_guard_that_is_killed_fails_its_trial_and_the_server_ends() {
    let program = "def answer(data):\n    note('server')\n    return data\nserve(answer)";
    let Some(foreign) = Foreign::new(program, "") else { return };
    let sweep = foreign.begin(&["--duration", "2s"]);
    let server = foreign.process("server");
    let stat = fs::read_to_string(format!("/proc/{server}/stat")).unwrap();
    let guard: i32 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
    kill(Pid::from_raw(guard), Signal::SIGKILL).unwrap();
    let ended = sweep.end();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.stderr[0].contains("the server ended during the trial (its guard: signal: 9 (SIGKILL))"),
        "{ended:?}"
    );
    assert_eq!(recorded(foreign.path()).trials[0].outcome, Outcome::Failed);
    eventually("the server has gone", || has_gone(server));
}

#[test]
fn a_server_that_goes_into_the_background_is_measured_there() {
    let Some(foreign) = Foreign::new("if os.fork():\n    os._exit(0)\nos.setsid()\nnote('server')\nserve()", "") else {
        return;
    };
    let (_, _, server) = foreign.measured(&[]);
    assert!(server.cpu_ns.unwrap() > 0 && has_gone(foreign.process("server")));
}

#[test]
fn a_server_that_never_listens_is_a_failed_trial() {
    let program = "print('waiting for godot', file=sys.stderr)\nnote('server')\ntime.sleep(600)";
    let Some(foreign) = Foreign::new(program, "start-timeout = '4s'") else { return };
    foreign.fails(&["the server did not listen on 127.0.0.1:", " within 4s: waiting for godot"]);
    assert!(has_gone(foreign.process("server")));
}

#[test]
fn a_server_that_dies_before_it_listens_is_a_failed_trial() {
    let program = "for n in range(9):\n    print('line', n, '\\x1b[31m', file=sys.stderr)\nsys.exit(3)";
    let Some(foreign) = Foreign::new(program, "start-timeout = '10m'") else { return };
    foreign.fails(&["ended before it listened (exit status: 3): line 8"]);
    let Some(foreign) = Foreign::new("sys.exit(0)", "start-timeout = '10m'") else { return };
    foreign.fails(&["ended before it listened"]);
}

#[test]
fn a_server_that_dies_in_the_window_is_a_failed_trial() {
    let program = r#"
def answer(data):
    if len(data) > 4:
        print("out of cheese", file=sys.stderr)
        os._exit(7)
    return data
serve(answer)"#;
    let Some(foreign) = Foreign::new(program, "") else { return };
    foreign.fails(&["the server ended during the trial (exit status: 7): out of cheese"]);
    let Some(foreign) = Foreign::new(&program.replace("os._exit(7)", "os._exit(0)"), "") else { return };
    foreign.fails(&["the server ended during the trial (exit status: 0): out of cheese"]);
}

#[test]
fn a_server_that_does_not_echo_is_a_failed_trial() {
    let said = "print('I am no echo', file=sys.stderr)\n";
    let Some(wrong) = Foreign::new(&format!("{said}serve(lambda data: b'HTTP/1.1 400'[:len(data)])"), "") else {
        return;
    };
    wrong.fails(&["does not echo", ": I am no echo"]);
    let closes = "listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
                  while True:\n    listener.accept()[0].close()";
    Foreign::new(&format!("{said}{closes}"), "")
        .unwrap()
        .fails(&["closes connections without an answer", ": I am no echo"]);
    let silent = Foreign::new(&format!("{said}serve(lambda data: b'')"), "").unwrap();
    silent.fails(&["only 0 of 2 connections to 127.0.0.1:", " were answered within 10 s", ": I am no echo"]);
}

#[test]
fn an_echo_that_errs_later_is_an_invalid_trial() {
    // A greeting is a frame of zeros.
    let program = "serve(lambda data: data[::-1] if any(data[4:]) else data)";
    let Some(foreign) = Foreign::new(program, "") else { return };
    let (trial, measured, _) = foreign.measured(&[]);
    assert_eq!(trial.verdict, Verdict::Invalid);
    assert!(measured.mismatches > 0 && trial.reasons[0].contains("answers differed"), "{:?}", trial.reasons);
}

#[test]
fn a_port_that_somebody_took_is_chosen_anew() {
    let program = r#"
starts = len([name for name in os.listdir() if name.startswith("start")])
note("start" + str(starts))
if starts < 2:
    raise OSError(98, "Address already in use")
serve()"#;
    let Some(foreign) = Foreign::new(program, "") else { return };
    foreign.measured(&[]);
    assert!(foreign.path().join("start2").exists());
    let Some(never) = Foreign::new(&program.replace("< 2", "< 99"), "") else { return };
    never.fails(&["ended before it listened (exit status: 1)", "Address already in use"]);
    assert!(never.path().join("start3").exists() && !never.path().join("start4").exists(), "it is tried four times");
}

/// It notes its port, and has not listened yet when somebody else has it; nor does it mind.
const TOO_LATE: &str = r#"
starts = len([name for name in os.listdir() if name.startswith("port")])
with open("new", "w") as file:
    file.write(sys.argv[1])
os.rename("new", "port" + str(starts))
if starts < int(os.environ["TAKEN"]):
    time.sleep(600)
serve()"#;

/// Takes the port of the `nth` start, from outside the tree of the server.
fn take_port(foreign: &Foreign, nth: usize) -> TcpListener {
    let port = foreign.process(&format!("port{nth}"));
    let mut listener = None;
    eventually("the port can be had", || {
        listener = TcpListener::bind(format!("127.0.0.1:{port}")).ok();
        listener.is_some()
    });
    listener.unwrap()
}

#[test]
fn a_stranger_on_the_port_is_not_taken_for_the_server() {
    let Some(foreign) = Foreign::new(TOO_LATE, "env = { TAKEN = '1' }\nstart-timeout = '10m'") else { return };
    let sweep = foreign.begin(&[]);
    let _stranger = take_port(&foreign, 0);
    let ended = sweep.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(recorded(foreign.path()).trials[0].outcome, Outcome::Ok);
    assert!(foreign.has_noted("port1") && !foreign.has_noted("port2"));
}

#[test]
fn a_server_that_gets_none_of_its_ports_is_a_failed_trial() {
    let Some(foreign) = Foreign::new(TOO_LATE, "env = { TAKEN = '99' }\nstart-timeout = '10m'") else { return };
    let sweep = foreign.begin(&[]);
    let strangers: Vec<TcpListener> = (0..4).map(|nth| take_port(&foreign, nth)).collect();
    let ended = sweep.end();
    let error = recorded(foreign.path()).trials[0].error.clone().unwrap();
    let last = strangers[3].local_addr().unwrap();
    let expected = format!("somebody else listens on {last}, and not the server: process ");
    assert!(error.contains(&expected) && error.contains("it was tried on 4 ports"), "{error}");
    assert!(ended.code() == Some(1) && !error.contains('\n') && !foreign.has_noted("port4"), "{ended:?}");
}

#[test]
fn a_version_that_cannot_be_had_is_said_and_no_failure() {
    let versions = [
        ("sh -c 'echo; echo one >&2; echo two'", "version", "one"),
        ("sh -c 'yes | tr -d \"\\\\n\"'", "version_error", "it failed ("),
        ("sh -c 'echo oh >&2; exit 9'", "version_error", "it failed (exit status: 9): oh"),
        ("sh -c 'sleep 600 & sleep 600'", "version_error", "it did not end within 2s"),
        ("true", "version_error", "it said nothing"),
        ("no-such-program", "version_error", "cannot start 'no-such-program': No such file"),
    ];
    let is_said = |(version, key, expected): (&str, &str, &str)| {
        let Some(foreign) = Foreign::new("serve()", &format!("version = \"\"\"{version}\"\"\"")) else { return };
        let (_, _, server) = foreign.measured(&[]);
        let said = server.receipt.get(key).and_then(Value::as_str).unwrap_or_default();
        assert!(said.starts_with(expected), "{version}: {:?}", server.receipt);
    };
    // They wait for most of their time.
    thread::scope(|scope| versions.map(|version| _ = scope.spawn(move || is_said(version))));
}

#[test]
fn what_is_wrong_with_a_server_is_found_before_the_first_trial() {
    let directory = tempfile::tempdir().unwrap();
    for (server, expected) in [
        ("other=no-such-program {port}", "there is no program 'no-such-program'"),
        ("other=./absent {port}", "there is no program './absent'"),
        ("epoll=sh {port}", "there is a backend of that name"),
        ("a#2=sh {port}", "cannot be named \"a#2\""),
        ("other=sh", "write {port}"),
        ("other", "is not NAME=COMMAND"),
        ("other=sh 'x {port}", "quotation mark"),
    ] {
        let ended = harness(&["sweep", "--server", server, "--output", "run.jsonl"], directory.path());
        ended.assert_refused(2, expected);
        assert!(!directory.path().join("run.jsonl").exists());
    }
    let ended = harness(&["sweep", "--backends", "none"], directory.path());
    ended.assert_refused(2, "nothing to measure");
}

#[test]
fn a_changed_command_is_not_resumed_and_a_recorded_one_is_not_run() {
    let Some(foreign) = Foreign::new("serve()", "") else { return };
    foreign.measured(&[]);
    assert_eq!(foreign.sweep(&["--resume"]).code(), Some(0));
    // The file says something else, and what it says would leave a trace.
    let path = foreign.path().join("run.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let run = text.lines().next().unwrap().replace("\"python3\"", "\"./trace\"");
    fs::write(&path, format!("{run}\n")).unwrap();
    let ended = foreign.sweep(&["--resume"]);
    assert_eq!((ended.code(), ended.stderr.len()), (Some(2), 1), "{ended:?}");
    assert!(ended.stderr[0].contains("servers was [") && ended.stderr[0].contains("./trace"), "{ended:?}");
}

#[test]
fn a_server_that_says_much_does_not_fill_memory() {
    // It listens only when most of what it said is forgotten.
    let program = "sys.stderr.write('x' * (16 << 20))\nsys.stderr.flush()\n\
                   while os.fstat(2).st_blocks * 512 > 2 << 20: time.sleep(0.01)\nserve()";
    let Some(foreign) = Foreign::new(program, "") else { return };
    foreign.measured(&[]);
}

#[test]
fn a_server_that_says_much_is_kept_apart_from_what_the_sweep_says() {
    let program = "print('x' * 100000)\nprint('y' * 100000, file=sys.stderr)\nserve()";
    let Some(foreign) = Foreign::new(program, "") else { return };
    let ended = foreign.begin(&["--json"]).end();
    assert_eq!((ended.code(), ended.stderr.len(), ended.stdout.len()), (Some(0), 0, 2), "{ended:?}");
    let trial: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(trial["outcome"], "ok");
    assert!(Duration::from_nanos(trial["elapsed_ns"].as_u64().unwrap()) >= Duration::from_millis(100));
}
