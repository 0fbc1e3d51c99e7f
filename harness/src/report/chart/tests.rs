//! What is drawn of made-up trials, chart by chart.

use std::collections::HashSet;

use super::fixtures::{chart, file, of, plan, point, trials};
use super::*;
use crate::plan::{Cell, Engine, Spread, SweepPlan, twin_of};
use crate::results::tests::failed_trial;
use crate::results::{Bottleneck, EncodedHistogram, RunRecord, TrialRecord, Verdict};
use crate::statistics::tests::noise;
use crate::verdict::BUSY_GENERATOR;

const STARTED: &str = "2026-01-02T03:04:05Z";

fn drawn(plan: &SweepPlan, blocks: usize, change: impl Fn(&mut TrialRecord)) -> Vec<Chart> {
    of(&[file("run.jsonl", STARTED, plan.clone(), trials(plan, blocks, change))])
}

fn suspect(trial: &mut TrialRecord, reason: &str) {
    trial.verdict = Verdict::Suspect;
    trial.reasons = vec![reason.to_owned()];
}

fn scale_throughput(trial: &mut TrialRecord, factor: f64) {
    trial.measured.as_mut().unwrap().throughput_rps *= factor;
}

#[test]
fn one_sweep_has_each_chart_once_and_in_order() {
    let charts = drawn(&plan(&["epoll", "poll"], &[1, 8, 512]), 7, |_| ());
    let kinds: Vec<&str> = charts.iter().map(|chart| chart.kind.as_str()).collect();
    let distributions = ["distribution"; 3];
    // 14,000 requests are enough for a p99.9.
    let expected = [&["throughput", "p99", "p999"][..], &distributions, &["cpu", "syscalls", "memory"]].concat();
    assert_eq!(kinds, expected);
    let throughput = chart(&charts, "throughput");
    assert_eq!((throughput.id.as_str(), throughput.x.scale), ("throughput", Scale::Log));
    assert_eq!(throughput.title, "Requests per second against connections");
    assert_eq!(throughput.cells, "payload 64 B · depth 1 · closed loop · 1 server thread · framed over tcp");
    assert_eq!(chart(&charts, "p99").title, "p99 service time against connections");
    let ids: HashSet<&str> = charts.iter().map(|chart| chart.id.as_str()).collect();
    assert_eq!(ids.len(), charts.len());
    assert!(ids.contains("distribution-512conns"), "{ids:?}");
    assert!(throughput.series.iter().all(|series| series.points.len() == 3));
    assert_eq!(chart(&drawn(&plan(&["epoll"], &[1, 8]), 1, |_| ()), "throughput").x.scale, Scale::Linear);
}

#[test]
fn a_chart_for_each_payload_is_named_by_it_and_ids_are_safe_for_files() {
    let mut plan = plan(&["epoll"], &[1, 64]);
    (plan.payload_bytes, plan.depth) = (vec![64, 16 << 10], vec![1, 16]);
    let charts = drawn(&plan, 1, |_| ());
    let ids: Vec<&str> =
        charts.iter().filter(|chart| chart.kind == "throughput").map(|chart| chart.id.as_str()).collect();
    let expected =
        ["throughput-64b-depth1", "throughput-16kib-depth1", "throughput-64b-depth16", "throughput-16kib-depth16"];
    assert_eq!(ids, expected);

    // What a file says need not be what anybody would ask for.
    let rates = [1.0, 1.0 + f64::EPSILON, 0.5, 1e300, -3.0];
    let cells: Vec<Cell> = rates.map(|rate| Cell { rate_rps: Some(rate), ..plan.cells().remove(0) }).into();
    let ids = facet::ids("p99", &cells.iter().chain(&cells).collect::<Vec<_>>());
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 10);
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    assert!(ids.iter().all(|id| id.len() < 120 && id.chars().all(is_plain)), "{ids:?}");
}

