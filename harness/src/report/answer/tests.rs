use super::*;
use crate::plan::{Arrivals, SweepPlan, twin_of};
use crate::report::FileRun;
use crate::report::tests::{file, nothing, run};
use crate::results::{Bottleneck, RunRecord, TrialRecord, Verdict};
use crate::statistics::tests::noise;
use crate::verdict::BUSY_GENERATOR;

const BLOCKS: usize = 10;

fn of(files: &[FileRun]) -> Answer {
    super::of(&Selection::of(files))
}

/// A trial that serves so many times what others do, and needs so many times the CPU time, but for a percent of noise.
fn shape(trial: &mut TrialRecord, throughput: f64, cpu: f64) {
    let noise = 1.0 + 0.01 * noise(&trial.backend, trial.block * 31 + trial.cell.connections);
    let measured = trial.measured.as_mut().unwrap();
    measured.throughput_rps *= throughput * noise;
    let server = measured.server.as_mut().unwrap();
    // Of 2,000 requests, in whole nanoseconds.
    server.cpu_ns = format!("{:.0}", 4e7 * cpu * noise).parse().ok();
}

/// Over connections, the throughput of each backend.
fn answer(connections: &[usize], throughput: impl Fn(&str, usize) -> f64) -> Answer {
    answer_of(run("2026-01-01T00:00:00Z", connections, &["epoll", "io_uring", "threads"]), throughput, |_| ())
}

fn answer_of(run: RunRecord, throughput: impl Fn(&str, usize) -> f64, change: impl Fn(&mut TrialRecord)) -> Answer {
    of(&[file("run.jsonl", run, BLOCKS, |trial| {
        let factor = throughput(&trial.backend, trial.cell.connections);
        shape(trial, factor, 1.0);
        change(trial);
    })])
}

#[track_caller]
fn says(sentences: &[String], start: &str, rest: &str) {
    assert!(
        sentences.iter().any(|one| one.starts_with(start) && one.contains(rest)),
        "{start} … {rest} in {sentences:#?}"
    );
}

fn with(backend: &str, change: impl Fn(&mut TrialRecord)) -> impl Fn(&mut TrialRecord) {
    let backend = backend.to_owned();
    move |trial| {
        if trial.backend == backend {
            change(trial);
        }
    }
}

#[test]
fn a_winner_stands_with_its_ratios_to_the_next_and_the_last() {
    let answer = answer(&[512], |backend, _| match backend {
        "io_uring" => 1.31,
        "threads" => 0.5,
        _ => 1.0,
    });
    let found = &answer.findings[0];
    assert!(found.starts_with("At 512 connections, io_uring serves 1.3") && found.contains("× [1."), "{found}");
    assert!(
        found.contains("] the requests of epoll, the nearest, and 2.6")
            && found.ends_with("] those of threads, the farthest."),
        "{found}"
    );
    says(
        &answer.findings,
        "At 512 connections, in CPU time per request epoll, io_uring and threads all tie: if any two differ, then by at most 1.0",
        "×.",
    );
    says(&answer.notes, "The intervals of 6 comparisons hold together in 95 % of runs.", "");
    assert_eq!((answer.crossovers.len(), answer.open.len()), (0, 0), "{answer:#?}");
}

#[test]
fn neighbours_that_say_the_same_are_one_sentence_that_names_both_ends() {
    let answer = answer(&[1, 64, 512, 1024], |backend, connections| match (backend, connections) {
        (_, 1) => 1.0,
        ("io_uring", connections) => 1.2 + connections as f64 / 5000.0,
        ("threads", _) => 0.5,
        _ => 1.0,
    });
    assert_eq!(answer.findings.len(), 3, "{answer:#?}");
    says(&answer.findings, "At 1 connection, in requests/s epoll, io_uring and threads all tie", "");
    let merged = &answer.findings[1];
    assert!(merged.starts_with("From 64 to 1,024 connections, io_uring serves the most requests: 1.2"), "{merged}");
    assert!(
        merged.contains("(at 64) to 1.4") && merged.contains("(at 1,024) those of epoll, the nearest, and 2.4"),
        "{merged}"
    );
    assert!(merged.ends_with("(at 1,024) those of threads, the farthest."), "{merged}");
}

