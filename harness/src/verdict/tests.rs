//! Each fault by itself, beside a sound trial.

use super::*;
use crate::environment::GroupEvents;
use crate::interference::Disturbance;

pub(super) fn sound() -> Evidence {
    Evidence {
        requests: 100_000,
        errors: 0,
        first_error: None,
        lost_share: Some(0.0),
        closed_after: None,
        cut_short: false,
        mismatches: 0,
        censored: 0,
        unanswered: 0,
        due: None,
        rate_rps: None,
        oldest_wait_ns: None,
        connections: 50,
        silent_connections: Some(0),
        asked_in_flight: Some(50.0),
        in_flight_mean: Some(50.0),
        in_flight_edges: Some(0.0),
        elapsed_ns: 1_000_000_000,
        slices: vec![2500; 40],
        slice_service_ns: vec![500_000; 40],
        latency_p99_ns: 900_000,
        service_mean_ns: 500_000,
        service_p50_ns: 480_000,
        send_lag_p99_ns: 0,
        timers_p90_ns: None,
        client_cpu_ns_per_request: Some(5000.0),
        clock_step_ns: Some(20),
        cpu_clock_step_ns: Some(4_000_000),
        readings_late_ns: Some(1_000_000),
        server_utilisation: Some(0.5),
        server_busiest_thread: Some(0.5),
        client_utilisation: 0.5,
        cpus_shared: false,
        server_left_its_cpus: false,
        interference: Interference {
            hiccup_floor_ns: Some(1_000_000),
            server: quiet(),
            client: quiet(),
            loopback_qdiscs: Some(vec!["noqueue".to_owned()]),
        },
        connections_per_thread: vec![50],
        listener_is_shared: false,
    }
}

fn quiet() -> Disturbance {
    Disturbance {
        hiccup_max_ns: Some(1_500_000),
        hiccup_total_ns: Some(2_000_000),
        stolen: Some(0.0),
        neighbours: Some(0.01),
        waited: Some(0.01),
        involuntary_switches_per_s: Some(20.0),
        control_groups: GroupEvents::default(),
    }
}

/// An open loop that met its rate.
pub(super) fn open() -> Evidence {
    Evidence { due: Some(100_000), asked_in_flight: None, timers_p90_ns: Some(60_000), ..sound() }
}

fn only_reason(evidence: &Evidence) -> String {
    let judgement = judge(evidence);
    assert_eq!((judgement.verdict, judgement.reasons.len()), (Verdict::Suspect, 1), "{judgement:?}");
    judgement.reasons[0].clone()
}

fn verdict(evidence: &Evidence) -> (Verdict, String) {
    let judgement = judge(evidence);
    (judgement.verdict, judgement.reasons.join(" | "))
}

#[test]
fn connections_that_were_lost_for_a_part_that_matters_make_a_trial_invalid() {
    let lost = |share| Evidence { errors: 1, first_error: Some("reset".into()), lost_share: share, ..sound() };
    assert_eq!(judge(&lost(Some(0.01))).verdict, Verdict::Suspect);
    let judged = judge(&lost(Some(0.011)));
    let expected = "connections were lost for more than 1 % of their time in the window; the first: reset";
    assert_eq!((judged.verdict, judged.reasons.as_slice()), (Verdict::Invalid, [expected.to_owned()].as_slice()));
    // Older files do not say, and are not judged anew.
    assert_eq!(judge(&lost(None)).verdict, Verdict::Suspect);
}

#[test]
fn a_server_that_closes_connections_after_so_many_answers_is_said_to() {
    let closing = |answers, connections, share| {
        let evidence = Evidence {
            errors: connections as u64,
            connections,
            closed_after: Some(answers),
            lost_share: Some(share),
            ..sound()
        };
        let judged = judge(&evidence);
        (judged.verdict, judged.reasons[0].clone())
    };
    let much = "connections were lost for more than 1 % of their time in the window";
    let expected = format!("the server closes connections after 3,000 answers: {much}");
    assert_eq!(closing(3000, 50, 0.6), (Verdict::Invalid, expected));
    assert!(closing(1, 50, 0.6).1.starts_with("the server closes connections after 1 answer: "));
    assert!(closing(0, 50, 0.6).1.starts_with("the server closes connections without an answer: "));
    assert!(closing(7, 1, 0.6).1.starts_with("the server closed the connection after 7 answers: "));
    let expected = "connections were lost: the server closes connections after 3,000 answers".to_owned();
    assert_eq!(closing(3000, 50, 0.001), (Verdict::Suspect, expected));
}

