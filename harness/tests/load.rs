//! The load generator against servers that behave, and against servers that do not; all of it over each engine.
//!
//! An engine that this machine refuses is named on stderr and passed over; `REQUIRE_BACKENDS=all` makes that a failure.
//!
//! What is demanded are counts and orders, and times only in relation to each other: a busy machine, or a slow one, does not
//! fail a test. What needs a quiet machine is behind `needs_quiet_machine`.
#![allow(clippy::disallowed_methods)]

#[path = "command/quiet.rs"]
mod quiet;
#[path = "command/skipped.rs"]
mod skipped;

use std::env;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use harness::load::{Arrivals, Engine, LoadError, LoadOutcome, LoadPlan, Observer, Pace, run};
use hdrhistogram::Histogram;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use quiet::needs_quiet_machine;
use skipped::skipped;

/// Makes every test one test for each engine.
macro_rules! over_each_engine {
    ($($test:ident,)+) => {
        mod epoll {
            $(#[test] fn $test() { super::over(super::Engine::Epoll, super::$test); })+
        }
        mod io_uring {
            $(#[test] fn $test() { super::over(super::Engine::IoUring, super::$test); })+
        }
    };
}

over_each_engine! {
    every_answer_of_a_closed_loop_is_counted_once,
    several_threads_share_the_connections,
    loads_ipv6_and_empty_payloads,
    pipelines,
    large_payloads_fill_the_socket_buffers,
    many_long_answers_at_once,
    answers_may_come_in_tiny_pieces,
    a_short_listen_queue_does_not_hold_up_the_connections,
    one_mangled_byte_is_one_mismatch,
    an_open_loop_keeps_to_its_rate,
    every_request_leaves_once,
    requests_leave_at_their_times_on_a_quiet_machine,
    requests_that_a_slow_server_leaves_are_censored,
    an_open_loop_shows_a_stall_in_every_request_that_it_delayed,
    a_closed_loop_shows_a_stall_only_in_the_requests_in_flight,
    a_server_with_a_delay_meets_a_rate_that_its_connections_can_carry,
    load_goes_on_after_the_window_until_stragglers_are_answered,
    a_connection_that_the_server_closes_is_an_error_and_the_others_go_on,
    a_run_that_lost_all_connections_ends_early,
    unsolicited_bytes_are_an_error,
    a_server_that_never_answers_is_given_up_after_the_grace_period,
    a_server_that_does_not_echo_is_named,
    the_observer_sees_the_window_open_and_close,
    the_window_closes_while_its_last_answers_are_awaited,
    a_run_can_be_cancelled_in_its_midst,
    refuses_what_it_cannot_carry_out,
}

fn over(engine: Engine, test: fn(Engine)) {
    match engine.granted(PAYLOAD_BYTES) {
        Ok(_) => test(engine),
        Err(refused) if env::var_os("REQUIRE_BACKENDS").is_some_and(|required| !required.is_empty()) => {
            panic!("{refused}")
        }
        // Not `eprintln!`, which is kept from view while a test passes.
        Err(refused) => writeln!(io::stderr(), "a test was not run: {refused}").expect("stderr can be written to"),
    }
}

fn every_answer_of_a_closed_loop_is_counted_once(engine: Engine) {
    let outcome = clean(|| LoadPlan { connections: 10, depth: 3, ..plan(engine, serve(echo)) });
    assert_eq!(outcome.latency, outcome.service);
    assert!(outcome.send_lag.is_empty() && outcome.client.timers.is_none());
    assert_eq!(outcome.due, None);
    assert!(outcome.client.cpu > Duration::ZERO);
    assert!(outcome.client.utilisation > 0.0 && outcome.client.utilisation <= 1.0);
}

fn several_threads_share_the_connections(engine: Engine) {
    let cpus = vec![first_allowed_cpu()];
    let outcome = clean(|| LoadPlan { connections: 7, threads: 3, cpus: cpus.clone(), ..plan(engine, serve(echo)) });
    assert_eq!(outcome.client.threads, 3);
}

fn loads_ipv6_and_empty_payloads(engine: Engine) {
    let target = serve_on(TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap(), echo);
    clean(|| LoadPlan { payload_bytes: 0, depth: 2, ..plan(engine, target) });
}

fn pipelines(engine: Engine) {
    clean(|| LoadPlan { connections: 2, depth: 16, ..plan(engine, serve(echo)) });
}

fn large_payloads_fill_the_socket_buffers(engine: Engine) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Accepted sockets inherit it, so sends are short from the first frame on.
    socket2::SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
    let target = serve_on(listener, echo);
    clean(|| LoadPlan { connections: 2, payload_bytes: 1 << 20, depth: 2, ..plan(engine, target) });
}

/// More than an engine has buffers for.
fn many_long_answers_at_once(engine: Engine) {
    clean(|| LoadPlan { connections: 100, payload_bytes: 200_000, ..plan(engine, serve(echo)) });
}

fn answers_may_come_in_tiny_pieces(engine: Engine) {
    let target = serve(|mut stream, _| {
        let mut buffer = [0; 7];
        while let bytes @ 1.. = stream.read(&mut buffer)? {
            for byte in &buffer[..bytes] {
                stream.write_all(&[*byte])?;
            }
        }
        Ok(())
    });
    clean(|| LoadPlan { connections: 2, depth: 2, ..plan(engine, target) });
}

fn a_short_listen_queue_does_not_hold_up_the_connections(engine: Engine) {
    clean(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Left to the kernel, what does not fit would be tried again once a second, two at a time.
        socket2::SockRef::from(&listener).listen(1).unwrap();
        let target = serve_on(listener, |stream, number| {
            assert!(number < 200);
            echo(stream, number)
        });
        LoadPlan { connections: 200, ..plan(engine, target) }
    });
}