#[test]
fn what_several_files_say_holds_together_as_if_it_were_one() {
    let backends = ["epoll", "io_uring", "threads"];
    let of_run = |started: &str, connections: &[usize]| {
        file(started, run(started, connections, &backends), BLOCKS, |trial| {
            let factor = if trial.backend == "io_uring" { 1.3 } else { 1.0 };
            shape(trial, factor, 1.0);
        })
    };
    // The newer one speaks for 64 connections, too: what the older one says of them is not shown, and not counted.
    let several = of(&[of_run("2026-01-01T00:00:00Z", &[1, 64]), of_run("2026-01-02T00:00:00Z", &[64, 512])]);
    assert_eq!(several, of(&[of_run("2026-01-02T00:00:00Z", &[64, 512, 1])]));
    says(&several.notes, "The intervals of 18 comparisons hold together in 95 % of runs.", "");
}

#[test]
fn less_cpu_time_is_better() {
    let answer = of(&[file("run", run("", &[64], &["epoll", "io_uring"]), BLOCKS, |trial| {
        let cpu = if trial.backend == "io_uring" { 0.82 } else { 1.0 };
        shape(trial, 1.0, cpu);
    })]);
    says(&answer.findings, "At 64 connections, io_uring needs 0.8", "] the CPU time per request of epoll.");
    says(
        &answer.findings,
        "At 64 connections, in requests/s epoll and io_uring tie: if they differ, then by at most 1.0",
        "×.",
    );
}

#[test]
fn two_that_change_places_are_named_with_both_ratios() {
    let answer = answer(&[1, 64, 512], |backend, connections| match (backend, connections) {
        ("epoll", 1) | ("io_uring", 512) => 1.3,
        _ => 1.0,
    });
    says(
        &answer.crossovers,
        "At 1 connection, epoll serves 1.",
        "the requests of io_uring; at 512, io_uring serves 1.",
    );
    assert!(answer.crossovers.iter().all(|one| !one.contains("; at 64,")), "there nobody is ahead: {answer:#?}");
}

#[test]
fn a_busy_generator_leaves_it_open_and_no_order_is_claimed() {
    let all = answer_of(
        run("", &[64], &["epoll", "io_uring"]),
        |_, _| 1.0,
        |trial| {
            trial.bottleneck = Some(Bottleneck::Client);
        },
    );
    says(&all.open, "At 64 connections, the load generator was the limit of epoll and io_uring,", "give it more CPUs");
    assert!(all.findings.iter().all(|one| !one.contains("requests/s")), "{all:#?}");
    says(&all.findings, "At 64 connections, in CPU time per request epoll and io_uring tie", "");

    let held = answer_of(
        run("", &[64], &["epoll", "io_uring", "threads"]),
        |backend, _| if backend == "io_uring" { 2.0 } else { 1.0 },
        with("io_uring", |trial| trial.bottleneck = Some(Bottleneck::Client)),
    );
    says(
        &held.open,
        "At 64 connections, nobody is known to have the most requests: the load generator was the limit of io_uring,",
        "which came out ahead",
    );
    assert!(held.findings.iter().all(|one| !one.contains("requests") || one.contains("CPU")), "{held:#?}");
}

#[test]
fn a_sentence_says_whose_trials_are_suspect_and_who_is_not_compared() {
    let answer = answer_of(
        run("", &[64], &["epoll", "io_uring", "threads"]),
        |backend, _| if backend == "epoll" { 1.5 } else { 1.0 },
        |trial| match trial.backend.as_str() {
            "epoll" => (trial.verdict, trial.reasons) = (Verdict::Suspect, vec!["odd".to_owned()]),
            "threads" => trial.bottleneck = Some(Bottleneck::Client),
            _ => (),
        },
    );
    says(
        &answer.findings,
        "At 64 connections, epoll serves 1.",
        "io_uring (most trials of epoll are suspect; not compared: threads).",
    );
    says(&answer.open, "At 64 connections, most trials of epoll are suspect", "");
}

