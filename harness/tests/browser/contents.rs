//! Reports as large and as odd as they come, made without measuring anything.

use harness::report::answer::Answer;
use harness::report::chart::{Axis, Chart, Look, Mark, Point, Scale, Series, State, Symbol, Unit};
use harness::report::contents::{Column, Contents, Entry, Named, Reason, RunFacts, Table};

const COLOURS: [(&str, &str); 8] = [
    ("#0072b2", "#56b4e9"),
    ("#c44e00", "#ff9d57"),
    ("#007a58", "#2fd1a5"),
    ("#a8457f", "#e79ac6"),
    ("#8a6d00", "#f0e442"),
    ("#4b3fa8", "#a99cff"),
    ("#5c6670", "#aab4be"),
    ("#a3232f", "#ff8088"),
];
const SYMBOLS: [Symbol; 6] =
    [Symbol::Circle, Symbol::Square, Symbol::Triangle, Symbol::Diamond, Symbol::Cross, Symbol::Star];
const NAMES: [&str; 16] = [
    "threads",
    "select",
    "poll",
    "epoll",
    "io_uring",
    "<script>alert(1)</script>",
    "polling",
    "epoll-et",
    "io_uring-oneshot",
    "io_uring-no-buffer-ring",
    "io_uring-defer-taskrun",
    "spin",
    "thread_pool",
    "thread_pool-one-shot",
    "redis-6",
    "\"><img src=x onerror=alert(1)>",
];
const CONNECTIONS: [f64; 5] = [1.0, 16.0, 64.0, 512.0, 4000.0];