#[test]
fn what_varies_decides_along_which_axis_a_cell_is_drawn() {
    let kinds = |connections: &[usize], idle: &[usize], rates: &[Option<f64>]| {
        let mut plan = plan(&["epoll"], connections);
        (plan.idle_connections, plan.rate_rps) = (idle.to_vec(), rates.to_vec());
        let charts = drawn(&plan, 1, |trial| {
            trial.measured.as_mut().unwrap().server.as_mut().unwrap().memory_bytes_per_idle_connection =
                (trial.cell.idle_connections > 0).then_some(300.0);
        });
        let count = |kind: &str| charts.iter().filter(|chart| chart.kind == kind).count();
        ["cpu", "cpu-idle", "cpu-rate", "idle-memory", "idle-memory-idle"].map(count)
    };
    assert_eq!(kinds(&[64], &[0], &[None]), [1, 0, 0, 0, 0]);
    assert_eq!(kinds(&[64], &[0, 1000, 5000], &[None]), [0, 1, 0, 0, 1]);
    assert_eq!(kinds(&[1, 64], &[1000], &[None]), [1, 0, 0, 1, 0]);
    assert_eq!(kinds(&[1, 64], &[0, 1000], &[None]), [2, 2, 0, 1, 2]);
    assert_eq!(kinds(&[64], &[0], &[Some(10.0), Some(20.0)]), [0, 0, 1, 0, 0]);
    assert_eq!(kinds(&[64], &[0], &[Some(10.0)]), [0, 0, 1, 0, 0]);
    assert_eq!(kinds(&[1, 64], &[0], &[Some(10.0)]), [1, 0, 0, 0, 0]);
    assert_eq!(kinds(&[1, 64], &[0], &[None, Some(10.0), Some(20.0)]), [3, 0, 2, 0, 0]);
}

#[test]
fn a_point_is_the_median_and_its_bar_comes_from_order_statistics() {
    let change = |trial: &mut TrialRecord| scale_throughput(trial, trial.block as f64);
    let charts = drawn(&plan(&["epoll"], &[1]), 9, change);
    let nine = point(&charts, "throughput", "epoll", 1.0);
    assert_eq!((nine.y, nine.interval, nine.state), (Some(20_000.0), Some([8000.0, 32_000.0]), State::Valid));
    assert_eq!(nine.said, ["requests per second 20,000/s [8,000/s, 32,000/s]", "9 trials"]);

    let charts = drawn(&plan(&["epoll"], &[1]), 5, change);
    assert_eq!(point(&charts, "throughput", "epoll", 1.0).interval, None);
    assert!(chart(&charts, "throughput").notes.iter().any(|note| note.contains("fewer than 6 trials")));
}

#[test]
fn a_percentile_is_the_median_of_trials_within_its_own_bar_and_needs_enough_requests() {
    // One trial of seven is a hundred times as slow: its requests are the slowest seventh of all.
    let charts = drawn(&plan(&["epoll"], &[1]), 7, |trial| {
        if trial.block == 1 {
            let mut slow = hdrhistogram::Histogram::new(3).unwrap();
            slow.record_n(200_000_000, 2000).unwrap();
            trial.measured.as_mut().unwrap().latency_hdr = EncodedHistogram::from(slow);
        }
    });
    let p99 = point(&charts, "p99", "epoll", 1.0);
    assert!((p99.y.unwrap() / 1.98e6 - 1.0).abs() < 0.002, "{p99:?}");
    let [low, high] = p99.interval.unwrap();
    assert!((low / 1.98e6 - 1.0).abs() < 0.002 && (high / 2e8 - 1.0).abs() < 0.002, "{p99:?}");
    assert!(chart(&charts, "p99").notes[0].starts_with("points: the median of each trial's own percentile"));
    // What single trials are too short for is of all requests, is named so, and has no bar that it could lie outside of.
    let p999 = point(&charts, "p999", "epoll", 1.0);
    assert!((p999.y.unwrap() / 2e8 - 1.0).abs() < 0.002 && p999.interval.is_none(), "{p999:?}");
    assert_eq!(chart(&charts, "p999").y.label, "p99.9 service time of all requests");
    assert!(chart(&charts, "p999").notes.iter().all(|note| !note.starts_with("no bar")));

    let few = drawn(&plan(&["epoll", "poll"], &[1]), 1, |trial| {
        if trial.backend == "poll" {
            trial.measured.as_mut().unwrap().latency_hdr = EncodedHistogram::of(999);
        }
    });
    let gap = point(&few, "p99", "poll", 1.0);
    assert_eq!((gap.state, gap.y), (State::Missing, None));
    assert!(gap.said[0].contains("too few requests"));
    let notes = &chart(&few, "p99").notes;
    assert!(
        notes.iter().any(|note| note.starts_with("missing: p99 service time: too few") && note.ends_with("(poll)")),
        "{notes:?}"
    );
    assert!(few.iter().all(|chart| chart.kind != "p999"), "2,000 requests have no p99.9: nothing to draw");
}