#[test]
fn a_sentence_says_where_the_load_generator_was_busy_as_far_as_a_chart_does() {
    let answer = |is_busy: fn(&TrialRecord) -> bool| {
        answer_of(
            run("", &[64], &["epoll", "io_uring"]),
            |backend, _| if backend == "epoll" { 1.5 } else { 1.0 },
            |trial| {
                if is_busy(trial) {
                    (trial.verdict, trial.reasons) = (Verdict::Suspect, vec![BUSY_GENERATOR.to_owned()]);
                }
            },
        )
    };
    let all = answer(|_| true);
    says(
        &all.findings,
        "At 64 connections, epoll serves 1.",
        "io_uring (although the load generator was busy in most trials).",
    );
    // What they cost is known all the same, and the open questions are others.
    assert!(all.findings.iter().all(|one| !one.contains("CPU time") || !one.contains("busy")), "{all:#?}");
    assert!(all.open.is_empty(), "{all:#?}");
    let one = answer(|trial| trial.backend == "epoll");
    says(
        &one.findings,
        "At 64 connections, epoll serves 1.",
        "(although the load generator was busy in most trials of epoll).",
    );
    let few = answer(|trial| trial.block <= BLOCKS / 2);
    assert!(few.findings.iter().all(|one| !one.contains("busy")), "{few:#?}");
}

#[test]
fn noise_that_hides_large_differences_is_no_tie() {
    let answer = answer_of(
        run("", &[64], &["epoll", "poll"]),
        |_, _| 1.0,
        |trial| {
            let wild = 1.0 + 0.9 * noise(&trial.backend, trial.block);
            trial.measured.as_mut().unwrap().throughput_rps *= wild;
        },
    );
    says(
        &answer.open,
        "At 64 connections, nobody can be told from the others by requests/s, and differences of ",
        "--until 5",
    );
    assert!(answer.findings.iter().all(|one| !one.contains("requests/s")), "{answer:#?}");
}

#[test]
fn a_backend_that_differs_from_itself_takes_the_order_with_it() {
    let mut twice = run("", &[64], &["epoll", "poll"]);
    twice.plan.twice = vec!["epoll".to_owned()];
    let answer = |own: f64| {
        answer_of(twice.clone(), move |backend, _| if backend == twin_of("epoll") { own } else { 1.0 }, |_| ())
    };
    says(
        &answer(1.3).open,
        "At 64 connections, epoll differs from itself by 1.",
        "no difference there is to be believed",
    );
    says(&answer(1.0).notes, "A backend that was there twice differs from itself in requests/s by at most 1.0", "×:");
}

#[test]
fn few_blocks_ask_for_more_and_claim_nothing() {
    let few = of(&[file("run", run("", &[1, 64], &["epoll", "poll"]), 3, |trial| {
        let factor = if trial.backend == "epoll" { 2.0 } else { 1.0 };
        shape(trial, factor, 1.0);
    })]);
    says(
        &few.open,
        "From 1 to 64 connections, who is ahead in requests/s is not known: 3 blocks at most count for two, and an interval needs 7",
        "",
    );
    assert_eq!(few.findings, ["No backend is known to be ahead."], "{few:#?}");
    assert!(few.notes.iter().all(|note| !note.contains("hold together")), "of nothing: {few:#?}");
}

#[test]
fn with_a_rate_latency_is_compared_and_who_misses_it_is_named() {
    let mut plan = run("", &[64], &["epoll", "poll"]);
    plan.plan = SweepPlan { rate_rps: vec![Some(1e3), Some(2e3)], arrivals: Arrivals::Constant, ..plan.plan };
    let answer = answer_of(
        plan,
        |_, _| 1.0,
        |trial| {
            let measured = trial.measured.as_mut().unwrap();
            if trial.backend == "poll" && trial.cell.rate_rps == Some(2e3) {
                measured.censored = 1000;
            }
            if trial.backend == "poll" {
                measured.latency_hdr = crate::results::EncodedHistogram::of(4000);
            }
        },
    );
    says(&answer.findings, "At 1,000/s, epoll has 0.50", "the p99 latency of poll.");
    says(&answer.findings, "At 2,000/s, the rate was missed by poll in 10 of 10 trials.", "");
}