/// What a chart is of: its kind, both axes, how many points each backend has, and a value for a backend's place.
struct Kind {
    name: &'static str,
    x: (&'static str, Unit, Scale),
    y: (&'static str, Unit, Scale),
    points: usize,
    at: fn(usize, usize) -> (f64, f64),
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "throughput",
        x: ("connections", Unit::Count, Scale::Log),
        y: ("throughput", Unit::PerSecond, Scale::Linear),
        points: 5,
        at: |one, place| (CONNECTIONS[place], (20e3 + 31e3 * place as f64) * spread(one)),
    },
    Kind {
        name: "p99",
        x: ("connections", Unit::Count, Scale::Log),
        y: ("p99 service time", Unit::Nanoseconds, Scale::Log),
        points: 5,
        at: |one, place| (CONNECTIONS[place], 18e3 * 4f64.powf(place as f64) * spread(one)),
    },
    Kind {
        name: "rates",
        x: ("offered load", Unit::PerSecond, Scale::Linear),
        y: ("p99 latency", Unit::Nanoseconds, Scale::Log),
        points: 6,
        at: |one, place| (25e3 * (place as f64 + 1.0), 30e3 * 2.3f64.powf(place as f64) * spread(one)),
    },
    Kind {
        name: "distribution",
        x: ("samples", Unit::Quantile, Scale::Nines),
        y: ("service time", Unit::Nanoseconds, Scale::Log),
        points: 60,
        at: |one, place| (1.0 - 10f64.powf(-(place as f64) / 12.0), 14e3 * 1.1f64.powf(place as f64) * spread(one)),
    },
    Kind {
        name: "memory",
        x: ("connections", Unit::Count, Scale::Log),
        y: ("memory per connection", Unit::Bytes, Scale::Log),
        points: 5,
        at: |one, place| (CONNECTIONS[place], 2e6 / CONNECTIONS[place] * spread(one) + 3000.0),
    },
    Kind {
        name: "calls",
        x: ("connections", Unit::Count, Scale::Log),
        y: ("system calls per request", Unit::Count, Scale::Linear),
        points: 5,
        at: |one, place| (CONNECTIONS[place], (2.2 - 0.4 * place as f64) * spread(one)),
    },
    Kind {
        name: "history",
        x: ("started", Unit::Time, Scale::Time),
        y: ("throughput", Unit::PerSecond, Scale::Linear),
        points: 8,
        at: |one, place| {
            (1.76e12 + 8.64e7 * 2.0 * place as f64, 150e3 * spread(one) * (1.0 + 0.04 * (place % 3) as f64))
        },
    },
];

/// Some backends lie apart, others are almost the same: both must be readable.
fn spread(one: usize) -> f64 {
    [1.0, 1.02, 1.3, 1.31, 1.7, 0.6, 1.03, 0.97, 1.71, 1.29, 0.8, 0.81, 2.0, 0.3, 1.05, 1.32][one % 16]
}

fn look(one: usize) -> Look {
    let (light, dark) = COLOURS[one % 8];
    Look { light, dark, symbol: SYMBOLS[one % 6], dash: if one < 8 { &[] } else { &[6, 3] } }
}

/// So many backends, each kind of chart in so many groups of cells.
pub(crate) fn contents(backends: usize, facets: usize) -> Contents {
    let names = &NAMES[..backends];
    let charts = KINDS.iter().flat_map(|kind| (0..facets).map(move |facet| chart(kind, facet, names)));
    Contents {
        title: format!("{backends} backends on Linux 6.18 & <b>a CPU</b>"),
        answer: Answer {
            findings: vec!["At 512 connections io_uring serves 1.31× [1.24, 1.38] the requests of epoll.".to_owned()],
            crossovers: vec!["From 64 connections on io_uring is ahead of epoll.".to_owned()],
            notes: vec!["The intervals of 6 comparisons hold together in 95 % of runs.".to_owned()],
            changes: Vec::new(),
            open: vec!["At 1 connection <script>alert(1)</script> was not measured.".to_owned()],
        },
        charts: charts.collect(),
        backends: names
            .iter()
            .enumerate()
            .map(|(one, name)| Named { name: (*name).to_owned(), look: look(one), summary: format!("about {name}") })
            .collect(),
        tables: vec![table(names, facets), capacities(names)],
        runs: vec![RunFacts {
            file: "run.jsonl".to_owned(),
            started: "2026-01-02T03:04:05Z".to_owned(),
            command: format!("harness sweep --backends {} --seed 7 --trials 10", names.join(",")),
            verdicts: vec![("valid".to_owned(), 40), ("suspect".to_owned(), 8)],
            reasons: vec![Reason {
                kind: "suspect".to_owned(),
                reason: "the load generator was <i>busy</i>".to_owned(),
                backends: vec![("epoll".to_owned(), 8)],
            }],
            environment: vec![(
                "machine".to_owned(),
                vec![("kernel".to_owned(), "6.18 <b>".to_owned()), ("flags".to_owned(), "x".repeat(300))],
            )],
            notes: vec!["the file was cut off".to_owned()],
        }],
    }
}

/// What is left of a file without a trial.
pub(crate) fn nothing() -> Contents {
    let mut contents = contents(1, 1);
    contents.answer = Answer { open: vec!["The file has no trials.".to_owned()], ..Answer::default() };
    contents.charts.clear();
    contents.backends.clear();
    contents.tables.clear();
    contents.runs[0].verdicts.clear();
    contents
}

fn table(names: &[&str], facets: usize) -> Table {
    let columns = [("backend", false), ("connections", true), ("requests/s", true), ("p99", true), ("verdict", false)];
    let mut rows = Vec::new();
    for place in 0..CONNECTIONS.len() * facets {
        for (one, name) in names.iter().enumerate() {
            let (connections, rate) = (KINDS[0].at)(one, place % CONNECTIONS.len());
            let number = |text: String, value| Entry { text, value: Some(value) };
            // Sorted as text, 9 would come after 118,204.
            let rate = if one == 1 { 9.0 } else { rate };
            let p99 = if one == 2 { None } else { Some(rate * 2.0) };
            rows.push(vec![
                Entry { text: (*name).to_owned(), value: None },
                number(format!("{connections}"), connections),
                number(harness::figures::grouped(rate), rate),
                Entry { text: p99.map_or("–".to_owned(), harness::figures::duration), value: p99 },
                Entry { text: "valid".to_owned(), value: None },
            ]);
        }
    }
    let columns = columns.map(|(title, numeric)| Column { title: title.to_owned(), numeric });
    Table { title: "Every backend in every cell".to_owned(), columns: columns.into(), rows }
}

fn capacities(names: &[&str]) -> Table {
    let columns = [("backend", false), ("capacity, requests/s", true)];
    let row = |(one, name): (usize, &&str)| {
        let rps = 150e3 * spread(one);
        let capacity = Entry { text: harness::figures::grouped(rps), value: Some(rps) };
        vec![Entry { text: (*name).to_owned(), value: None }, capacity]
    };
    Table {
        title: "Capacities".to_owned(),
        columns: columns.map(|(title, numeric)| Column { title: title.to_owned(), numeric }).into(),
        rows: names.iter().enumerate().map(row).collect(),
    }
}

/// The second backend has a gap, the third a point that is invalid and one that is suspect, the sixth ends early; the first and
/// the fourth have a mark.
fn chart(kind: &Kind, facet: usize, names: &[&str]) -> Chart {
    let series = names.iter().enumerate().map(|(one, name)| {
        let points = (0..kind.points).map(|place| {
            let (x, y) = (kind.at)(one, place);
            let y = y * (1.0 + 0.01 * facet as f64);
            let state = match (one, place) {
                (1, 2) | (5, 3 | 4) => State::Missing,
                (2, 1) => State::Invalid,
                (2, 3) => State::Suspect,
                _ => State::Valid,
            };
            let said = format!("{} {y:.0} <i>said</i> at {x}", kind.y.0);
            let y = (state != State::Missing).then_some(y);
            Point { x, y, interval: y.map(|y| [y * 0.94, y * 1.08]), state, said: vec![said, format!("{state:?}")] }
        });
        let marked = matches!((kind.name, one), ("rates", _) | ("history", 0 | 3));
        let marks = if marked {
            let x = (kind.at)(one, 3 + one % 2).0;
            let label = if kind.name == "rates" { format!("capacity {x:.0}/s") } else { "8 % more".to_owned() };
            vec![Mark { x, interval: (kind.name == "rates").then_some([x * 0.97, x * 1.03]), label }]
        } else {
            Vec::new()
        };
        Series { backend: (*name).to_owned(), look: look(one), points: points.collect(), marks }
    });
    Chart {
        id: if facet == 0 { kind.name.to_owned() } else { format!("{}-{facet}", kind.name) },
        kind: kind.name.to_owned(),
        title: format!("{} against {}", kind.y.0, kind.x.0),
        cells: format!("payload {} B · depth 1 · closed loop · 1 server thread", 64 << (facet % 20)),
        x: Axis { label: kind.x.0.to_owned(), unit: kind.x.1, scale: kind.x.2 },
        y: Axis { label: kind.y.0.to_owned(), unit: kind.y.1, scale: kind.y.2 },
        series: series.collect(),
        notes: vec!["bars: where the median lies in 95 % of runs <img src=x onerror=alert(1)>".to_owned()],
    }
}