#[test]
fn where_all_connections_were_lost_in_the_warm_up_nothing_is_said_of_answers() {
    let nothing = Evidence { errors: 50, lost_share: Some(1.0), elapsed_ns: 0, requests: 0, ..sound() };
    assert_eq!(judge(&nothing).reasons[0], "all connections were lost before the window opened");
    assert!(!judge(&nothing).reasons.iter().any(|reason| reason.contains("no request was answered")));
}

#[test]
fn a_run_that_was_interrupted_is_suspect_and_says_so() {
    let judged = judge(&Evidence { cut_short: true, ..sound() });
    assert_eq!(judged.verdict, Verdict::Suspect);
    assert!(judged.reasons[0].starts_with("cut short"), "{judged:?}");
}

#[test]
fn a_sound_trial_is_valid_without_reasons() {
    assert_eq!(verdict(&sound()), (Verdict::Valid, String::new()));
}

#[test]
fn one_mismatch_makes_it_invalid() {
    let (verdict, reasons) = verdict(&Evidence { mismatches: 1, ..sound() });
    assert_eq!((verdict, reasons.as_str()), (Verdict::Invalid, "answers differed from what was sent"));
}

#[test]
fn why_nothing_was_answered_is_said() {
    let reason = |evidence: Evidence| {
        let judgement = judge(&Evidence { requests: 0, elapsed_ns: 200_000_000, ..evidence });
        assert_eq!(judgement.verdict, Verdict::Invalid);
        judgement.reasons[0].clone()
    };
    let none_due = reason(Evidence { due: Some(0), rate_rps: Some(1.0), oldest_wait_ns: Some(0), ..open() });
    assert!(
        none_due.starts_with("no request falls due in a window of 200 ms at 1/s; ask for --duration"),
        "{none_due}"
    );
    for slow in [sound(), Evidence { due: Some(0), rate_rps: Some(1.0), ..open() }] {
        let slow = reason(Evidence { oldest_wait_ns: Some(300_000_000), ..slow });
        let expected =
            "answers take longer than the window of 200 ms (the oldest request had waited 300 ms when it closed)";
        assert!(slow.starts_with(expected), "{slow}");
    }
    let mute = reason(Evidence { unanswered: 4, censored: 4, oldest_wait_ns: Some(200_000_000), ..sound() });
    assert!(
        mute.starts_with("no request was answered in the window of 200 ms") && mute.ends_with(", and some never"),
        "{mute}"
    );
}

#[test]
fn without_an_answer_it_is_invalid() {
    let (verdict, reasons) = verdict(&Evidence { requests: 0, ..sound() });
    assert_eq!((verdict, reasons.as_str()), (Verdict::Invalid, "no request was answered"));
}

#[test]
fn every_reason_is_given() {
    let (verdict, reasons) = verdict(&Evidence { mismatches: 2, errors: 3, ..sound() });
    assert_eq!(verdict, Verdict::Invalid);
    assert_eq!(reasons, "answers differed from what was sent | connections were lost");
}

#[test]
fn a_broken_connection_makes_it_suspect() {
    let (verdict, reasons) = verdict(&Evidence { errors: 1, first_error: Some("reset".into()), ..sound() });
    assert_eq!((verdict, reasons.as_str()), (Verdict::Suspect, "connections were lost; the first: reset"));
}

#[test]
fn censored_requests_make_a_closed_loop_suspect() {
    let (verdict, reasons) = verdict(&Evidence { censored: 4, ..sound() });
    assert_eq!((verdict, reasons.as_str()), (Verdict::Suspect, "requests were never answered"));
}