#[test]
fn one_backend_alone_has_its_figures() {
    let answer = answer_of(run("", &[1, 64], &["epoll"]), |_, _| 1.0, |_| ());
    says(&answer.findings, "At 1 connection, epoll serves ", "requests/s at 20.");
    says(&answer.findings, "At 64 connections, epoll serves ", "(median of 10 trials, from ");
    assert!(answer.open.is_empty(), "{answer:#?}");
}

#[test]
fn what_was_not_measured_is_said_with_its_reason() {
    let answer = answer_of(
        run("", &[64, 512], &["epoll", "poll", "threads"]),
        |_, _| 1.0,
        |trial| {
            if trial.backend == "threads" && trial.cell.connections == 512 {
                *trial = TrialRecord {
                    block: trial.block,
                    trial: trial.trial,
                    cell: trial.cell.clone(),
                    ..crate::results::tests::failed_trial("threads", "it died.")
                };
            }
        },
    );
    says(&answer.open, "At 512 connections, no trial of threads counts: it died.", "");
    assert!(answer.open.len() == 1 && answer.findings[0].contains("threads"), "{answer:#?}");
}

#[test]
fn a_search_is_told_in_words_and_one_that_its_trials_do_not_follow_from_is_not() {
    let (plan, capacity, trials) = crate::capacity::recorded("p99<5ms");
    let answer = |seed| {
        let search = RunRecord { plan: plan.clone(), capacity: Some(capacity.clone()), seed, ..run("", &[64], &[]) };
        let mut file = file("run.jsonl", search, 0, |_| ());
        file.recorded.trials.clone_from(&trials);
        of(&[file])
    };
    let findings = answer(7).findings;
    let tie = "At 64 connections, payload 64 B and depth 1, poll and epoll tie for the highest rate with p99<5ms";
    assert!(findings[0].starts_with(tie), "{findings:?}");
    assert!(findings[1].contains("poll sustains ") && findings[1].contains("/s ["), "{findings:?}");
    assert!(answer(8).open[0].starts_with("The trials of the search"));
}

#[test]
fn of_nothing_nothing_is_said() {
    let planned = file("run", run("", &[64], &["epoll"]), 0, |_| ());
    let cut_off = FileRun { name: "cut".to_owned(), recorded: nothing() };
    for files in [vec![planned], vec![cut_off], Vec::new()] {
        let answer = of(&files);
        assert_eq!(answer.open, ["Nothing was measured, so nothing can be said."]);
        assert!(answer.findings.is_empty() && answer.crossovers.is_empty());
    }
}

#[test]
fn many_cells_are_still_read_in_a_minute() {
    let mut many = run("", &[1, 8, 64, 512, 1024], &["epoll", "io_uring", "threads", "poll", "select", "polling"]);
    many.plan.depth = vec![1, 16, 64];
    let answer = of(&[file("run", many, 7, |trial| {
        let leader = ["epoll", "io_uring", "poll"][(trial.cell.connections / 8 + trial.cell.depth) % 3];
        let factor = if trial.backend == leader { 1.5 } else { 1.0 };
        shape(trial, factor, 1.0);
    })]);
    assert!(answer.findings.len() <= 12 && answer.crossovers.len() <= 10, "{answer:#?}");
    says(&answer.findings, "In 6 of 15 cells, poll serves the most requests: 1.", " connections, depth ");
    says(
        &answer.findings,
        "In all 15 cells, in CPU time per request epoll, io_uring, threads, poll, select and polling are not told apart (",
        "",
    );
}

/// So many times what another one serves in each block, over the blocks.
fn serving(factor: impl Fn(&str, usize) -> f64) -> Answer {
    of(&[file("run", run("", &[64], &["threads", "select", "poll"]), 8, |trial| {
        let factor = factor(&trial.backend, trial.block % 8);
        let measured = trial.measured.as_mut().unwrap();
        measured.throughput_rps *= factor;
        measured.server.as_mut().unwrap().cpu_ns = Some(40_000_000 + 1000 * trial.block as u64);
    })])
}

