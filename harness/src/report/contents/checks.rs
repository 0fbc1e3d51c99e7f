use super::super::tests::{file, nothing, run};
use super::*;
use crate::environment::BackendFacts;
use crate::results::tests::failed_trial;
use crate::results::{EncodedHistogram, TrialRecord, Verdict};

fn text<'a>(table: &'a Table, row: usize, column: &str) -> &'a str {
    let place = table.columns.iter().position(|one| one.title == column).unwrap_or_else(|| panic!("{column}"));
    &table.rows[row][place].text
}

#[test]
fn every_backend_in_every_cell_has_a_row_of_figures() {
    let mut plan = run("2026-01-01T00:00:00Z", &[1, 64], &["epoll", "poll"]);
    plan.plan.twice = vec!["poll".to_owned()];
    let contents = Contents::of(&[file("run.jsonl", plan, 2, |trial| {
        if trial.backend == "poll" && trial.trial.is_multiple_of(2) {
            (trial.verdict, trial.reasons) = (Verdict::Suspect, vec!["odd".to_owned()]);
        }
    })]);
    let table = &contents.tables[0];
    assert_eq!(contents.title, "2 backends on Linux 6.18");
    assert_eq!(table.rows.len(), 2 * 3);
    assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
    assert_eq!([0, 1, 2].map(|row| text(table, row, "backend")), ["epoll", "poll", "poll#2"]);
    assert_eq!((text(table, 0, "connections"), text(table, 3, "connections")), ("1", "64"));
    assert_eq!((text(table, 0, "requests/s"), text(table, 0, "spread")), ("4,000", "4,000 to 4,000"));
    assert_eq!((text(table, 0, "server CPU/request"), text(table, 0, "syscalls/request")), ("20.0 µs", "3.00"));
    // 4,000 requests have a p99 and no p99.9.
    assert_eq!(
        (text(table, 0, "p99"), text(table, 0, "p99.9 (all requests)"), text(table, 0, "max")),
        ("1.98 ms", "–", "2.00 ms")
    );
    assert_eq!((text(table, 1, "trials"), text(table, 1, "verdicts")), ("2", "valid 1, suspect 1"));
    assert_eq!((text(table, 0, "bottleneck"), text(table, 0, "max RSS")), ("latency", "4.0 MiB"));
    assert!(table.rows[0].iter().zip(&table.columns).all(|(entry, column)| column.numeric || entry.value.is_none()));
}

#[test]
fn reasons_are_told_once_with_whom_they_hold_for_and_the_worst_come_first() {
    let contents = Contents::of(&[file("run.jsonl", run("", &[1], &["epoll", "poll"]), 3, |trial| {
        if trial.block == 1 {
            let (number, cell) = (trial.trial, trial.cell.clone());
            *trial = TrialRecord { trial: number, cell, ..failed_trial(&trial.backend, "it died") };
        } else {
            (trial.verdict, trial.reasons) = (Verdict::Suspect, vec!["odd".to_owned()]);
        }
    })]);
    let facts = &contents.runs[0];
    assert_eq!(facts.verdicts, [("suspect".to_owned(), 4), ("failed".to_owned(), 2)]);
    let told: Vec<(&str, &str, usize)> =
        facts.reasons.iter().map(|one| (one.kind.as_str(), one.reason.as_str(), one.backends[0].1)).collect();
    assert_eq!(told, [("failed", "it died", 1), ("suspect", "odd", 2)]);
    assert_eq!(facts.reasons[0].backends.len(), 2);
    let titles: Vec<&str> = facts.environment.iter().map(|(title, _)| title.as_str()).collect();
    assert!(titles.contains(&"machine") && titles.contains(&"run") && titles.contains(&"network"), "{titles:?}");
}