#[test]
fn censored_requests_make_an_open_loop_suspect_only_where_the_rate_was_not_met() {
    let open = |requests| Evidence { censored: 100_000 - requests, requests, ..open() };
    assert_eq!(verdict(&open(99_900)).0, Verdict::Valid);
    let (verdict, reasons) = verdict(&open(90_000));
    assert_eq!(verdict, Verdict::Suspect);
    assert!(reasons.starts_with("the rate asked for was not met"), "{reasons}");
}

#[test]
fn a_shared_cpu_makes_it_suspect() {
    assert_eq!(verdict(&Evidence { cpus_shared: true, ..sound() }).0, Verdict::Suspect);
}

#[test]
fn a_server_on_other_cpus_makes_it_suspect() {
    let reason = only_reason(&Evidence { server_left_its_cpus: true, ..sound() });
    assert_eq!(reason, "the server chose other CPUs than those given to it");
}

#[test]
fn too_few_answers_for_a_p99_make_it_suspect() {
    let of = |requests| Evidence { requests, service_mean_ns: 50_000_000_000 / requests, ..sound() };
    assert_eq!(verdict(&of(1000)).0, Verdict::Valid);
    assert_eq!(only_reason(&of(999)), "too few answers for a p99");
}

#[test]
fn the_busy_side_is_the_bottleneck_and_the_client_where_both_are() {
    let of = |server_utilisation, client_utilisation| {
        judge(&Evidence { server_utilisation, client_utilisation, ..sound() }).bottleneck
    };
    assert_eq!(of(Some(0.95), 0.5), Some(Bottleneck::Server));
    assert_eq!(of(Some(0.5), 0.95), Some(Bottleneck::Client));
    assert_eq!(of(Some(0.95), 0.95), Some(Bottleneck::Client));
    assert_eq!(of(Some(0.5), 0.5), Some(Bottleneck::Latency));
}

#[test]
fn one_busy_thread_is_the_bottleneck_however_many_are_idle() {
    let of = |server_busiest_thread| {
        judge(&Evidence { server_utilisation: Some(0.5), server_busiest_thread, ..sound() }).bottleneck
    };
    assert_eq!(of(Some(0.9)), Some(Bottleneck::Server));
    assert_eq!(of(Some(0.89)), Some(Bottleneck::Latency));
    assert_eq!(of(None), Some(Bottleneck::Latency));
}

#[test]
fn sides_that_keep_one_cpu_busy_together_say_nothing_about_the_server() {
    let shared = Evidence { cpus_shared: true, client_utilisation: 0.5, ..sound() };
    assert_eq!(judge(&shared).bottleneck, Some(Bottleneck::Client));
    assert_eq!(judge(&Evidence { cpus_shared: false, ..shared }).bottleneck, Some(Bottleneck::Latency));
}

#[test]
fn an_unseen_server_leaves_the_bottleneck_open() {
    let unseen = Evidence { server_utilisation: None, ..sound() };
    assert_eq!(judge(&unseen).bottleneck, None);
    assert_eq!(judge(&Evidence { client_utilisation: 1.0, ..unseen }).bottleneck, Some(Bottleneck::Client));
}

#[test]
fn a_rate_that_was_met_is_the_bottleneck_unless_a_side_was_busy() {
    let met = Evidence { due: Some(10_000), requests: 9950, censored: 50, ..open() };
    assert_eq!(judge(&met).bottleneck, Some(Bottleneck::Rate));
    assert_eq!(judge(&Evidence { requests: 9949, censored: 51, ..met.clone() }).bottleneck, Some(Bottleneck::Latency));
    assert_eq!(judge(&Evidence { server_utilisation: Some(1.0), ..met }).bottleneck, Some(Bottleneck::Server));
}