#[test]
fn costs_are_medians_of_the_trials_and_memory_is_that_of_what_was_held() {
    let charts = drawn(&plan(&["epoll"], &[1, 64]), 6, |trial| {
        let server = trial.measured.as_mut().unwrap().server.as_mut().unwrap();
        server.max_rss_bytes = Some(trial.block as u64 * (4 << 20));
    });
    let y = |kind: &str, x| point(&charts, kind, "epoll", x).y.unwrap();
    assert!((y("cpu", 1.0) - 20_000.0).abs() < 1e-9 && (y("syscalls", 64.0) - 3.0).abs() < 1e-9);
    assert!((y("memory", 64.0) - 3.5 * f64::from(4 << 20)).abs() < 1e-9);
    assert_eq!(chart(&charts, "memory").title, "Server memory (max RSS) against connections");
    assert_eq!(point(&charts, "memory", "epoll", 1.0).said[0], "server memory (max RSS) 14.0 MiB [4.0 MiB, 24.0 MiB]");

    let charts = drawn(&plan(&["epoll", "other"], &[1]), 6, |trial| {
        if trial.backend == "other" {
            trial.measured.as_mut().unwrap().server.as_mut().unwrap().syscalls = None;
        }
    });
    let unknown = point(&charts, "syscalls", "other", 1.0);
    assert!(unknown.state == State::Missing && unknown.said[0].contains("not ours"), "{unknown:?}");
}

#[test]
fn invalid_trials_give_no_figure_and_where_there_are_no_others_a_crossed_one() {
    let invalid = |trial: &mut TrialRecord| {
        trial.verdict = Verdict::Invalid;
        trial.reasons = vec!["1 answer was wrong".to_owned()];
        scale_throughput(trial, 10.0);
    };
    let charts = drawn(&plan(&["epoll", "poll", "select", "threads"], &[1]), 4, |trial| match trial.backend.as_str() {
        "epoll" if trial.block < 3 => invalid(trial),
        "poll" => invalid(trial),
        "select" => *trial = TrialRecord { cell: trial.cell.clone(), ..failed_trial("select", "it died") },
        _ => {}
    });
    let of = |backend: &str| point(&charts, "throughput", backend, 1.0);
    assert_eq!((of("epoll").y, of("epoll").state), (Some(4000.0), State::Valid));
    assert_eq!(of("epoll").said[1..], ["2 of 4 trials", "invalid, 2 of 4: 1 answer was wrong"]);
    assert_eq!((of("poll").y, of("poll").state, of("poll").interval), (Some(40_000.0), State::Invalid, None));
    assert_eq!(of("poll").said[1..], ["none of 4 trials counts", "invalid, 4 of 4: 1 answer was wrong"]);
    assert_eq!((of("select").y, of("select").state), (None, State::Missing));
    assert_eq!(of("select").said, ["failed, 4 of 4: it died"]);
    let notes = &chart(&charts, "throughput").notes;
    assert!(notes.contains(&"missing: failed, 4 of 4: it died (select)".to_owned()), "{notes:?}");
    assert!(notes.iter().any(|note| note.starts_with("crossed out")), "{notes:?}");
}

