//! `harness sweep`: what it leaves in its file, and what can happen to it on the way.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use harness::cpus;
use harness::floor::Pair;
use harness::plan::{Arrivals, Engine, Protocol, Spread, SweepPlan, Transport};
use harness::results::{KeptTrials, Outcome, Recorded, TrialRecord, Writer, read};
use harness::sweep::{self, Sweep};
use nix::sys::signal::Signal;

use crate::brief::{brief_sweep, recorded};
use crate::support::{Ended, HARNESS, Running, eventually, harness, kill_id};

/// Two backends, two cells, two rounds: eight trials that take a moment each.
const TINY: [&str; 13] = brief_sweep("1,4", "2", "run.jsonl");
const TINY_TRIALS: usize = 8;

fn tiny(more: &[&str], directory: &Path) -> Ended {
    harness(&[TINY.as_slice(), more].concat(), directory)
}

/// What identifies the trials, in the order in which they stand in the file.
fn places(recorded: &Recorded) -> Vec<(usize, usize, String, usize)> {
    let place = |trial: &harness::results::TrialRecord| {
        (trial.trial, trial.block, trial.backend.clone(), trial.cell.connections)
    };
    recorded.trials.iter().map(place).collect()
}

#[test]
fn a_sweep_leaves_a_file_and_prints_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let ended = tiny(&["--seed", "7"], directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    for part in ["seed      7", "results   run.jsonl", "1 connection · payload 64 B", "4 connections · payload 64 B"]
    {
        assert!(ended.stdout.iter().any(|line| line.starts_with(part)), "{part} in {ended:?}");
    }

    let recorded = recorded(directory.path());
    let run = recorded.run.as_ref().unwrap();
    assert_eq!((run.seed, run.plan.trials), (7, 2));
    assert_eq!(recorded.trials.len(), TINY_TRIALS);
    // On a busy machine a server may have had no CPU in one window of 20 ms, but not in all of them.
    let mut counted = [0; 5];
    for trial in &recorded.trials {
        assert_eq!(trial.outcome, Outcome::Ok, "{trial:?}");
        let measured = trial.measured.as_ref().unwrap();
        assert_eq!((measured.errors, measured.mismatches), (0, 0));
        assert_eq!(measured.latency_hdr.0.len(), measured.requests);
        let server = measured.server.as_ref().unwrap();
        assert!(server.max_rss_bytes.unwrap() > 0 && server.voluntary_switches.is_some());
        counted[0] += server.cpu_ns.unwrap();
        counted[1] += server.syscalls.unwrap();
        counted[2] += server.wakeups.unwrap();
        counted[3] += server.bytes_received.unwrap();
        counted[4] += server.bytes_sent.unwrap();
        // Frames of 64 bytes come whole, and are sent from where they are.
        assert_eq!(server.bytes_copied, Some(0));
        assert_eq!(measured.elapsed_ns, 20_000_000);
        assert!(!server.receipt.is_empty());
    }
    assert!(counted.iter().all(|&count| count > 0), "{counted:?} in {:?}", recorded.trials);
}