#[test]
fn neighbours_make_it_suspect_and_leave_open_what_the_bottleneck_was() {
    let side = |neighbours| Disturbance { neighbours, ..quiet() };
    let disturbed = |server, client| {
        let interference = Interference { server: side(server), client: side(client), ..sound().interference };
        Evidence { interference, ..sound() }
    };
    let judgement = judge(&disturbed(Some(0.3), Some(0.04)));
    assert_eq!((judgement.verdict, judgement.bottleneck), (Verdict::Suspect, None));
    assert_eq!(judgement.reasons, ["other processes took CPU time of the server"]);
    let judgement = judge(&disturbed(Some(0.3), Some(0.3)));
    assert_eq!(judgement.reasons.len(), 2);
    let busy = Evidence { server_utilisation: Some(0.93), ..disturbed(Some(0.06), None) };
    assert_eq!(judge(&busy).bottleneck, Some(Bottleneck::Server));
    let unseen = judge(&disturbed(None, None));
    assert_eq!((unseen.verdict, unseen.bottleneck), (Verdict::Valid, Some(Bottleneck::Latency)));
}

#[test]
fn a_side_that_waited_for_its_cpu_makes_it_suspect() {
    let waited = |server, client| {
        let side = |share| Disturbance { waited: Some(share), ..quiet() };
        Evidence {
            interference: Interference { server: side(server), client: side(client), ..sound().interference },
            ..sound()
        }
    };
    assert_eq!(judge(&waited(0.049, 0.049)).verdict, Verdict::Valid);
    for (evidence, side) in [(waited(0.05, 0.0), "server"), (waited(0.0, 0.05), "load generator")] {
        assert_eq!(only_reason(&evidence), format!("other processes took CPU time of the {side}"));
        assert_eq!(judge(&evidence).bottleneck, None);
    }
}

#[test]
fn a_machine_that_stands_still_makes_it_suspect() {
    let still = |disturbance: Disturbance| Evidence {
        interference: Interference { client: disturbance, ..sound().interference },
        ..sound()
    };
    let hiccups = |ns| still(Disturbance { hiccup_total_ns: Some(ns), ..quiet() });
    assert_eq!(judge(&hiccups(9_999_999)).verdict, Verdict::Valid);
    assert_eq!(only_reason(&hiccups(10_000_000)), "a CPU of the load generator stood still for a while");
    assert_eq!(judge(&hiccups(10_000_000)).bottleneck, None);
    let stolen = |share| still(Disturbance { stolen: Some(share), ..quiet() });
    assert_eq!(judge(&stolen(0.009)).verdict, Verdict::Valid);
    assert_eq!(only_reason(&stolen(0.02)), "the hypervisor took CPU time of the load generator");
    assert_eq!(judge(&still(Disturbance::default())).verdict, Verdict::Valid);
}

#[test]
fn threads_that_lose_their_cpu_for_one_request_in_a_hundred_make_it_suspect() {
    let interrupted = |per_s, requests| {
        let server = Disturbance { involuntary_switches_per_s: Some(per_s), ..quiet() };
        Evidence {
            requests,
            service_mean_ns: 50_000_000_000 / requests,
            interference: Interference { server, ..sound().interference },
            ..sound()
        }
    };
    assert_eq!(judge(&interrupted(990.0, 100_000)).verdict, Verdict::Valid);
    assert_eq!(only_reason(&interrupted(1010.0, 100_000)), "threads of the server were interrupted often");
    assert_eq!(judge(&interrupted(90.0, 2000)).verdict, Verdict::Valid);
    assert_eq!(judge(&interrupted(110.0, 2000)).verdict, Verdict::Suspect);
}

#[test]
fn a_busy_generator_makes_it_suspect() {
    let busy = |client_utilisation| Evidence { client_utilisation, ..sound() };
    assert_eq!(judge(&busy(0.89)).verdict, Verdict::Valid);
    assert!(only_reason(&busy(0.9)).starts_with("the load generator was busy"));
}