#[test]
fn a_busy_load_generator_is_a_doubt_about_throughput_and_none_about_cost() {
    let states = |reason: &str, bottleneck| {
        let charts = drawn(&plan(&["epoll"], &[1]), 5, |trial| {
            if trial.block < 4 {
                suspect(trial, reason);
                trial.bottleneck = Some(bottleneck);
            }
        });
        ["throughput", "p99", "cpu", "syscalls"].map(|kind| point(&charts, kind, "epoll", 1.0).state)
    };
    assert_eq!(
        states(BUSY_GENERATOR, Bottleneck::Server),
        [State::Suspect, State::Suspect, State::Valid, State::Valid]
    );
    assert_eq!(
        states(BUSY_GENERATOR, Bottleneck::Client),
        [State::Suspect, State::Suspect, State::Valid, State::Valid]
    );
    assert_eq!(states("other processes took CPU time of the server", Bottleneck::Server), [State::Suspect; 4]);
    let half = drawn(&plan(&["epoll"], &[1]), 4, |trial| {
        if trial.block < 3 {
            suspect(trial, BUSY_GENERATOR);
        }
    });
    assert_eq!(point(&half, "throughput", "epoll", 1.0).state, State::Valid, "not most of them");
}

#[test]
fn who_lacks_a_figure_is_told_after_why_and_in_groups() {
    let charts = drawn(&plan(&["epoll", "poll", "select"], &[1, 8, 64]), 1, |trial| {
        let lacks = trial.cell.connections == 1 || (trial.backend != "select" && trial.cell.connections == 8);
        if lacks {
            trial.measured.as_mut().unwrap().latency_hdr = EncodedHistogram::of(200);
        }
    });
    let notes = &chart(&charts, "p99").notes;
    let missing: Vec<&String> = notes.iter().filter(|note| note.starts_with("missing")).collect();
    let why = "p99 service time: too few requests for this percentile, at least 10 must lie above it";
    assert_eq!(missing, [&format!("missing: {why} (epoll, poll at 1, 8; select at 1)")]);
}

#[test]
fn a_figure_that_nothing_can_have_is_a_gap_with_a_note() {
    for absurd in [1e-300, 1.7e308, -1.0] {
        let charts = drawn(&plan(&["epoll", "poll"], &[1]), 7, |trial| {
            if trial.backend == "poll" {
                trial.measured.as_mut().unwrap().throughput_rps = absurd;
            }
        });
        let gap = point(&charts, "throughput", "poll", 1.0);
        assert_eq!((gap.y, gap.interval, gap.state), (None, None, State::Missing));
        let notes = &chart(&charts, "throughput").notes;
        assert!(notes.iter().any(|note| note.contains("not plausible (poll)")), "{notes:?}");
    }
}

#[test]
fn the_newest_run_of_the_newest_machine_is_drawn() {
    let of_run = |name: &str, started: &str, backends: &[&str], connections: &[usize], factor: f64, kernel: &str| {
        let plan = plan(backends, connections);
        let mut file = file(name, started, plan.clone(), trials(&plan, 2, |trial| scale_throughput(trial, factor)));
        file.recorded.run.as_mut().unwrap().environment.kernel = kernel.to_owned();
        file
    };
    let files = [
        of_run("new", "2026-01-03T00:00:00Z", &["epoll", "poll"], &[1, 8], 3.0, "6.18"),
        of_run("old", "2026-01-02T00:00:00Z", &["epoll"], &[8, 64], 2.0, "6.18"),
        of_run("elsewhere", "2026-01-01T00:00:00Z", &["epoll", "select"], &[512], 1.0, "6.1"),
    ];
    let charts = of(&files);
    let throughput = chart(&charts, "throughput");
    let points: Vec<(f64, Option<f64>)> = throughput.series[0].points.iter().map(|point| (point.x, point.y)).collect();
    assert_eq!(points, [(1.0, Some(12_000.0)), (8.0, Some(12_000.0)), (64.0, Some(8000.0))]);
    assert!(throughput.notes.iter().any(|note| note.ends_with("new, old")), "{:?}", throughput.notes);
    assert_eq!(
        entrants(&Selection::of(&files)).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["epoll", "poll", "select"]
    );
    let undrawn = "not drawn: select: only older runs, or runs on another machine, have it".to_owned();
    assert!(throughput.notes.contains(&undrawn), "{:?}", throughput.notes);
    let mut reversed = files.clone();
    reversed.reverse();
    assert_eq!(of(&reversed), charts, "the order in which they were named is nothing");

    // Planned and never begun: the older figures are the newest.
    let mut begun = files.clone();
    begun[0].recorded.trials.clear();
    assert_eq!(point(&of(&begun), "throughput", "epoll", 8.0).y, Some(8000.0));
    begun[1].recorded.run = None;
    assert!(of(&begun[..2]).is_empty(), "no trials, no charts");
}