#[test]
fn a_sweep_says_where_a_request_goes_and_how_far_that_is_from_the_floor() {
    let directory = tempfile::tempdir().unwrap();
    let ended = tiny(&[], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let says = |text: &str| ended.prose().contains(text.trim_start());
    // How often is for the guard of system calls to say, which needs no window.
    assert!(says("recvfrom ") && says("sendto ") && says("/wake-up"), "{ended:?}");

    let recorded = recorded(directory.path());
    let plan = &recorded.run.as_ref().unwrap().plan;
    let floor_of = |trial: &TrialRecord| trial.measured.as_ref().unwrap().server.as_ref().unwrap().floor_ns_per_request;
    let floors: Vec<Option<f64>> = recorded.trials.iter().map(floor_of).collect();
    if Pair::of(&plan.server_cpus, &plan.client_cpus).is_none() {
        assert!(floors.iter().all(Option::is_none) && says("trials without a floor"), "{ended:?}");
        return;
    }
    // On a busy machine a block may be without; that all are is no chance.
    assert!(floors.iter().flatten().any(|floor| *floor > 0.0) && says("× floor"), "{floors:?} in {ended:?}");
    for block in recorded.trials.chunk_by(|a, b| a.block == b.block) {
        assert!(block.iter().all(|trial| floor_of(trial) == floor_of(&block[0])), "{floors:?}");
    }
}

#[test]
fn a_run_says_what_its_generator_can_do_and_measures_that_once() {
    let directory = tempfile::tempdir().unwrap();
    let begun = tiny(&[], directory.path());
    assert_eq!(begun.code(), Some(0), "{begun:?}");
    let generator = recorded(directory.path()).run.unwrap().generator.unwrap();
    assert_eq!((generator.error, generator.connections, generator.payload_bytes), (None, 64, 64));
    assert!(generator.saturation_rps.unwrap() > 0.0 && generator.cpu_ns_per_request.unwrap() > 0.0);
    assert!(generator.utilisation.unwrap() > 0.0 && generator.utilisation.unwrap() <= 1.0);
    let line = |ended: &Ended| ended.stdout.iter().find(|line| line.starts_with("generator ")).cloned();
    assert!(line(&begun).is_some_and(|line| line.contains("/s")), "{begun:?}");

    let resumed = tiny(&["--resume"], directory.path());
    assert_eq!((resumed.code(), line(&resumed)), (Some(0), line(&begun)), "{resumed:?}");
}

#[test]
fn a_generator_that_could_not_be_measured_does_not_end_the_sweep() {
    let directory = tempfile::tempdir().unwrap();
    let sweep = Running::start(&TINY, directory.path());
    kill_id(child_of_generator(sweep.id()), Signal::SIGKILL);
    let ended = sweep.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let recorded = recorded(directory.path());
    assert_eq!(recorded.trials.len(), TINY_TRIALS);
    let generator = recorded.run.unwrap().generator.unwrap();
    assert_eq!((generator.saturation_rps, generator.utilisation), (None, None));
    assert!(generator.error.unwrap().contains("signal: 9"), "{ended:?}");
    assert!(ended.prose().contains("saturation not measured: the server ended"), "{ended:?}");
}

#[test]
fn a_sweep_that_is_interrupted_while_its_generator_is_measured_begins_no_trial() {
    let directory = tempfile::tempdir().unwrap();
    let sweep = Running::start(&TINY, directory.path());
    let server = child_of_generator(sweep.id());
    sweep.signal(Signal::SIGINT);
    let ended = sweep.end();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(!is_alive(server));
    assert!(ended.stderr[0].contains("interrupted after 0 of 8 trials"), "{ended:?}");
    assert_eq!(tiny(&["--resume"], directory.path()).code(), Some(0));
    assert_eq!(recorded(directory.path()).trials.len(), TINY_TRIALS);
}

#[test]
fn a_file_from_before_there_were_engines_can_be_resumed() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(tiny(&[], directory.path()).code(), Some(0));
    let file = directory.path().join("run.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let (run, trials) = text.split_once('\n').unwrap();
    let mut run: serde_json::Value = serde_json::from_str(run).unwrap();
    assert!(run.as_object_mut().unwrap().remove("generator").is_some());
    assert!(run["plan"].as_object_mut().unwrap().remove("engine").is_some());
    fs::write(&file, format!("{run}\n{trials}")).unwrap();
    let resumed = tiny(&["--resume"], directory.path());
    assert_eq!(resumed.code(), Some(0), "{resumed:?}");
    let other = tiny(&["--resume", "--engine", "epoll"], directory.path());
    assert_eq!(other.code(), Some(2), "{other:?}");
    assert!(other.stderr[0].contains("engine was \"auto\" and is \"epoll\""), "{other:?}");
}

#[test]
fn the_system_calls_of_a_raw_server_are_counted_for_each_request_and_not_for_each_piece() {
    let directory = tempfile::tempdir().unwrap();
    let raw = ["--protocol", "raw", "--backends", "epoll", "--connections", "1", "--depth", "16", "--trials", "1"];
    let rest = ["--duration", "200ms", "--output", "run.jsonl"];
    let ended = harness(&[["sweep"].as_slice(), &raw, &rest].concat(), directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let measured = recorded(directory.path()).trials.remove(0).measured.unwrap();
    let calls = measured.server.unwrap().syscalls.unwrap();
    // A wait, a receive and a send bring up to sixteen requests forward.
    assert!(calls > 0 && calls < measured.requests, "{calls} calls for {} requests", measured.requests);
}

#[test]
fn with_json_each_trial_is_a_line_as_in_the_file_and_the_ranking_is_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let ended = tiny(&["--json"], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let file = fs::read_to_string(directory.path().join("run.jsonl")).unwrap();
    let trials: Vec<&str> = file.lines().skip(1).collect();
    let (ranking, printed) = ended.stdout.split_last().unwrap();
    assert_eq!(printed, trials);
    let ranking: serde_json::Value = serde_json::from_str(ranking).unwrap();
    assert_eq!((ranking["record"].as_str(), ranking["until"].is_null()), (Some("ranking"), true), "{ranking}");
    let cells = ranking["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2, "{ranking}");
    for by in cells.iter().flat_map(|cell| cell["by"].as_array().unwrap()) {
        let entries = by["entries"].as_array().unwrap();
        assert!(entries.len() == 2 && entries.iter().all(|entry| entry["rank"].is_null()), "two trials: {by}");
    }
}

#[test]
fn by_itself_a_sweep_makes_a_new_file_in_results() {
    let directory = tempfile::tempdir().unwrap();
    let ended = harness(&TINY[..11], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let files: Vec<_> =
        fs::read_dir(directory.path().join("results")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(read(&files[0]).unwrap().trials.len(), TINY_TRIALS);
}

#[test]
fn resuming_a_file_cut_off_within_a_line_gives_the_same_trials() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.jsonl");
    assert_eq!(tiny(&[], directory.path()).code(), Some(0));
    let whole = recorded(directory.path());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let cut = recorded(directory.path());
    assert!(cut.cut_off && cut.trials.len() < TINY_TRIALS);

    let ended = tiny(&["--resume"], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stderr[0].contains("run.jsonl ended within a line"), "{ended:?}");
    let resumed = recorded(directory.path());
    assert_eq!(places(&resumed), places(&whole));
    assert_eq!(resumed.run, whole.run);
    let kept = fs::read(&path).unwrap();
    let intact_bytes = usize::try_from(cut.intact_bytes).unwrap();
    assert_eq!(kept[..intact_bytes], bytes[..intact_bytes], "what was finished is not measured again");
}

#[test]
fn resuming_with_another_plan_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(tiny(&[], directory.path()).code(), Some(0));
    let before = fs::read(directory.path().join("run.jsonl")).unwrap();
    let ended = tiny(&["--resume", "--depth", "2"], directory.path());
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr[0].contains("depth was [1] and is [2]"), "{ended:?}");
    assert_eq!(fs::read(directory.path().join("run.jsonl")).unwrap(), before);
}

#[test]
fn an_interrupted_sweep_keeps_what_was_finished_and_can_be_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let sweep = Running::start(&[TINY.as_slice(), &["--json"]].concat(), directory.path());
    sweep.next_json();
    sweep.signal(Signal::SIGINT);
    let ended = sweep.end();
    let finished = recorded(directory.path());
    // It may have been too quick for us; then there was nothing to interrupt.
    if finished.trials.len() < TINY_TRIALS {
        assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
        assert!(ended.stderr[0].contains("--output run.jsonl --resume"), "{ended:?}");
    }
    assert!(!finished.trials.is_empty() && !finished.cut_off);
    assert_eq!(tiny(&["--resume"], directory.path()).code(), Some(0));
    let places = places(&recorded(directory.path()));
    assert!(places.iter().map(|place| place.0).eq(1..=TINY_TRIALS), "{places:?}");
}

#[test]
fn a_disk_that_fills_up_leaves_a_table_and_a_way_on() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(tiny(&[], directory.path()).code(), Some(0));
    let whole = fs::read_to_string(directory.path().join("run.jsonl")).unwrap();
    let run_bytes = whole.lines().next().unwrap().len();
    // Room for the run, the length of which depends on the machine, and for some trials.
    let room_bytes = run_bytes + (whole.len() - run_bytes) / 2;
    let blocks = room_bytes / ulimit_block_bytes();

    let directory = tempfile::tempdir().unwrap();
    // Beyond this size, a file cannot be written to.
    let limited = format!("ulimit -f {blocks}; exec \"$0\" {}", TINY.join(" "));
    let mut command = Command::new("sh");
    let sweep = Running::start_command(command.args(["-c", &limited, HARNESS]).current_dir(directory.path()));
    let ended = sweep.end();
    let finished = recorded(directory.path());
    assert!((1..TINY_TRIALS).contains(&finished.trials.len()) && finished.cut_off, "{finished:?}");
    assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
    let kept = format!("kept: {} finished trial", finished.trials.len());
    for part in ["cannot write run.jsonl: ", &kept, "--output run.jsonl --resume"] {
        assert!(ended.stderr[0].contains(part), "{part} in {ended:?}");
    }
    assert!(ended.stdout.iter().any(|line| line.starts_with("1 connection")), "{ended:?}");
    assert_eq!(tiny(&["--resume"], directory.path()).code(), Some(0));
}

