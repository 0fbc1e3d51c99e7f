//! `harness doctor`: facts, conditions and findings, whatever can be read.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use harness::cpus::{self, CpuSet};
use harness::doctor::MOST_CPUS;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{HARNESS, Running, eventually, harness, skipped};

fn diagnosis(process: Running) -> Value {
    let ended = process.end();
    assert_eq!((ended.code(), ended.stdout.len(), ended.stderr.len()), (Some(0), 1, 0), "{ended:?}");
    serde_json::from_str(&ended.stdout[0]).unwrap()
}

fn level<'a>(diagnosis: &'a Value, name: &str) -> Option<&'a str> {
    let findings = diagnosis["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["name"] == name)?["level"].as_str()
}

#[test]
fn the_answer_is_one_object_of_facts_conditions_and_findings() {
    let directory = tempfile::tempdir().unwrap();
    let diagnosis = diagnosis(Running::start(&["doctor", "--json"], directory.path()));
    let keys: Vec<&String> = diagnosis.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["facts", "conditions", "findings"]);
    assert_eq!(diagnosis["facts"]["kernel"], fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim());
    for (index, backend) in backends::BACKENDS.iter().enumerate() {
        assert_eq!(diagnosis["facts"]["backends"][index]["name"], backend.info().name);
    }
    let hiccups = diagnosis["conditions"]["hiccups"].as_array().unwrap();
    assert_eq!(hiccups.len(), measured_cpus());
    assert!(hiccups.iter().all(|hiccup| hiccup["wakeups"].as_u64() > Some(0) && hiccup["span_ns"].as_u64() > Some(0)));

    let findings = diagnosis["findings"].as_array().unwrap();
    for finding in findings {
        let level = finding["level"].as_str().unwrap();
        assert!(["good", "note", "warning"].contains(&level), "{finding}");
        assert!(["name", "value", "effect"].iter().all(|field| finding[field].is_string()), "{finding}");
        // Whatever is not good comes with what to do.
        assert_eq!(finding["change"].is_null(), level == "good", "{finding}");
    }
    let mut names: Vec<&str> = findings.iter().map(|finding| finding["name"].as_str().unwrap()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name stands for one finding");
}

#[test]
fn the_page_has_no_long_line_and_warnings_are_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    // A warning, whatever the machine.
    let command = &mut Command::new("nice");
    let ended =
        Running::start_command(command.args(["-n", "5", HARNESS, "doctor"]).current_dir(directory.path())).end();
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    assert!(ended.stdout.iter().all(|line| line.chars().count() <= 100), "{ended:?}");
    let place =
        |text: &str| ended.stdout.iter().position(|line| line == text).unwrap_or_else(|| panic!("{text} in {ended:?}"));
    assert!(place("Warnings") < place("In order") && place("In order") < place("Facts"));
    assert!(ended.stdout.iter().any(|line| line.starts_with("  niceness ")), "{ended:?}");
}

#[test]
fn what_the_process_inherits_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let limited = Command::new("sh")
        .args(["-c", "ulimit -n 300 && exec \"$0\" doctor --json", HARNESS])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let diagnosis: Value = serde_json::from_slice(&limited.stdout).unwrap();
    assert_eq!(level(&diagnosis, "descriptors"), Some("warning"));
    assert_eq!(diagnosis["conditions"]["process"]["descriptors_hard"], 300);
}

/// Nothing under `/proc` or `/sys` can be read where neither is mounted.
#[test]
fn a_machine_on_which_nothing_can_be_read_is_no_error() {
    let hide = "mount -t tmpfs none /sys && mount -t tmpfs none /proc && echo hidden && exec \"$0\" doctor --json";
    let namespaces = ["--user", "--map-root-user", "--mount", "sh", "-c", hide, HARNESS];
    let hidden = Command::new("unshare").args(namespaces).stdin(Stdio::null()).output();
    let Some(output) = hidden.ok().filter(|output| output.stdout.starts_with(b"hidden\n")) else {
        skipped("no mount namespace to be had here");
        return;
    };
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), [].as_slice()), "{output:?}");
    let diagnosis: Value = serde_json::from_slice(&output.stdout["hidden\n".len()..]).unwrap();
    assert!(diagnosis["facts"]["cpu_model"].is_null() && diagnosis["conditions"]["load_average"].is_null());
    // What system calls say is known nevertheless.
    assert!(!diagnosis["facts"]["kernel"].as_str().unwrap().is_empty());
    assert!(diagnosis["conditions"]["hiccups"].is_array());
}