fn one_mangled_byte_is_one_mismatch(engine: Engine) {
    let target = || {
        serve(|mut stream, number| {
            let mut bytes_before = if number == 0 { 5000 } else { usize::MAX };
            answer(&mut stream, |piece| {
                if let Some(byte) = piece.get_mut(bytes_before) {
                    *byte ^= 1;
                    bytes_before = usize::MAX;
                } else {
                    bytes_before -= piece.len();
                }
            })
        })
    };
    // As long as it takes to come to that byte.
    in_time(200, |duration| {
        let outcome = carry_out(&LoadPlan { connections: 3, duration, ..plan(engine, target()) });
        assert_eq!((outcome.errors, outcome.censored), (0, 0));
        assert!(outcome.mismatches <= 1, "{} mismatches", outcome.mismatches);
        if outcome.mismatches == 1 { Ok(()) } else { Err(format!("{outcome:?}")) }
    });
}

fn an_open_loop_keeps_to_its_rate(engine: Engine) {
    for (arrivals, tolerance) in [(Arrivals::Constant, 1), (Arrivals::Poisson, 225)] {
        let plan = LoadPlan {
            connections: 8,
            threads: 2,
            depth: 4,
            pace: Pace::Open { rate_rps: 2000.0, arrivals },
            duration: Duration::from_secs(1),
            ..plan(engine, serve(echo))
        };
        let outcome = carry_out(&plan);
        assert_eq!((outcome.first_error.as_deref(), outcome.mismatches), (None, 0));
        let due = outcome.due.unwrap();
        // Exact but for rounding; Poisson adds five standard deviations.
        assert!(due.abs_diff(2000) <= tolerance, "{due} due");
        assert_each_left_once(&plan, &outcome);
        assert_eq!(outcome.send_lag.len(), outcome.requests);
        assert!(outcome.latency.min() >= outcome.service.min());
    }
}

/// However late they are: what was due was sent in the window, or is censored; what fell due before it may have been sent in
/// it as well.
fn assert_each_left_once(plan: &LoadPlan, outcome: &LoadOutcome) {
    let Pace::Open { rate_rps, arrivals } = plan.pace else { panic!("an open loop") };
    let due = outcome.due.unwrap();
    let in_time = due - outcome.censored.min(due);
    let before = rate_rps * plan.warmup.as_secs_f64();
    // Of a Poisson process, five standard deviations more.
    let before = before + if arrivals == Arrivals::Poisson { 5.0 * before.sqrt() } else { 1.0 };
    assert!(outcome.requests >= in_time, "{} sent, {in_time} of {due} in time", outcome.requests);
    assert!(((outcome.requests - in_time) as f64) <= before, "{} sent, {in_time} of {due} in time", outcome.requests);
}

fn many_a_second(engine: Engine) -> LoadPlan {
    LoadPlan {
        connections: 50,
        pace: Pace::Open { rate_rps: 5000.0, arrivals: Arrivals::Constant },
        duration: Duration::from_millis(500),
        ..plan(engine, serve(echo))
    }
}