/// Shells differ in it.
fn ulimit_block_bytes() -> usize {
    let asked = Command::new("sh").args(["-c", "ulimit -f 1; cat /proc/self/limits"]).output().unwrap();
    let limits = String::from_utf8(asked.stdout).unwrap();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max file size")).unwrap();
    limit.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn an_interrupted_sweep_says_so_where_nobody_reads_its_table() {
    let directory = tempfile::tempdir().unwrap();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let arguments = ["sweep", "--backends", "epoll", "--duration", "30s"];
    let mut command = Command::new(HARNESS);
    command.args(arguments).current_dir(directory.path()).stdout(writer).stderr(Stdio::null());
    let mut sweep = command.spawn().unwrap();
    serving_child(sweep.id());
    kill_id(sweep.id(), Signal::SIGINT);
    assert_eq!(sweep.wait().unwrap().code(), Some(1));
}

/// Ctrl-C that comes after the window, while the server is being stopped.
#[test]
fn a_trial_that_was_measured_to_its_end_is_kept_when_its_sweep_is_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    // Stands for the server: says when it has ended, and waits until that was seen.
    let stand_in = directory.path().join("server");
    let (ended, file) = (directory.path().join("ended"), directory.path().join("run.jsonl"));
    let script = format!(
        "#!/bin/sh\nexec 3<&0\n'{HARNESS}' \"$@\" <&3 &\nserver=$!\n\
         trap 'kill $server; wait $server; : > \"{0}\"; while [ -e \"{0}\" ]; do sleep 0.01; done; exit 0' TERM\n\
         wait $server\n",
        ended.display()
    );
    fs::write(&stand_in, script).unwrap();
    fs::set_permissions(&stand_in, Permissions::from_mode(0o755)).unwrap();

    let interrupted = AtomicBool::new(false);
    let mut trials = KeptTrials::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            eventually("the server has ended", || ended.exists());
            interrupted.store(true, Ordering::Relaxed);
            fs::remove_file(&ended).unwrap();
        });
        let sweep = Sweep { plan: &two_trials(), seed: 7, server_executable: &stand_in };
        let mut writer = Writer::create(&file).unwrap();
        sweep::run(sweep, &mut trials, &mut writer, &mut Unobserved, &interrupted).unwrap();
    });
    let trials = trials.into_vec();
    assert_eq!(trials.len(), 1, "nothing is begun after it");
    assert_eq!(trials[0].outcome, Outcome::Ok, "{:?}", trials[0].error);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
}