#[test]
fn a_late_generator_makes_an_open_loop_suspect() {
    let late = |send_lag_p99_ns| Evidence { send_lag_p99_ns, latency_p99_ns: 2_000_000, ..open() };
    assert_eq!(judge(&late(200_000)).verdict, Verdict::Valid);
    assert!(only_reason(&late(200_001)).starts_with("the load generator was late"));
    // As late as any thread that had to wake, and no more than the rest of it took.
    let prompt = Evidence { latency_p99_ns: 180_000, ..late(90_000) };
    assert_eq!(judge(&prompt).verdict, Verdict::Valid);
    let timers = Evidence { latency_p99_ns: 179_000, ..late(90_000) };
    assert!(only_reason(&timers).starts_with("the timers of this machine are late"));
}

#[test]
fn connections_without_an_answer_make_it_suspect() {
    let silent = |silent, evidence| Evidence { silent_connections: Some(silent), connections: 1000, ..evidence };
    assert!(only_reason(&silent(1, sound())).starts_with("connections were missing"));
    // In an open loop, as many may be missing as requests may.
    assert_eq!(judge(&silent(5, open())).verdict, Verdict::Valid);
    assert!(only_reason(&silent(6, open())).starts_with("connections were missing"));
    assert_eq!(judge(&Evidence { silent_connections: None, ..sound() }).verdict, Verdict::Valid);
}

#[test]
fn a_rate_that_changes_makes_it_suspect() {
    let slices = [[3000; 20], [2200; 20]].concat();
    assert!(only_reason(&Evidence { slices, ..sound() }).starts_with("not steady"));
    assert_eq!(judge(&Evidence { slices: Vec::new(), ..sound() }).verdict, Verdict::Valid);
    // In parts of so few answers, two more are no change.
    let few = |answers| Evidence { slices: [[answers; 20], [answers + 2; 20]].concat(), ..sound() };
    assert_eq!(judge(&few(8)).verdict, Verdict::Valid);
    assert!(only_reason(&few(9)).starts_with("not steady"));
}

#[test]
fn short_parts_are_looked_at_two_by_two() {
    // A fifth of the window, which is found where parts are long enough to be looked at one by one.
    let slices = [[3000; 8].as_slice(), &[2200; 32]].concat();
    let of = |elapsed_ns, requests| Evidence { slices: slices.clone(), elapsed_ns, requests, ..sound() };
    assert!(only_reason(&of(1_000_000_000, 100_000)).starts_with("not steady"));
    let short = judge(&of(100_000_000, 10_000));
    assert!(!short.reasons.iter().any(|reason| reason.starts_with("not steady")), "{short:?}");
}

#[test]
fn a_service_time_that_changes_makes_it_suspect_where_the_rate_is_met() {
    let times = |before, after| Evidence { slice_service_ns: [[before; 20], [after; 20]].concat(), ..open() };
    for unsteady in [times(400_000, 700_000), times(700_000, 400_000)] {
        assert!(only_reason(&unsteady).starts_with("not steady: the service time"));
    }
    assert_eq!(judge(&times(400_000, 600_000)).verdict, Verdict::Valid);
    // A part without an answer has no time.
    let with_pauses = |value: u64| (0..40).map(|part| if part % 10 < 2 { 0 } else { value }).collect();
    let pauses = Evidence { slices: with_pauses(2500), slice_service_ns: with_pauses(500_000), ..open() };
    assert_eq!(judge(&pauses).verdict, Verdict::Valid);
    assert_eq!(judge(&Evidence { slices: vec![9; 40], ..times(400_000, 700_000) }).verdict, Verdict::Valid);
}

#[test]
fn a_coarse_clock_makes_it_suspect() {
    let clock = |step_ns| Evidence { clock_step_ns: Some(step_ns), ..sound() };
    assert_eq!(judge(&clock(24_000)).verdict, Verdict::Valid);
    assert_eq!(only_reason(&clock(4_000_000)), "the clock is too coarse for times as short as these");
    assert_eq!(judge(&Evidence { clock_step_ns: None, ..sound() }).verdict, Verdict::Valid);
}