fn every_request_leaves_once(engine: Engine) {
    let plan = many_a_second(engine);
    let outcome = carry_out(&plan);
    assert_eq!((outcome.first_error.as_deref(), outcome.mismatches), (None, 0));
    assert!(outcome.due.unwrap().abs_diff(2500) <= 1, "{:?} due", outcome.due);
    assert_each_left_once(&plan, &outcome);
}

fn requests_leave_at_their_times_on_a_quiet_machine(engine: Engine) {
    needs_quiet_machine(|| {
        let outcome = carry_out(&many_a_second(engine));
        let lag_ns = outcome.send_lag.value_at_quantile(0.99);
        // As late as this machine's timers, and as the requests before it make one.
        let of_machine_ns = outcome.client.timers.unwrap().p90_ns + nanoseconds(outcome.client.cpu) / outcome.requests;
        if lag_ns < 10 * of_machine_ns {
            return Ok(());
        }
        Err(format!("sent {lag_ns} ns late, timers and work {of_machine_ns} ns"))
    });
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

fn requests_that_a_slow_server_leaves_are_censored(engine: Engine) {
    // One request each 5 ms on a single connection, where one each millisecond is asked for.
    let target = serve(|mut stream, _| answer(&mut stream, |_| thread::sleep(Duration::from_millis(5))));
    let outcome = carry_out(&LoadPlan {
        pace: Pace::Open { rate_rps: 1000.0, arrivals: Arrivals::Constant },
        warmup: Duration::ZERO,
        duration: Duration::from_millis(500),
        ..plan(engine, target)
    });
    assert_eq!((outcome.due, outcome.requests + outcome.censored), (Some(500), 500));
    assert!(outcome.censored >= 390, "{} censored", outcome.censored);
    // It was the server that was late, and not the generator.
    assert!(4 * outcome.send_lag.value_at_quantile(0.5) < outcome.latency.value_at_quantile(0.5), "{outcome:?}");
    assert!(outcome.latency.max() > 10 * outcome.service.min());
}

fn an_open_loop_shows_a_stall_in_every_request_that_it_delayed(engine: Engine) {
    let outcome = carry_out(&LoadPlan {
        connections: 4,
        pace: Pace::Open { rate_rps: 2000.0, arrivals: Arrivals::Constant },
        duration: Duration::from_millis(600),
        ..plan(engine, serve_stalling_once())
    });
    assert_eq!((outcome.first_error.as_deref(), outcome.mismatches), (None, 0));
    assert!(outcome.latency.max() >= STALL_NS);
    // Requests fall due all through the stall, 150 of them while more than a quarter of it is still to come.
    let delayed = count_from(&outcome.latency, STALL_NS / 4);
    assert!(delayed >= 140, "{delayed} delayed");
    // Only those that had been sent saw it in their service time: four, and what the machine adds. Of one connection it can
    // be no more than fit into the window and the stall.
    let blocked = count_from(&outcome.service, STALL_NS / 2);
    assert!((1..=60).contains(&blocked) && blocked < delayed, "{blocked} blocked");
}

fn a_closed_loop_shows_a_stall_only_in_the_requests_in_flight(engine: Engine) {
    // As long as it takes until the stall is in it.
    let outcome = in_time(400, |duration| {
        let outcome = carry_out(&LoadPlan {
            connections: 4,
            depth: 2,
            warmup: Duration::ZERO,
            duration,
            ..plan(engine, serve_stalling_once())
        });
        assert_clean(&outcome);
        if outcome.latency.max() >= STALL_NS { Ok(outcome) } else { Err(format!("{outcome:?}")) }
    });
    // One for each that may be in flight, and what the machine adds: no more of each than fit into the window and the stall.
    let blocked = count_from(&outcome.latency, STALL_NS / 2);
    let most = 8 * (nanoseconds(outcome.elapsed) + STALL_NS).div_ceil(STALL_NS / 2);
    assert!((1..=most).contains(&blocked), "{blocked} blocked, at most {most}");
    assert!(blocked < outcome.requests, "{blocked} of {}", outcome.requests);
}

fn a_server_with_a_delay_meets_a_rate_that_its_connections_can_carry(engine: Engine) {
    // 10 ms for an answer, where each connection is asked for one every 40 ms.
    let target = serve(|mut stream, _| answer(&mut stream, |_| thread::sleep(Duration::from_millis(10))));
    // The few that fell due at the end are a smaller part of a longer window.
    in_time(500, |duration| {
        let outcome = carry_out(&LoadPlan {
            connections: 4,
            depth: 8,
            pace: Pace::Open { rate_rps: 100.0, arrivals: Arrivals::Poisson },
            warmup: Duration::ZERO,
            duration,
            ..plan(engine, target)
        });
        assert_eq!(Some(outcome.requests + outcome.censored), outcome.due);
        if outcome.censored * 10 <= outcome.requests { Ok(()) } else { Err(format!("{outcome:?}")) }
    });
}

fn load_goes_on_after_the_window_until_stragglers_are_answered(engine: Engine) {
    for threads in [1, 2] {
        let answered = Arc::new(AtomicUsize::new(0));
        let target = |answered: &Arc<AtomicUsize>| {
            let counter = Arc::clone(answered);
            serve(move |mut stream, number| {
                if number > 0 {
                    return answer(&mut stream, |_| _ = counter.fetch_add(1, Ordering::Relaxed));
                }
                // Takes the first request, and answers it long after the window.
                let mut frame = [0; FRAME_BYTES];
                stream.read_exact(&mut frame)?;
                thread::sleep(Duration::from_millis(500));
                stream.write_all(&frame)?;
                echo(stream, number)
            })
        };
        // Where the generator came to the window late, nothing was sent in it.
        in_time(25, |duration| {
            answered.store(0, Ordering::Relaxed);
            let plan = LoadPlan {
                connections: 4,
                threads,
                warmup: Duration::ZERO,
                duration,
                ..plan(engine, target(&answered))
            };
            let outcome = carry_out(&plan);
            assert_clean(&outcome);
            assert_eq!(outcome.elapsed, duration);
            let straggler = outcome.latency.max() >= 450_000_000;
            // Many times as many are answered meanwhile, and none of them is recorded.
            let went_on = answered.load(Ordering::Relaxed) as u64 > 2 * outcome.requests;
            if straggler && outcome.requests > 1 && went_on { Ok(()) } else { Err(format!("{outcome:?}")) }
        });
    }
}

fn a_connection_that_the_server_closes_is_an_error_and_the_others_go_on(engine: Engine) {
    let target = || {
        serve(|mut stream, number| {
            if number > 0 {
                return echo(stream, number);
            }
            // Takes three whole requests and answers none of them.
            stream.read_exact(&mut [0; 3 * FRAME_BYTES])
        })
    };
    in_time(200, |duration| {
        let outcome = carry_out(&LoadPlan { connections: 4, depth: 3, duration, ..plan(engine, target()) });
        assert_eq!((outcome.errors, outcome.mismatches, outcome.censored), (1, 0, 3));
        let said = "the server closed a connection, with 3 requests in flight";
        assert_eq!(outcome.first_error.as_deref(), Some(said));
        if outcome.requests > 0 { Ok(()) } else { Err(format!("{outcome:?}")) }
    });
}

fn a_run_that_lost_all_connections_ends_early(engine: Engine) {
    let begin = Instant::now();
    let outcome = carry_out(&LoadPlan {
        connections: 5,
        pace: Pace::Open { rate_rps: 100.0, arrivals: Arrivals::Constant },
        duration: Duration::from_mins(1),
        ..plan(engine, serve(|_, _| Ok(())))
    });
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!((outcome.errors, outcome.requests), (5, 0));
    // Of what was due in a minute, nothing is from the moment on at which there was no connection any more.
    assert!(outcome.censored < 600, "{outcome:?}");
}

fn unsolicited_bytes_are_an_error(engine: Engine) {
    let target = serve(|mut stream, _| {
        let mut frame = [0; FRAME_BYTES];
        stream.read_exact(&mut frame)?;
        stream.write_all(&[frame, frame].concat())?;
        stream.read(&mut frame).map(|_| ())
    });
    let outcome = carry_out(&plan(engine, target));
    assert_eq!(outcome.errors, 1);
    assert!(outcome.first_error.unwrap().starts_with("the server sent more than it was asked for"));
}

fn a_server_that_never_answers_is_given_up_after_the_grace_period(engine: Engine) {
    let target = serve(|mut stream, _| {
        while stream.read(&mut [0; 4096])? > 0 {}
        Ok(())
    });
    let begin = Instant::now();
    let outcome = carry_out(&LoadPlan { connections: 3, depth: 4, ..plan(engine, target) });
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!((outcome.requests, outcome.censored, outcome.errors), (0, 12, 0));
}

fn a_server_that_does_not_echo_is_named(engine: Engine) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| _ = stream.unwrap().write_all(b"220 ready")));
    let refused = run(&plan(engine, target), &mut (), &AtomicBool::new(false)).unwrap_err();
    assert_eq!(refused.to_string(), LoadError::NoEcho { target }.to_string());
}