#[test]
fn what_a_plan_does_not_have_and_what_is_missing_is_noted() {
    let mut planned = run("2026-01-01T00:00:00Z", &[1], &["epoll", "poll"]);
    planned.build.build_profile = "debug".to_owned();
    let mut odd = file("run.jsonl", planned, 2, |_| ());
    odd.recorded.trials[0].cell.connections = 3;
    odd.recorded.trials[1].backend = "<script>".to_owned();
    let mut elsewhere = file("old.jsonl", run("2025-01-01T00:00:00Z", &[1], &["epoll"]), 2, |_| ());
    elsewhere.recorded.run.as_mut().unwrap().environment.kernel = "5.0".to_owned();
    let cut_off = FileRun { name: "cut.jsonl".to_owned(), recorded: nothing() };
    let contents = Contents::of(&[cut_off, elsewhere, odd]);
    let notes: Vec<String> =
        contents.runs.iter().map(|run| format!("{}: {}", run.file, run.notes.join("; "))).collect();
    assert!(notes[0].starts_with("run.jsonl: the build was a debug build"), "{notes:#?}");
    assert!(notes[0].contains("2 trials are of a cell or a backend that the plan does not have"), "{notes:#?}");
    assert!(notes[0].contains("; 2 of 4 trials of the plan are there"), "{notes:#?}");
    assert!(notes[1].starts_with("old.jsonl: ") && notes[1].contains("history only"), "{notes:#?}");
    assert_eq!(notes[2], "cut.jsonl: the file ends within its first line, so nothing is known of it");
}

#[test]
fn absurd_figures_are_no_reason_to_give_up() {
    let absurd = file("run.jsonl", run("2026-01-01T00:00:00Z", &[1, 64], &["epoll", "<script>"]), 8, |trial| {
        let measured = trial.measured.as_mut().unwrap();
        measured.throughput_rps = [0.0, f64::MAX, 1e-300, -1.0][trial.block % 4];
        measured.requests = [0, u64::MAX][trial.block % 2];
        measured.censored = u64::MAX;
        let server = measured.server.as_mut().unwrap();
        (server.cpu_ns, server.syscalls, server.max_rss_bytes) = (Some(u64::MAX), Some(u64::MAX), Some(u64::MAX));
        // Of other ranges than ours, and of no more than one value.
        let mut histogram =
            hdrhistogram::Histogram::new_with_bounds(1 << 20, u64::MAX / 2, [1, 2, 4, 5][trial.block % 4]).unwrap();
        histogram.record(u64::MAX / 2).unwrap();
        measured.latency_hdr = EncodedHistogram::from(histogram);
    });
    let contents = Contents::of(&[absurd]);
    assert_eq!(contents.tables[0].rows.len(), 4);
    let json = serde_json::to_string(&contents).unwrap();
    assert!(!json.contains("NaN"), "{json}");
    assert!(crate::report::markdown::draw(&contents).contains("&lt;script&gt;"));
}

/// What the chart of throughput over connections has for a backend, by x.
fn drawn(contents: &Contents, backend: &str) -> Vec<(f64, Option<f64>)> {
    let series = contents.charts.iter().filter(|chart| chart.kind == "throughput").flat_map(|chart| &chart.series);
    let points = series.filter(|series| series.backend == backend).flat_map(|series| &series.points);
    points.map(|point| (point.x, point.y)).collect()
}

/// What the table of sweeps has for it.
fn tabled(contents: &Contents, backend: &str) -> Vec<(f64, Option<f64>)> {
    let table = &contents.tables[0];
    let place = |title: &str| table.columns.iter().position(|column| column.title == title).unwrap();
    let [name, x, y] = ["backend", "connections", "requests/s"].map(place);
    let own = table.rows.iter().filter(|row| row[name].text == backend);
    own.map(|row| (row[x].value.unwrap(), row[y].value)).collect()
}

/// A run of epoll that answers so many requests a second.
fn at(name: &str, started: &str, connections: &[usize], rps: f64) -> FileRun {
    file(name, run(started, connections, &["epoll"]), 2, |trial| trial.measured.as_mut().unwrap().throughput_rps = rps)
}

#[test]
fn files_of_the_same_name_are_two_runs_of_which_the_newer_speaks() {
    let files = [
        at("run.jsonl", "2026-01-01T00:00:00Z", &[1, 64], 1000.0),
        at("run.jsonl", "2026-01-02T00:00:00Z", &[1], 2000.0),
    ];
    let contents = Contents::of(&files);
    let newest = [(1.0, Some(2000.0)), (64.0, Some(1000.0))];
    assert_eq!((tabled(&contents, "epoll"), drawn(&contents, "epoll")), (newest.to_vec(), newest.to_vec()));
}

#[test]
fn of_two_runs_that_began_at_once_the_same_one_speaks_everywhere() {
    let one = at("one", "2026-01-01T00:00:00Z", &[1, 64], 1000.0);
    let mut other = at("other", "2026-01-01T00:00:00Z", &[1, 64], 2000.0);
    other.recorded.run.as_mut().unwrap().seed = 8;
    for files in [[one.clone(), other.clone()], [other, one]] {
        let contents = Contents::of(&files);
        assert_eq!(tabled(&contents, "epoll"), drawn(&contents, "epoll"));
    }
}