#[test]
fn a_stall_of_the_whole_process_is_seen_on_every_cpu() {
    /// The fault: nothing runs for so long.
    const STALL: Duration = Duration::from_millis(200);
    let directory = tempfile::tempdir().unwrap();
    // Where the look was over before it could be stalled, another is taken.
    for _ in 0..10 {
        let process = Running::start(&["doctor", "--json"], directory.path());
        eventually("it measures, or has done so", || measures(process.id()) || ended(process.id()));
        if !measures(process.id()) {
            continue;
        }
        process.signal(Signal::SIGSTOP);
        eventually("it stops, or has ended", || "TZ".contains(state(process.id())));
        let stalled = measures(process.id());
        std::thread::sleep(STALL);
        process.signal(Signal::SIGCONT);
        let diagnosis = diagnosis(process);
        if !stalled {
            continue;
        }
        let found = level(&diagnosis, "CPU stalls").or(level(&diagnosis, "quiet CPUs"));
        assert_eq!(found, Some("warning"), "{diagnosis}");
        for hiccup in diagnosis["conditions"]["hiccups"].as_array().unwrap() {
            assert!(hiccup["max_ns"].as_u64() >= Some(100_000_000), "{hiccup}");
            assert!(hiccup["lost_ns"].as_u64() >= Some(100_000_000), "{hiccup}");
        }
        return;
    }
    panic!("it was never stalled while it measured");
}

/// Whether a thread measures on each CPU, and has slept a few times.
fn measures(id: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{id}/task")) else { return false };
    let has_slept = |task: &Path| {
        let status = fs::read_to_string(task.join("status")).unwrap_or_default();
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        status.starts_with("Name:\thiccup-") && sleeps.and_then(|sleeps| sleeps.trim().parse().ok()) > Some(20)
    };
    let measuring = tasks.flatten().filter(|task| has_slept(&task.path())).count();
    measuring == measured_cpus()
}

fn measured_cpus() -> usize {
    cpus::cores().unwrap().iter().map(CpuSet::len).sum::<usize>().min(MOST_CPUS)
}

fn state(id: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('Z')
}

fn ended(id: u32) -> bool {
    state(id) == 'Z'
}

#[test]
fn a_sweep_records_the_same_facts_looks_at_its_cpus_and_counts_the_warnings() {
    let directory = tempfile::tempdir().unwrap();
    let sweep = ["sweep", "--backends", "epoll", "--connections", "1", "--trials", "1"];
    let quick = ["--warmup", "0s", "--duration", "20ms", "--output", "run.jsonl"];
    let swept = harness(&[sweep.as_slice(), &quick].concat(), directory.path());
    assert_eq!(swept.code(), Some(0), "{swept:?}");
    assert!(swept.stdout.iter().any(|line| line.starts_with("doctor   ") && line.contains("see 'harness doctor'")));

    let file = fs::read_to_string(directory.path().join("run.jsonl")).unwrap();
    let run: Value = serde_json::from_str(file.lines().next().unwrap()).unwrap();
    let diagnosis = diagnosis(Running::start(&["doctor", "--json"], directory.path()));
    let facts = diagnosis["facts"].as_object().unwrap();
    for (name, fact) in facts {
        let recorded = run.get(name).or_else(|| run["environment"].get(name));
        assert_eq!(recorded, Some(fact), "{name}");
    }
    // Read before the sweep kept itself to the CPUs of one side, and raised its limit.
    assert_eq!(run["conditions"]["process"], diagnosis["conditions"]["process"]);
    assert!(run["conditions"]["clock"].is_object());
    let looked_at: CpuSet = run["conditions"]["hiccups"].as_array().unwrap().iter().map(measured_for_a_while).collect();
    let of = |side: &str| serde_json::from_value::<CpuSet>(run["plan"][side].clone()).unwrap();
    let (server, client) = (of("server_cpus"), of("client_cpus"));
    assert_eq!(looked_at, server.iter().chain(client.iter()).take(MOST_CPUS).collect());
    assert!(run["conditions"]["steal_during_look"].is_number() || !Path::new("/proc/stat").exists());
}

/// The CPU, whose record says for how long: on a busy machine threads begin late in the time of the look.
fn measured_for_a_while(hiccup: &Value) -> usize {
    assert!(hiccup["span_ns"].as_u64() > Some(0) && hiccup["wakeups"].as_u64() > Some(0), "{hiccup}");
    usize::try_from(hiccup["cpu"].as_u64().unwrap()).unwrap()
}