#[test]
fn where_any_two_differ_nobody_says_that_all_tie() {
    // The one that came out ahead is so noisy that it is told from nobody; the others differ from each other for sure.
    let of = |middle: f64, noise: f64| {
        serving(|backend, block| match backend {
            "threads" => 1.0 + 0.001 * (block % 3) as f64,
            "select" => 0.94 + 0.001 * (block % 2) as f64,
            _ => middle * (1.0 + noise * ((block * 3 % 8) as f64 - 3.5)),
        })
    };
    let close = of(1.005, 0.02);
    says(
        &close.findings,
        "At 64 connections, threads and poll lead with the most requests and are not told apart (they differ by at most 1.",
        "× [1.0",
    );
    says(&close.findings, "At 64 connections, threads and", " the requests of select, which is not told from poll.");
    let wide = of(1.03, 0.06);
    says(
        &wide.findings,
        "At 64 connections, threads serves 1.06",
        " the requests of select, which is not told from poll.",
    );
    says(
        &wide.open,
        "At 64 connections, it is not known which of threads and poll serves the most requests:",
        "--until 5",
    );
    for answer in [close, wide] {
        let sentences = || answer.findings.iter().chain(&answer.open).filter(|one| !one.contains("CPU time"));
        assert!(sentences().all(|one| !one.contains("all tie") && !one.contains("nobody")), "{answer:#?}");
    }
}

#[test]
fn those_who_may_differ_by_more_than_a_tie_allows_are_not_told_apart() {
    // Two that swing against each other, around one that does not.
    let answer = serving(|backend, block| {
        let swing = 0.01 * ((block * 3 % 8) as f64 - 3.5);
        match backend {
            "threads" => 1.001,
            "select" => 1.0 + swing,
            _ => 1.0 - swing,
        }
    });
    let tie = answer.findings.iter().find(|one| one.contains("requests/s")).unwrap();
    let untold = "threads, select and poll are not told apart (any two differ by at most 1.";
    assert!(tie.contains(untold) && !tie.contains("tie"), "{tie}");
    let reach: f64 = tie.rsplit("at most ").next().unwrap().trim_end_matches("×).").parse().unwrap();
    assert!(reach > 1.05, "that of select and poll is about twice that of either and threads: {tie}");
}

#[test]
fn what_is_sure_is_said_first_and_by_name_and_what_is_not_known_stands_apart() {
    let answer = of(&[file("run", run("", &[8, 64], &["epoll", "poll", "threads"]), 8, |trial| {
        shape(trial, 1.0, if trial.backend == "threads" { 4.0 } else { 1.0 });
        if trial.backend == "poll" {
            let server = trial.measured.as_mut().unwrap().server.as_mut().unwrap();
            server.cpu_ns = server.cpu_ns.map(|ns| ns + ns / 10 * ((trial.block * 3 % 8) as u64));
        }
    })]);
    says(
        &answer.findings,
        "From 8 to 64 connections, threads needs more CPU time per request than all others: ",
        " that of epoll",
    );
    says(
        &answer.open,
        "From 8 to 64 connections, it is not known which of epoll and poll needs the least CPU time per request:",
        "differences of up to",
    );
    assert!(answer.findings.iter().all(|one| !one.contains("not known") && !one.contains("the one that")));
}

#[test]
fn ends_of_a_range_that_read_alike_are_one_figure_with_what_holds_everywhere() {
    let answer = answer(&[1, 64, 512], |backend, _| if backend == "epoll" { 2.0 } else { 1.0 });
    let found = answer.findings.iter().find(|one| one.contains("epoll serves the most requests: ")).unwrap();
    let ratios: Vec<&str> = found.split("serves the most requests: ").nth(1).unwrap().split(" to ").collect();
    assert!(
        ratios.len() == 1 || ratios[0].split('×').next() != ratios[1].split('×').next(),
        "the same figure twice: {found}"
    );
}