fn the_observer_sees_the_window_open_and_close(engine: Engine) {
    #[derive(Default)]
    struct Watch {
        opened: Option<Instant>,
        closed: Option<Instant>,
    }
    impl Observer for Watch {
        fn window_opens(&mut self) {
            self.opened = Some(Instant::now());
        }
        fn window_closed(&mut self) {
            self.closed = Some(Instant::now());
        }
    }
    let plan = plan(engine, serve(echo));
    let mut watch = Watch::default();
    let begin = Instant::now();
    run(&plan, &mut watch, &AtomicBool::new(false)).unwrap();
    assert!(watch.opened.unwrap() - begin >= plan.warmup);
    assert!(watch.closed.unwrap() - begin >= plan.warmup + plan.duration);
}

fn the_window_closes_while_its_last_answers_are_awaited(engine: Engine) {
    #[derive(Default)]
    struct Count {
        closed: usize,
        at: Option<Instant>,
    }
    impl Observer for Count {
        fn window_closed(&mut self) {
            self.closed += 1;
            self.at = Some(Instant::now());
        }
    }
    let mut count = Count::default();
    let silent = serve(|mut stream, _| {
        while stream.read(&mut [0; 4096])? > 0 {}
        Ok(())
    });
    run(&plan(engine, silent), &mut count, &AtomicBool::new(false)).unwrap();
    // The grace period is a second.
    assert!(count.at.unwrap().elapsed() > Duration::from_millis(500));
    // And where all connections are lost, it closes as well, once.
    run(&plan(engine, serve(|_, _| Ok(()))), &mut count, &AtomicBool::new(false)).unwrap();
    assert_eq!(count.closed, 2);
}