#[test]
fn a_history_marks_what_changed_on_a_machine_and_joins_nothing_across_machines() {
    let day = |day: usize, factor: f64, kernel: &str, backends: &[&str]| {
        let plan = SweepPlan { twice: vec!["epoll".to_owned()], ..plan(backends, &[1]) };
        let wobble = move |trial: &TrialRecord| 1.0 + 0.01 * noise(&trial.backend, trial.block + 100 * day);
        let of_day = trials(&plan, 10, |trial| {
            let own = if trial.backend == "poll" { 1.0 } else { factor };
            scale_throughput(trial, own * wobble(trial));
        });
        let mut file = file(&format!("day{day}"), &format!("2026-01-0{day}T00:00:00Z"), plan, of_day);
        file.recorded.run.as_mut().unwrap().environment.kernel = kernel.to_owned();
        file
    };
    let files = [
        day(1, 1.0, "6.17", &["epoll", "poll"]),
        day(2, 1.0, "6.18", &["epoll", "poll"]),
        day(3, 1.0, "6.18", &["epoll"]),
        day(4, 1.2, "6.18", &["epoll", "poll"]),
    ];
    let charts = of(&files);
    let history = chart(&charts, "history");
    assert_eq!((history.id.as_str(), history.x.unit), ("history", Unit::Time));
    let series = |backend: &str| history.series.iter().find(|series| series.backend == backend).unwrap();
    let epoll = series("epoll");
    let drawn: Vec<bool> = epoll.points.iter().map(|point| point.y.is_some()).collect();
    assert_eq!(drawn, [true, false, true, true, true], "a gap between the machines");
    assert!(epoll.points.windows(2).all(|two| two[0].x < two[1].x) && epoll.points[0].interval.is_some());
    assert!(epoll.points[0].said[1].starts_with("day1"), "{:?}", epoll.points[0]);
    let [mark] = epoll.marks.as_slice() else { panic!("{:?}", epoll.marks) };
    assert!((mark.x - epoll.points[4].x).abs() < 1.0 && mark.label.starts_with("+2"), "{mark:?}");
    assert!(mark.label.contains(" % [") && mark.label.ends_with(']'), "{mark:?}");
    assert!(series("poll").marks.is_empty(), "the run before it had none, and nothing changed");
    assert!(!series(&twin_of("epoll")).points.is_empty());
    assert!(history.notes.iter().any(|note| note.contains("Linux 6.18 after 6.17")), "{:?}", history.notes);
    assert!(history.notes.iter().all(|note| !note.starts_with("missing")), "{:?}", history.notes);
    assert!(of(&files[..1]).iter().all(|chart| chart.kind != "history"), "one run is no history");
    let twice = [files[0].clone(), files[0].clone()];
    assert!(of(&twice).iter().all(|chart| chart.kind != "history"), "nor is one run twice");
}