#[test]
fn a_run_in_a_container_is_one_of_another_machine_everywhere() {
    let mut older = at("older", "2026-01-01T00:00:00Z", &[1, 64], 1000.0);
    older.recorded.run.as_mut().unwrap().environment.virtualisation.container = Some("docker".to_owned());
    let contents = Contents::of(&[older, at("newer", "2026-01-02T00:00:00Z", &[1], 2000.0)]);
    let newest = [(1.0, Some(2000.0))];
    assert_eq!((tabled(&contents, "epoll"), drawn(&contents, "epoll")), (newest.to_vec(), newest.to_vec()));
    assert!(contents.runs[1].notes.iter().any(|note| note.contains("history only")), "{:?}", contents.runs[1].notes);
}

#[test]
fn memory_that_shrinks_from_boot_to_boot_leaves_the_same_runs_out_everywhere() {
    let of = |name: &str, day: usize, connections: &[usize], memory_bytes| {
        let mut file = at(name, &format!("2026-01-0{day}T00:00:00Z"), connections, 1000.0 * day as f64);
        file.recorded.run.as_mut().unwrap().environment.memory_bytes = Some(memory_bytes);
        file
    };
    let contents = Contents::of(&[of("c", 3, &[1], 1000), of("b", 2, &[64], 1008), of("a", 1, &[512], 1016)]);
    let newest = [(1.0, Some(3000.0)), (64.0, Some(2000.0))];
    assert_eq!((tabled(&contents, "epoll"), drawn(&contents, "epoll")), (newest.to_vec(), newest.to_vec()));
}

#[test]
fn a_cell_that_was_planned_and_not_begun_hides_no_older_figures_anywhere() {
    let mut newer = at("newer", "2026-01-02T00:00:00Z", &[1, 64], 2000.0);
    // What the plan does not have is no trial of the cell either.
    for trial in newer.recorded.trials.iter_mut().filter(|trial| trial.cell.connections == 64) {
        trial.backend = "stranger".to_owned();
    }
    let contents = Contents::of(&[newer, at("older", "2026-01-01T00:00:00Z", &[1, 64], 1000.0)]);
    let expected = [(1.0, Some(2000.0)), (64.0, Some(1000.0))];
    assert_eq!((tabled(&contents, "epoll"), drawn(&contents, "epoll")), (expected.to_vec(), expected.to_vec()));
}

#[test]
fn what_the_plan_does_not_have_is_in_no_chart() {
    let contents =
        Contents::of(&[file("run", run("2026-01-01T00:00:00Z", &[1, 64], &["epoll"]), 4, |trial| match trial.trial {
            1 => trial.cell.connections = 3,
            2 => trial.backend = "stranger".to_owned(),
            _ => {}
        })]);
    assert!(contents.runs[0].notes.iter().any(|note| note.starts_with("2 trials are of a cell or a backend")));
    assert_eq!(drawn(&contents, "epoll").iter().map(|(x, _)| *x).collect::<Vec<_>>(), [1.0, 64.0]);
    let names = contents.charts.iter().flat_map(|chart| &chart.series).map(|series| series.backend.as_str());
    assert!(names.into_iter().all(|name| name == "epoll"));
    assert_eq!(contents.backends.len(), 1);
}

#[test]
fn a_plan_without_cells_has_neither_charts_nor_tables_and_the_answer_says_so() {
    let mut empty = at("run", "2026-01-01T00:00:00Z", &[1, 64], 1000.0);
    empty.recorded.run.as_mut().unwrap().plan.connections.clear();
    let contents = Contents::of(&[empty]);
    assert!(contents.charts.is_empty() && contents.tables.is_empty());
    assert_eq!(
        contents.answer.open,
        [
            "Nothing of the plan was measured, so nothing can be said.",
            "4 trials are of no cell or backend of the plan and are left out."
        ]
    );
}

/// A search that found the capacities of poll and epoll.
fn search(name: &str, started: &str, slo: &str) -> FileRun {
    let (plan, capacity, trials) = crate::capacity::recorded(slo);
    let mut file = file(name, run(started, &[64], &["epoll"]), 0, |_| ());
    let run = file.recorded.run.as_mut().unwrap();
    (run.plan, run.capacity) = (plan, Some(capacity));
    file.recorded.trials = trials;
    file
}