fn a_run_can_be_cancelled_in_its_midst(engine: Engine) {
    struct CancelWhenOpen<'a>(&'a AtomicBool);
    impl Observer for CancelWhenOpen<'_> {
        fn window_opens(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
        fn window_closed(&mut self) {
            panic!("a cancelled run has no window");
        }
    }
    let plan = LoadPlan { duration: Duration::from_hours(1), ..plan(engine, serve(echo)) };
    let cancel = AtomicBool::new(false);
    let begin = Instant::now();
    assert!(matches!(run(&plan, &mut CancelWhenOpen(&cancel), &cancel), Err(LoadError::Cancelled)));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

fn refuses_what_it_cannot_carry_out(engine: Engine) {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let good = plan(engine, unused);
    let error = |plan: LoadPlan| run(&plan, &mut (), &AtomicBool::new(false)).unwrap_err();

    assert!(matches!(error(good.clone()), LoadError::Refused { target } if target == unused));
    let elsewhere = LoadPlan { target: "192.0.2.1:7".parse().unwrap(), ..good.clone() };
    assert!(matches!(error(elsewhere), LoadError::NotLoopback { .. }));
    let too_many = LoadPlan { connections: 1 << 40, ..good.clone() };
    assert!(matches!(error(too_many), LoadError::Descriptors { .. }));
    let no_such_cpu = LoadPlan { cpus: vec![1 << 20], target: serve(echo), ..good.clone() };
    assert!(matches!(error(no_such_cpu), LoadError::Pin { .. }));
    for plan in [
        LoadPlan { connections: 0, ..good.clone() },
        LoadPlan { depth: 0, ..good.clone() },
        LoadPlan { threads: 2, ..good.clone() },
        LoadPlan { payload_bytes: u32::MAX, ..good.clone() },
        LoadPlan { duration: Duration::ZERO, ..good.clone() },
        LoadPlan { pace: Pace::Open { rate_rps: f64::NAN, arrivals: Arrivals::Poisson }, ..good.clone() },
    ] {
        assert!(matches!(error(plan), LoadError::Plan(_)));
    }
}

const PAYLOAD_BYTES: u32 = 64;
const FRAME_BYTES: usize = 68;