#[test]
fn figures_against_littles_law_make_it_suspect() {
    for (ratio, contradicts) in [(0.9, true), (0.98, false), (1.02, false), (1.1, true), (2.0, true)] {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time in ns")]
        let service_mean_ns = (500_000.0 * ratio) as u64;
        for evidence in [sound(), open()] {
            let reasons = judge(&Evidence { service_mean_ns, ..evidence }).reasons;
            assert_eq!(
                reasons.iter().any(|reason| reason.contains("Little's law")),
                contradicts,
                "{ratio}: {reasons:?}"
            );
        }
    }
    // What a stall at the end of the window explains.
    let stalled = Evidence { service_mean_ns: 560_000, in_flight_edges: Some(-6.0), ..sound() };
    assert_eq!(judge(&stalled).verdict, Verdict::Valid);
    let unknown = Evidence { service_mean_ns: 560_000, in_flight_edges: None, ..sound() };
    assert_eq!(judge(&unknown).verdict, Verdict::Valid);
    // What was lost has no service time.
    let lost = judge(&Evidence { service_mean_ns: 400_000, censored: 10, unanswered: 10, ..sound() });
    assert_eq!(lost.reasons, ["requests were never answered"]);
}

#[test]
fn requests_that_were_due_at_the_end_of_the_window_and_sent_after_it_excuse_no_contradiction() {
    let late = |unanswered| Evidence { service_mean_ns: 400_000, censored: 3, unanswered, ..open() };
    assert!(only_reason(&late(0)).contains("Little's law"));
    assert_eq!(judge(&late(1)).verdict, Verdict::Valid);
}

#[test]
fn where_nothing_was_answered_nothing_else_is_said_of_the_figures() {
    let dead = Evidence {
        requests: 0,
        silent_connections: Some(50),
        client_utilisation: 1.0,
        service_p50_ns: 0,
        service_mean_ns: 0,
        censored: 50,
        ..sound()
    };
    assert_eq!(judge(&dead).reasons, ["no request was answered", "requests were never answered"]);
}

#[test]
fn a_poisson_load_is_met_by_what_it_drew_and_not_by_what_its_rate_promised() {
    // 1000/s for a second, and 950 of them were drawn.
    let drawn = Evidence { due: Some(950), requests: 950, ..open() };
    assert_eq!(judge(&drawn).bottleneck, Some(Bottleneck::Rate));
    // 1050 were drawn, and as many answered as the rate promised.
    let drawn = Evidence { due: Some(1050), requests: 1000, censored: 50, ..open() };
    assert_eq!(judge(&drawn).bottleneck, Some(Bottleneck::Latency));
}

#[test]
fn what_was_caught_up_with_from_before_the_window_hides_nothing_that_was_missed_in_it() {
    // As many answers as requests were due, a hundred of them to requests that were due before.
    let caught_up = judge(&Evidence { due: Some(10_000), requests: 10_000, censored: 100, ..open() });
    assert_eq!((caught_up.verdict, caught_up.bottleneck), (Verdict::Suspect, Some(Bottleneck::Latency)));
    assert!(caught_up.reasons.iter().any(|reason| reason == answers::RATE_NOT_MET), "{caught_up:?}");
}

#[test]
fn a_thread_with_far_more_than_its_share_makes_it_suspect() {
    let of = |spread: &[u64]| Evidence { connections_per_thread: spread.to_vec(), ..sound() };
    for even in [&[][..], &[50], &[1, 0], &[1, 1], &[3, 5], &[2, 6], &[24, 8], &[1, 1, 1, 0], &[400, 300]] {
        assert_eq!(verdict(&of(even)), (Verdict::Valid, String::new()), "{even:?}");
    }
    for by_chance in [&[2, 0][..], &[2, 1, 1, 0], &[1, 7], &[0, 4], &[3, 1, 0, 0]] {
        assert!(only_reason(&of(by_chance)).contains("by chance: "), "{by_chance:?}");
        assert!(!only_reason(&of(by_chance)).contains("than by chance"), "{by_chance:?}");
    }
    for beyond in [&[0, 8][..], &[49, 15], &[64, 0], &[80_000, 20_000], &[40, 8, 8, 8]] {
        assert!(only_reason(&of(beyond)).contains("more unevenly than by chance"), "{beyond:?}");
    }
}