#[test]
fn a_rate_that_the_load_generator_missed_is_held_against_no_server() {
    let of = |reason: &str, bottleneck: Option<Bottleneck>| {
        let mut plan = run("", &[64], &["epoll", "poll"]);
        plan.plan = SweepPlan { rate_rps: vec![Some(1e3)], arrivals: Arrivals::Constant, ..plan.plan };
        answer_of(
            plan,
            |_, _| 1.0,
            |trial| {
                if trial.backend == "poll" && trial.block <= 4 {
                    trial.measured.as_mut().unwrap().censored = 1000;
                    trial.verdict = Verdict::Suspect;
                    trial.reasons = vec!["the rate asked for was not met".to_owned(), reason.to_owned()];
                    trial.bottleneck = bottleneck;
                }
            },
        )
    };
    let missed = "At 64 connections, the rate was missed by poll in 4 of 10 trials";
    says(&of("not steady", Some(Bottleneck::Server)).findings, missed, "trials.");
    for held in [of(crate::verdict::LATE_GENERATOR, None), of("busy", Some(Bottleneck::Client))] {
        says(&held.open, missed, "whether a server takes that rate is not known. Give the load generator more CPUs");
        assert!(held.findings.iter().all(|one| !one.contains("the rate")), "{held:#?}");
    }
}

#[test]
fn what_changed_since_the_run_before_is_a_sentence() {
    let day = |day: usize, epoll: f64| {
        file(&format!("day{day}"), run(&format!("2026-01-0{day}T10:00:00Z"), &[64], &["epoll", "poll"]), 10, |trial| {
            shape(trial, if trial.backend == "epoll" { epoll } else { 1.0 }, 1.0);
        })
    };
    let newest = of(&[day(1, 1.0), day(2, 0.8)]);
    says(&newest.findings, "Since 2026-01-02 epoll serves 0.8", "] the requests of the run before, at 64 connections.");
    assert!(newest.changes.is_empty(), "{newest:#?}");
    let older = of(&[day(1, 1.0), day(2, 0.8), day(3, 0.8)]);
    assert!(older.findings.iter().all(|one| !one.starts_with("Since")), "{older:#?}");
    says(&older.changes, "Since 2026-01-02 epoll serves 0.8", "");
    let same_day = of(&[
        day(1, 1.0),
        file("again", run("2026-01-01T12:30:00Z", &[64], &["epoll"]), 10, |trial| {
            shape(trial, 2.0, 1.0);
        }),
    ]);
    says(&same_day.findings, "Since 2026-01-01 12:30 UTC epoll serves 2", "");
}

#[test]
fn latencies_of_a_closed_loop_are_said_to_be_shown_and_not_ranked() {
    let closed = answer(&[1], |_, _| 1.0);
    says(&closed.notes, "Service times of a closed loop (p50, p99) are shown and not ranked: ", "--rate");
}

#[test]
fn a_backend_without_trials_was_passed_over_by_the_end_of_the_run_only_where_trials_lack_there() {
    let whole = file("run.jsonl", run("", &[64], &["epoll", "poll"]), 2, |_| ());
    let mut short = whole.clone();
    short.recorded.trials.truncate(1);
    says(&of(&[short]).open, "poll was not measured: the run ended before it.", "");
    let mut lacking = whole.clone();
    lacking.recorded.trials.retain(|trial| trial.backend == "epoll");
    says(&of(&[lacking]).open, "poll was not measured: no trial of it is in the file.", "");
    let mut early = whole;
    early.recorded.run.as_mut().unwrap().plan.trials = 9;
    early.recorded.trials.retain(|trial| trial.backend == "epoll");
    says(&of(&[early]).open, "poll was not measured: no trial of it is in the file.", "");
}

#[test]
fn trials_outside_the_plan_are_counted_where_they_are_left_out() {
    let renamed = |names: &'static [&'static str]| {
        of(&[file("run.jsonl", run("", &[64], &["epoll", "poll"]), BLOCKS, |trial| {
            if names.contains(&trial.backend.as_str()) {
                trial.backend = format!("not-{}", trial.backend);
            }
        })])
    };
    let one = renamed(&["poll"]).open;
    says(&one, "10 trials are of no cell or backend of the plan and are left out.", "");
    says(&one, "poll was not measured: no trial of it is in the file.", "");
    let both = renamed(&["epoll", "poll"]).open;
    assert_eq!(
        both,
        [
            "Nothing of the plan was measured, so nothing can be said.",
            "20 trials are of no cell or backend of the plan and are left out."
        ]
    );
}