#[test]
fn a_file_that_went_through_an_editor_is_resumed_and_read_by_everything() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(tiny(&[], directory.path()).code(), Some(0));
    let whole = recorded(directory.path());
    let file = directory.path().join("run.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().take(1 + TINY_TRIALS - 2).collect();
    // Of two trials less, as an editor on Windows leaves it, and zeros after a power cut.
    fs::write(&file, format!("\u{feff}\r\n{}  \r\n\r\n\0\0\0\0", lines.join("\r\n\r\n"))).unwrap();
    let resumed = tiny(&["--resume"], directory.path());
    assert_eq!(resumed.code(), Some(0), "{resumed:?}");
    let read = recorded(directory.path());
    assert_eq!((places(&read), read.cut_off), (places(&whole), false));
    for arguments in [
        ["report", "run.jsonl"].as_slice(),
        &["compare", "run.jsonl", "--baseline", "poll"],
        &["export", "run.jsonl", "--format", "csv"],
        &["export", "run.jsonl", "--format", "hlog", "--output", "logs"],
    ] {
        let ended = harness(arguments, directory.path());
        assert!(ended.code() == Some(0) && ended.stderr.is_empty(), "{arguments:?}: {ended:?}");
    }
}

fn two_trials() -> SweepPlan {
    let cpus = cpus::cores().unwrap().swap_remove(0);
    SweepPlan {
        backends: vec!["epoll".to_owned()],
        protocol: Protocol::Framed,
        transport: Transport::Tcp,
        connections: vec![1],
        payload_bytes: vec![64],
        depth: vec![1],
        rate_rps: vec![None],
        arrivals: Arrivals::Constant,
        server_threads: vec![1],
        trials: 2,
        warmup_ns: 0,
        duration_ns: 20_000_000,
        server_cpus: cpus.clone(),
        client_cpus: cpus,
        servers: Vec::new(),
        engine: Engine::Auto,
        twice: Vec::new(),
        idle_connections: vec![0],
        spread: Spread::Reuseport,
    }
}