#[test]
fn more_connections_are_not_promised_to_help_where_threads_share_a_listener() {
    let of = |spread: &[u64]| {
        only_reason(&Evidence { connections_per_thread: spread.to_vec(), listener_is_shared: true, ..sound() })
    };
    for uneven in [&[2, 0][..], &[1, 7], &[64, 0]] {
        let reason = of(uneven);
        assert!(reason.contains("1.5 × its share") && reason.contains("--spread reuseport"), "{reason}");
        assert!(!reason.contains("by chance") && !reason.contains("more connections"), "{reason}");
    }
}

#[test]
fn a_cpu_quota_that_stopped_a_side_is_the_reason_and_no_other_process_is_blamed() {
    let stopped = |server_ns, client_ns| {
        let side = |ns: u64| Disturbance {
            // As the kernel counts it of threads that it does not let run, and as the threads that watch the CPUs see it.
            waited: Some(ns as f64 / 1e9 + 0.01),
            hiccup_total_ns: Some(client_ns),
            control_groups: GroupEvents { cpu_quota_stopped_ns: Some(ns), ..GroupEvents::default() },
            ..quiet()
        };
        let interference = Interference { server: side(server_ns), client: side(client_ns), ..sound().interference };
        Evidence { interference, ..sound() }
    };
    assert_eq!(judge(&stopped(9_999_999, 0)).verdict, Verdict::Valid);
    let server = stopped(600_000_000, 0);
    assert_eq!(only_reason(&server), "the CPU quota stopped the server for 0.60 s");
    assert_eq!(judge(&server).bottleneck, None);
    assert_eq!(only_reason(&stopped(0, 600_000_000)), "the CPU quota stopped the load generator for 0.60 s");
    // What others took besides is still theirs.
    let mut besides = server;
    besides.interference.server.waited = Some(0.7);
    assert_eq!(judge(&besides).reasons.len(), 2);
}

#[test]
fn limits_on_memory_and_threads_that_were_reached_make_it_suspect() {
    let reached = |control_groups| Evidence {
        interference: Interference { server: Disturbance { control_groups, ..quiet() }, ..sound().interference },
        ..sound()
    };
    let none = GroupEvents {
        memory_high: Some(0),
        memory_max: Some(0),
        oom_kills: Some(0),
        pids_refused: Some(0),
        ..GroupEvents::default()
    };
    assert_eq!(judge(&reached(none)).verdict, Verdict::Valid);
    for (events, named) in [
        (GroupEvents { memory_high: Some(1), ..none }, "memory.high"),
        (GroupEvents { memory_max: Some(1), ..none }, "memory limit"),
        (GroupEvents { oom_kills: Some(1), ..none }, "lack of memory"),
        (GroupEvents { pids_refused: Some(1), ..none }, "pids.max"),
    ] {
        let reason = only_reason(&reached(events));
        assert!(reason.contains(named) && reason.contains("server"), "{reason}");
    }
}

#[test]
fn a_queueing_discipline_on_loopback_makes_it_suspect_by_its_name() {
    let with = |kinds: &[&str]| {
        let loopback_qdiscs = Some(kinds.iter().copied().map(str::to_owned).collect());
        Evidence { interference: Interference { loopback_qdiscs, ..sound().interference }, ..sound() }
    };
    assert!(only_reason(&with(&["tbf"])).starts_with("loopback has the queueing discipline tbf: "));
    assert!(only_reason(&with(&["htb", "fq_codel"])).contains("queueing disciplines htb and fq_codel: "));
    assert!(only_reason(&with(&["noqueue", "clsact"])).contains("discipline clsact: "));
    assert_eq!(judge(&with(&[])).verdict, Verdict::Valid);
    let unknown = Interference { loopback_qdiscs: None, ..sound().interference };
    assert_eq!(judge(&Evidence { interference: unknown, ..sound() }).verdict, Verdict::Valid);
}