#[test]
fn a_history_calls_nothing_a_change_that_other_settings_may_have_made() {
    type Change<'c> = &'c dyn Fn(&mut RunRecord);
    let day = |day: usize, factor: f64, change: Change<'_>| {
        let plan = plan(&["epoll"], &[1]);
        let of_day = trials(&plan, 10, |trial| {
            scale_throughput(trial, factor * (1.0 + 0.01 * noise(&trial.backend, trial.block + 100 * day)));
        });
        let mut file = file(&format!("day{day}"), &format!("2026-01-0{day}T00:00:00Z"), plan, of_day);
        change(file.recorded.run.as_mut().unwrap());
        file
    };
    let history = |changed: Change<'_>| {
        let charts = of(&[day(1, 1.0, &|_| ()), day(2, 1.5, changed), day(3, 1.2, &|_| ())]);
        chart(&charts, "history").clone()
    };
    let place = |history: &Chart, at: usize| history.series[0].points[at].x;
    let marks = |history: &Chart| history.series[0].marks.iter().map(|mark| mark.x).collect::<Vec<_>>();
    let usual = history(&|_| ());
    assert_eq!(marks(&usual), [place(&usual, 1), place(&usual, 2)]);

    let changes: [(Change<'_>, &str); 7] = [
        (&|run| run.build.build_profile = "other".to_owned(), "build other after "),
        (&|run| run.plan.server_cpus = [5].into_iter().collect(), "server CPUs 5 after 0"),
        (&|run| run.plan.client_cpus = [5].into_iter().collect(), "load generator CPUs 5 after 1"),
        (&|run| run.plan.engine = Engine::Epoll, "engine epoll after auto"),
        (&|run| run.plan.spread = Spread::Shared, "spread shared after reuseport"),
        (&|run| run.plan.duration_ns = 2_000_000, "duration 2ms after 1ms"),
        (&|run| run.plan.warmup_ns = 1_000_000, "warm-up 1ms after 0s"),
    ];
    for (change, said) in changes {
        let history = history(change);
        // The third was made as the first, and differs from that.
        assert_eq!(marks(&history), [place(&history, 2)], "{said}");
        assert!(history.series[0].points.iter().all(|point| point.y.is_some()), "one machine, one line");
        let others = history.notes.iter().filter(|note| note.starts_with("other settings from "));
        let [second, third] = others.collect::<Vec<_>>()[..] else { panic!("{:?}", history.notes) };
        assert!(second.contains("2026-01-02T00:00:00Z on, ") && second.contains(said), "{second}");
        assert!(third.contains("2026-01-03T00:00:00Z on, "), "{third}");
    }
}

#[test]
fn the_history_of_an_offered_load_is_its_p99() {
    let mut plan = plan(&["epoll"], &[1]);
    plan.rate_rps = vec![Some(1000.0)];
    let day = |day: usize| {
        file(&format!("day{day}"), &format!("2026-01-0{day}T00:00:00Z"), plan.clone(), trials(&plan, 7, |_| ()))
    };
    let charts = of(&[day(1), day(2)]);
    let history = chart(&charts, "history-p99");
    assert_eq!(history.y.label, "p99 latency");
    assert!(history.series[0].points.len() == 2 && history.series[0].marks.is_empty());
}

#[test]
fn more_charts_of_a_kind_than_anybody_looks_at_are_left_out_and_counted() {
    let connections: Vec<usize> = (1..=MOST_OF_A_KIND + 5).collect();
    let charts = drawn(&plan(&["epoll"], &connections), 1, |_| ());
    let distributions: Vec<&Chart> = charts.iter().filter(|chart| chart.kind == "distribution").collect();
    assert_eq!(distributions.len(), MOST_OF_A_KIND);
    assert!(distributions.iter().all(|chart| chart.notes.iter().any(|note| note.starts_with("5 more charts"))));
    assert!(chart(&charts, "throughput").notes.iter().all(|note| !note.contains("more chart")));
}

#[test]
fn whatever_a_file_says_is_drawn_without_a_panic() {
    let charts = drawn(&plan(&["epoll"], &[0, 1, 1_000_000]), 6, |trial| {
        let measured = trial.measured.as_mut().unwrap();
        (measured.requests, measured.censored) = (0, u64::MAX / 100);
        measured.throughput_rps = -1.0;
        measured.latency_hdr = EncodedHistogram::of(0);
    });
    assert!(charts.iter().all(|chart| chart.kind != "throughput"), "nothing has less than none");
    assert_eq!(chart(&charts, "memory").x.scale, Scale::Linear);
    let mut file = file("run", "no time at all", plan(&[], &[]), Vec::new());
    assert!(of(std::slice::from_ref(&file)).is_empty() && of(&[]).is_empty());
    file.recorded.trials = trials(&plan(&["stranger"], &[1]), 2, |_| ());
    assert!(of(&[file]).is_empty(), "no plan speaks of it");
}
