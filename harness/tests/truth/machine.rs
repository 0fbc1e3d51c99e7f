//! A machine that does not leave a trial alone.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::cpus::{self, CpuSet};
use harness::results::Verdict;

use crate::support::{Running, has_tool};
use crate::{
    alone, ensure, ground_truth, has_reason, loaded, needs_quiet_machine, says, skipped, swept, timers_p90_ns, two_cpus,
};

const WINDOW: &str = "--backends epoll --warmup 50ms --duration 500ms --connections 4";

const LATE_TIMERS: &str = "the timers of this machine are late";
/// One in a hundred wake-ups against nine in ten of another hundred: twice as late in the eyes of the verdict, and what
/// differs from one hundred to the next.
const MOST_BY_TIMERS: f64 = 4.0;

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
    let Some((server_cpu, client_cpu)) = two_cpus() else { return };
    needs_quiet_machine(|| {
        let cpus = format!("--server-cpus {server_cpu} --client-cpus {client_cpu}");
        let trial = swept(&format!("{WINDOW} --rate 2000 {cpus}"));
        let measured = trial.measured.as_ref().unwrap();
        let seen = &measured.interference;
        for side in [&seen.server, &seen.client] {
            let unknown = side.hiccup_max_ns.is_none() || side.stolen.is_none() || side.neighbours.is_none();
            assert!(!unknown && side.involuntary_switches_per_s.is_some(), "{seen:?}");
        }
        // Only the timers of this machine may keep it from being valid, and only where they are that late.
        let timers = trial.reasons.len() == 1 && says(&trial, LATE_TIMERS);
        ensure(trial.verdict == Verdict::Valid || timers, || format!("{:?}, {seen:?}", trial.reasons))?;
        let (lag_ns, timers_ns) = (measured.send_lag_ns.p99 as f64, timers_p90_ns(Some(client_cpu)));
        ensure(!timers || lag_ns < MOST_BY_TIMERS * timers_ns, || format!("{lag_ns} ns late, timers {timers_ns}"))
    });
}

#[test]
fn threads_that_lose_their_cpu() {
    let _alone = alone();
    let Some((server_cpu, client_cpu)) = two_cpus() else { return };
    needs_quiet_machine(|| {
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
    let load = format!("--cpus {cpu} --connections 16 --rate 4000 --warmup 50ms --duration 500ms");
    // Slower than any generator should be, so that only lateness is to blame.
    let served = ground_truth(&["--fixed", "1ms"]);
    needs_quiet_machine(|| {
        let trial = disturbed(cpu, 8, Duration::from_millis(20), Duration::ZERO, || loaded(&served, &load));
        ensure(has_reason(&trial, reason), || format!("{} {}", trial["send_lag_ns"], trial["latency_ns"]))
    });
    needs_quiet_machine(|| {
        let trial = loaded(&served, &load);
        let figures = || format!("{} {} {}", trial["send_lag_ns"], trial["latency_ns"], trial["client"]["timers"]);
        ensure(!has_reason(&trial, reason), figures)?;
        // As late as this machine wakes any thread.
        let (lag_ns, timers_ns) = (trial["send_lag_ns"]["p99"].as_f64().unwrap(), timers_p90_ns(Some(cpu)));
        ensure(lag_ns < MOST_BY_TIMERS * timers_ns, || format!("{}, timers {timers_ns}", figures()))
    });
}

/// What the load says of timers is what another program finds: within a factor, whatever they are.
#[test]
fn the_lateness_of_timers_is_that_of_this_machine() {
    let _alone = alone();
    let cpu = cpus::cores().unwrap()[0].iter().next().unwrap();
    let served = ground_truth(&["--fixed", "1ms"]);
    let load = format!("--cpus {cpu} --connections 4 --rate 2000 --warmup 20ms --duration 100ms");
    for engine in ["epoll", "auto"] {
        let timers = loaded(&served, &format!("{load} --engine {engine}"))["client"]["timers"].clone();
        let [wakeups, p50, p90, max] =
            ["wakeups", "p50_ns", "p90_ns", "max_ns"].map(|name| timers[name].as_u64().unwrap());
        assert!((20..=100).contains(&wakeups) && p50 <= p90 && p90 <= max, "{timers}");
    }
    let closed = loaded(&served, &format!("--cpus {cpu} --connections 4 --warmup 0s --duration 50ms"));
    assert!(closed["client"]["timers"].is_null(), "nothing sleeps until a set time: {closed}");
    needs_quiet_machine(|| {
        let found = loaded(&served, &load)["client"]["timers"]["p90_ns"].as_f64().unwrap();
        let other = timers_p90_ns(Some(cpu));
        ensure((0.25..4.0).contains(&(found / other)), || format!("{found} and {other}"))
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
    needs_quiet_machine(|| {
        let trial = swept(&format!("{WINDOW} --server-cpus {server_cpu} --client-cpus {client_cpu}"));
        ensure(!says(&trial, "a CPU of"), || format!("{:?}", trial.measured.unwrap().interference))
    });
}