#[test]
fn an_older_search_for_the_same_says_nothing_and_one_for_another_goal_is_named() {
    let newer = search("newer", "2026-01-02T00:00:00Z", "p99<5ms");
    let alone = Contents::of(std::slice::from_ref(&newer));
    let older = search("older", "2026-01-01T00:00:00Z", "p99<5ms");
    let both = Contents::of(&[older.clone(), newer.clone()]);
    assert_eq!(both.answer, alone.answer);
    assert_eq!((both.tables[0].rows.len(), both.tables[0].columns.len()), (2, alone.tables[0].columns.len()));

    let mut begun = newer.clone();
    begun.recorded.trials.clear();
    let left = Contents::of(&[begun, older]);
    assert_eq!(left.answer, alone.answer, "one without trials leaves it to the older one");

    let other = search("other", "2026-01-01T00:00:00Z", "p99<4ms");
    let contents = Contents::of(&[other, newer]);
    let files: Vec<&str> = (0..4).map(|row| text(&contents.tables[0], row, "file")).collect();
    assert_eq!(files, ["newer", "newer", "other", "other"]);
    let findings = &contents.answer.findings;
    assert!(findings.iter().all(|one| one.starts_with("newer: ") || one.starts_with("other: ")), "{findings:#?}");
    assert!(findings.iter().any(|one| one.starts_with("other: At 64 connections") && one.contains("p99<4ms")));
}

#[test]
fn a_sweep_and_a_search_have_a_table_each() {
    let contents =
        Contents::of(&[at("sweep", "2026-01-02T00:00:00Z", &[1], 1.0), search("s", "2026-01-01T00:00:00Z", "p99<5ms")]);
    let tables: Vec<(&str, usize)> =
        contents.tables.iter().map(|table| (table.title.as_str(), table.rows.len())).collect();
    assert_eq!(tables, [("Every backend in every cell", 1), ("Capacities", 2)]);
    let page = crate::report::page::draw(&contents);
    let markdown = crate::report::markdown::draw(&contents);
    assert!(
        page.contains("<h2>Capacities</h2>") && markdown.contains("\n**Capacities**\n\n| backend | verdicts | goal |")
    );
}

/// A run of two backends that are called so, where the second serves twice as much.
fn named(names: [&str; 2]) -> Contents {
    Contents::of(&[file("run\u{202e}.jsonl", run("2026-01-01T00:00:00Z", &[1], &names), 8, |trial| {
        trial.verdict = Verdict::Suspect;
        trial.reasons = vec!["odd\u{202e}\u{1b}[2J\nand so on".to_owned()];
        if trial.backend == names[1] {
            trial.measured.as_mut().unwrap().throughput_rps *= 2.0 + 0.001 * trial.block as f64;
        }
    })])
}

#[test]
fn nothing_turns_or_hides_what_is_said_and_names_that_were_different_stay_so() {
    let is_hidden = |c: &char| !crate::plain::is_plain(&c.to_string());
    for (names, shown) in [
        (["epoll", "\u{202e}epoll"], ["epoll", "epoll-2"]),
        (["e\u{200b}poll", "epoll"], ["epoll-2", "epoll"]),
        (["\u{202e}", ""], ["(unnamed)", "(unnamed)-2"]),
        (["line\nbreak\u{1b}[31m", "epoll#2\u{2066}"], ["line break[31m", "epoll#2-2"]),
    ] {
        let contents = named(names);
        assert_eq!([0, 1].map(|row| text(&contents.tables[0], row, "backend")), shown);
        let drawn: Vec<&str> = contents.backends.iter().map(|backend| backend.name.as_str()).collect();
        assert_eq!(drawn, shown);
        assert!(contents.answer.findings[0].contains(&format!("{} serves", shown[1])), "{:?}", contents.answer);
        let commands = contents.runs.iter().map(|run| run.command.clone()).collect::<String>();
        let json = serde_json::to_string(&contents).unwrap();
        assert!(!commands.chars().filter(|c| *c != '\n').any(|c| is_hidden(&c)), "{commands:?}");
        for hidden in ["\u{202e}", "\u{200b}", "\u{2066}", "\\u001b"] {
            assert!(!json.contains(hidden), "{hidden:?} in {json}");
        }
        assert_eq!(contents.runs[0].reasons[0].reason, "odd[2J and so on");
    }
}

