//! A machine that does not leave a trial alone.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::cpus::{self, CpuSet};
use harness::results::Verdict;

use crate::support::{Running, has_tool};
use crate::{alone, ensure, ground_truth, has_reason, loaded, on_a_quiet_machine, says, skipped, swept, two_cpus};

const WINDOW: &str = "--backends epoll --warmup 50ms --duration 500ms --connections 4";

/// Does its work while others keep one CPU busy, by turns for `busy` and not for `idle`.
fn disturbed<T>(cpu: usize, others: usize, busy: Duration, idle: Duration, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    let disturb = || {
        cpus::pin(&CpuSet::from_iter([cpu])).unwrap();
        while !over.load(Ordering::Relaxed) {
            let begin = Instant::now();
            while begin.elapsed() < busy {}
            thread::sleep(idle);
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(disturb);
        }
        let done = work();
        over.store(true, Ordering::Relaxed);
        done
    })
}

#[test]
fn neighbours_on_a_cpu() {
    let _alone = alone();
    let Some((server_cpu, client_cpu)) = two_cpus() else { return };
    for (cpu, side) in [(server_cpu, "server"), (client_cpu, "load generator")] {
        let trial = disturbed(cpu, 1, Duration::from_millis(5), Duration::from_millis(5), || {
            swept(&format!("{WINDOW} --server-cpus {server_cpu} --client-cpus {client_cpu}"))
        });
        assert!(says(&trial, &format!("other processes took CPU time of the {side}")), "{:?}", trial.reasons);
    }
}

#[test]
fn a_trial_that_is_left_alone_is_valid() {
    let _alone = alone();
    if two_cpus().is_none() {
        return;
    }
    on_a_quiet_machine(|| {
        let trial = swept(&format!("{WINDOW} --rate 2000"));
        let measured = trial.measured.as_ref().unwrap();
        let seen = &measured.interference;
        for side in [&seen.server, &seen.client] {
            let unknown = side.hiccup_max_ns.is_none() || side.stolen.is_none() || side.neighbours.is_none();
            assert!(!unknown && side.involuntary_switches_per_s.is_some(), "{seen:?}");
        }
        ensure(trial.verdict == Verdict::Valid, || format!("{:?}, {seen:?}", trial.reasons))
    });
}

#[test]
fn threads_that_lose_their_cpu() {
    let _alone = alone();
    let Some((server_cpu, client_cpu)) = two_cpus() else { return };
    on_a_quiet_machine(|| {
        let load = "--connections 64 --backends epoll --warmup 50ms --duration 500ms";
        let trial = disturbed(server_cpu, 4, Duration::from_micros(20), Duration::from_micros(50), || {
            swept(&format!("{load} --server-cpus {server_cpu} --client-cpus {client_cpu}"))
        });
        let switches = trial.measured.as_ref().unwrap().interference.server.involuntary_switches_per_s;
        ensure(says(&trial, "threads of the server were interrupted"), || format!("{switches:?} {:?}", trial.reasons))
    });
}

#[test]
fn a_generator_that_is_kept_from_sending_in_time() {
    let _alone = alone();
    let Some((_, cpu)) = two_cpus() else { return };
    let reason = "the load generator was late";
    let load = format!("--cpus {cpu} --connections 4 --rate 1000 --warmup 50ms --duration 500ms");
    // Slower than any generator should be, so that only lateness is to blame.
    let served = ground_truth(&["--fixed", "1ms"]);
    on_a_quiet_machine(|| {
        let trial = disturbed(cpu, 8, Duration::from_millis(20), Duration::ZERO, || loaded(&served, &load));
        ensure(has_reason(&trial, reason), || format!("{} {}", trial["send_lag_ns"], trial["latency_ns"]))
    });
    on_a_quiet_machine(|| {
        let trial = loaded(&served, &load);
        ensure(!has_reason(&trial, reason), || format!("{} {}", trial["send_lag_ns"], trial["latency_ns"]))
    });
}

#[test]
fn a_cpu_that_stands_still() {
    let _alone = alone();
    let Some((server_cpu, client_cpu)) = two_cpus() else { return };
    let may = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    if !has_tool("chrt") || !has_tool("taskset") || !may(Command::new("chrt").args(["-f", "50", "true"])) {
        skipped("no right to real-time scheduling");
        return;
    }
    // Nothing else of this CPU runs while the shell counts.
    let count = "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.05; done";
    let cpu = server_cpu.to_string();
    let still =
        Running::start_command(Command::new("chrt").args(["-f", "50", "taskset", "-c", &cpu, "sh", "-c", count]));
    let trial = swept(&format!("{WINDOW} --server-cpus {server_cpu} --client-cpus {client_cpu}"));
    drop(still);
    assert!(says(&trial, "a CPU of the server stood still"), "{:?}", trial.measured.unwrap().interference);
    on_a_quiet_machine(|| {
        let trial = swept(&format!("{WINDOW} --server-cpus {server_cpu} --client-cpus {client_cpu}"));
        ensure(!says(&trial, "a CPU of"), || format!("{:?}", trial.measured.unwrap().interference))
    });
}