/// One connection, closed loop, a short window.
fn plan(engine: Engine, target: SocketAddr) -> LoadPlan {
    LoadPlan {
        target,
        connections: 1,
        payload_bytes: PAYLOAD_BYTES,
        depth: 1,
        pace: Pace::Closed,
        warmup: Duration::from_millis(20),
        duration: Duration::from_millis(200),
        threads: 1,
        cpus: Vec::new(),
        seed: 1,
        engine,
        idle_connections: 0,
    }
}

fn carry_out(plan: &LoadPlan) -> LoadOutcome {
    let outcome = run(plan, &mut (), &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome.requests, outcome.latency.len());
    assert_eq!(outcome.requests, outcome.service.len());
    outcome
}

/// What comes of windows of that many milliseconds, and of longer and longer ones on a machine that is slow or busy.
#[track_caller]
fn in_time<T>(first_ms: u64, mut work: impl FnMut(Duration) -> Result<T, String>) -> T {
    let mut complaints = Vec::new();
    for times in [1, 2, 4, 16] {
        match work(Duration::from_millis(times * first_ms)) {
            Ok(done) => return done,
            Err(complaint) => complaints.push(complaint),
        }
    }
    panic!("{complaints:#?}")
}

/// Carries out a plan, against a server of its own each time, until something was sent in its window; nothing is to go wrong.
#[track_caller]
fn clean(plan: impl Fn() -> LoadPlan) -> LoadOutcome {
    in_time(200, |duration| {
        let outcome = carry_out(&LoadPlan { duration, ..plan() });
        assert_clean(&outcome);
        assert_eq!(outcome.elapsed, duration);
        if outcome.requests > 0 { Ok(outcome) } else { Err(format!("{outcome:?}")) }
    })
}

fn assert_clean(outcome: &LoadOutcome) {
    assert_eq!(outcome.first_error, None);
    assert_eq!((outcome.errors, outcome.mismatches, outcome.censored), (0, 0, 0));
}

fn count_from(histogram: &Histogram<u64>, from_ns: u64) -> u64 {
    histogram.count_between(from_ns, u64::MAX)
}

fn first_allowed_cpu() -> usize {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).find(|&cpu| allowed.is_set(cpu).unwrap()).unwrap()
}

/// Serves each connection, numbered as they come, on a thread of its own for as long as the test runs.
fn serve<F>(connection: F) -> SocketAddr
where
    F: Fn(TcpStream, usize) -> io::Result<()> + Clone + Send + 'static,
{
    serve_on(TcpListener::bind("127.0.0.1:0").unwrap(), connection)
}

fn serve_on<F>(listener: TcpListener, connection: F) -> SocketAddr
where
    F: Fn(TcpStream, usize) -> io::Result<()> + Clone + Send + 'static,
{
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (connection, mut stream) = (connection.clone(), stream.unwrap());
            stream.set_nodelay(true).unwrap();
            // How it ends is for the client to see.
            thread::spawn(move || {
                answer_greeting(&mut stream)?;
                connection(stream, number)
            });
        }
    });
    address
}

/// A greeting is a frame, of whichever length.
fn answer_greeting(stream: &mut TcpStream) -> io::Result<()> {
    let mut header = [0; 4];
    stream.read_exact(&mut header)?;
    let mut payload = vec![0; u32::from_be_bytes(header) as usize];
    stream.read_exact(&mut payload)?;
    stream.write_all(&[&header, payload.as_slice()].concat())
}

fn echo(mut stream: TcpStream, _number: usize) -> io::Result<()> {
    answer(&mut stream, |_| {})
}

/// Echoes what `change` makes of each piece that comes.
fn answer(stream: &mut TcpStream, mut change: impl FnMut(&mut [u8])) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    while let bytes @ 1.. = stream.read(&mut buffer)? {
        change(&mut buffer[..bytes]);
        stream.write_all(&buffer[..bytes])?;
    }
    Ok(())
}

const STALL_NS: u64 = 100_000_000;

/// Answers one connection at a time, and stops once for all of them.
fn serve_stalling_once() -> SocketAddr {
    let pieces_answered = Arc::new(Mutex::new(0));
    serve(move |mut stream, _| {
        answer(&mut stream, |_| {
            let mut pieces_answered = pieces_answered.lock().unwrap();
            *pieces_answered += 1;
            if *pieces_answered == 300 {
                thread::sleep(Duration::from_nanos(STALL_NS));
            }
        })
    })
}