#[test]
fn figures_that_nothing_can_have_are_in_no_sentence_and_no_chart() {
    let absurd = file("run.jsonl", run("2026-01-01T00:00:00Z", &[1], &["epoll", "poll", "select"]), 8, |trial| {
        let measured = trial.measured.as_mut().unwrap();
        match trial.backend.as_str() {
            "poll" => measured.throughput_rps = 1.7e308,
            "select" => measured.throughput_rps = 1e-300,
            _ => {}
        }
    });
    let contents = Contents::of(&[absurd]);
    let said = serde_json::to_string(&contents.answer).unwrap();
    assert!(!said.contains("inf") && said.contains("no trial of poll counts: throughput_rps is not"), "{said}");
    assert_eq!(text(&contents.tables[0], 1, "verdicts"), "invalid 8");
    assert_eq!(contents.runs[0].reasons[0].reason, "throughput_rps is not plausible: 1.7e308");
    let largest = contents.charts.iter().flat_map(|chart| &chart.series).flat_map(|series| &series.points);
    assert!(largest.filter_map(|point| point.y).all(|y| y < 1e15));
}

#[test]
fn a_file_of_another_machine_is_said_to_take_no_part_in_the_answer() {
    let newest = file("new.jsonl", run("2026-01-02T00:00:00Z", &[1], &["epoll", "poll"]), 8, |_| ());
    let mut old = file("old.jsonl", run("2026-01-01T00:00:00Z", &[1], &["epoll", "poll"]), 8, |_| ());
    old.recorded.run.as_mut().unwrap().environment.kernel = "5.0".to_owned();
    let open = Contents::of(&[old, newest.clone()]).answer.open;
    assert!(open.contains(&"old.jsonl is of another machine: it is in the history only.".to_owned()), "{open:?}");
    assert!(Contents::of(&[newest]).answer.open.iter().all(|line| !line.contains("machine")));
}

#[test]
fn many_files_of_other_machines_are_counted_and_not_listed() {
    let mut files: Vec<FileRun> = (0..40)
        .map(|day| {
            let started = format!("2026-01-01T00:{day:02}:00Z");
            let mut file = file(&started, run(&started, &[1], &["epoll"]), 2, |_| ());
            let environment = &mut file.recorded.run.as_mut().unwrap().environment;
            environment.cpu_model = Some(["a", "b"][day % 2].to_owned());
            environment.memory_bytes = Some([1 << 30, 1 << 34][day / 2 % 2]);
            file
        })
        .collect();
    let contents = Contents::of(&files);
    let said = "30 files are of other machines: they are in the history only.";
    assert!(contents.answer.open.contains(&said.to_owned()), "{:?}", contents.answer.open);
    let history = contents.charts.iter().find(|chart| chart.kind == "history").unwrap();
    let of_machines = history.notes.iter().filter(|note| note.starts_with("another machine from "));
    let told: Vec<&String> = of_machines.collect();
    assert_eq!(told.len(), 6, "{told:#?}");
    assert_eq!(told[0], "another machine from run to run before that, too: 34 times");
    assert!(told[5].starts_with("another machine from 2026-01-01T00:39:00Z on: b after a"), "{told:#?}");

    files.truncate(4);
    let few = Contents::of(&files).answer.open;
    assert!(few.iter().any(|line| line.ends_with("Z are of other machines: they are in the history only.")), "{few:?}");
}

#[test]
fn verdicts_stand_beside_the_names_and_a_spread_is_from_where_to_where() {
    let contents = named(["epoll", "poll"]);
    let titles: Vec<&str> = contents.tables[0].columns.iter().map(|column| column.title.as_str()).collect();
    assert_eq!(titles[..5], ["backend", "connections", "verdicts", "requests/s", "spread"]);
    assert_eq!(text(&contents.tables[0], 1, "spread"), "8,004 to 8,032");
    assert!(contents.tables[0].legend().is_some_and(|legend| legend.starts_with("spread: ")));
    assert!(crate::report::markdown::draw(&contents).contains("\n\nspread: requests/s of the slowest"));
    assert!(crate::report::page::draw(&contents).contains("spread: requests/s of the slowest"));
}

#[test]
fn what_the_kernel_grants_is_told_of_those_that_took_part() {
    let mut own = run("2026-01-01T00:00:00Z", &[1], &["epoll"]);
    let of = |name: &str| BackendFacts { name: name.to_owned(), receipt: None, reason: Some("no".to_owned()) };
    own.environment.backends = Some(vec![of("epoll"), of("io_uring")]);
    let contents = Contents::of(&[file("run.jsonl", own, 1, |_| ())]);
    let granted = contents.runs[0].environment.iter().find(|(title, _)| title == "what the kernel grants").unwrap();
    let names: Vec<&str> = granted.1.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["epoll"]);
}