struct Unobserved;

impl sweep::Observer for Unobserved {
    fn trial_starts(&mut self, _: &sweep::Slot) {}
    fn trial_ended(&mut self, _: &TrialRecord) {}
}

#[test]
fn an_interrupted_sweep_leaves_no_server_behind() {
    let directory = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let sweep = Running::start(&["sweep", "--backends", "epoll", "--duration", "30s"], directory.path());
        let server = serving_child(sweep.id());
        sweep.signal(signal);
        sweep.end();
        eventually("the server has gone", || !is_alive(server));
    }
}

#[test]
fn a_server_that_dies_is_a_failed_trial_and_the_sweep_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["sweep", "--backends", "epoll,poll", "--connections", "1", "--trials", "1", "--duration", "1s"];
    let sweep = Running::start(&[arguments.as_slice(), &["--output", "run.jsonl"]].concat(), directory.path());
    kill_id(serving_child(sweep.id()), Signal::SIGKILL);
    let ended = sweep.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(
        ended.stdout.iter().any(|line| line.contains("* failed trials: ") && line.contains(" 1 of 1: the server")),
        "{ended:?}"
    );

    let recorded = recorded(directory.path());
    let outcomes: Vec<Outcome> = recorded.trials.iter().map(|trial| trial.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Ok]);
    let error = recorded.trials[0].error.as_deref().unwrap();
    assert!(error.contains("signal: 9"), "{error}");
}

#[test]
fn a_sweep_that_measured_nothing_has_failed() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["sweep", "--backends", "epoll", "--connections", "1", "--trials", "1", "--duration", "1s"];
    let sweep = Running::start(&arguments, directory.path());
    kill_id(serving_child(sweep.id()), Signal::SIGKILL);
    let ended = sweep.end();
    assert_eq!((ended.code(), ended.stderr.len()), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr[0].contains("nothing was measured in 1 trial") && ended.stderr[0].contains("signal: 9"));
}

#[test]
fn a_plan_file_gives_what_flags_give() {
    let directory = tempfile::tempdir().unwrap();
    let plan = "backends = ['epoll', 'poll']\nconnections = [1, 4]\ntrials = 9\nwarmup = '0s'\nduration = '20ms'\n";
    fs::write(directory.path().join("plan.toml"), plan).unwrap();
    let ended = harness(&["sweep", "--plan", "plan.toml", "--trials", "2", "--output", "run.jsonl"], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    // The same plan, so that it can be resumed by flags, and nothing is left to do.
    let before = fs::read(directory.path().join("run.jsonl")).unwrap();
    assert_eq!(tiny(&["--resume"], directory.path()).code(), Some(0));
    assert_eq!(fs::read(directory.path().join("run.jsonl")).unwrap(), before);
}

/// Waits for the sweep to have a server that is under the load of a trial, and says which process it is.
fn serving_child(sweep: u32) -> u32 {
    // One that listens, and a connection.
    child_under_load(sweep, "framed", 2)
}

/// The same of the server that the load generator is measured against. While it starts it has a few sockets, too.
fn child_of_generator(sweep: u32) -> u32 {
    child_under_load(sweep, "raw", 64)
}

fn child_under_load(sweep: u32, protocol: &str, at_least_sockets: usize) -> u32 {
    let mut serving = None;
    eventually("a server is under load", || {
        let mut children = children(sweep).into_iter();
        serving = children.find(|&child| serves(child, protocol) && sockets(child) >= at_least_sockets);
        serving.is_some()
    });
    serving.unwrap()
}

fn serves(process: u32, protocol: &str) -> bool {
    let arguments = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    arguments.split(|&byte| byte == 0).any(|argument| argument == protocol.as_bytes())
}

fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    ids.filter(|id| status(*id, "PPid:").is_some_and(|text| text == parent.to_string())).collect()
}

/// Open sockets in the descriptor table of the server's thread: one listens, the others are connections.
fn sockets(process: u32) -> usize {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return 0 };
    let threads = threads.filter_map(|thread| Some(thread.ok()?.path()));
    let is_server =
        |thread: &PathBuf| fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "server");
    let tables = threads.filter(is_server).filter_map(|thread| fs::read_dir(thread.join("fd")).ok());
    let targets = tables.flatten().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// Whether the process runs; one that nobody has waited for yet does not.
fn is_alive(process: u32) -> bool {
    status(process, "State:").is_some_and(|state| !state.starts_with('Z'))
}

fn status(process: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix(field)?.trim().to_owned()))
}
